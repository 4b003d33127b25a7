# shellcheck shell=bash disable=SC2154
# The console of a guest kernel: it writes to $work/console, and descriptor 3 is what it reads.

mark=0 # lines that were there before what was typed last

types() {
	mark=$(wc -l <"$work/console")
	echo "$1" >&3
}

# said TEXT SECONDS: the console has a line with TEXT, behind what was typed last, by then.
said() {
	local i
	for ((i = 0; i < $2 * 10; i++)); do
		grep -q -e "$1" < <(tail -n "+$((mark + 1))" "$work/console") && return
		sleep 0.1
	done
	echo "no '$1' on the console"
	return 1
}
