# shellcheck shell=sh disable=SC2034
# Instructions for an exit to user space that a trivial device answers: through libvmm on its vCPU
# thread, and through a bare KVM_RUN loop. The median of ten rounds of 1,000 exits.

CASE_NEEDS=bench
CASE_VMMS=vmm
CASE_ICOUNT=1
CASE_TIMEOUT=200
CASE_INNER_MODULES=

outer() {
	bench_exit 10 1000 >/run/exit.out || fail 'bench_exit failed'
	cat /run/exit.out
	while read -r space _ bare _ libvmm _; do
		case $space in
		PIO* | MMIO*)
			figure "exit-$space/bare" "$bare" 'instructions'
			figure "exit-$space/vmm" "$libvmm" 'instructions'
			;;
		esac
	done </run/exit.out
	pass
}

inner_main() {
	:
}
