# shellcheck shell=sh disable=SC2034
# The VMM is killed while the guest writes. What the guest has flushed is in the image, and the
# file system comes up again.

CASE_NEEDS='bzimage ext4'
CASE_OUTER_MODULES=loop
CASE_TIMEOUT=200

outer() {
	truncate -s 128M /tmp/disk
	mkfs.ext4 -q /tmp/disk || fail 'mkfs.ext4'
	VM_DISKS=/tmp/disk
	vm_start 120
	vm_expect 'inner: flushed file21 ' 90
	vm_kill
	# Whole lines only: the last one may have been cut with the power.
	sed -n 's/^inner: flushed \(file[0-9]*\) \([0-9a-f]\{64\}\)\r$/\2  \1/p' "$VM_LOG" >/run/sums
	count=$(wc -l </run/sums)
	[ "$count" -ge 20 ] || fail "only $count files in the list"
	check_ext4 /tmp/disk 1
	mount -o ro,loop /tmp/disk /mnt || fail 'cannot mount the image afterwards'
	(cd /mnt && sha256sum -c /run/sums >/run/sums.log 2>&1) || {
		grep -v ': OK$' /run/sums.log
		fail 'what was flushed is not in the image'
	}
	figure power-cut/flushed "$count" files
	pass
}

inner_main() {
	load_modules
	wait_for 10 test -b /dev/vda || give_up 'no disk'
	mkdir /d
	mount -t ext4 /dev/vda /d || give_up 'cannot mount it'
	# Others write all the time, and flush nothing.
	while :; do
		dd if=/dev/urandom of=/d/noise bs=64k count=200 2>/dev/null
		rm /d/noise
	done &
	i=0
	while [ "$i" -lt 400 ]; do
		i=$((i + 1))
		dd if=/dev/urandom of="/d/file$i" bs=9001 count=3 conv=fsync 2>/dev/null
		say "flushed file$i $(sha256sum <"/d/file$i" | cut -d' ' -f1)"
	done
}
