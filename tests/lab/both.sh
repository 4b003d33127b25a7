# shellcheck shell=sh
# Functions for both parts of a case. Sourced by busybox sh before lib.sh.

# wait_for SECS COMMAND...: until the command succeeds.
wait_for() {
	left=$(($1 * 10))
	shift
	until "$@" 2>/dev/null; do
		[ "$left" -gt 0 ] || return 1
		left=$((left - 1))
		usleep 100000
	done
}
