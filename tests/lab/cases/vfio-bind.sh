# shellcheck shell=sh disable=SC2034
# What the host uses is taken only after a question: a disk with a mounted file system, with swap
# space, a card with the default route. 'No' leaves it alone, without a terminal nobody is asked.
# A user without rights is told which, and so is one whose memory may not be locked.

CASE_ONLY_VMM=1
CASE_NEEDS='bzimage ext4'
CASE_OUTER_DEVICES='nvme virtio-net'
CASE_TIMEOUT=120

# asked ANSWER ADDRESS WHY STATUS: bind on a terminal asks with that reason, and ends so.
asked() {
	status=0
	(sleep 1; echo "$1"; sleep 1) | onpty vmm vfio bind "$2" >"$VM_LOG" 2>&1 || status=$?
	grep -q "$3. Take it all the same? \[y/N\]" "$VM_LOG" || fail "no question about $3"
	[ "$status" -eq "$4" ] || fail "answer $1 about $3: status $status"
}

# refused ADDRESS WHY: without a terminal.
refused() {
	vmm vfio bind "$1" </dev/null >"$VM_LOG" 2>"$VM_ERR" && fail "$1 was taken"
	grep -q "$2; left alone (--force takes it)" "$VM_ERR" || fail "'$2' is not said of $1"
}

# as_user LIMIT COMMAND...: as user 1000, with so many KiB that may be locked.
as_user() {
	(
		# shellcheck disable=SC3045 # busybox has it
		ulimit -l "$1"
		shift
		su user -s /bin/sh -c "$*" </dev/null >"$VM_LOG" 2>"$VM_ERR"
	)
}

# no_right WHAT FILE: $run fails for want of the right to FILE, which the user gets then.
no_right() {
	as_user 1048576 "$run" && fail "a user without the right to $2 has the device"
	grep -q "$1 (as root: chown .* $2)" "$VM_ERR" || fail "the right to $2 is not named"
	chown user "$2"
}

# doctor_says TEXT: `vmm doctor` of passthrough, as the user.
doctor_says() {
	as_user 1048576 'vmm doctor'
	grep -A1 passthrough "$VM_LOG" | grep -q -e "$1" || fail "vmm doctor does not say '$1'"
}

driver_of() {
	basename "$(readlink "/sys/bus/pci/devices/$1/driver")"
}

outer() {
	wait_for 10 test -b /dev/nvme0n1 || fail 'no NVMe disk here'
	disk=$(passed 0)
	card=$(passed 1)
	mkfs.ext4 -q /dev/nvme0n1 || fail mkfs
	mount /dev/nvme0n1 /mnt || fail mount
	refused "$disk" 'nvme0n1 is mounted at /mnt'
	asked n "$disk" 'nvme0n1 is mounted at /mnt' 1
	[ "$(driver_of "$disk")" = nvme ] || fail 'No was not heard'
	umount /mnt
	mkswap /dev/nvme0n1 >/dev/null || fail mkswap
	swapon /dev/nvme0n1 || fail swapon
	refused "$disk" 'nvme0n1 is swap space'
	swapoff /dev/nvme0n1
	ip address add 10.9.0.1/24 dev eth0
	ip link set eth0 up
	ip route add default via 10.9.0.2 dev eth0 || fail 'no route'
	refused "$card" 'the default route goes over eth0'
	asked n "$card" 'the default route goes over eth0' 1
	[ "$(driver_of "$card")" = virtio-pci ] || fail 'No was not heard'
	asked y "$card" 'the default route goes over eth0' 0
	[ "$(driver_of "$card")" = vfio-pci ] || fail 'Yes was not heard'
	pass_device 0
	vmm vfio unbind 0000:7f:00.0 2>"$VM_ERR" && fail 'a device that is not there was unbound'
	grep -q 'no such PCI device' "$VM_ERR" || fail 'it is not said'

	# As a user: the rights, then the memory, then it can be.
	echo 'user:x:1000:1000::/:/bin/sh' >>/etc/passwd
	echo 'user:x:1000:' >>/etc/group
	chmod 666 /dev/kvm
	run="vmm run --kernel /lab/bzimage --memory 128M --vfio $disk --dry-run"
	device=/sys/bus/pci/devices/$disk
	if [ -e /dev/vfio/vfio ]; then
		chmod 666 /dev/vfio/vfio
		doctor_says 'by groups; no iommufd'
		no_right "no right to the group of $disk" "/dev/vfio/$(basename "$(readlink "$device/iommu_group")")"
	else
		doctor_says 'for iommufd, as root: chown .* /dev/iommu'
		no_right 'no right to it' /dev/iommu
		doctor_says 'through iommufd$'
		no_right 'no right to it' "/dev/vfio/devices/$(basename "$device"/vfio-dev/*)"
	fi
	as_user 65536 "$run" && fail 'more memory was locked than may be'
	grep -q 'needs all 131072 KiB of guest memory locked, but the limit is 65536 KiB: ulimit -l 131072' "$VM_ERR" ||
		fail 'the figure is not named'
	as_user 131072 "$run" || fail 'a user with rights is refused'
	pass
}
