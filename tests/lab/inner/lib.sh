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

# net_up: the first card as 10.9.0.2; the other end is 10.9.0.1.
net_up() {
	wait_for 10 test -e /sys/class/net/eth0 || give_up 'no eth0'
	ip address add 10.9.0.2/24 dev eth0
	ip link set eth0 up
	wait_for 10 ping -c 1 -W 1 10.9.0.1 >/dev/null || give_up 'no answer from 10.9.0.1'
}

# reset_by TYPE: acpi, kbd (the keyboard controller's line) or triple (a triple fault).
reset_by() {
	echo "$1" >/sys/kernel/reboot/type || give_up "no reset by $1"
	reboot -f
	sleep 60
}
