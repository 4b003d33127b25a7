# shellcheck shell=sh disable=SC2034
# Instructions per MiB that the guest kernel, and beside it a Linux guest, sends and receives over one
# TCP connection through a TAP device, both ends included. 1 vCPU, 256 MiB.

CASE_NEEDS='guest_kernel vmlinux bzimage'
CASE_ONLY_VMM=1
CASE_ICOUNT=1
CASE_TIMEOUT=800

GK_SCRIPT='ping 10.9.0.1 1; echo lap start 1; nettest source 10.9.0.1:5001 16M; echo lap tcp-send 16'
GK_SCRIPT="$GK_SCRIPT; nettest sink 10.9.0.1:5002; echo lap tcp-receive 16; poweroff"

start_guest_kernel() {
	exec vmm run --memory 256M --serial stdio --net "tap=tap0,mac=$VM_MAC" \
		--cmdline "gk.ip=10.9.0.2/24 gk.run=\"$GK_SCRIPT\""
}

start_linux() {
	VM_TAP=tap0
	VM_APPEND=mode=bench
	vm_exec vmm
}

# move NAME: that guest's figures.
move() {
	stream listen 5001 sink 16 >/run/sink &
	stream listen 5002 source 16 >/run/source &
	("start_$1") </dev/null 2>"$VM_ERR" | laps >/run/laps 2>"$VM_LOG"
	laps_figure tcp-send "$1" MiB
	laps_figure tcp-receive "$1" MiB
	wait
	grep -q right /run/sink || fail "not all that $1 sent came"
	grep -q right /run/source || fail "$1 did not take all"
}

outer() {
	tap_up
	move guest_kernel
	move linux
	pass
}

inner_bench() {
	load_modules
	net_up
	sleep 1
	echo 'lap start 1'
	stream connect 10.9.0.1 5001 source 16 || give_up 'cannot send'
	echo 'lap tcp-send 16'
	stream connect 10.9.0.1 5002 sink 16 || give_up 'cannot receive'
	echo 'lap tcp-receive 16'
}
