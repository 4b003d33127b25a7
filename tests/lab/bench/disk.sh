# shellcheck shell=sh disable=SC2034
# Instructions per random 4 KiB read and per MiB read sequentially, into memory that is one segment and
# into memory that is 256, one request at a time with O_DIRECT in the guest, from an image on tmpfs.
# 1 vCPU, 256 MiB.

CASE_NEEDS='vmlinux bzimage'
CASE_VMMS='vmm qemu kvmtool'
CASE_ICOUNT=1
CASE_TIMEOUT=500

# disk_bench VMM [TRANSPORT of virtio]
# shellcheck disable=SC2016
disk_bench() {
	sh -c '
		. /lab/settings
		. /lab/lib.sh
		VM_DISKS=/tmp/disk
		VM_APPEND=mode=bench
		VM_TRANSPORT=${2-}
		vm_exec "$1"' sh "$@" </dev/null 2>"$VM_ERR" | laps >/run/laps 2>"$VM_LOG"
	laps_figure disk-random "$1${2:+/$2}" 4K-read
	laps_figure disk-sequential "$1${2:+/$2}" MiB
	laps_figure disk-scattered "$1${2:+/$2}" MiB
}

outer() {
	dd if=/dev/urandom of=/tmp/disk bs=1M count=64 2>/dev/null
	# The outer kernel counts a page as active from its second read on, which costs whoever makes it.
	for _ in 1 2 3; do
		cat /tmp/disk >/dev/null
	done
	for vmm in $LAB_VMMS; do
		disk_bench "$vmm"
		[ "$vmm" != vmm ] || disk_bench vmm mmio
	done
	pass
}

inner_bench() {
	load_modules
	wait_for 10 test -b /dev/vda || give_up 'no disk'
	# Linux does without huge pages below 512 MiB.
	echo madvise >/sys/kernel/mm/transparent_hugepage/enabled
	blkread /dev/vda random 200 || give_up 'cannot read'
	blkread /dev/vda sequential 16 || give_up 'cannot read'
	blkread /dev/vda scattered 16 || give_up 'cannot read'
	echo 'lap start 1'
	blkread /dev/vda random 2000 || give_up 'cannot read'
	echo 'lap disk-random 2000'
	blkread /dev/vda sequential 256 || give_up 'cannot read'
	echo 'lap disk-sequential 256'
	blkread /dev/vda scattered 256 || give_up 'cannot read'
	echo 'lap disk-scattered 256'
}
