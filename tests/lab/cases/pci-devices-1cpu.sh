# shellcheck shell=sh disable=SC2034
# Every virtio device on PCI, the default, 1 vCPU: Debian's drivers find them, use them, and get their
# interrupts by MSI-X.

CASE_ONLY_VMM=1
CASE_TIMEOUT=200

outer() {
	truncate -s 16M /tmp/disk
	tap_up
	stream listen 5001 receive 8 >/run/received &
	receiver=$!
	VM_DISKS=/tmp/disk
	VM_TAP=tap0
	VM_RNG=1
	VM_BALLOON=32M
	VM_TRANSPORT=
	VM_EXTRA='--console file=/run/hvc'
	vm_start 150
	vm_expect 'inner: user space reached' 90
	vm_expect 'inner: devices are right' 60
	wait "$receiver" || fail 'what the guest sent is not right'
	vm_expect_end 0
	grep -q 'written to hvc0' /run/hvc || fail 'nothing on the console'
	[ "$(head -c 5 /tmp/disk)" = right ] || fail 'the disk has other data'
	pass
}

inner_main() {
	pci_devices 1
}
