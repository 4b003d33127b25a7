# shellcheck shell=sh disable=SC2034,SC2015
# vmm bench disk and net: the guest kernel's work under vmm and under QEMU, in turn, with ratios. In
# time, which says little here: what is checked is that both took part and did the same.

CASE_NEEDS=guest_kernel
CASE_VMMS='vmm qemu'
CASE_ICOUNT=1
CASE_TIMEOUT=400
CASE_INNER_MODULES=

ROUNDS=3
DISK='disk 0 sum 0 1M; echo lap start 1; disk 0 sum 8M 4M; echo lap read-MiB 4'
DISK="$DISK; disk 0 fill 32M 4M; echo lap write-MiB 4; poweroff"
# The last pings give the connection time to end: the next guest has the same address.
NET='ping 10.9.0.1 1; echo lap start 1; nettest source 10.9.0.1:5001 8M; echo lap send-MiB 8'
NET="$NET; nettest sink 10.9.0.1:5002; echo lap receive-MiB 8; ping 10.9.0.1 2; poweroff"

# both_took_part WHAT LAP...: each lap has all rounds of both, and a ratio.
both_took_part() {
	what=$1
	shift
	for lap in "$@"; do
		awk -v lap="$lap" -v n="$ROUNDS" '$1 == lap && $3 == n { if ($2 == "vmm") a = 1; if ($2 == "qemu" && $NF > 0) b = 1 }
			END { exit !(a && b) }' "$VM_LOG" || fail "vmm bench $what: $lap"
	done
	grep -q 'not compared: kvmtool is not installed' "$VM_LOG" || fail 'a missing VMM is not named'
	cat "$VM_LOG"
}

outer() {
	dd if=/dev/urandom of=/tmp/disk bs=1M count=64 2>/dev/null
	vmm bench disk -n "$ROUNDS" --timeout 100 --kernel /bin/guest-kernel.elf --disk /tmp/disk \
		--cmdline "gk.run=\"$DISK\"" >"$VM_LOG" 2>"$VM_ERR" ||
		fail "vmm bench disk ended with status $?"
	both_took_part disk read-MiB write-MiB

	tap_up
	(while :; do stream listen 5001 sink 8; done) >/run/sunk 2>&1 &
	(while :; do stream listen 5002 source 8; done) >/dev/null 2>&1 &
	vmm bench net -n "$ROUNDS" --timeout 100 --kernel /bin/guest-kernel.elf --tap tap0 \
		--cmdline "gk.ip=10.9.0.2/24 gk.run=\"$NET\"" >"$VM_LOG" 2>"$VM_ERR" ||
		fail "vmm bench net ended with status $?"
	both_took_part net send-MiB receive-MiB
	[ "$(grep -c right /run/sunk)" -eq $((2 * ROUNDS)) ] || fail "not all came: $(cat /run/sunk)"
	pass
}
