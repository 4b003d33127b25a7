# shellcheck shell=sh disable=SC2034
# A disk and a card of 1 MiB a second and a burst of 256 KiB, in the sandbox and in the deterministic
# lab, where the emulator takes no time of its own: Linux reads and sends 4 MiB in no less than 3.75 s,
# and in little more. How exact a limit is: test_blk.c, test_net.c.

CASE_ONLY_VMM=1
CASE_ICOUNT=1
CASE_TIMEOUT=300

outer() {
	tap_up
	head -c 8388608 /dev/urandom >/run/disk.img
	VM_DISKS=/run/disk.img,bandwidth=1M,bandwidth-burst=256K
	VM_EXTRA='--net tap=tap0,tx-bandwidth=1M,tx-bandwidth-burst=256K'
	stream listen 5001 receive 4 >/run/received &
	receiver=$!
	vm_start 140
	vm_expect 'inner: sent' 120
	wait "$receiver" || fail 'what the guest sent is not right'
	vm_expect_end 0
	for what in read send; do
		ms=$(sed -n "s/^inner: $what took \([0-9]*\) ms.*/\1/p" "$VM_LOG")
		echo "$what: 4 MiB in $ms ms"
		# But for a request of the disk's, and a frame: one of each may overdraw.
		[ "$ms" -ge 3670 ] || fail "$what: 4 MiB in only $ms ms"
		[ "$ms" -le 4200 ] || fail "$what: 4 MiB in $ms ms"
	done
	pass
}

took_ms() {
	began=$(now)
	"$@" >/dev/null 2>&1 || give_up "$* failed"
	echo $((($(now) - began) / 1000000))
}

inner_main() {
	load_modules
	net_up
	say "read took $(took_ms dd if=/dev/vda iflag=direct bs=16k count=256) ms"
	say "send took $(took_ms stream connect 10.9.0.1 5001 send 4) ms"
	say sent
}
