# shellcheck shell=sh disable=SC2034
# Debian's kernel as an ELF file, entered by the 64-bit Linux protocol instead of PVH, reaches user
# space with 2 vCPUs and powers off.

CASE_NEEDS='vmlinux'
CASE_ONLY_VMM=1

outer() {
	VM_KERNEL=vmlinux
	VM_CPUS=2
	VM_EXTRA='--protocol linux64'
	vm_start 100
	vm_expect 'inner: user space reached' 90
	vm_expect 'inner: cpus 2' 10
	vm_expect 'inner: loaded as Linux' 5
	vm_expect_end 0
	pass
}

inner_main() {
	say "cpus $(nproc)"
	# 0xff, the loader without a number of its own; entered through PVH it would be 0xb0.
	[ "$(cat /proc/sys/kernel/bootloader_type)" -eq 255 ] && say 'loaded as Linux'
}
