# shellcheck shell=sh disable=SC2034
# 64 MiB over TCP each way, every byte checked.

CASE_TIMEOUT=200

outer() {
	tap_up
	VM_TAP=tap0
	VM_CPUS=2
	stream listen 5001 receive 64 >/run/received &
	receiver=$!
	stream listen 5002 send 64 >/run/sent &
	sender=$!
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
	stream connect 10.9.0.1 5001 send 64 || give_up 'cannot send'
	say sent
	stream connect 10.9.0.1 5002 receive 64 || give_up 'cannot receive'
	say received
}
