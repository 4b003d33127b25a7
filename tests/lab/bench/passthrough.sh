# shellcheck shell=sh disable=SC2034
# Instructions per random 4 KiB read of an NVMe disk, one request at a time with O_DIRECT in the
# guest: the disk passed to it, by us and by QEMU, and our virtio-blk on the same disk. 1 vCPU.

CASE_NEEDS='bzimage'
CASE_VMMS='vmm qemu'
CASE_OUTER_DEVICES=nvme
CASE_ICOUNT=1
CASE_TIMEOUT=400

# run_bench NAME COMMAND...: the VM writes its laps to its console.
run_bench() {
	bench_name=$1
	shift
	"$@" </dev/null 2>"$VM_ERR" | laps >/run/laps 2>"$VM_LOG"
	laps_figure nvme-random "$bench_name" 4K-read
	sed -n 's/.*\(exits .*)\); unclaimed.*/     '"$bench_name"': \1/p' "$VM_ERR"
}

outer() {
	wait_for 10 test -b /dev/nvme0n1 || fail 'no NVMe disk here'
	dd if=/dev/urandom of=/dev/nvme0n1 bs=1M count=64 2>/dev/null
	line='console=ttyS0 quiet panic=-1 mode=bench'
	run_bench vmm/virtio-blk vmm run -k /lab/bzimage -i /lab/initrd -m 256M -a "$line disk=vda" \
		--disk /dev/nvme0n1,direct --serial stdio --rng=off --stats
	pass_device 0
	run_bench vmm/vfio vmm run -k /lab/bzimage -i /lab/initrd -m 256M -a "$line disk=nvme0n1" \
		--vfio "$(passed 0)" --serial stdio --rng=off --stats
	case $LAB_VMMS in
	*qemu*)
		run_bench qemu/vfio qemu-system-x86_64 -M q35 -accel kvm -cpu host -nodefaults -no-user-config \
			-display none -m 256 -kernel /lab/bzimage -initrd /lab/initrd \
			-append "$line disk=nvme0n1" -serial stdio -device "vfio-pci,host=$(passed 0)"
		;;
	esac
	pass
}

inner_bench() {
	load_modules
	disk=/dev/$(sed -n 's/.*\bdisk=\([a-z0-9]*\).*/\1/p' /proc/cmdline)
	wait_for 10 test -b "$disk" || give_up 'no disk'
	blkread "$disk" random 200 || give_up 'cannot read'
	echo 'lap start 1'
	blkread "$disk" random 2000 || give_up 'cannot read'
	echo 'lap nvme-random 2000'
}
