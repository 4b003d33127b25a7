# shellcheck shell=sh disable=SC2034
# A virtual function of an NVMe controller is passed, while the host goes on with the physical one:
# both see the same namespace.

CASE_ONLY_VMM=1
CASE_OUTER_DEVICES=nvme-sriov
CASE_TIMEOUT=200

outer() {
	wait_for 10 test -b /dev/nvme0n1 || fail 'no NVMe disk here'
	physical=$(passed 0)
	virtual=${physical%0}1
	# The function gets queues and an interrupt of the physical one's, which gives them up.
	nvmevirt /dev/nvme0 assign 0 0 0 || fail 'the controller keeps its resources'
	nvmevirt /dev/nvme0 reset || fail 'no reset'
	echo 0 >"/sys/bus/pci/devices/$physical/sriov_drivers_autoprobe"
	echo 1 >"/sys/bus/pci/devices/$physical/sriov_numvfs" || fail 'no virtual function'
	nvmevirt /dev/nvme0 assign 1 2 1 || fail 'the function gets no resources'
	nvmevirt /dev/nvme0 online 1 || fail 'the function does not come online'
	dd if=/dev/urandom of=/dev/nvme0n1 bs=1M count=8 conv=fsync 2>/dev/null
	want=$(dd if=/dev/nvme0n1 bs=1M count=8 2>/dev/null | md5sum | cut -d ' ' -f 1)
	vmm vfio bind "$virtual" 2>"$VM_ERR" || fail "cannot bind $virtual"
	vmm vfio list | grep "^$virtual .* vfio-pci  *can be passed" || fail "$virtual cannot be passed: $(vmm vfio list)"
	VM_EXTRA="--vfio $virtual"
	vm_start 150
	vm_expect "inner: read $want" 120
	vm_expect 'inner: wrote' 60
	vm_expect_end 0
	written=$(sed -n 's/.*inner: wrote \([0-9a-f]*\).*/\1/p' "$VM_LOG")
	echo 3 >/proc/sys/vm/drop_caches
	[ "$(dd if=/dev/nvme0n1 bs=1M skip=32 count=8 2>/dev/null | md5sum | cut -d ' ' -f 1)" = "$written" ] ||
		fail 'the guest wrote other data'
	pass
}

inner_main() {
	load_modules
	wait_for 20 test -b /dev/nvme0n1 || give_up "no NVMe disk: $(dmesg | grep -iE 'nvme|pci 0' | tail -n 20)"
	say "read $(dd if=/dev/nvme0n1 bs=1M count=8 2>/dev/null | md5sum)"
	dd if=/dev/urandom of=/tmp/data bs=1M count=8 2>/dev/null
	dd if=/tmp/data of=/dev/nvme0n1 bs=1M seek=32 conv=fsync 2>/dev/null || give_up 'cannot write'
	[ "$(irqs_of 'PCI-MSI.*nvme0q')" -gt 20 ] || give_up "interrupts: $(cat /proc/interrupts)"
	say "wrote $(md5sum </tmp/data | cut -d ' ' -f 1)"
}
