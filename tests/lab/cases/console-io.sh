# shellcheck shell=sh disable=SC2034
# Input and output over the virtio console, on a terminal that is resized, and over the serial
# port, on a pseudo-terminal of its own.

CASE_ONLY_VMM=1
CASE_TIMEOUT=200

outer() {
	VM_HVC=1
	VM_WRAP=onpty
	VM_SERIAL=pty
	vm_start 120
	left=100
	until pty=$(grep -ho '/dev/pts/[0-9]*' "$VM_ERR" "$VM_LOG" | head -n 1) && [ "$pty" ]; do
		[ "$left" -gt 0 ] || fail 'the VMM does not name the pseudo-terminal'
		left=$((left - 1))
		usleep 100000
	done
	# As any terminal program does; an echo here would come back to the guest as input.
	stty -F "$pty" raw -echo
	: >/run/serial
	cat "$pty" >/run/serial &
	until grep -q 'inner: user space reached' /run/serial; do
		left=$((left + 1))
		[ "$left" -lt 900 ] || fail 'nothing on the serial port'
		usleep 100000
	done
	vm_expect 'hvc: size 24 80' 30
	vm_send 'spoken to hvc'
	vm_expect 'hvc: heard spoken to hvc' 10
	kill -USR1 "$VM_PID"
	vm_expect 'hvc: size 43 132' 10
	vm_expect 'hvc: all of it' 30
	seq 1 2000 | sed 's/^/line /' | md5sum >/run/want
	tr -d '\r' <"$VM_LOG" | grep '^line ' | md5sum | cmp - /run/want ||
		fail 'bulk output over the console is not right'
	echo 'spoken to ttyS0' >"$pty"
	left=100
	until grep -q 'serial: heard spoken to ttyS0' /run/serial; do
		[ "$left" -gt 0 ] || fail 'nothing heard over the serial port'
		left=$((left - 1))
		usleep 100000
	done
	vm_expect_end 0
	pass
}

is_larger() {
	[ "$(stty size </dev/hvc0)" = '43 132' ]
}

inner_main() {
	load_modules
	wait_for 10 test -c /dev/hvc0 || give_up 'no hvc0'
	exec 3<>/dev/hvc0
	echo "hvc: size $(stty size <&3)" >&3
	read -r line <&3
	echo "hvc: heard $line" >&3
	wait_for 20 is_larger || give_up 'no new size'
	echo "hvc: size $(stty size <&3)" >&3
	# The driver sends 16 bytes with each request.
	seq 1 2000 | sed 's/^/line /' >&3
	echo 'hvc: all of it' >&3
	read -r line </dev/ttyS0
	echo "serial: heard $line" >/dev/ttyS0
}
