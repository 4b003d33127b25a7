# shellcheck shell=sh disable=SC2034
# The guest is reset twice with a passed disk in use; it works each time. The count is kept on it.

CASE_ONLY_VMM=1
CASE_OUTER_DEVICES=nvme
CASE_TIMEOUT=240

outer() {
	dd if=/dev/zero of=/dev/nvme0n1 bs=4k count=1 conv=fsync 2>/dev/null || fail 'no NVMe disk here'
	pass_device 0
	VM_EXTRA="--vfio $(passed 0)"
	vm_start 200
	vm_expect 'inner: boot 1 ' 120
	vm_expect 'inner: boot 2 ' 60
	vm_expect 'inner: boot 3 ' 60
	vm_expect_end 0
	pass
}

inner_main() {
	load_modules
	wait_for 20 test -b /dev/nvme0n1 || give_up 'no disk'
	count=$(count_boot /dev/nvme0n1)
	say "boot $count with a passed disk"
	# Transfers are under way when it comes.
	[ "$count" -eq 3 ] || dd if=/dev/nvme0n1 of=/dev/null bs=1M iflag=direct &
	usleep 20000
	case $count in
	1) reset_by acpi ;;
	2) reset_by kbd ;;
	esac
}
