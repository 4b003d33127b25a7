# shellcheck shell=sh disable=SC2034
# A network card is passed: TCP both ways through it, every byte checked, interrupts by MSI-X.

CASE_ONLY_VMM=1
CASE_OUTER_DEVICES='vmxnet3 peer'
CASE_INNER_MODULES=vmxnet3
CASE_TIMEOUT=200

outer() {
	wait_for 10 test -e /sys/class/net/eth0 || fail 'no card of its own here'
	ip address add 10.9.0.1/24 dev eth0
	ip link set eth0 up
	pass_device 0
	stream listen 5001 receive 8 >/run/received &
	receiver=$!
	stream listen 5002 send 8 >/run/sent &
	sender=$!
	VM_EXTRA="--vfio $(passed 0) --stats"
	vm_start 150
	vm_expect 'inner: sent' 120
	wait "$receiver" || fail 'what the guest sent is not right'
	vm_expect 'inner: received' 60
	wait "$sender" || fail 'the guest did not get it'
	vm_expect_end 0
	grep '^vmm: ' "$VM_ERR"
	pass
}

inner_main() {
	load_modules
	net_up
	stream connect 10.9.0.1 5001 send 8 || give_up 'cannot send'
	say sent
	stream connect 10.9.0.1 5002 receive 8 || give_up 'cannot receive'
	[ "$(irqs_of 'PCI-MSI.*eth0')" -gt 50 ] || give_up "interrupts: $(cat /proc/interrupts)"
	say received
}
