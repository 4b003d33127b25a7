# shellcheck shell=sh disable=SC2034
# Instructions per MiB that the guest sends and receives over one TCP connection to the host's
# loopback through the user-mode network, both ends included: vmm's stack beside libslirp, which is
# QEMU's, and beside passt, QEMU's other one. 1 vCPU, 256 MiB.

CASE_NEEDS='vmlinux bzimage'
CASE_VMMS='vmm qemu passt'
CASE_ICOUNT=1
CASE_TIMEOUT=800

start_vmm() {
	VM_EXTRA='--net user,loopback=on'
	vm_exec vmm
}

start_qemu() {
	VM_EXTRA_QEMU='-netdev user,id=n0 -device virtio-net-device,netdev=n0'
	vm_exec qemu
}

# passt pivots to an empty root, for which an initramfs cannot be left: it gets the same files as a
# mount of their own, put over that one. It wants an interface with a default route.
start_passt() {
	rm -f /tmp/passt
	unshare -m sh -c 'mount --rbind / /mnt && cd /mnt && mount --move . / && exec chroot . "$@"' sh \
		passt -f -1 -s /tmp/passt -4 -a 10.0.2.15 -n 24 -g 10.0.2.2 -i tap0 --runas 65534:65534 \
		>/run/passt.log 2>&1 &
	wait_for 10 test -S /tmp/passt || fail "no passt: $(cat /run/passt.log)"
	VM_EXTRA_QEMU='-netdev stream,id=n0,server=off,addr.type=unix,addr.path=/tmp/passt'
	VM_EXTRA_QEMU="$VM_EXTRA_QEMU -device virtio-net-device,netdev=n0"
	# What passt tells by DHCP; frames have no offloads there.
	VM_APPEND="$VM_APPEND mtu=65520"
	vm_exec qemu
}

net_bench() {
	stream listen 5001 sink 16 >/dev/null &
	stream listen 5002 source 16 >/dev/null &
	(
		VM_APPEND=mode=bench
		"start_$1"
	) </dev/null 2>"$VM_ERR" | laps >/run/laps 2>"$VM_LOG"
	laps_figure user-send "$1" MiB
	laps_figure user-receive "$1" MiB
	wait
}

outer() {
	tap_up
	ip route add default via 10.9.0.2
	for vmm in $LAB_VMMS; do
		net_bench "$vmm"
	done
	pass
}

# The addresses are the same ones with all.
inner_bench() {
	load_modules
	wait_for 10 test -e /sys/class/net/eth0 || give_up 'no eth0'
	ip address add 10.0.2.15/24 dev eth0
	mtu=$(sed -n 's/.*\bmtu=\([0-9]*\).*/\1/p' /proc/cmdline)
	ip link set eth0 mtu "${mtu:-1500}" up
	wait_for 10 arping -c 1 -w 1 -I eth0 10.0.2.2 >/dev/null || give_up 'no answer from 10.0.2.2'
	sleep 1
	echo 'lap start 1'
	stream connect 10.0.2.2 5001 source 16 || give_up 'cannot send'
	echo 'lap user-send 16'
	stream connect 10.0.2.2 5002 sink 16 || give_up 'cannot receive'
	echo 'lap user-receive 16'
}
