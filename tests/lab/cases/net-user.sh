# shellcheck shell=sh disable=SC2034
# The user-mode network in the sandbox: the shipped guest's page at the host's port as `vmm run` sets
# it up by itself, and Linux's card: DHCP, 16 MiB over TCP each way with every byte checked, ping,
# what is closed; the same by IPv6, with what router advertisements say; and a capture.

CASE_NEEDS='bzimage guest_kernel'
CASE_ONLY_VMM=1
CASE_TIMEOUT=240

VM_CPUS=2
VM_EXTRA=''

vm_exec_vmm() {
	[ "$VM_EXTRA" ] || exec vmm run
	# shellcheck disable=SC2086
	exec vmm run --kernel "/lab/$VM_KERNEL" --initrd /lab/initrd --cmdline "$(vm_cmdline)" \
		--memory "$VM_MEMORY" --cpus "$VM_CPUS" --serial stdio $VM_EXTRA
}

# The guest says that it listens before it does.
greeted() {
	echo hello | timeout 2 nc 127.0.0.1 5003
	usleep 300000
	grep -q 'inner: hello' "$VM_LOG"
}

greeted6() {
	echo 'good day' | timeout 2 nc ::1 5004
	usleep 300000
	grep -q 'inner: good day' "$VM_LOG"
}

outer() {
	tap_up
	echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range
	vm_start 60
	vm_expect 'net0: 10.0.2.15/24 by DHCP' 20
	vm_expect '^gk> ' 20 # the server listens by now
	grep -q "the guest's page: http://127.0.0.1:8080/" "$VM_ERR" || fail 'no word of the page'
	wget -q -O /run/page http://127.0.0.1:8080/ || fail 'no page'
	grep -q '</html>' /run/page || fail 'not the whole page'
	# The host itself, through its other address, and an address that nobody has.
	vm_send 'fetch http://10.9.0.1:8080/'
	vm_expect '10.9.0.1: connection refused' 10
	vm_send 'fetch http://10.9.0.77:8080/'
	vm_expect '10.9.0.77: connection refused' 20
	vm_send 'ping 10.0.2.2 1'
	vm_expect '^1 sent, 1 received' 10
	# It ends well while somebody is connected.
	sleep 30 | nc 127.0.0.1 8080 >/dev/null &
	usleep 500000
	vm_send poweroff
	vm_expect_end 0

	# The gateway is the host's loopback where that is opened.
	stream listen 5001 receive 16 >/run/received &
	receiver=$!
	stream listen 5002 send 16 >/run/sent &
	sender=$!
	stream listen6 5011 receive 16 >/run/received6 &
	receiver6=$!
	stream listen6 5012 send 16 >/run/sent6 &
	sender6=$!
	# A way to everywhere, as far as anybody is told.
	ip address add 2001:db8:9::1/128 dev lo
	ip -6 route add default dev lo
	VM_EXTRA='--net user,loopback=on,net=10.5.0.0/16,net6=fd00:5::/64,hostfwd=tcp::5003-:5003'
	VM_EXTRA="$VM_EXTRA,hostfwd=tcp:[::1]:5004-[fd00:5::15]:5004,pcap=/run/net.pcap"
	vm_start 180
	vm_expect 'inner: sent' 120
	wait "$receiver" || fail 'what the guest sent is not right'
	vm_expect 'inner: received' 60
	wait "$sender" || fail 'the guest did not get it'
	vm_expect 'inner: listens' 10
	wait_for 20 greeted || fail "no 'hello' through the forwarded port"
	vm_expect 'inner: sent by IPv6' 60
	wait "$receiver6" || fail 'what the guest sent by IPv6 is not right'
	vm_expect 'inner: received by IPv6' 60
	wait "$sender6" || fail 'the guest did not get it by IPv6'
	vm_expect 'inner: listens for IPv6' 10
	wait_for 20 greeted6 || fail "no 'good day' through the forwarded port of IPv6"
	vm_expect_end 0
	[ "$(hexdump -n 4 -e '1/4 "%x"' /run/net.pcap)" = a1b23c4d ] || fail 'no capture'
	[ "$(wc -c </run/net.pcap)" -gt 33554432 ] || fail 'not all is in the capture'
	pass
}

inner_main() {
	load_modules
	wait_for 10 test -e /sys/class/net/eth0 || give_up 'no eth0'
	ip link set eth0 up
	udhcpc -i eth0 -n -q -s /bin/true -t 5 >/tmp/lease 2>&1 || give_up "no lease: $(cat /tmp/lease)"
	grep -q '10.5.0.15' /tmp/lease || give_up "another lease: $(cat /tmp/lease)"
	ip address add 10.5.0.15/16 dev eth0
	ip route add default via 10.5.0.2
	stream connect 10.5.0.2 5001 send 16 || give_up 'cannot send'
	say sent
	stream connect 10.5.0.2 5002 receive 16 || give_up 'cannot receive'
	say received
	say listens
	say "$(nc -l -p 5003)"
	inner_ipv6
}

has_address6() {
	ip -6 address show dev eth0 | grep -v tentative | grep -q "inet6 $1"
}

inner_ipv6() {
	wait_for 10 has_address6 fd00:5::.*/64 || give_up "no address: $(ip -6 address)"
	ip -6 route | grep -q '^default via fe80::2 dev eth0' || give_up "no way: $(ip -6 route)"
	ping -6 -c 1 -w 5 fd00:5::2 >/dev/null || give_up 'no echo of the gateway'
	stream connect fd00:5::2 5011 send 16 || give_up 'cannot send by IPv6'
	say sent by IPv6
	stream connect fd00:5::2 5012 receive 16 || give_up 'cannot receive by IPv6'
	say received by IPv6
	# The host's other address: refused, and at once.
	timeout 2 nc 2001:db8:9::1 5003 </dev/null && give_up 'the host is reached'
	[ $? = 1 ] || give_up 'no answer'
	ip address add fd00:5::15/64 dev eth0
	wait_for 10 has_address6 fd00:5::15/64 || give_up 'no second address'
	say listens for IPv6
	say "$(nc -l -p 5004)"
}
