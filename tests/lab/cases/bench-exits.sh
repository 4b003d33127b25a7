# shellcheck shell=sh disable=SC2034
# What exits cost, in the deterministic lab: every count is right (vmm itself fails otherwise), and
# two runs of the whole machine agree to the last digit.

CASE_ONLY_VMM=1
CASE_NEEDS=
CASE_ICOUNT=1
CASE_TWICE=1
CASE_TIMEOUT=150
CASE_INNER_MODULES=

outer() {
	vmm bench exits -n 200 --warm-up 30 --csv - cpuid hypercall rdmsr-user wrmsr-user \
		pio-in-kernel pio-in-user pio-out-user string-in mmio-read mmio-write ioeventfd-pio \
		ioeventfd-mmio coalesced-mmio hlt-wake irqfd msi self-ipi tsc-deadline touch-4k \
		dirty-log pte-write ring-change >"$VM_LOG" 2>"$VM_ERR" || {
		status=$?
		# What tests/lab/emulator/once.c cannot mend: where a host's interrupt is due before
		# the guest's next instruction, the vector comes twice.
		! grep -q '"200 rounds, but 201 interrupts arrived"' "$VM_LOG" ||
			again 'the emulator delivered an interrupt twice'
		fail "vmm bench exits ended with status $status"
	}
	# In a field, commas would be quoted: none of these has one before the reason.
	awk -F, 'NR > 1 && $3 != "ok" { bad = 1 } END { exit bad || NR < 30 }' "$VM_LOG" ||
		fail 'a case was not measured'
	awk -F, 'NR > 1 { print "LAB-FIGURE exits/vmm/" $1 "-cpl" $2, $7, "cycles,", $12, "on average" }' \
		"$VM_LOG"
	pass
}
