# shellcheck shell=sh disable=SC2034
# Instructions from exec of the VMM to the first line of user space: the same kernel and
# initramfs, 1 vCPU, 256 MiB. The first run of each warms the outer machine up; the second counts.

CASE_NEEDS='bzimage vmlinux'
CASE_VMMS='vmm qemu kvmtool'
CASE_ICOUNT=1
CASE_TIMEOUT=500
CASE_INNER_MODULES=

# boot_once VMM KERNEL [TRANSPORT of virtio]: prints "TOTAL BUSY", in instructions.
# shellcheck disable=SC2016
boot_once() {
	stopwatch 'inner: user space reached' 120 sh -c '
		. /lab/settings
		. /lab/lib.sh
		VM_KERNEL=$2
		VM_TRANSPORT=${3-}
		vm_exec "$1"' sh "$@" 2>"$VM_ERR"
}

boot_bench() {
	boot_once "$@" >/dev/null || fail "$1 did not boot $2"
	figures=$(boot_once "$@") || fail "$1 did not boot $2 the second time"
	figure "boot/$1${3:+/$3}/$2" "${figures% *}" "instructions, ${figures#* } busy"
}

outer() {
	for vmm in $LAB_VMMS; do
		boot_bench "$vmm" bzimage
		[ "$vmm" = kvmtool ] || boot_bench "$vmm" vmlinux
		[ "$vmm" != vmm ] || {
			boot_bench vmm bzimage mmio
			boot_bench vmm vmlinux mmio
		}
	done
	pass
}

inner_main() {
	:
}
