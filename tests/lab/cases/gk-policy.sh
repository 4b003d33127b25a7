# shellcheck shell=sh disable=SC2034
# The policy in the guest kernel: the built-in one holds the shell to what it is for; one that comes in
# a guest image keeps levels apart; a broken one leaves the built-in one in force, and says so.

CASE_NEEDS='guest_kernel'
CASE_ONLY_VMM=1
CASE_TIMEOUT=150

IMAGE=''   # a guest image, or the shipped kernel
CMDLINE='' # of the shipped kernel

vm_exec_vmm() {
	if [ "$IMAGE" ]; then
		exec vmm run "$IMAGE" --serial stdio
	fi
	exec vmm run --cmdline "$CMDLINE"
}

# image POLICY COMMANDS
image() {
	IMAGE=/run/guest.img
	rm -f "$IMAGE"
	vmm image build -o "$IMAGE" --kernel /bin/guest-kernel.elf --policy "$1" \
		--cmdline "gk.run=\"$2; poweroff\"" 2>"$VM_ERR" || fail 'the image cannot be built'
	vm_start 60
	vm_expect 'guest-kernel ready' 30
	vm_expect_end 0
}

# said TEXT: the guest did.
said() {
	grep -qF "$1" "$VM_LOG" || fail "the guest did not say '$1'"
}

outer() {
	CMDLINE='gk.run="setenforce 0; policy why http port:25 tcp_socket name_bind; id; poweroff"'
	vm_start 60
	vm_expect 'guest-kernel ready' 30
	vm_expect_end 0
	said 'context system_u:system_r:shell_t:s0'
	said 'avc:  denied  { setenforce } for'
	said 'setenforce: denied by the policy'
	said 'no rule: allow http_t reserved_port_t:tcp_socket { name_bind };'

	CMDLINE='gk.enforcing=0 gk.run="setenforce 1; setenforce 0; poweroff"'
	vm_start 60
	vm_expect 'guest-kernel ready' 30
	vm_expect_end 0
	said 'permissive=1'

	public=system_u:system_r:worker_t:public
	secret=system_u:system_r:worker_t:secret
	image /lab/multilevel.policy "sestatus; talk $public $secret"
	said 'policy source: from the machine'
	said "$public writes to $secret: yes"
	said "$public reads from $secret: no"
	said "$secret writes to $public: no"
	said "$secret reads from $public: yes"
	said "$public sends datagrams to $secret: yes"
	said "$secret sends datagrams to $public: no"

	dd if=/lab/multilevel.policy of=/run/cut.policy bs=1000 count=3 2>/dev/null
	image /run/cut.policy 'sestatus'
	said 'the policy that the machine gave is not used, but the built-in policy'
	said 'policy source: built in'
	pass
}
