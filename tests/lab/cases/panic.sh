# shellcheck shell=sh disable=SC2034
# The guest's kernel panics, and reports it through the pvpanic device.

CASE_ONLY_VMM=1

outer() {
	vm_start 90
	vm_expect 'inner: panics' 80
	vm_expect_end 7
	grep -q 'sysrq triggered crash' "$VM_LOG" || fail 'no panic message on the console'
	pass
}

inner_main() {
	load_modules
	[ -e /sys/bus/platform/drivers/pvpanic-mmio/QEMU0001:00 ] || give_up 'no pvpanic device'
	say panics
	echo c >/proc/sysrq-trigger
	sleep 60
}
