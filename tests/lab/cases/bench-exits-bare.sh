# shellcheck shell=sh disable=SC2034,SC2015
# What vmm bench exits measures is what a bare KVM program measures whose guest is the same, within
# 5 %, in instructions. The switch between guest and host, most of an exit's time on hardware, is one
# instruction here, so that what a VMM adds shows larger than it is there.

CASE_ONLY_VMM=1
CASE_NEEDS=bench
CASE_ICOUNT=1
CASE_TIMEOUT=150
CASE_INNER_MODULES=

outer() {
	bench_bare_exit 300 >/run/bare 2>"$VM_ERR" || fail 'the bare program failed'
	vmm bench exits -n 300 --warm-up 100 --cpl 0 --csv "$VM_LOG" \
		pio-in-user pio-out-user mmio-read mmio-write >/dev/null 2>"$VM_ERR" ||
		fail "vmm bench exits ended with status $?"
	for name in pio-in-user pio-out-user mmio-read mmio-write; do
		bare=$(awk -v name="$name" '$1 == name { print $2 }' /run/bare)
		ours=$(awk -F, -v name="$name" '$1 == name { print $7 }' "$VM_LOG")
		[ "$ours" ] && [ "$bare" ] || fail "$name was not measured"
		figure "exits-$name/bare" "$bare" instructions
		figure "exits-$name/vmm" "$ours" instructions
		[ $((ours * 100)) -ge $((bare * 95)) ] && [ $((ours * 100)) -le $((bare * 105)) ] ||
			fail "$name takes $ours instructions, a bare program $bare"
	done
	pass
}
