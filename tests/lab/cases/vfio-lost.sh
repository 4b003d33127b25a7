# shellcheck shell=sh disable=SC2034
# The host takes a passed device back from a running guest, which goes on without it.

CASE_ONLY_VMM=1
CASE_OUTER_DEVICES=nvme
CASE_TIMEOUT=200

outer() {
	wait_for 10 test -b /dev/nvme0n1 || fail 'no NVMe disk here'
	pass_device 0
	VM_EXTRA="--vfio $(passed 0)"
	vm_start 150
	vm_expect 'inner: disk is here' 120
	take_back 0
	wait_for 10 test -b /dev/nvme0n1 || fail 'the disk does not come back'
	dd if=/dev/nvme0n1 of=/dev/null bs=1M count=4 2>/dev/null || fail 'the disk does not work here'
	grep -q "$(passed 0): the host took the device back" "$VM_ERR" "$VM_LOG" || fail 'nobody said so'
	vm_send lost
	vm_expect 'inner: goes on' 30
	vm_expect_end 0
	pass
}

inner_main() {
	load_modules
	wait_for 20 test -b /dev/nvme0n1 || give_up 'no disk'
	say 'disk is here'
	read -r _
	[ "$(od -An -t x1 -N 2 /sys/bus/pci/devices/0000:00:01.0/config | tr -d ' ')" = ffff ] ||
		give_up 'the device is still there'
	say 'goes on'
}
