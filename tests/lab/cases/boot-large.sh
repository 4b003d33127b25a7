# shellcheck shell=sh disable=SC2034
# Memory on both sides of the 32-bit hole and more vCPUs than the machine below has: the guest
# finds all of it, and what it writes everywhere is what it reads.

CASE_OUTER_MEMORY=6144
CASE_TIMEOUT=200

outer() {
	VM_MEMORY=5120M
	VM_CPUS=4
	vm_start 150
	vm_expect 'inner: user space reached' 120
	vm_expect 'inner: cpus 4' 10
	vm_expect 'inner: memory is right' 60
	vm_expect_end 0
	pass
}

inner_main() {
	say "cpus $(nproc)"
	# Of 5 GiB, less what the kernel keeps.
	awk '$1 == "MemTotal:" { total = $2 } END { exit total < 4950000 || total > 5242880 }' /proc/meminfo ||
		give_up "$(head -n 1 /proc/meminfo)"
	grep -qi '^ *100000000-17fffffff : System RAM' /proc/iomem || give_up 'no RAM above 4 GiB'
	# The kernel hands out high memory first.
	mkdir /fill
	mount -t tmpfs -o size=600m fill /fill
	dd if=/dev/urandom of=/fill/a bs=1M count=24 2>/dev/null
	for copy in 1 2 3 4 5 6 7 8 9 10 11 12; do
		cp /fill/a "/fill/$copy"
	done
	for copy in 1 2 3 4 5 6 7 8 9 10 11 12; do
		cmp /fill/a "/fill/$copy" || give_up 'memory changed'
	done
	say 'memory is right'
}
