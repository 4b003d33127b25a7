# shellcheck shell=sh disable=SC2034
# With --no-reboot a reset ends the VMM, with a status of its own.

CASE_ONLY_VMM=1

outer() {
	VM_EXTRA=--no-reboot
	vm_start 90
	vm_expect 'inner: resets' 80
	vm_expect_end 4
	[ "$(grep -c 'inner: user space reached' "$VM_LOG")" -eq 1 ] || fail 'it started again'
	pass
}

inner_main() {
	say resets
	reset_by acpi
}
