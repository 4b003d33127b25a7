# shellcheck shell=sh disable=SC2034
# A guest lets its device write outside its memory: the IOMMU faults, nothing is written, and device
# and guest go on. (What the device says of it is not looked at: QEMU's controller reports success.)

CASE_ONLY_VMM=1
CASE_OUTER_DEVICES=nvme
CASE_TIMEOUT=200

outer() {
	wait_for 10 test -b /dev/nvme0n1 || fail 'no NVMe disk here'
	pass_device 0
	VM_MEMORY=256M
	VM_EXTRA="--vfio $(passed 0)"
	vm_start 150
	vm_expect 'inner: all tried' 120
	vm_expect_end 0
	[ "$(grep -c '^own: status 0 vendor 1b36' "$VM_LOG")" -eq 2 ] || fail 'the device does not answer afterwards'
	# In the hole of the guest's memory, and right behind it.
	dmesg | grep -q 'DMAR:.*00:10.0.*fault addr 0x20000000' || fail 'no fault in the hole'
	dmesg | grep -q 'DMAR:.*00:10.0.*fault addr 0x10000000' || fail 'no fault behind memory'
	take_back 0
	wait_for 10 test -b /dev/nvme0n1 || fail 'the disk does not come back'
	pass
}

inner_main() {
	load_modules
	wait_for 20 test -b /dev/nvme0n1 || give_up 'no disk'
	device=$(basename "$(readlink /sys/class/nvme/nvme0/device)")
	echo "$device" >/sys/bus/pci/drivers/nvme/unbind
	nvmestray "$device" 0x20000000 || give_up 'cannot drive it'
	nvmestray "$device" 0x10000000 || give_up 'cannot drive it'
	say 'all tried'
}
