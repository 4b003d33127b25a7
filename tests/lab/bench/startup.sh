# shellcheck shell=sh disable=SC2034
# Instructions from exec of the VMM to the guest's first (a byte to COM1), and to the end of the
# process: libvmm (bench/embed.c) and vmm beside a bare program and the other VMMs. 128 MiB, one
# vCPU, irqchip. The third run of each counts: the first two warm the outer machine up.

CASE_NEEDS=bench
CASE_VMMS='vmm qemu kvmtool'
CASE_ICOUNT=1
CASE_TIMEOUT=200
CASE_INNER_MODULES=

# measure NAME COMMAND...
measure() {
	name=$1
	shift
	for round in 1 2 3; do
		first=$(stopwatch '!' 20 "$@" 2>/run/start.err) || fail "$name: no sign of the guest"
		whole=$(stopwatch '' 20 "$@" 2>/run/start.err) || fail "$name did not end"
	done
	figure "first/$name" "${first% *}" "instructions, ${first#* } busy"
	figure "end/$name" "${whole% *}" "instructions, ${whole#* } busy"
}

outer() {
	bench_embed /run/start.elf
	printf '\272\370\003\260\041\356\061\300\346\364\260\376\346\144\372\364\353\375' >/run/start.bin
	measure bare bench_bare
	measure bare-cpuid bench_bare cpuid
	measure vmm/libvmm bench_embed
	for vmm in $LAB_VMMS; do
		case $vmm in
		vmm)
			set -- vmm run --kernel /run/start.elf --memory 128M --serial stdio
			measure vmm/run "$@" --sandbox off
			measure vmm/run-sandboxed "$@"
			;;
		qemu)
			measure qemu qemu-system-x86_64 -M microvm,accel=kvm,rtc=off,pic=off,pit=off \
				-m 128 -smp 1 -nodefaults -no-user-config -display none -serial stdio \
				-device isa-debug-exit,iobase=0xf4 -no-reboot -kernel /run/start.elf
			;;
		kvmtool)
			measure kvmtool lkvm run --kernel /run/start.bin --mem 128 --cpus 1 --nodefaults
			;;
		esac
	done
	pass
}

inner_main() {
	:
}
