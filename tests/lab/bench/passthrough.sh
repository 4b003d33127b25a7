# shellcheck shell=sh disable=SC2034
# Instructions per random 4 KiB read of an NVMe disk, one request at a time with O_DIRECT in the
# guest: the disk passed to it, by us and by QEMU, and our virtio-blk, on PCI, on the same disk. 1 vCPU.
# Something else runs in the guest while it waits. And for a nap of a millisecond, in which the guest
# halts: once as both VMMs are by default, once with the vCPU left alone when it halts. With the disk
# passed, the exits to the VMM are those of the boot: the reads add none. Each VM is in a machine of its own,
# several times with other seeds.

CASE_NEEDS='bzimage'
CASE_VMMS='vmm qemu'
CASE_OUTER_DEVICES=nvme-zero
CASE_OUTER_CPU=invtsc
CASE_ICOUNT=1
CASE_COUNT=1
CASE_PARTS='vmm-virtio-blk vmm-vfio qemu-vfio qemu-vfio-invtsc vmm-vfio-idle-guest qemu-vfio-cpu-pm'
CASE_RUNS=5
CASE_TIMEOUT=300

READS=3000
NAPS=600
LINE='console=ttyS0 quiet panic=-1 mode=bench'

# run_bench NAME COMMAND...: the VM reads, and naps.
run_bench() {
	bench_name=$1
	shift
	"$@" </dev/null >"$VM_LOG" 2>"$VM_ERR"
	grep -q '^inner: read' "$VM_LOG" || fail "$bench_name did not read"
	sed -n "s|^inner: clock |$bench_name has the clock |p" "$VM_LOG"
	soaked "nvme-random/$bench_name" "$READS" 4K-read
	counted "naps/$bench_name" "$NAPS" nap
}

# run_vmm NAME DISK OPTION...
run_vmm() {
	run_name=$1 run_disk=$2
	shift 2
	run_bench "vmm/$run_name" vmm run -k /lab/bzimage -i /lab/initrd -m 256M \
		-a "$LINE disk=$run_disk reads=$READS naps=$NAPS" --serial stdio --rng=off "$@"
}

# run_qemu NAME OPTION...
run_qemu() {
	run_name=$1
	shift
	run_bench "qemu/$run_name" qemu-system-x86_64 -M q35 -accel kvm -nodefaults -no-user-config \
		-display none -m 256 -kernel /lab/bzimage -initrd /lab/initrd \
		-append "$LINE disk=nvme0n1 reads=$READS naps=$NAPS" -serial stdio \
		-device "vfio-pci,host=$(passed 0)" "$@"
}

outer() {
	# Its 64 interrupts a second bring what #VMEXIT loses of the disk's, which another thread raises.
	echo +86000 >/sys/class/rtc/rtc0/wakealarm || echo 'outer: no alarm'
	# It would work in whatever is measured when it wakes up.
	echo 1000000000 >/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs
	wait_for 10 test -b /dev/nvme0n1 || fail 'no NVMe disk here'
	part=${LAB_PART#*-}
	[ "$part" = virtio-blk ] || pass_device 0
	case $LAB_PART in
	vmm-virtio-blk) run_vmm "$part" vda --disk /dev/nvme0n1,direct ;;
	vmm-vfio)
		run_vmm "$part" nvme0n1 --vfio "$(passed 0)" --profile
		exits=$(sed -n 's/^profile: .*; \([0-9]*\) exits to the VMM$/\1/p' "$VM_ERR")
		[ "$exits" ] || fail 'there is no profile'
		figure nvme-exits/vmm/vfio "$exits" "exits to the VMM, from boot to power-off, with $READS reads"
		[ "$exits" -lt 2500 ] || fail 'the reads made exits'
		;;
	qemu-vfio) run_qemu "$part" -cpu host ;;
	qemu-vfio-invtsc) run_qemu "$part" -cpu host,+invtsc ;;
	vmm-vfio-idle-guest) run_vmm "$part" nvme0n1 --vfio "$(passed 0)" --idle guest ;;
	qemu-vfio-cpu-pm) run_qemu "$part" -cpu host -overcommit cpu-pm=on ;;
	*) fail "no part $LAB_PART" ;;
	esac
	pass
}

inner_bench() {
	load_modules
	disk=/dev/$(sed -n 's/.*\bdisk=\([a-z0-9]*\).*/\1/p' /proc/cmdline)
	reads=$(sed -n 's/.*\breads=\([0-9]*\).*/\1/p' /proc/cmdline)
	naps=$(sed -n 's/.*\bnaps=\([0-9]*\).*/\1/p' /proc/cmdline)
	wait_for 10 test -b "$disk" || give_up 'no disk'
	say "clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
	blksoak "$disk" "$reads" || give_up 'cannot read'
	naps "$naps" || give_up 'cannot sleep'
	say read
}
