# shellcheck shell=sh disable=SC2034
# The vmm command's statuses and messages (tests/integration/run_cli), and the guest kernel
# (run_gk), on hardware KVM.

CASE_NEEDS='guests cli guest_kernel'
CASE_ONLY_VMM=1
CASE_TIMEOUT=300

outer() {
	chmod 1777 /tmp
	status=0
	bash /lab/run_cli /bin/vmm /lab >"$VM_LOG" 2>"$VM_ERR" || status=$?
	grep '^FAIL' "$VM_LOG"
	[ "$status" -eq 0 ] || fail "run_cli ended with status $status"
	count=$(grep -c '^PASS' "$VM_LOG")
	[ "$count" -ge 40 ] || fail "only $count checks were made"
	echo "$count checks"
	bash /lab/run_gk /bin/vmm >"$VM_LOG" 2>"$VM_ERR" || fail "$(grep -A20 '^FAIL' "$VM_LOG")"
	[ "$(grep -c '^PASS' "$VM_LOG")" -eq 20 ] || fail 'not all of run_gk was run'

	# Without the rights to it, as a user other than root.
	echo 'nobody:x:65534:65534::/:/bin/sh' >>/etc/passwd
	chmod 600 /dev/kvm
	status=0
	su nobody -c 'vmm run --dry-run /lab/hello.elf' 2>"$VM_ERR" || status=$?
	[ "$status" -eq 1 ] || fail "status $status where KVM is not permitted"
	grep -q '^vmm: /dev/kvm: not permitted' "$VM_ERR" || fail 'no word of the right that lacks'
	! su nobody -c 'vmm doctor' >"$VM_LOG" || fail 'the doctor is content'
	grep -q 'chgrp kvm /dev/kvm; chmod 0660 /dev/kvm; usermod' "$VM_LOG" ||
		fail 'no advice that would help'
	chmod 666 /dev/kvm
	su nobody -c 'vmm doctor' >"$VM_LOG" || fail 'the doctor is not content'
	status=0
	su nobody -c 'vmm run --dry-run --net tap=tapx /lab/hello.elf' 2>"$VM_ERR" || status=$?
	[ "$status" -eq 1 ] || fail "status $status where TAPs are not permitted"
	grep -q '/dev/net/tun may not be opened' "$VM_ERR" || fail 'no word of /dev/net/tun'
	pass
}

inner_main() {
	:
}
