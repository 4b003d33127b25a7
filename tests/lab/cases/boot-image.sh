# shellcheck shell=sh disable=SC2034
# A guest image: built, verified and booted with what it says; refused when one byte has changed.

CASE_NEEDS='bzimage'
CASE_ONLY_VMM=1

IMAGE=/run/guest.img

# Nothing but the image: memory, CPUs, ramdisk and command line are its own.
vm_exec_vmm() {
	exec vmm run "$IMAGE" --serial stdio --rng=off
}

outer() {
	vmm image build -o "$IMAGE" --kernel /lab/bzimage --initrd /lab/initrd \
		--cmdline "$(vm_cmdline)" --memory 192M --cpus 2 2>"$VM_ERR" || fail 'build failed'
	vmm image verify "$IMAGE" 2>"$VM_ERR" || fail 'the new image is not good'
	vm_start 100
	vm_expect 'inner: user space reached' 90
	vm_expect 'inner: cpus 2' 10
	vm_expect 'inner: memory is right' 5
	vm_expect_end 0

	# A byte in the middle of the kernel: another one.
	byte=x
	[ "$(dd if="$IMAGE" bs=1 skip=5000000 count=1 2>/dev/null)" != x ] || byte=y
	printf %s "$byte" | dd of="$IMAGE" bs=1 seek=5000000 conv=notrunc 2>/dev/null
	vmm image verify "$IMAGE" 2>/dev/null
	[ $? -eq 3 ] || fail 'verify did not see the damage'
	vm_start 20
	vm_expect_end 3
	grep -q "part 'kernel' does not have its sha256" "$VM_ERR" || fail 'no word of the kernel'
	pass
}

inner_main() {
	say "cpus $(nproc)"
	awk '$1 == "MemTotal:" && $2 > 120000 && $2 < 196608 { print "inner: memory is right" }' /proc/meminfo
}
