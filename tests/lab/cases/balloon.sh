# shellcheck shell=sh disable=SC2034
# Memory that the guest gives back returns to the host: by free page reporting, and by the balloon.

CASE_ONLY_VMM=1
CASE_TIMEOUT=300

# rss_falls_below MIB SECS
rss_falls_below() {
	left=$(($2 * 5))
	until [ "$(vm_memory VmRSS)" -lt $(($1 * 1024)) ]; do
		[ "$left" -gt 0 ] || fail "the VMM still has $(vm_memory VmRSS) KiB, not less than $1 MiB"
		left=$((left - 1))
		usleep 200000
	done
}

free_mib() {
	awk '$1 == "MemFree:" { print int($2 / 1024) }' /proc/meminfo
}

is_back() {
	[ "$(free_mib)" -gt $((free_before + 200)) ]
}

outer() {
	VM_MEMORY=512M
	VM_BALLOON=0
	VM_APPEND=mode=reporting
	vm_start 90
	vm_expect 'inner: filled' 80
	full=$(vm_memory VmRSS)
	free_before=$(free_mib)
	[ "$full" -gt $((300 * 1024)) ] || fail "only $full KiB in use with 256 MiB filled"
	vm_send empty
	vm_expect 'inner: emptied' 10
	rss_falls_below $((full / 1024 - 200)) 30
	# Not only unmapped: the host has it back.
	wait_for 30 is_back || fail 'the memory is still with the VM'
	figure balloon/reported $((full - $(vm_memory VmRSS))) KiB
	vm_send end
	vm_expect 'inner: memory is right' 100
	vm_expect_end 0

	VM_BALLOON=320M
	VM_APPEND=mode=inflated
	vm_start 90
	vm_expect 'inner: balloon is up' 80
	rss_falls_below 250 20
	vm_expect_end 0
	pass
}

inner_reporting() {
	load_modules
	mkdir /fill
	mount -t tmpfs -o size=400m fill /fill
	dd if=/dev/zero of=/fill/f bs=1M count=256 2>/dev/null
	say filled
	read -r _
	rm /fill/f
	say emptied
	read -r _
	# What was given back can be used again.
	dd if=/dev/urandom of=/fill/r bs=1M count=8 2>/dev/null
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		cp /fill/r "/fill/$i"
	done
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		cmp /fill/r "/fill/$i" || give_up 'memory changed'
	done
	say 'memory is right'
}

little_is_free() {
	awk '$1 == "MemFree:" { free = $2 } END { exit free >= 140000 }' /proc/meminfo
}

# All but 192 MiB is given up.
inner_inflated() {
	load_modules
	wait_for 30 little_is_free || give_up "free: $(grep MemFree /proc/meminfo)"
	say 'balloon is up'
	sleep 3
}
