# shellcheck shell=sh disable=SC2034
# Instructions from exec of the VMM to the guest kernel's 'ready', and, beside it, to the first line of user
# space of Debian's kernel: 1 vCPU, 256 MiB. The second run of each counts.

CASE_NEEDS='guest_kernel bzimage'
CASE_ONLY_VMM=1
CASE_ICOUNT=1
CASE_TIMEOUT=240
CASE_INNER_MODULES=

# ready_once LINE COMMAND...: prints "TOTAL BUSY", in instructions, until LINE.
ready_once() {
	line=$1
	shift
	stopwatch "$line" 120 "$@" 2>"$VM_ERR"
}

measure() {
	name=$1
	shift
	ready_once "$@" >/dev/null || fail "$name did not boot"
	figures=$(ready_once "$@") || fail "$name did not boot the second time"
	figure "$name" "${figures% *}" "instructions, ${figures#* } busy"
}

outer() {
	measure ready/vmm/guest-kernel 'guest-kernel ready' \
		vmm run --memory 256M --serial stdio --rng=off --cmdline gk.run=poweroff
	# What the VMM takes until the guest's first instruction is in both.
	measure ready/vmm/debian 'inner: user space reached' \
		vmm run --kernel /lab/bzimage --initrd /lab/initrd --memory 256M --serial stdio --rng=off \
		--cmdline 'console=ttyS0 quiet panic=-1'
	# From the guest's entry, by its own clock: one instruction is one nanosecond.
	vmm run --memory 256M --rng=off --cmdline 'gk.run="boot; poweroff"' >"$VM_LOG" 2>"$VM_ERR" </dev/null
	entry=$(awk '$1 == "devices" { print $2 * 1000 }' "$VM_LOG")
	[ "$entry" ] || fail 'no boot stages'
	figure ready/vmm/from-entry "$entry" 'instructions, at least (the clock starts a little later)'
	pass
}

inner_main() {
	:
}
