# shellcheck shell=sh disable=SC2034
# Two devices at once, beside a disk of ours on the same bus: an NVMe disk, and a virtio disk, whose
# vendor capabilities must pass.

CASE_ONLY_VMM=1
CASE_OUTER_DEVICES='nvme virtio-blk'
CASE_OUTER_MODULES=virtio_blk
CASE_TIMEOUT=200

outer() {
	wait_for 10 test -b /dev/vda || fail 'no virtio disk here'
	wait_for 10 test -b /dev/nvme0n1 || fail 'no NVMe disk here'
	truncate -s 16M /tmp/disk
	pass_device 0
	pass_device 1
	VM_CPUS=2
	VM_DISKS=/tmp/disk
	VM_EXTRA="--transport pci --vfio $(passed 0) --vfio $(passed 1)"
	vm_start 150
	vm_expect 'inner: wrote' 120
	vm_expect_end 0
	take_back 0
	take_back 1
	wait_for 10 test -b /dev/vda || fail 'the virtio disk does not come back'
	wait_for 10 test -b /dev/nvme0n1 || fail 'the NVMe disk does not come back'
	written=$(sed -n 's/.*inner: wrote \([0-9a-f]*\).*/\1/p' "$VM_LOG")
	for disk in /dev/vda /dev/nvme0n1 /tmp/disk; do
		[ "$(dd if=$disk bs=1M count=8 2>/dev/null | md5sum | cut -d ' ' -f 1)" = "$written" ] ||
			fail "other data on $disk"
	done
	pass
}

inner_main() {
	load_modules
	wait_for 20 test -b /dev/nvme0n1 || give_up 'no NVMe disk'
	wait_for 20 test -b /dev/vdb || give_up "no virtio disks: $(ls /sys/bus/pci/devices /dev)"
	dd if=/dev/urandom of=/tmp/data bs=1M count=8 2>/dev/null
	for disk in nvme0n1 vda vdb; do
		dd if=/tmp/data of=/dev/$disk bs=64k conv=fsync 2>/dev/null &
	done
	wait
	echo 3 >/proc/sys/vm/drop_caches
	for disk in nvme0n1 vda vdb; do
		dd if=/dev/$disk bs=1M count=8 2>/dev/null | cmp - /tmp/data || give_up "$disk has other data"
	done
	say "wrote $(md5sum </tmp/data | cut -d ' ' -f 1)"
}
