# shellcheck shell=sh disable=SC2034
# The shipped guest kernel on a TAP: its page and its figures are fetched from here, it answers ping
# and pings, and 16 MiB go each way.

CASE_NEEDS=guest_kernel
CASE_ONLY_VMM=1
CASE_TIMEOUT=150

GK_CPUS=1

vm_exec_vmm() {
	exec vmm run --cpus "$GK_CPUS" --memory 16M --net tap=tap0 --cmdline gk.ip=10.9.0.2/24
}

get() {
	wget -q -O "/run/$1" "http://10.9.0.2/$2" || fail "cannot get /$2"
	grep -q -e "$3" "/run/$1" || fail "no '$3' in /$2"
}

outer() {
	tap_up
	for cpus in 1 2; do
		GK_CPUS=$cpus
		vm_start 100
		vm_expect 'net0: 10.9.0.2/24 as told' 20
		vm_expect '^gk> ' 20 # the server listens by now
		get page '' '</html>'
		get metrics metrics "^gk_cpus $cpus\$"
		ping -c 3 10.9.0.2 >/run/ping || fail 'the guest does not answer ping'
		vm_send 'ping 10.9.0.1 2'
		vm_expect '^2 sent, 2 received' 10

		vm_send 'nettest sink 5001'
		vm_expect 'waiting on port 5001' 10
		dd if=/dev/zero bs=64k count=256 2>/dev/null | nc 10.9.0.2 5001
		vm_expect 'nettest sink: 16777216 bytes' 40
		vm_send 'nettest source 5002 16M'
		vm_expect 'waiting on port 5002' 10
		[ "$(nc 10.9.0.2 5002 </dev/null | wc -c)" -eq 16777216 ] ||
			fail 'not all of 16 MiB came from the guest'
		vm_expect 'nettest source: 16777216 bytes' 20
		vm_send netstat
		vm_expect '^tcp .* LISTEN' 10
		vm_send tcpinfo
		vm_expect 'cubic cwnd' 10
		get metrics metrics '^gk_network_bad_total{device="net0"} 0$'
		vm_send poweroff
		vm_expect_end 0
	done
	pass
}
