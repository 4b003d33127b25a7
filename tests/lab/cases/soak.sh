# shellcheck shell=sh disable=SC2034
# Many lives of VMs with load, ended in every way: nothing is left (tests/integration/soak.c).

CASE_NEEDS='soak guest_kernel'
CASE_ONLY_VMM=1
CASE_TIMEOUT=200

outer() {
	mkdir /run/soak
	soak --rounds 3 --seconds 15 --jobs 1 --vmm /bin/vmm --guest-kernel /bin/guest-kernel.elf \
		/run/soak >"$VM_LOG" 2>"$VM_ERR" || fail "status $?, $(head -n 3 /run/soak/log*)"
	cat "$VM_LOG"
	grep -q '^soak: nothing is left' "$VM_LOG" || fail 'it did not say that nothing is left'
	pass
}
