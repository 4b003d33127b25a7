# shellcheck shell=sh disable=SC2034
# Instructions per MiB that the guest sends and receives over one TCP connection through a TAP
# device, both ends included. 1 vCPU, 256 MiB.

CASE_NEEDS='vmlinux bzimage'
CASE_VMMS='vmm qemu kvmtool'
CASE_ICOUNT=1
CASE_TIMEOUT=800

# transfer VMM [TRANSPORT of virtio]: both ways; how long it took is in /run/laps.
# shellcheck disable=SC2016
transfer() {
	stream listen 5001 receive 16 >/dev/null &
	stream listen 5002 send 16 >/dev/null &
	sh -c '
		. /lab/settings
		. /lab/lib.sh
		VM_TAP=tap0
		VM_APPEND=mode=bench
		VM_TRANSPORT=${2-}
		vm_exec "$1"' sh "$@" </dev/null 2>"$VM_ERR" | laps >/run/laps 2>"$VM_LOG"
	wait
}

net_bench() {
	transfer "$@"
	laps_figure tcp-send "$1${2:+/$2}" MiB
	laps_figure tcp-receive "$1${2:+/$2}" MiB
}

outer() {
	tap_up
	# The first one costs the outer kernel more.
	transfer "${LAB_VMMS##* }"
	for vmm in $LAB_VMMS; do
		net_bench "$vmm"
		[ "$vmm" != vmm ] || net_bench vmm mmio
	done
	pass
}

inner_bench() {
	load_modules
	net_up
	sleep 1
	echo 'lap start 1'
	stream connect 10.9.0.1 5001 send 16 || give_up 'cannot send'
	echo 'lap tcp-send 16'
	stream connect 10.9.0.1 5002 receive 16 || give_up 'cannot receive'
	echo 'lap tcp-receive 16'
}
