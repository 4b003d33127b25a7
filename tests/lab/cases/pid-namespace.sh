# shellcheck shell=sh disable=SC2034
# --sandbox pid-namespace: the VM is process 1 of a namespace of its own, for root and for nobody;
# the process outside passes signals on, ends as it does, and takes it along when it is killed.

CASE_NEEDS='guest_kernel guests'
CASE_ONLY_VMM=1

# The keeper's child, which is not the janitor's process.
child_of() {
	read -r children <"/proc/$1/task/$1/children"
	for child in $children; do
		[ "$(cat "/proc/$child/comm")" = vmm-janitor ] || echo "$child"
	done
}

has_child() {
	[ "$(child_of "$1")" ]
}

gone() {
	[ ! -d "/proc/$1" ]
}

# begin USER: sets KEEPER and CHILD.
begin() {
	user=$1
	vm_start 60
	vm_expect 'guest-kernel ready' 30
	KEEPER=$VM_PID
	[ "$(cat "/proc/$KEEPER/comm")" = vmm-keeper ] || fail 'there is no keeper'
	wait_for 5 has_child "$KEEPER" || fail 'the keeper keeps nothing'
	CHILD=$(child_of "$KEEPER")
	numbers=$(sed -n 's/^NSpid:[[:space:]]*//p' "/proc/$CHILD/status" | tr '\t' ' ')
	[ "$numbers" = "$CHILD 1" ] || fail "process ids of the VM: $numbers"
	[ "$(readlink "/proc/$CHILD/ns/pid")" != "$(readlink /proc/self/ns/pid)" ] ||
		fail 'it is in the namespace of all'
	for fd in "/proc/$KEEPER/fd/"*; do
		[ "${fd##*/}" -le 2 ] || fail "the keeper has descriptor ${fd##*/}"
	done
}

vm_exec_vmm() {
	exec su "$user" -c 'exec vmm run --net none --memory 32M --sandbox strict,pid-namespace \
		--console unix=/run/at/vm.socket --serial stdio --stop-timeout 1'
}

outer() {
	printf 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' >/etc/passwd
	chmod 666 /dev/kvm
	mkdir -m 1777 /run/at
	for user in root nobody; do
		begin "$user"
		kill -TERM "$KEEPER"
		vm_expect_end 0
		wait_for 5 test ! -e /run/at/vm.socket || fail "$user: the socket is still there"
		begin "$user"
		kill -KILL "$KEEPER"
		wait_for 5 gone "$CHILD" || fail "$user: the VM outlived its keeper"
		wait_for 5 test ! -e /run/at/vm.socket || fail "$user: the socket of a killed VM is there"
		echo "as $user: ends with its keeper"
	done
	vmm doctor | grep -q '^ok *PID namespace' || fail 'the doctor sees no PID namespace'
	status=0
	vmm run --net none --sandbox pid-namespace --serial null /lab/hello.elf >"$VM_LOG" 2>"$VM_ERR" ||
		status=$?
	[ "$status" -ge 64 ] || fail "the guest's own status did not come through: $status"
	pass
}

inner_main() {
	:
}
