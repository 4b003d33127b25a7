# shellcheck shell=sh disable=SC2034
# The sandbox's table of system calls has nothing to spare: what runs of every kind are seen to use
# (tests/integration/sandbox_trace.c) is all that it allows, but for what it says is used seldom.

CASE_NEEDS='bzimage trace guests guest_kernel'
CASE_ONLY_VMM=1
CASE_OUTER_DEVICES='nvme nvme'
CASE_TIMEOUT=500

# Every vmm that is started is watched.
watch() {
	mkdir /run/watch
	printf '#!/bin/sh\nexec /bin/sandbox_trace /run/used /bin/vmm "$@"\n' >/run/watch/vmm
	chmod +x /run/watch/vmm
	PATH=/run/watch:$PATH
}

# run STATUS ARGUMENTS...: to its end, without input.
run() {
	want=$1
	shift
	status=0
	timeout 200 vmm run "$@" >"$VM_LOG" 2>"$VM_ERR" </dev/null || status=$?
	[ "$status" -eq "$want" ] || fail "status $status, not $want: vmm run $*"
}

# gk STATUS COMMANDS ARGUMENTS...: the shipped guest kernel.
gk() {
	want=$1
	commands=$2
	shift 2
	run "$want" --memory 32M "$@" --cmdline "gk.run=\"$commands\""
}

test_guests() {
	truncate -s 4M /run/d0
	truncate -s 1M /run/d1
	for engine in uring threads; do
		run 64 --serial null --transport mmio --disk "/run/d0,engine=$engine" \
			--disk "/run/d1,readonly,engine=$engine" /lab/virtio-blk.elf
	done
	run 64 --serial null --transport pci /lab/virtio-pci.elf
	run 64 --serial null --transport mmio /lab/virtio-rng.elf
	run 64 --serial null --cpus 4 /lab/smp.elf
	run 5 --serial null /lab/triple-fault.elf
	run 64 --serial null --profile=/run/profile,every=1 /lab/timer.elf
	run 8 --serial null --time-limit 2 /lab/hlt-wake.elf --cmdline forever
}

# Where output goes: a terminal, files that are there, pipes, one of which nobody reads.
outputs() {
	echo old >/run/serial
	echo old >/run/console
	run 64 --transport mmio --serial file=/run/serial --console file=/run/console /lab/virtio-console.elf
	gk 0 'help; dmesg; poweroff' --serial file=/run/serial
	timeout 30 onpty vmm run --transport mmio --serial null --console stdio,tty /lab/virtio-console.elf \
		>"$VM_LOG" 2>"$VM_ERR"
	printf '\001x' | timeout 30 onpty vmm run /lab/hlt-wake.elf --cmdline forever >"$VM_LOG" 2>"$VM_ERR"
	timeout 30 vmm run --transport mmio --serial null --console stdio,tty /lab/virtio-console.elf 2>"$VM_ERR" | :
	timeout 30 vmm run --memory 32M --cmdline 'gk.run="help; poweroff"' 2>"$VM_ERR" </dev/null | :
	gk 0 'help; dmesg; help; help; help; poweroff' --serial pty
}

# unix_peer SOCKET: says a line to it, and leaves after the first one back.
unix_peer() {
	wait_for 10 test -S "$1" || fail "no socket $1"
	unixline "$1" 'help' >>/run/heard || fail "nothing from $1"
}

sockets() {
	VM_COMMAND='vmm run --memory 32M --serial unix=/run/socket'
	vm_start 40
	unix_peer /run/socket
	usleep 300000
	unixline /run/socket 'poweroff' >>/run/heard
	vm_expect_end 0
	VM_COMMAND='vmm run --transport mmio --serial null --console unix=/run/console.socket /lab/virtio-console.elf'
	vm_start 40
	unix_peer /run/console.socket
	vm_expect_end 64
	# Standard input and output that are a socket, as inetd gives them.
	printf '#!/bin/sh\nexec vmm run --memory 32M --serial stdio 2>/run/inetd.err\n' >/run/inetd
	chmod +x /run/inetd
	nc -l -p 9002 -e /run/inetd &
	server=$!
	wait_for 10 listens 9002 || fail 'nobody listens'
	(sleep 4 && echo poweroff && sleep 4) | timeout 40 nc 127.0.0.1 9002 >/run/heard
	wait "$server" || fail "inetd: status $?"
}

# listens PORT: somebody waits for connections to it.
listens() {
	grep -q "^ *[0-9]*: 0*:$(printf %04X "$1") 0*:0000 0A" /proc/net/tcp /proc/net/tcp6
}

# The vmm that is watched blocks SIGTERM, to take it.
takes_signals() {
	read -r child <"/proc/$VM_PID/task/$VM_PID/children"
	grep -q 'SigBlk:.*[4567cdef]...$' "/proc/${child% }/status"
}

