# shellcheck shell=sh disable=SC2034
# The card has the address it was given, and packets of all sizes come and go.

outer() {
	tap_up
	VM_TAP=tap0
	vm_start 90
	vm_expect 'inner: network is up' 80
	for size in 0 56 1000 1472 4000 20000; do
		ping -q -c 1 -W 3 -s "$size" 10.9.0.2 >/run/ping.log || {
			cat /run/ping.log
			fail "no answer to $size bytes"
		}
	done
	vm_send go
	vm_expect_end 0
	pass
}

inner_main() {
	load_modules
	[ "$(cat /sys/class/net/eth0/address)" = 52:54:00:12:34:56 ] || give_up 'wrong MAC address'
	net_up
	for size in 0 56 1000 1472 4000 20000; do
		ping -q -c 1 -W 3 -s "$size" 10.9.0.1 >/dev/null || give_up "no answer to $size bytes"
	done
	say 'network is up'
	read -r _
}
