# shellcheck shell=sh disable=SC2034
# --cgroup: limits of memory, CPU time, threads and disk transfer that the kernel really sets, by
# root and by a user in a group of his own; the group goes with the VM, whatever way that ends.

CASE_NEEDS='guest_kernel guests'
CASE_ONLY_VMM=1
CASE_OUTER_DEVICES='nvme'

GROUPS_AT=/sys/fs/cgroup

# is FILE TEXT: of the group that runs.
is() {
	[ "$(cat "$GROUPS_AT/$1")" = "$2" ] || fail "$1 is '$(cat "$GROUPS_AT/$1")', not '$2'"
}

gone() {
	[ ! -e "$GROUPS_AT/$1" ]
}

# ends STATUS ARGUMENTS...: with a guest that powers off.
ends() {
	want=$1
	shift
	status=0
	timeout 60 vmm run --net none "$@" >"$VM_LOG" 2>"$VM_ERR" </dev/null || status=$?
	[ "$status" -eq "$want" ] || fail "status $status, not $want: vmm run $*"
	wait_for 5 gone web || fail 'the group is still there'
}

# says TEXT: vmm's message.
says() {
	grep -qF -- "$1" "$VM_ERR" || fail "vmm did not say: $1"
}

# It joins its group before it starts them.
has_threads() {
	[ "$(cat "$GROUPS_AT/web/pids.current")" -ge 3 ]
}

while_it_runs() {
	VM_COMMAND="vmm run --net none --memory 32M --cgroup
		$GROUPS_AT/web,cpu=0.5,memory=300M,pids=40 /lab/hlt-wake.elf --cmdline forever"
	vm_start 40
	# KVM's own thread for the VM is there as well.
	wait_for 10 grep -qx "$VM_PID" "$GROUPS_AT/web/cgroup.procs" || fail 'it is not in the group'
	is web/cpu.max '50000 100000'
	is web/memory.max 314572800
	is web/pids.max 40
	# No thread of it is elsewhere, and none can leave: nothing of the group is open.
	wait_for 10 has_threads || fail 'threads are missing'
	for fd in "/proc/$VM_PID/fd/"*; do
		case $(readlink "$fd") in
		"$GROUPS_AT"*) fail "$fd leads to the group" ;;
		esac
	done
	kill -KILL "$VM_PID"
	vm_expect_end 137
	wait_for 5 gone web || fail 'the group of a VM that was killed is still there'
}

limits() {
	off='gk.run="poweroff"'
	ends 0 --cgroup "$GROUPS_AT/web,memory=300M" --memory 128M --prefault --cmdline "$off"
	# 137: the kernel kills what takes more.
	ends 137 --cgroup "$GROUPS_AT/web,memory=48M" --memory 128M --prefault --cmdline "$off"
	ends 1 --cgroup "$GROUPS_AT/web,pids=2" --cmdline "$off"
	says 'cannot start'
	began=$(now)
	ends 0 --cgroup "$GROUPS_AT/web,io=$(cat /sys/block/nvme0n1/dev) rbps=1048576" \
		--disk /dev/nvme0n1,readonly,direct,engine=threads --cmdline 'gk.run="disk 0 sum 0 4M; poweroff"'
	ms=$((($(now) - began) / 1000000))
	echo "4 MiB at 1 MiB a second: $ms ms"
	[ "$ms" -ge 2900 ] || fail "4 MiB in $ms ms"
}

# What is not the VM's own to remove stays.
found_there() {
	mkdir "$GROUPS_AT/there"
	timeout 60 vmm run --net none --cgroup "$GROUPS_AT/there,pids=50" --cmdline 'gk.run="poweroff"' \
		>"$VM_LOG" 2>"$VM_ERR" </dev/null || fail 'in a group that was there'
	is there/pids.max 50
	rmdir "$GROUPS_AT/there"
}

refused() {
	ends 1 --cgroup "$GROUPS_AT/no/web,pids=2"
	says '--cgroup path'
	ends 2 --cgroup /run/web,pids=2
	says 'not in a cgroup v2 file system'
	ends 1 --cgroup "$GROUPS_AT/web,io=99:99 rbps=1"
	says "'99:99 rbps=1' cannot be written to io.max"
	# Processes in the group above: it cannot hand memory down.
	mkdir "$GROUPS_AT/busy" "$GROUPS_AT/busy/shell"
	sh -c "echo \$\$ >$GROUPS_AT/busy/cgroup.procs; exec sleep 60" &
	sleeper=$!
	wait_for 5 grep -q . "$GROUPS_AT/busy/cgroup.procs"
	status=0
	vmm run --net none --cgroup "$GROUPS_AT/busy/web,memory=64M" 2>"$VM_ERR" </dev/null || status=$?
	[ "$status" -eq 1 ] || fail "below a busy group: status $status"
	says 'processes are in that group itself'
	wait_for 5 gone busy/web || fail 'a group that was not used is still there'
	kill "$sleeper"
}

# A group of the user's own, as systemd delegates them.
without_privilege() {
	printf 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' >/etc/passwd
	chmod 666 /dev/kvm
	mkdir "$GROUPS_AT/user" "$GROUPS_AT/user/shell"
	for at in user user/shell; do
		chown nobody "$GROUPS_AT/$at" "$GROUPS_AT/$at/cgroup.procs" \
			"$GROUPS_AT/$at/cgroup.subtree_control"
	done
	status=0
	sh -c "echo \$\$ >$GROUPS_AT/user/shell/cgroup.procs
		exec su nobody -c 'vmm run --net none --cgroup $GROUPS_AT/user/web,pids=30 --cmdline gk.run=poweroff'" \
		>"$VM_LOG" 2>"$VM_ERR" </dev/null || status=$?
	[ "$status" -eq 0 ] || fail "as nobody: status $status"
	wait_for 5 gone user/web || fail "the user's group is still there"
}

VM_COMMAND=
vm_exec_vmm() {
	# shellcheck disable=SC2086
	exec $VM_COMMAND
}

outer() {
	vmm doctor | grep -q '^note *cgroup v2 *is not mounted' || fail 'the doctor sees cgroups'
	mount -t cgroup2 none "$GROUPS_AT" || fail 'no cgroup v2 here'
	vmm doctor | grep -q '^ok *cgroup v2 .*can limit cpu, io, memory and pids' ||
		fail 'the doctor does not see the controllers'
	wait_for 10 test -b /dev/nvme0n1 || fail 'no disk here'
	for part in while_it_runs limits found_there refused without_privilege; do
		echo "$part"
		$part
	done
	pass
}

inner_main() {
	:
}
