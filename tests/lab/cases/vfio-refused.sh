# shellcheck shell=sh disable=SC2034
# What cannot be passed is refused, with the reason and what to do.

CASE_ONLY_VMM=1
CASE_NEEDS='bzimage ext4'
CASE_OUTER_DEVICES='nvme virtio-blk'
CASE_TIMEOUT=200

# refuses TEXT ADDRESS: the run ends with status 1 and says so.
refuses() {
	status=0
	vmm run --kernel /lab/bzimage --vfio "$2" --dry-run </dev/null >"$VM_LOG" 2>"$VM_ERR" || status=$?
	grep -q -e "$1" "$VM_ERR" || fail "'$1' is not said of $2"
	[ "$status" -eq "${3:-1}" ] || fail "status $status for $2"
}

outer() {
	wait_for 10 test -b /dev/nvme0n1 || fail 'no NVMe disk here'
	refuses 'no such PCI device' 0000:7f:00.0
	refuses 'must be a PCI address' nvme0 2
	refuses "is bound to nvme, not to vfio-pci: vmm vfio bind $(passed 0)" "$(passed 0)"
	refuses 'is bound to virtio-pci, not to vfio-pci' "$(passed 1)"
	# The disk is in use: not taken without --force.
	mkfs.ext4 -q /dev/nvme0n1 || fail mkfs
	mount /dev/nvme0n1 /mnt || fail mount
	vmm vfio bind "$(passed 0)" </dev/null 2>"$VM_ERR" && fail 'a mounted disk was taken'
	grep -q 'nvme0n1 is mounted at /mnt' "$VM_ERR" || fail 'the mount is not named'
	vmm vfio list | grep -q 'in use: nvme0n1 is mounted at /mnt' || fail 'the list does not say so'
	umount /mnt
	pass_device 0
	pass_device 1
	taken='another process uses its group'
	[ "$(way_of 0)" = group ] || taken='another process uses it, or a device of its group'
	# Another VM has it.
	VM_EXTRA="--vfio $(passed 0)"
	vm_start 100
	vm_expect 'inner: user space reached' 90
	refuses "$taken" "$(passed 0)"
	vm_send end
	vm_expect_end 0
	vmm run --kernel /lab/bzimage --vfio "$(passed 0)" --vfio "$(passed 1)" --dry-run 2>"$VM_ERR" ||
		fail 'the free devices are refused'
	pass
}

inner_main() {
	read -r _
}
