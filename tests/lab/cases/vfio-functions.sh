# shellcheck shell=sh disable=SC2034
# Two functions of one device, which is one group: neither is passed as long as the host has the
# other; both are, with their numbers, and both disks work.

CASE_ONLY_VMM=1
CASE_OUTER_DEVICES=virtio-blk-two
CASE_OUTER_MODULES=virtio_blk
CASE_TIMEOUT=200

outer() {
	second=$(passed 0)
	second=${second%0}1
	wait_for 10 test -b /dev/vdb || fail 'no two disks here'
	vmm vfio bind "$(passed 0)" 2>"$VM_ERR" || fail 'cannot bind the first'
	vmm run --kernel /lab/bzimage --vfio "$(passed 0)" --dry-run </dev/null 2>"$VM_ERR" &&
		fail 'half a group was passed'
	grep -q "device $second of the same group, [0-9]*, is still bound to virtio-pci" "$VM_ERR" ||
		fail 'the other function is not named'
	vmm vfio bind "$second" 2>"$VM_ERR" || fail 'cannot bind the second'
	VM_EXTRA="--vfio $(passed 0) --vfio $second"
	vm_start 150
	vm_expect 'inner: wrote' 120
	vm_expect_end 0
	take_back 0
	vmm vfio unbind "$second" 2>"$VM_ERR" || fail "cannot unbind $second"
	wait_for 10 test -b /dev/vdb || fail 'the disks do not come back'
	written=$(sed -n 's/.*inner: wrote \([0-9a-f]*\).*/\1/p' "$VM_LOG")
	for disk in /dev/vda /dev/vdb; do
		[ "$(dd if=$disk bs=1M count=4 2>/dev/null | md5sum | cut -d ' ' -f 1)" = "$written" ] ||
			fail "other data on $disk"
	done
	pass
}

inner_main() {
	load_modules
	wait_for 20 test -b /dev/vdb || give_up "no two disks: $(ls /sys/bus/pci/devices)"
	[ "$(find /sys/bus/pci/devices -name '0000:00:01.[01]' | wc -l)" -eq 2 ] ||
		give_up "functions: $(ls /sys/bus/pci/devices)"
	dd if=/dev/urandom of=/tmp/data bs=1M count=4 2>/dev/null
	for disk in vda vdb; do
		dd if=/tmp/data of=/dev/$disk bs=64k conv=fsync 2>/dev/null || give_up "cannot write to $disk"
	done
	say "wrote $(md5sum </tmp/data | cut -d ' ' -f 1)"
}