shipped_guest() {
	for engine in uring threads; do
		for transport in mmio pci; do
			gk 0 'disk 0 fill 1M 64K; disk 0 sum 1M 64K; poweroff' --cpus 2 \
				--transport "$transport" --disk "/run/d0,engine=$engine"
		done
	done
	for transport in mmio pci; do
		gk 8 'disk 0 write 0 x; rng; reboot' --transport "$transport" --disk /run/d0 \
			--net tap=tap0 --time-limit 4 --stop-timeout 1
		gk 8 'disk 0 write 0 x; rng; reboot' --transport "$transport" --time-limit 4 \
			--disk /run/d0,engine=threads --stop-timeout 1
	done
	gk 7 'crash panic'
	run 8 --transport pci --disk /run/d0 --time-limit 3 --stop-timeout 1
	gk 0 'disk 0 sum 0 1M; disk 0 sum 1M 1M; poweroff' --disk /dev/nvme0n1,engine=threads
	# Its page, and what it fetches, through this machine's sockets.
	VM_COMMAND='vmm run --net user,loopback=on,dns=127.0.0.1,hostfwd=tcp::8080-:80'
	vm_start 40
	vm_expect 'by DHCP' 20
	vm_expect '^gk> ' 20 # the server listens by now
	wget -q -O /run/page http://127.0.0.1:8080/ || fail 'no page'
	nc -l -p 9000 >/run/heard </dev/null &
	vm_send 'nettest source 10.0.2.2:9000 100K'
	usleep 500000
	vm_send 'fetch http://10.0.2.2:9001/'
	vm_send 'fetch http://10.9.0.1:9001/'
	vm_send 'nslookup example.org'
	vm_send 'ping 10.0.2.2 1'
	vm_send poweroff
	vm_expect_end 0
	VM_COMMAND='vmm run --stop-timeout 1'
	vm_start 40
	vm_expect 'by DHCP' 20
	kill -TERM "$VM_PID"
	vm_expect_end 0
	# A guest that does not hear it.
	VM_COMMAND='vmm run --stop-timeout 1 --serial null /lab/hlt-wake.elf --cmdline forever'
	vm_start 40
	wait_for 20 takes_signals || fail 'it does not take over SIGTERM'
	kill -TERM "$VM_PID"
	vm_expect_end 8
}

# linux MODE ARGUMENTS...: Debian's kernel, on a terminal.
linux() {
	VM_COMMAND="onpty vmm run --memory 256M --cpus 2 --kernel /lab/bzimage --initrd /lab/initrd"
	LINUX_CMDLINE="console=ttyS0 quiet panic=-1 mode=$1"
	shift
	VM_COMMAND="$VM_COMMAND --serial stdio --console pty $*"
	vm_start 100
}

VM_COMMAND=
LINUX_CMDLINE=
vm_exec_vmm() {
	# shellcheck disable=SC2086
	[ "$LINUX_CMDLINE" ] || exec $VM_COMMAND
	# shellcheck disable=SC2086
	exec $VM_COMMAND --cmdline "$LINUX_CMDLINE"
}

linux_guests() {
	truncate -s 16M /run/disk
	pass_device 1
	linux devices --disk /run/disk --disk /dev/nvme0n1,engine=threads --balloon=16M \
		--memfd --net tap=tap1,queues=2 --vfio "$(passed 1)"
	vm_expect 'inner: up' 60
	kill -USR1 "$VM_PID"
	vm_expect 'inner: at the end' 40
	# Once more: a reset of it all.
	vm_expect 'inner: again' 60
	vm_expect_end 0
}

outer() {
	wait_for 10 test -b /dev/nvme1n1 || fail 'no NVMe disks here'
	tap_up
	watch
	for part in test_guests outputs sockets shipped_guest linux_guests; do
		echo "$part"
		$part
	done
	sandbox_trace --judge /run/used >/run/verdicts || {
		grep '^FAIL' /run/verdicts
		fail 'a thread does not use a rule, or one is missing'
	}
	grep -v '^PASS' /run/verdicts
	echo "$(grep -c '^PASS' /run/verdicts) rules were used"
	pass
}

inner_devices() {
	load_modules
	wait_for 10 test -b /dev/vdb || give_up 'no disks'
	if [ "$(dd if=/dev/vda bs=1M skip=15 count=1 2>/dev/null | head -c 5)" = again ]; then
		say again
		return
	fi
	printf again | dd of=/dev/vda bs=1M seek=15 conv=fsync 2>/dev/null
	say up
	dd if=/dev/zero of=/dev/vda bs=64k count=16 oflag=direct 2>/dev/null || give_up 'vda'
	dd if=/dev/zero of=/dev/vdb bs=64k count=16 oflag=direct 2>/dev/null || give_up 'vdb'
	blkdiscard -l 1048576 /dev/vda || give_up 'vda: discard'
	blkdiscard /dev/vdb || give_up 'vdb: discard'
	dd if=/dev/nvme0n1 of=/dev/null bs=64k count=16 iflag=direct 2>/dev/null || give_up 'nvme'
	ip link set eth0 up
	ip link set eth0 down
	for reset in /sys/bus/pci/devices/*/reset; do
		[ ! -e "$reset" ] || echo 1 >"$reset"
	done
	say 'at the end'
	reboot -f
}
