# shellcheck shell=bash
# The shipped guest kernel on this machine's /dev/kvm, for scripts/quickstart.

# The page of the guest at PORT of this machine, or nothing.
guest_page() {
	# shellcheck disable=SC2016 # for the inner shell
	timeout 5 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$0" && printf "GET / HTTP/1.0\r\n\r\n" >&3 &&
		cat <&3' "$1" 2>/dev/null
}

# wait_for PID FILE TEXT: until TEXT is in it; false after 20 s, or once the process has ended.
wait_for() {
	local tries=200
	until grep -q -- "$3" "$2"; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] && kill -0 "$1" 2>/dev/null || return 1
		sleep 0.1
	done
}

# On a terminal: a shell in the guest.
guest_interactive() {
	echo "==> vmm run --disk disk.img"
	echo "    help lists the guest's commands; poweroff ends it, Ctrl-A x at once. Its page can be"
	echo "    read from another terminal, at the address below."
	"$1" run --disk "$2/disk.img"
}

# Without one: what it has, its page, and off. The guest's input is a pipe: it takes commands as from
# a terminal.
guest_shown() {
	local vmm=$1 work=$2 status=0 seen=yes pid url=''
	echo "==> vmm run --disk disk.img"
	mkfifo "$work/input"
	: >"$work/page"
	timeout -k 5 60 "$vmm" run --disk "$work/disk.img" --stats <"$work/input" \
		>"$work/console" 2>"$work/log" &
	pid=$!
	exec 4>"$work/input"
	if wait_for "$pid" "$work/console" '^guest-kernel ready' &&
		wait_for "$pid" "$work/console" 'by DHCP' &&
		wait_for "$pid" "$work/console" '^gk> '; then # the server listens by now
		url=$(sed -n "s/.*the guest's page: //p" "$work/log")
		guest_page "$(sed 's,.*:,,; s,/$,,' <<<"$url")" >"$work/page" || seen=no
		printf '%s\n' 'boot' 'disk 0 read 0 32' 'rng' 'ping 10.0.2.2 2' 'poweroff' >&4
	else
		seen=no
		kill "$pid" 2>/dev/null || : # it has ended
	fi
	exec 4>&-
	wait "$pid" || status=$?
	sed 's/^/    /' "$work/console"
	echo
	[ ! "$url" ] || echo "==> its page, $url: $(head -n 1 "$work/page" | tr -d '\r')," \
		"$(sed -n 's,.*<title>\(.*\)</title>.*,\1,p' "$work/page")," \
		"$(wc -c <"$work/page") bytes"
	cat "$work/log"
	echo "==> vmm ended with status $status"
	[ "$seen" = yes ] && [ "$status" -eq 0 ]
}

# guest_demo VMM
guest_demo() {
	local work status=0
	work=$(mktemp -d)
	truncate -s 4M "$work/disk.img"
	printf 'what the host put on the disk' | dd of="$work/disk.img" conv=notrunc status=none
	if [ -t 0 ] && [ -t 1 ]; then
		guest_interactive "$1" "$work" || status=$?
	else
		guest_shown "$1" "$work" || status=$?
	fi
	rm -rf "$work"
	return "$status"
}
