# shellcheck shell=sh
# Functions for the inner part of a case. Sourced by busybox sh in the inner guest.

say() {
	echo "inner: $*"
}

# The case has failed; the outer part sees no success line.
give_up() {
	say "GIVES UP: $*"
	power_off
}

# Off at once. A machine without ACPI has no power switch: there, a reset ends the VMM.
power_off() {
	[ -d /sys/firmware/acpi ] || reboot -f
	poweroff -f
	sleep 60
}

load_modules() {
	[ -e /lab/modules ] || return 0
	while read -r module; do
		insmod "/lib/modules/$module" || say "cannot load $module"
	done </lab/modules
}

# net_up: the first card as 10.9.0.2; the other end is 10.9.0.1.
net_up() {
	wait_for 10 test -e /sys/class/net/eth0 || give_up 'no eth0'
	ip address add 10.9.0.2/24 dev eth0
	ip link set eth0 up
	wait_for 10 ping -c 1 -W 1 10.9.0.1 >/dev/null || give_up 'no answer from 10.9.0.1'
}

# reset_by TYPE: acpi, kbd (the keyboard controller's line) or triple (a triple fault).
reset_by() {
	echo "$1" >/sys/kernel/reboot/type || give_up "no reset by $1"
	reboot -f
	sleep 60
}

# irqs_of PATTERN: how many interrupts the matching lines of /proc/interrupts have counted.
irqs_of() {
	awk -v pattern="$1" '$0 ~ pattern { for (i = 2; $i ~ /^[0-9]+$/; i++) sum += $i } END { print sum + 0 }' \
		/proc/interrupts
}

# pci_devices CPUS: disk, network, console, entropy and balloon are on PCI, and they work.
pci_devices() {
	load_modules
	[ "$(nproc)" -eq "$1" ] || give_up "$(nproc) CPUs"
	wait_for 10 test -b /dev/vda || give_up 'no disk'
	# Host bridge and five devices, found through ECAM with their extended config space.
	[ "$(find /sys/bus/pci/devices -type l | wc -l)" -eq 6 ] || give_up "on PCI: $(ls /sys/bus/pci/devices)"
	for device in 0000:00:01.0 0000:00:02.0 0000:00:03.0 0000:00:04.0 0000:00:05.0; do
		[ "$(cat "/sys/bus/pci/devices/$device/vendor")" = 0x1af4 ] || give_up "vendor of $device"
		[ "$(basename "$(readlink "/sys/bus/pci/devices/$device/driver")")" = virtio-pci ] ||
			give_up "driver of $device"
		[ "$(find "/sys/bus/pci/devices/$device/msi_irqs" -type f | wc -l)" -ge 2 ] || give_up "MSI-X of $device"
	done
	[ "$(wc -c </sys/bus/pci/devices/0000:00:01.0/config)" -ge 256 ] || give_up 'config space'
	[ "$(mmio_count)" -eq 0 ] || give_up 'a device on mmio'
	devices_work 'PCI-MSI.*virtio[0-9]-(req|input|output)'
	dmesg | grep -iE 'pci.*(conflict|failed|no compatible|not reserved|can.t claim)' && give_up 'the kernel complains'
	say 'devices are right'
}

# mmio_devices CPUS: the same devices over mmio, each with its line of the IOAPIC.
mmio_devices() {
	load_modules
	[ "$(nproc)" -eq "$1" ] || give_up "$(nproc) CPUs"
	wait_for 10 test -b /dev/vda || give_up 'no disk'
	[ "$(mmio_count)" -eq 5 ] || give_up "over mmio: $(ls /sys/bus/platform/drivers/virtio-mmio)"
	[ ! -e /sys/bus/pci/devices ] || [ -z "$(ls /sys/bus/pci/devices)" ] || give_up 'a PCI bus'
	devices_work 'IO-APIC.*virtio[0-9]$'
	say 'devices are right'
}

# count_boot DEVICE: prints which boot this is; the disk's first byte keeps it, up to 9.
count_boot() {
	boot=$(head -c 1 "$1" | tr -dc 1-9)
	boot=$((boot + 1))
	printf %s "$boot" | dd of="$1" bs=1 conv=notrunc,fsync 2>/dev/null
	echo "$boot"
}

# Says 'listens', and then waits until the power button is pressed.
hear_button() {
	wait_for 10 test -c /dev/input/event0 || give_up 'no button'
	exec 4</dev/input/event0
	say listens
	# One struct input_event.
	head -c 24 <&4 >/dev/null
	say 'the button was pressed'
}

mmio_count() {
	find /sys/bus/platform/drivers/virtio-mmio/ -name 'LNRO0005:*' 2>/dev/null | wc -l
}

# devices_work PATTERN: disk, network, console and entropy do what they should; their lines of
# /proc/interrupts match.
devices_work() {
	printf right | dd of=/dev/vda bs=5 conv=notrunc,fsync 2>/dev/null || give_up 'cannot write'
	dd if=/dev/urandom of=/tmp/data bs=64k count=32 2>/dev/null
	dd if=/tmp/data of=/dev/vda bs=64k seek=16 conv=notrunc,fsync 2>/dev/null || give_up 'cannot write'
	echo 3 >/proc/sys/vm/drop_caches
	dd if=/dev/vda bs=64k skip=16 count=32 2>/dev/null | cmp - /tmp/data || give_up 'wrong data'
	dd if=/dev/hwrng of=/tmp/random bs=64 count=4 2>/dev/null || give_up 'no entropy'
	wait_for 10 test -c /dev/hvc0 || give_up 'no hvc0'
	echo 'written to hvc0' >/dev/hvc0
	net_up
	stream connect 10.9.0.1 5001 send 8 || give_up 'cannot send'
	[ "$(irqs_of "$1")" -gt 100 ] || give_up "interrupts: $(cat /proc/interrupts)"
}
