# shellcheck shell=sh disable=SC2034,SC2046
# The suites and programs of tests/integration, examples and bench that want /dev/kvm, built with
# AddressSanitizer, on hardware KVM.

CASE_NEEDS=suites
CASE_ONLY_VMM=1
CASE_TIMEOUT=240

outer() {
	export CK_FORK=no ASAN_OPTIONS=quarantine_size_mb=1
	for suite in it_life it_image; do
		timeout 100 "$suite" >"$VM_LOG" 2>"$VM_ERR" || fail "$suite ended with status $?"
		grep '^[0-9]*%: Checks' "$VM_LOG" || fail "$suite said nothing of its checks"
	done
	step_loop >"$VM_LOG" 2>"$VM_ERR" || fail "step_loop ended with status $?"
	grep -q '^guest: the sum is 15$' "$VM_LOG" || fail 'step_loop: the guest has no sum'
	custom_device >"$VM_LOG" 2>"$VM_ERR" || fail "custom_device ended with status $?"
	grep -q '^device: the square of 3 is 9$' "$VM_LOG" || fail 'custom_device: no square'
	two_vms >"$VM_LOG" 2>"$VM_ERR" || fail "two_vms ended with status $?"
	grep -q '^beta: hello from a guest$' "$VM_LOG" || fail 'two_vms: nothing from beta'
	timeout 100 bench_cycles 100 >"$VM_LOG" 2>"$VM_ERR" || fail "bench_cycles ended with status $?"
	cat "$VM_LOG"
	set -- $(awk '/ descriptors,/ { for (i = 1; i < NF; i++) if ($(i + 1) == "descriptors,") print $i }' "$VM_LOG")
	[ "$1 $2" = "$1 $1" ] || fail "descriptors after 10 and after 110 cycles: $*"
	pass
}
