# shellcheck shell=sh disable=SC2034
# Code inside a sandboxed VMM cannot get out of it (tests/integration/test_escape.c): with all
# layers, and with all but the filters of system calls; as root, and as a user without rights.

CASE_NEEDS=escape
CASE_ONLY_VMM=1

# tries USER ARGUMENT CHECKS
tries() {
	status=0
	su "$1" -c "it_escape $2" >"$VM_LOG" 2>"$VM_ERR" || status=$?
	[ "$status" -eq 0 ] || fail "it_escape $2, as $1, ended with status $status"
	count=$(grep -c '^PASS' "$VM_LOG")
	[ "$count" -ge "$3" ] || fail "it_escape $2, as $1, made only $count checks"
	echo "$2, as $1: $count checks"
}

outer() {
	printf 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' >/etc/passwd
	chmod 1777 /tmp
	chmod 666 /dev/kvm
	ip link set lo up
	for user in root nobody; do
		tries "$user" seccomp 50
		tries "$user" rest 48
	done
	# What it_escape asks of the library, vmm run asks of itself: every layer, or no guest.
	for user in root nobody; do
		status=0
		su "$user" -c 'vmm run --sandbox strict --serial null /lab/hello.elf' \
			>"$VM_LOG" 2>"$VM_ERR" || status=$?
		[ "$status" -ge 64 ] || fail "vmm run --sandbox strict, as $user, ended with $status"
	done
	status=0
	vmm run --sandbox strict,uid=65534,gid=65534 --serial null /lab/hello.elf \
		>"$VM_LOG" 2>"$VM_ERR" || status=$?
	[ "$status" -ge 64 ] || fail "vmm run --sandbox uid=65534 ended with status $status"
	vmm doctor >"$VM_LOG" || fail 'the doctor is not content'
	grep '^ok *sandbox' "$VM_LOG" || fail 'the doctor misses a layer'
	pass
}

inner_main() {
	:
}
