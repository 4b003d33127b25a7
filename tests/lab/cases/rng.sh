# shellcheck shell=sh disable=SC2034
# The entropy device feeds the guest's generator.

CASE_NEEDS=bzimage

outer() {
	VM_RNG=1
	vm_start 90
	vm_expect 'inner: entropy is right' 80
	vm_expect_end 0
	pass
}

inner_main() {
	load_modules
	case $(cat /sys/class/misc/hw_random/rng_current) in
	virtio_rng*) ;;
	*) give_up 'the current generator is not virtio_rng' ;;
	esac
	dd if=/dev/hwrng of=/tmp/a bs=4096 count=16 2>/dev/null || give_up 'cannot read /dev/hwrng'
	dd if=/dev/hwrng of=/tmp/b bs=4096 count=16 2>/dev/null
	[ "$(wc -c </tmp/a)" -ge 16384 ] || give_up 'short reads'
	! cmp -s /tmp/a /tmp/b || give_up 'the same bytes twice'
	# Random bytes do not compress.
	[ "$(gzip -c /tmp/a | wc -c)" -ge "$(wc -c </tmp/a)" ] || give_up 'the bytes compress'
	say 'entropy is right'
}
