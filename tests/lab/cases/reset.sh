# shellcheck shell=sh disable=SC2034
# The machine is reset three times, by ACPI's reset register, by the keyboard controller's line and in
# the way that Linux takes by itself, with devices in use. It starts again each time, and its devices
# work; the count is kept on a disk.

CASE_TIMEOUT=200
CASE_ONLY_VMM=1

outer() {
	truncate -s 16M /tmp/disk
	VM_DISKS=/tmp/disk
	vm_start 150
	vm_expect 'inner: boot 1 ' 80
	vm_expect 'inner: boot 2 ' 60
	vm_expect 'inner: boot 3 ' 60
	vm_expect 'inner: boot 4 ' 60
	vm_expect_end 0
	[ "$(grep -c 'inner: user space reached' "$VM_LOG")" -eq 4 ] || fail 'not four boots'
	pass
}

inner_main() {
	load_modules
	wait_for 10 test -b /dev/vda || give_up 'no disk'
	count=$(count_boot /dev/vda)
	say "boot $count with $(nproc) CPU"
	case $count in
	1) reset_by acpi ;;
	2) reset_by kbd ;;
	3) reboot -f ;;
	esac
}
