# shellcheck shell=bash
# Shows one Linux guest with its devices: on this machine's KVM, or in the outer machine. On a
# terminal the guest ends in a shell; otherwise it powers off by itself.

DEMO_FILE=$LAB_SRC/demo.sh
LAB_DEMO=''

# Hardware virtualization that this user may use. A /dev/kvm alone is not it: in clouds without
# nested virtualization there is one that interprets kernels an instruction at a time.
demo_has_kvm() {
	[ -r /dev/kvm ] && [ -w /dev/kvm ] && grep -qwE 'vmx|svm' /proc/cpuinfo
}

# In a network namespace with a TAP device of its own; a plain user may have that.
demo_direct() {
	local work=$LAB_RUN/demo status=0
	mkdir -p "$work/files" "$work/www"
	image_inner "$DEMO_FILE" "$work/initrd"
	echo 'a file that the host put on the disk' >"$work/files/hello"
	truncate -s 32M "$work/disk"
	PATH=$PATH:/sbin:/usr/sbin mkfs.ext4 -q -d "$work/files" "$work/disk"
	echo 'a page from the host' >"$work/www/index.html"
	echo "==> the command, in a network namespace with a TAP device:"
	echo "    vmm run --kernel vmlinux --initrd initrd --disk disk.img \\"
	echo "        --net tap=tap0 --console stdio"
	# shellcheck disable=SC2016 # for the inner shell
	unshare --user --map-root-user --net sh -c '
		set -e
		bb=/bin/busybox vmm=$1 kernel=$2 work=$3 demo=$4 limit=$5
		$bb ip link set lo up
		$bb tunctl -t tap0 >/dev/null
		$bb ip address add 10.9.0.1/24 dev tap0
		$bb ip link set tap0 up
		$bb httpd -f -p 10.9.0.1:80 -h "$work/www" &
		server=$!
		status=0
		timeout --foreground -k 5 "$limit" "$vmm" run --kernel "$kernel" --initrd "$work/initrd" --disk "$work/disk" \
			--net tap=tap0,mac=52:54:00:12:34:56 --console stdio --serial none --stats \
			--cmdline "console=ttyS0 quiet panic=-1 mode=demo demo=$demo" || status=$?
		kill $server
		exit $status' sh "$VMM_STATIC" "$LAB_VMLINUX" "$work" "$LAB_DEMO" "$1" || status=$?
	echo "==> vmm ended with status $status"
	return "$status"
}

# In the machine that QEMU emulates. The terminal, if there is one, is the outer machine's console.
demo_in_lab() {
	local limit=$1 image=$LAB_RUN/demo.img log=$LAB_LOGS/demo.log saved
	image_build "$DEMO_FILE" "$image"
	outer_args "$image" 1
	OUTER+=(-chardev "stdio,id=tty,signal=off" -serial chardev:tty)
	if [ "$LAB_DEMO" ]; then
		saved=$(stty -g)
		timeout --foreground -k 5 "$limit" "${OUTER[@]}" 2>"$log.qemu" | tee "$log"
		stty "$saved"
	else
		timeout --foreground -k 5 "$limit" "${OUTER[@]}" </dev/null 2>"$log.qemu" | tr -d '\r' |
			tee "$log" | grep --line-buffered -vE '^(LAB-|\[ )'
	fi
	grep -q '^LAB-VERDICT PASS' "$log"
}

demo_run() {
	local why limit=120
	case_load "$DEMO_FILE"
	why=$(case_obstacle | head -n 1)
	[ -z "$why" ] || die "$why"
	if [ -t 0 ] && [ -t 1 ]; then
		LAB_DEMO=shell
		limit=86400
	fi
	if demo_has_kvm; then
		echo "==> This machine has hardware KVM: a Linux guest runs on it directly."
		demo_direct "$limit"
		return
	fi
	echo "==> No hardware KVM that may be used here: the guest runs in the nested lab, a machine"
	echo "    with AMD SVM that QEMU emulates. That takes a quarter of a minute."
	demo_in_lab "$limit"
}
