# shellcheck shell=bash disable=SC2034,SC2154
# Verdicts, for tests of several checks. Sourced, with NAME, what the test is called, and `work`, its
# directory; the test ends with the status `failed`.

failed=0

# check CASE COMMAND...: where it fails, what it wrote is shown, and the end of $work/console.
check() {
	local case=$1
	shift
	if "$@" >"$work/log" 2>&1; then
		echo "PASS $NAME/$case"
		return
	fi
	tail -n 20 "$work/log" | sed 's/^/  | /'
	[ ! -e "$work/console" ] || tail -n 12 "$work/console" | sed 's/^/  | /'
	echo "FAIL $NAME/$case"
	failed=1
}
