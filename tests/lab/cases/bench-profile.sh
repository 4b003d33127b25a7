# shellcheck shell=sh disable=SC2034,SC2015
# A profiled guest, in the deterministic lab: the profile costs an exit at most 2 %, it has every exit
# that the VMM counted, and the cost model reads it.

CASE_NEEDS=vmlinux
CASE_ONLY_VMM=1
CASE_ICOUNT=1
CASE_TIMEOUT=200

# medians OPTION...: those of two exits, in instructions.
medians() {
	vmm bench exits -n 100 --warm-up 30 --cpl 0 --csv - "$@" pio-in-user mmio-read 2>"$VM_ERR" |
		awk -F, 'NR > 1 { print $7 }' | xargs
}

outer() {
	plain=$(medians)
	profiled=$(medians --profiled)
	[ "$plain" ] && [ "$profiled" ] || fail 'the exits were not measured'
	echo "plain $plain, profiled $profiled"
	echo "$plain $profiled" | awk '{ exit $3 > 1.02 * $1 || $4 > 1.02 * $2 }' ||
		fail "an exit takes $plain instructions, with a profile $profiled"

	vmm bench exits -n 100 --warm-up 30 --cpl 0 --json /run/costs.json >"$VM_LOG" 2>"$VM_ERR" ||
		fail "vmm bench exits ended with status $?"
	VM_KERNEL=vmlinux
	VM_EXTRA='--stats --profile=/run/profile.json,every=1'
	vm_start 100
	vm_expect 'inner: up' 100
	vm_expect_end 0
	counted=$(sed -n 's/.*; exits \([0-9]*\).*/\1/p' "$VM_ERR")
	profiled=$(sed -n 's/^ "exits": \([0-9]*\),$/\1/p' /run/profile.json)
	[ "$counted" ] && [ "$counted" -gt 100 ] || fail 'no exits were counted'
	# A signal that stops the vCPU is no exit of the guest's.
	[ "$profiled" -ge "$counted" ] && [ "$profiled" -le $((counted + 2)) ] ||
		fail "the VMM counted $counted exits, the profile has $profiled"
	vmm bench model --costs /run/costs.json /run/profile.json >"$VM_LOG" 2>"$VM_ERR" ||
		fail "vmm bench model ended with status $?"
	grep -q '^error: ' "$VM_LOG" || fail 'the model says nothing of its error'
	cat "$VM_LOG"

	# One round each: that whole VMs can be measured, and what is missing is named.
	vmm bench boot -n 1 >"$VM_LOG" 2>"$VM_ERR" || fail "vmm bench boot ended with status $?"
	grep -q '^until up  *vmm ' "$VM_LOG" || fail 'vmm bench boot measured nothing'
	grep -q 'not compared: qemu is not installed' "$VM_LOG" || fail 'a missing VMM is not named'
	vmm bench density -n 1 --vms 2 >"$VM_LOG" 2>"$VM_ERR" ||
		fail "vmm bench density ended with status $?"
	pass
}

inner_main() {
	say up
}
