# shellcheck shell=sh disable=SC2034
# The VMM is killed in the middle of transfers; another one uses the device at once, and then the
# outer machine itself.

CASE_ONLY_VMM=1
CASE_OUTER_DEVICES=nvme
CASE_TIMEOUT=240

outer() {
	wait_for 10 test -b /dev/nvme0n1 || fail 'no NVMe disk here'
	pass_device 0
	VM_EXTRA="--vfio $(passed 0)"
	VM_APPEND=mode=busy
	vm_start 100
	vm_expect 'inner: busy' 90
	usleep 500000
	vm_kill
	VM_APPEND=mode=again
	vm_start 100
	vm_expect 'inner: works again' 90
	vm_expect_end 0
	take_back 0
	wait_for 10 test -b /dev/nvme0n1 || fail 'the disk does not come back'
	[ "$(dd if=/dev/nvme0n1 bs=4k skip=8 count=1 2>/dev/null | head -c 5)" = again ] || fail 'other data'
	pass
}

inner_busy() {
	load_modules
	wait_for 20 test -b /dev/nvme0n1 || give_up 'no disk'
	dd if=/dev/zero of=/tmp/zero bs=1M count=8 2>/dev/null
	say busy
	while true; do
		dd if=/tmp/zero of=/dev/nvme0n1 bs=1M seek=1 oflag=direct 2>/dev/null
	done
}

inner_again() {
	load_modules
	wait_for 20 test -b /dev/nvme0n1 || give_up 'no disk'
	printf again | dd of=/dev/nvme0n1 bs=4k seek=8 conv=sync,fsync 2>/dev/null || give_up 'cannot write'
	say 'works again'
}
