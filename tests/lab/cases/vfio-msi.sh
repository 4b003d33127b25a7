# shellcheck shell=sh disable=SC2034
# A device that has MSI and no MSI-X (QEMU's edu, for which there is no driver) is passed: its
# registers answer, its message arrives at the guest's CPU with the vector that the guest chose, as
# often as it is sent.

CASE_ONLY_VMM=1
CASE_OUTER_DEVICES=edu
CASE_TIMEOUT=150

outer() {
	pass_device 0
	VM_EXTRA="--vfio $(passed 0)"
	vm_start 120
	vm_expect 'inner: messages came' 100
	vm_expect_end 0
	pass
}

# stray: how many interrupts of vector 0x55 the kernel had no handler for.
stray() {
	dmesg | grep -c '\.85 No irq handler for vector'
}

inner_main() {
	[ "$(cat /sys/bus/pci/devices/0000:00:01.0/device)" = 0x11e8 ] || give_up 'no edu device'
	edumsi 0000:00:01.0 0x55 3 >/tmp/said || give_up "edumsi ends with status $?: $(cat /tmp/said)"
	grep -q '^factorial 3628800$' /tmp/said || give_up "wrong: $(cat /tmp/said)"
	[ "$(stray)" -eq 3 ] || give_up "$(stray) interrupts: $(dmesg | tail)"
	say 'messages came'
}
