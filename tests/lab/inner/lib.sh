# shellcheck shell=sh
# Functions for the inner part of a case. Sourced by busybox sh in the inner guest.

say() {
	echo "inner: $*"
}

# The case has failed; the outer part sees no success line.
give_up() {
	say "GIVES UP: $*"
	power_off
}

# Off at once. A machine without ACPI has no power switch: there, a reset ends the VMM.
power_off() {
	[ -d /sys/firmware/acpi ] || reboot -f
	poweroff -f
	sleep 60
}

load_modules() {
	[ -e /lab/modules ] || return 0
	while read -r module; do
		insmod "/lib/modules/$module" || say "cannot load $module"
	done </lab/modules
}

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
