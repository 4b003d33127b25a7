# shellcheck shell=sh disable=SC2034
# An NVMe disk is passed: the guest reads what was written outside, the outer side what the guest
# wrote. Its interrupts come by MSI-X, without an exit to the VMM for any of its requests.

CASE_ONLY_VMM=1
CASE_OUTER_DEVICES=nvme
CASE_TIMEOUT=200

outer() {
	wait_for 10 test -b /dev/nvme0n1 || fail 'no NVMe disk here'
	dd if=/dev/urandom of=/tmp/data bs=1M count=16 2>/dev/null
	dd if=/tmp/data of=/dev/nvme0n1 bs=1M conv=fsync 2>/dev/null || fail 'cannot write here'
	md5sum </tmp/data >/run/want
	pass_device 0
	VM_CPUS=2
	VM_EXTRA="--vfio $(passed 0) --stats"
	vm_start 150
	vm_expect 'inner: read ' 120
	vm_expect 'inner: wrote' 60
	vm_expect_end 0
	grep -q "inner: read $(cut -d ' ' -f 1 /run/want)" "$VM_LOG" || fail 'the guest read other data'
	take_back 0
	wait_for 10 test -b /dev/nvme0n1 || fail 'the disk does not come back'
	written=$(sed -n 's/.*inner: wrote \([0-9a-f]*\).*/\1/p' "$VM_LOG")
	[ "$(dd if=/dev/nvme0n1 bs=1M skip=32 count=8 2>/dev/null | md5sum | cut -d ' ' -f 1)" = "$written" ] ||
		fail 'the guest wrote other data'
	grep '^vmm: ' "$VM_ERR"
	pass
}

inner_main() {
	load_modules
	wait_for 20 test -b /dev/nvme0n1 || give_up "no NVMe disk: $(dmesg | grep -iE 'nvme|pci 0' | tail -n 20)"
	say "read $(dd if=/dev/nvme0n1 bs=1M count=16 2>/dev/null | md5sum | cut -d ' ' -f 1)"
	dd if=/dev/urandom of=/tmp/data bs=1M count=8 2>/dev/null
	dd if=/tmp/data of=/dev/nvme0n1 bs=1M seek=32 conv=fsync 2>/dev/null || give_up 'cannot write'
	[ "$(irqs_of 'PCI-MSI.*nvme0q')" -gt 50 ] || give_up "interrupts: $(cat /proc/interrupts)"
	say "wrote $(md5sum </tmp/data | cut -d ' ' -f 1)"
}
