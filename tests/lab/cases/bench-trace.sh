# shellcheck shell=sh disable=SC2034,SC2015
# vmm bench exits --trace: KVM's own stamps of each exit, where tracefs may be used, and the reason
# where it may not.

CASE_NEEDS=
CASE_ONLY_VMM=1
CASE_ICOUNT=1
CASE_TIMEOUT=150
CASE_INNER_MODULES=

traced() {
	vmm bench exits -n 100 --warm-up 30 --cpl 0 --trace --json /run/trace.json cpuid pio-in-user \
		mmio-read msi >"$VM_LOG" 2>"$VM_ERR" || fail "vmm bench exits ended with status $?"
	cat "$VM_LOG"
}

# part NAME N: that of the Nth case, in cycles.
part() {
	grep "\"$1\": " /run/trace.json | sed -n "$2s/.*: \\([0-9]*\\),*/\\1/p"
}

outer() {
	traced
	[ "$(grep -c 'by tracepoints: not on this host: no tracefs at ' "$VM_LOG")" -eq 4 ] ||
		fail 'without tracefs the reason is not told'
	[ "$(grep -c '"not_traced": "no tracefs' /run/trace.json)" -eq 4 ] || fail 'nor in JSON'

	mount -t tracefs tracefs /sys/kernel/tracing || fail 'no tracefs'
	traced
	[ "$(grep -c 'by tracepoints: guest to KVM .* (100 samples)' "$VM_LOG")" -eq 4 ] ||
		fail 'not all samples were traced'
	[ -z "$(ls /sys/kernel/tracing/instances)" ] || fail 'it leaves something in tracefs'
	# CPUID stays in KVM, a port goes to the VMM: each of its ways takes a part of the whole.
	[ "$(part in_kernel 1)" -gt 0 ] || fail 'no time in KVM'
	sum=0
	for name in to_kernel to_user from_user to_guest; do
		n=2
		case $name in *_user) n=1 ;; esac
		value=$(part "$name" "$n")
		[ "$value" -gt 20 ] && [ "$value" -lt 10000 ] || fail "pio-in-user: $name $value"
		figure "trace/vmm/$name" "$value" instructions
		sum=$((sum + value))
	done
	# The stamps themselves take their time, but no more than the exit.
	[ "$sum" -gt 3000 ] && [ "$sum" -lt 12000 ] || fail "a traced port exit takes $sum"
	pass
}
