# shellcheck shell=sh disable=SC2034
# A triple fault ends the VMM with a status of its own, and it tells.

CASE_ONLY_VMM=1

outer() {
	vm_start 90
	vm_expect 'inner: faults' 80
	vm_expect_end 5
	[ -s "$VM_ERR" ] || fail 'the VMM says nothing about it'
	pass
}

inner_main() {
	say faults
	reset_by triple
}
