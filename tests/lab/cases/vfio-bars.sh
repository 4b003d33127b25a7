# shellcheck shell=sh disable=SC2034
# The guest moves the BARs of a passed disk (it wants them aligned to a megabyte) and finds it through
# the ports at 0xcf8 alone; without that it leaves them where they are. The disk's expansion ROM
# reads as outside. Cards of ours are on the same bus.

CASE_ONLY_VMM=1
CASE_OUTER_DEVICES=nvme-rom
CASE_TIMEOUT=300

# rom DEVICE: a sum of its expansion ROM.
rom() {
	echo 1 >"/sys/bus/pci/devices/$1/rom"
	[ "$(wc -c <"/sys/bus/pci/devices/$1/rom")" -eq 4096 ] && md5sum <"/sys/bus/pci/devices/$1/rom"
}

# boot MODE OPTION: the guest finds its disk and ROM, with that option of its PCI code.
boot() {
	VM_APPEND="mode=$1 $2"
	vm_start 150
	vm_expect "inner: rom $want_rom" 120
	vm_expect "inner: $1 read $want" 60
	vm_expect_end 0
}

outer() {
	wait_for 10 test -b /dev/nvme0n1 || fail 'no NVMe disk here'
	dd if=/dev/urandom of=/dev/nvme0n1 bs=1M count=8 conv=fsync 2>/dev/null
	want=$(dd if=/dev/nvme0n1 bs=1M count=8 2>/dev/null | md5sum | cut -d ' ' -f 1)
	want_rom=$(rom "$(passed 0)") || fail 'no ROM here'
	truncate -s 16M /tmp/disk
	VM_DISKS=/tmp/disk
	pass_device 0
	VM_EXTRA="--transport pci --vfio $(passed 0)"
	boot stay ''
	boot move 'pci=nommconf,resource_alignment=20@pci:1b36:0010'
	pass
}

# find_disk: the passed disk is there; sets $device, and $address to that of its first BAR.
find_disk() {
	load_modules
	wait_for 20 test -b /dev/nvme0n1 || give_up "no NVMe disk: $(dmesg | grep -E 'pci|nvme' | tail -n 30)"
	device=$(readlink -f /sys/class/nvme/nvme0/device)
	address=$(awk 'NR == 1 { print $1 }' "$device/resource")
}

# read_disk MODE
read_disk() {
	say "rom $(rom "$(basename "$device")")"
	dd if=/dev/vda of=/dev/null bs=1M count=4 2>/dev/null || give_up 'our disk does not work'
	say "$1 read $(dd if=/dev/nvme0n1 bs=1M count=8 2>/dev/null | md5sum)"
	[ "$(irqs_of 'PCI-MSI.*nvme0q')" -gt 10 ] || give_up "interrupts: $(cat /proc/interrupts)"
}

inner_stay() {
	find_disk
	dmesg | grep -E 'pci.*(BAR [0-9]+: assigned|can.t claim|no compatible)' && give_up 'BARs were moved'
	[ $((address >> 32)) -gt 0 ] || give_up "a BAR of 64 bits is below 4 GiB, at $address"
	[ $((address & 0xfffff)) -ne 0 ] || give_up "it is aligned already: $address"
	[ "$(wc -c <"$device/config")" -eq 4096 ] || give_up 'no extended config space'
	read_disk stay
}

inner_move() {
	find_disk
	[ $((address & 0xfffff)) -eq 0 ] || give_up "the BAR is still at $address"
	[ "$(wc -c <"$device/config")" -eq 256 ] || give_up 'more than the ports can reach'
	read_disk move
}
