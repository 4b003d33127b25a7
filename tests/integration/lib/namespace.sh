# shellcheck shell=bash
# For tests that make networks of their own. Sourced, with NAME, what the test is called.

skip() {
	echo "SKIP $NAME: $1"
	exit 77
}

# enter_namespace TOOLS ARGUMENT...: the script goes on in a network namespace made here, begun again
# with the ARGUMENTs; or it is skipped, where a tool or the right to it is missing.
enter_namespace() {
	local tool
	[ -z "${IN_NAMESPACE-}" ] || return 0
	for tool in $1; do
		command -v "$tool" >/dev/null || skip "$tool is not installed"
	done
	shift
	unshare -Urn true 2>/dev/null || unshare -n true 2>/dev/null ||
		skip 'this user cannot make a network namespace'
	export IN_NAMESPACE=1
	[ "$(id -u)" -eq 0 ] && exec unshare -n "$0" "$@"
	exec unshare -Urn "$0" "$@"
}

# until_apart PID: the process has a network namespace of its own, by then.
until_apart() {
	local _
	for _ in $(seq 200); do
		[ "$(readlink "/proc/$1/ns/net")" = "$(readlink /proc/self/ns/net)" ] || return 0
		sleep 0.1
	done
	echo "process $1 has no network namespace of its own"
	return 1
}

# until_answers ADDRESS: to ping, by then.
until_answers() {
	local _
	for _ in $(seq 50); do
		ping -c 1 -W 1 "$1" >/dev/null 2>&1 && return
		sleep 0.1
	done
	echo "$1 does not answer"
	return 1
}

# until_listens tcp|udp PORT [PID]: somebody has the port, in the network namespace of process PID, by
# then.
until_listens() {
	local _ at=/proc/${3:-self}/net/$1
	for _ in $(seq 200); do
		grep -qsE ": [0-9A-F]+:$(printf %04X "$2") 0+:0000 0[7A] " "$at" "${at}6" && return
		sleep 0.1
	done
	echo "nobody listens on port $2"
	return 1
}
