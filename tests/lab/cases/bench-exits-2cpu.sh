# shellcheck shell=sh disable=SC2034,SC2015
# What needs two CPUs that run at once: IPIs, TLB shoot-down. Then an interrupted run: what it has is
# kept, what is left is marked, and the plot is drawn all the same.

CASE_NEEDS=gnuplot
CASE_ONLY_VMM=1
CASE_OUTER_CPUS=2
CASE_TIMEOUT=200
CASE_INNER_MODULES=

# state CASE: what became of it in the CSV file.
state() {
	awk -F, -v name="$1" '$1 == name { print $3; exit }' "$VM_LOG"
}

two_cpus() {
	vmm bench exits -n 500 --warm-up 50 --case-timeout 60 --csv "$VM_LOG" --plot /run/two.svg \
		ipi ipi-halted tlb-shootdown pio-in-user >/run/table 2>"$VM_ERR" ||
		fail "vmm bench exits ended with status $?"
	cat /run/table
	for name in ipi ipi-halted tlb-shootdown pio-in-user; do
		[ "$(state "$name")" = ok ] || fail "$name: $(state "$name")"
	done
	grep -q '<svg' /run/two.svg && grep -q 'tlb-shootdown, CPL 0' /run/two.svg ||
		fail 'the plot is not one'
	vmm bench exits -n 20 --list | grep -q '^ipi ' || fail 'the cases are not listed'
	# One CPU of the two: not measured, with the reason, and no figure.
	taskset 1 vmm bench exits -n 20 --csv "$VM_LOG" ipi tlb-shootdown >/dev/null 2>"$VM_ERR" ||
		fail "vmm bench exits on one CPU ended with status $?"
	[ "$(state ipi)" = not-on-this-host ] || fail "ipi on one CPU: $(state ipi)"
	grep -q '^ipi,.*two vCPUs that both run need two CPUs' "$VM_LOG" || fail 'no reason for it'
}

# vmm has begun the second case: each is a process of its own, which blocks SIGINT.
second_case() {
	read -r now <"/proc/$pid/task/$pid/children"
	now=${now% }
	[ "$now" ] && [ "$now" != "$first" ] && grep -q 'SigBlk:.*[2367abef]$' "/proc/$now/status" || return
	[ -z "$first" ] || return 0
	first=$now
	return 1
}

# Each case runs for up to 5 s: the signal comes when the first is over.
interrupted() {
	status=0 first=
	vmm bench exits -n 100000 --warm-up 1 --budget 5000 --case-timeout 60 --cpl 0 --csv "$VM_LOG" \
		--json /run/partial.json --plot /run/partial.svg \
		cpuid tsc-deadline tsc-deadline-halted lapic-timer >/run/table 2>"$VM_ERR" &
	pid=$!
	wait_for 60 second_case || fail 'no second case'
	kill -INT "$pid"
	wait "$pid" || status=$?
	cat /run/table
	[ "$status" -eq 8 ] || fail "interrupted, vmm bench exits ended with status $status"
	[ "$(state cpuid)" = ok ] || fail "cpuid before the signal: $(state cpuid)"
	[ "$(state lapic-timer)" = not-run ] || fail "lapic-timer: $(state lapic-timer)"
	grep -q '"partial": true' /run/partial.json || fail 'the JSON is not marked'
	grep -q PARTIAL /run/table || fail 'the table is not marked'
	grep -q '<svg' /run/partial.svg || fail 'no plot of what there is'
}

outer() {
	two_cpus
	interrupted
	[ -z "$LAB_VERBOSE" ] || gzip -c /run/two.svg | base64
	pass
}

inner_main() {
	:
}
