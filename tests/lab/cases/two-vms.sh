# shellcheck shell=sh disable=SC2034
# One process runs two Linux guests at once; neither sees the other, and both power off.

CASE_NEEDS='vmlinux two_vms'
CASE_ONLY_VMM=1
CASE_OUTER_MEMORY=2560

outer() {
	timeout 120 two_vms /lab/vmlinux /lab/initrd 'console=ttyS0 quiet panic=-1' >"$VM_LOG" 2>"$VM_ERR"
	status=$?
	[ "$status" -eq 0 ] || fail "two_vms ended with status $status"
	for name in alpha beta; do
		grep -q "^$name: inner: one of two" "$VM_LOG" || fail "$name did not come up"
		grep -q "^$name: the guest switched itself off" "$VM_LOG" || fail "$name did not end"
	done
	# Both were up before the first ended: they ran at the same time.
	first_end=$(grep -n 'switched itself off' "$VM_LOG" | head -n 1 | cut -d: -f1)
	last_up=$(grep -n 'inner: one of two' "$VM_LOG" | tail -n 1 | cut -d: -f1)
	[ "$last_up" -lt "$first_end" ] || fail 'one ended before the other was up'
	pass
}

inner_main() {
	say 'one of two'
	sleep 8
}
