# shellcheck shell=sh disable=SC2034
# Instructions per MiB that the guest sends and receives over one TCP connection to the host's
# loopback through the user-mode network, both ends included: vmm's stack beside libslirp, which is
# QEMU's. 1 vCPU, 256 MiB.

CASE_NEEDS='vmlinux bzimage'
CASE_VMMS='vmm qemu'
CASE_ICOUNT=1
CASE_TIMEOUT=800

# shellcheck disable=SC2016
net_bench() {
	stream listen 5001 sink 16 >/dev/null &
	stream listen 5002 source 16 >/dev/null &
	sh -c '
		. /lab/settings
		. /lab/lib.sh
		VM_APPEND=mode=bench
		VM_EXTRA="--net user,loopback=on"
		VM_EXTRA_QEMU="-netdev user,id=n0 -device virtio-net-device,netdev=n0"
		vm_exec "$1"' sh "$1" </dev/null 2>"$VM_ERR" | laps >/run/laps 2>"$VM_LOG"
	laps_figure user-send "$1" MiB
	laps_figure user-receive "$1" MiB
	wait
}

outer() {
	for vmm in $LAB_VMMS; do
		net_bench "$vmm"
	done
	pass
}

# The addresses are the same ones with both.
inner_bench() {
	load_modules
	wait_for 10 test -e /sys/class/net/eth0 || give_up 'no eth0'
	ip address add 10.0.2.15/24 dev eth0
	ip link set eth0 up
	wait_for 10 ping -c 1 -W 1 10.0.2.2 >/dev/null || give_up 'no answer from 10.0.2.2'
	sleep 1
	echo 'lap start 1'
	stream connect 10.0.2.2 5001 source 16 || give_up 'cannot send'
	echo 'lap user-send 16'
	stream connect 10.0.2.2 5002 sink 16 || give_up 'cannot receive'
	echo 'lap user-receive 16'
}
