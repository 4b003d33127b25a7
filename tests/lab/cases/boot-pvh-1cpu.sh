# shellcheck shell=sh disable=SC2034
# Debian's kernel, its ELF file entered through PVH, reaches user space with 1 vCPU and powers off.

CASE_NEEDS='vmlinux'

outer() {
	VM_KERNEL=vmlinux
	VM_CPUS=1
	vm_start 100
	vm_expect 'inner: user space reached' 90
	vm_expect 'inner: cpus 1 ' 10
	vm_expect 'inner: memory is right' 5
	vm_expect_end 0
	pass
}

inner_main() {
	say "cpus $(nproc) clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
	# Less the kernel's own: 256 MiB of RAM leave about 200 MiB or more.
	awk '$1 == "MemTotal:" && $2 > 190000 && $2 < 262144 { print "inner: memory is right" }' /proc/meminfo
}
