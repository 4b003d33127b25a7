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
