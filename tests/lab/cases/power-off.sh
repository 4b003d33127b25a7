# shellcheck shell=sh disable=SC2034
# The guest switches itself off: the VMM ends with status 0, and soon.

outer() {
	vm_start 90
	vm_expect 'inner: goes down' 80
	before=$(now)
	vm_expect_end 0
	[ $(($(now) - before)) -lt 20000000000 ] || fail 'the VMM outlived its guest by more than 20 s'
	pass
}

inner_main() {
	say 'goes down'
}
