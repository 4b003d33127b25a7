# shellcheck shell=sh disable=SC2034
# A passed disk whose driver may use no messages: its interrupts come by the pin, which the guest's
# end of interrupt unmasks again. A card of ours has the same pin.

CASE_ONLY_VMM=1
CASE_OUTER_DEVICES=nvme
CASE_TIMEOUT=200

outer() {
	wait_for 10 test -b /dev/nvme0n1 || fail 'no NVMe disk here'
	dd if=/dev/urandom of=/dev/nvme0n1 bs=1M count=8 conv=fsync 2>/dev/null
	want=$(dd if=/dev/nvme0n1 bs=1M count=8 2>/dev/null | md5sum | cut -d ' ' -f 1)
	truncate -s 16M /tmp/disk /tmp/disk1 /tmp/disk2 /tmp/disk3
	pass_device 0
	VM_APPEND=pci=nomsi
	VM_EXTRA="--transport pci --vfio $(passed 0)"
	VM_DISKS='/tmp/disk /tmp/disk1 /tmp/disk2 /tmp/disk3'
	vm_start 150
	vm_expect "inner: read $want" 120
	vm_expect_end 0
	pass
}

inner_main() {
	load_modules
	wait_for 20 test -b /dev/nvme0n1 || give_up "no disk: $(dmesg | grep -i nvme | tail)"
	dd if=/dev/vda of=/dev/null bs=64k &
	sum=$(dd if=/dev/nvme0n1 bs=64k count=128 2>/dev/null | md5sum | cut -d ' ' -f 1)
	wait
	[ "$(irqs_of 'IO-APIC.*nvme0q')" -gt 50 ] || give_up "interrupts: $(cat /proc/interrupts)"
	say "read $sum"
}
