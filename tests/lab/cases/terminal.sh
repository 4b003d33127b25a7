# shellcheck shell=sh disable=SC2034
# Whatever ends `vmm run`, the terminal is afterwards as it was.

CASE_NEEDS=guests
CASE_ONLY_VMM=1

# The terminal is not as the session found it.
is_raw() {
	[ -s /run/before ] && stty -F /dev/pts/0 -g >/run/during && ! cmp -s /run/before /run/during
}

# ends STATUS INPUT ARGUMENTS...: on a terminal of its own; INPUT is typed while it runs.
ends() {
	want=$1
	input=$2
	shift 2
	cat >/run/session <<'END'
stty -g >/run/before
vmm run --rng=off "$@" 2>/run/vm.err
status=$?
stty -g >/run/after
exit $status
END
	rm -f /run/before /run/after
	status=0
	(
		[ -z "$input" ] || wait_for 20 is_raw
		printf %b "$input"
	) | timeout 30 onpty sh /run/session "$@" >"$VM_LOG" || status=$?
	[ "$status" -eq "$want" ] || fail "status $status, not $want: $*"
	cmp /run/before /run/after || fail "the terminal is not as it was: $*"
}

outer() {
	forever='/lab/hlt-wake.elf --cmdline forever'
	# shellcheck disable=SC2086
	ends 8 '\001x' $forever
	! cmp -s /run/before /run/during || fail 'the terminal was not raw while the guest ran'
	# shellcheck disable=SC2086
	ends 8 '' --time-limit 2 $forever
	# Statistics and help go on; a Ctrl-C is the guest's.
	# shellcheck disable=SC2086
	ends 8 '\001s\001h\003\001x' $forever
	grep -q 'boot: created' /run/vm.err || fail 'no statistics'
	grep -q 'Ctrl-A p' /run/vm.err || fail 'no help'
	ends 0 '' /lab/power-off.elf
	ends 5 '' /lab/triple-fault.elf
	ends 1 '' --kernel /nowhere
	ends 3 '' --kernel /init
	ends 2 '' --memory 0 /lab/hello.elf

	# Signals, the first of which only asks.
	for signal in TERM HUP INT QUIT; do
		cat >/run/session <<END
stty -g >/run/before
vmm run --rng=off --stop-timeout 60 $forever 2>/run/vm.err &
vmm=\$!
until grep -q 'SigBlk:.*[4567cdef]...\$' /proc/\$vmm/status; do usleep 50000; done
kill -$signal \$vmm
until grep -q 'asked to power off' /run/vm.err; do usleep 50000; done
sleep 1; kill -0 \$vmm || exit 99
kill -$signal \$vmm; wait \$vmm
status=\$?
stty -g >/run/after
exit \$status
END
		status=0
		timeout 30 onpty sh /run/session >"$VM_LOG" </dev/null || status=$?
		[ "$status" -eq 8 ] || fail "status $status after SIG$signal twice"
		cmp /run/before /run/after || fail "the terminal is not as it was after SIG$signal"
	done
	pass
}

inner_main() {
	:
}
