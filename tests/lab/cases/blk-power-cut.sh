# shellcheck shell=sh disable=SC2034
# The VMM is killed while the guest writes, at any moment, three times over. What the guest has flushed
# is in the image, and the file system comes up again.

CASE_NEEDS='bzimage ext4'
CASE_OUTER_MODULES=loop
CASE_TIMEOUT=400

# power_cut ROUND: what has been flushed, in this round and those before, must be there.
power_cut() {
	vm_start 120
	vm_expect 'inner: flushed [0-9a-f]*-6 ' 90
	late=$(($(od -An -N 2 -t u2 /dev/urandom) * 2500000 / 65536))
	usleep "$late"
	vm_kill
	# Whole lines only: the last one may have been cut with the power.
	sed -n 's/^inner: flushed \([0-9a-f]*-[0-9]*\) \([0-9a-f]\{64\}\)\r$/\2  \1/p' "$VM_LOG" >>/run/sums
	count=$(wc -l </run/sums)
	[ "$count" -ge $((6 * $1)) ] || fail "only $count files in the list"
	echo "round $1: killed $late us later, $count files flushed so far"
	check_ext4 /tmp/disk 1
	mount -o loop /tmp/disk /mnt || fail 'cannot mount the image afterwards'
	(cd /mnt && sha256sum -c /run/sums >/run/sums.log 2>&1) || {
		grep -v ': OK$' /run/sums.log
		fail 'what was flushed is not in the image'
	}
	umount /mnt
}

outer() {
	truncate -s 128M /tmp/disk
	mkfs.ext4 -q /tmp/disk || fail 'mkfs.ext4'
	VM_DISKS=/tmp/disk
	: >/run/sums
	for round in 1 2 3; do
		power_cut "$round"
	done
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
	boot=$(od -An -N 4 -t x4 /dev/urandom | tr -d ' ')
	while [ "$i" -lt 400 ]; do
		i=$((i + 1))
		dd if=/dev/urandom of="/d/$boot-$i" bs=9001 count=3 conv=fsync 2>/dev/null
		say "flushed $boot-$i $(sha256sum <"/d/$boot-$i" | cut -d' ' -f1)"
	done
}
