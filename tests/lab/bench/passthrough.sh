# shellcheck shell=sh disable=SC2034
# Instructions per random 4 KiB read of an NVMe disk, one request at a time with O_DIRECT in the
# guest: the disk passed to it, by us and by QEMU, and our virtio-blk, on PCI, on the same disk. 1 vCPU. The
# disk needs no file; how soon it answers (with zeroes) is the emulator's doing and varies, so the
# guest never idles, and what it does meanwhile is taken off (blksoak). With the disk passed, the exits
# to the VMM are those of the boot: fewer than one for five reads.

CASE_NEEDS='bzimage'
CASE_VMMS='vmm qemu'
CASE_OUTER_DEVICES=nvme-zero
CASE_ICOUNT=1
CASE_TIMEOUT=110

LINE='console=ttyS0 quiet panic=-1 mode=bench'

# run_bench NAME COMMAND...: the VM says what a read cost.
run_bench() {
	bench_name=$1
	shift
	"$@" </dev/null >"$VM_LOG" 2>"$VM_ERR"
	cost=$(sed -n 's/^cost \([0-9]*\).*/\1/p' "$VM_LOG")
	[ "$cost" ] || fail "$bench_name read nothing"
	figure "nvme-random/$bench_name" "$cost" 'instructions per 4K-read'
}

outer() {
	wait_for 10 test -b /dev/nvme0n1 || fail 'no NVMe disk here'
	run_bench vmm/virtio-blk vmm run -k /lab/bzimage -i /lab/initrd -m 256M \
		-a "$LINE disk=vda count=2000" --disk /dev/nvme0n1,direct --serial stdio --rng=off
	pass_device 0
	run_bench vmm/vfio vmm run -k /lab/bzimage -i /lab/initrd -m 256M \
		-a "$LINE disk=nvme0n1 count=10000" --vfio "$(passed 0)" --serial stdio --rng=off --profile
	exits=$(sed -n 's/^profile: .*; \([0-9]*\) exits to the VMM$/\1/p' "$VM_ERR")
	[ "$exits" ] || fail 'there is no profile'
	figure nvme-exits/vmm/vfio "$exits" 'exits to the VMM, from boot to power-off, with 10000 reads'
	[ "$exits" -lt 2000 ] || fail 'the reads made exits'
	case $LAB_VMMS in
	*qemu*)
		run_bench qemu/vfio qemu-system-x86_64 -M q35 -accel kvm -cpu host -nodefaults -no-user-config \
			-display none -m 256 -kernel /lab/bzimage -initrd /lab/initrd \
			-append "$LINE disk=nvme0n1 count=10000" -serial stdio \
			-device "vfio-pci,host=$(passed 0)"
		;;
	esac
	pass
}

inner_bench() {
	load_modules
	disk=/dev/$(sed -n 's/.*\bdisk=\([a-z0-9]*\).*/\1/p' /proc/cmdline)
	count=$(sed -n 's/.*\bcount=\([0-9]*\).*/\1/p' /proc/cmdline)
	wait_for 10 test -b "$disk" || give_up 'no disk'
	blksoak "$disk" "$count" || give_up 'cannot read'
}
