# shellcheck shell=sh disable=SC2034
# Root on ext4 over virtio-blk, a load of writes, and a file system without fault afterwards.

CASE_NEEDS='bzimage ext4'
CASE_OUTER_MODULES=loop
CASE_TIMEOUT=200

outer() {
	mkdir /tmp/root
	(cd /tmp/root && cpio -i --quiet </lab/initrd 2>/dev/null)
	truncate -s 192M /tmp/disk
	mkfs.ext4 -q -d /tmp/root /tmp/disk || fail 'mkfs.ext4'
	VM_DISKS=/tmp/disk
	VM_CPUS=2
	vm_start 150
	vm_expect 'inner: root is /dev/vda' 90
	vm_expect 'inner: all files are right' 60
	vm_expect_end 0
	check_ext4 /tmp/disk
	mount -o ro,loop /tmp/disk /mnt || fail 'cannot mount the image afterwards'
	(cd /mnt/work && sha256sum -c sums >/run/sums.log 2>&1) || {
		grep -v ': OK$' /run/sums.log
		fail 'what the guest wrote is not in the image'
	}
	[ "$(wc -l </mnt/work/sums)" -eq 41 ] || fail 'files are missing'
	pass
}

inner_main() {
	load_modules
	wait_for 10 test -b /dev/vda || give_up 'no disk'
	mkdir /newroot
	mount -t ext4 /dev/vda /newroot || give_up 'cannot mount it'
	umount /proc /sys
	mount -o move /dev /newroot/dev
	exec switch_root /newroot /bin/sh -c '. /lab/both.sh; . /lab/lib.sh; . /lab/case.sh; on_root'
}

on_root() {
	mount -t proc proc /proc
	mount -t sysfs sys /sys
	grep -q '^/dev/vda / ext4 rw' /proc/mounts && say 'root is /dev/vda'
	mkdir /work
	cd /work || give_up 'no directory'
	for round in 1 2 3 4; do
		for i in 0 1 2 3 4 5 6 7 8 9; do
			dd if=/dev/urandom of="small$round$i" bs=7001 count=$((i + 1)) 2>/dev/null &
		done
		wait
		sync
	done
	dd if=/dev/urandom of=large bs=1M count=48 2>/dev/null
	rm -rf /lib/modules
	sha256sum small* large >sums
	sync
	echo 3 >/proc/sys/vm/drop_caches
	sha256sum -c sums >/dev/null || give_up 'wrong data'
	mount -o remount,ro / || give_up 'cannot remount'
	say 'all files are right'
	power_off
}
