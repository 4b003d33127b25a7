# shellcheck shell=sh disable=SC2034
# A virtio network card behind an IOMMU (iommu_platform) is passed: its driver in the guest must keep
# to physical addresses, which are those of the IOMMU. TCP both ways, every byte checked.

CASE_ONLY_VMM=1
CASE_OUTER_DEVICES='virtio-net peer'
CASE_INNER_MODULES='virtio_pci virtio_net'
CASE_TIMEOUT=200

outer() {
	pass_device 0
	peer=$(basename /sys/bus/pci/devices/"$(passed 1)"/virtio*/net/*)
	ip address add 10.9.0.1/24 dev "$peer" || fail 'no card of its own here'
	ip link set "$peer" up
	stream listen 5001 receive 8 >/run/received &
	receiver=$!
	stream listen 5002 send 8 >/run/sent &
	sender=$!
	VM_EXTRA="--vfio $(passed 0)"
	vm_start 150
	vm_expect 'inner: sent' 120
	wait "$receiver" || fail 'what the guest sent is not right'
	vm_expect 'inner: received' 60
	wait "$sender" || fail 'the guest did not get it'
	vm_expect_end 0
	pass
}

inner_main() {
	load_modules
	net_up
	stream connect 10.9.0.1 5001 send 8 || give_up 'cannot send'
	say sent
	stream connect 10.9.0.1 5002 receive 8 || give_up 'cannot receive'
	[ "$(irqs_of 'PCI-MSI.*virtio0-input')" -gt 50 ] || give_up "interrupts: $(cat /proc/interrupts)"
	say received
}
