# shellcheck shell=sh disable=SC2034
# The shipped guest kernel: `vmm run` with no argument boots it, its shell obeys the console and the
# command line, its disk writes are in the image, and its crash is a status of the VMM's.

CASE_NEEDS=guest_kernel
CASE_ONLY_VMM=1
CASE_TIMEOUT=150

GK_RUN=''     # commands on the kernel's command line
GK_OPTIONS='' # of vmm

vm_exec_vmm() {
	[ "$GK_RUN" ] || exec vmm run
	# shellcheck disable=SC2086
	exec vmm run $GK_OPTIONS --cmdline "gk.run=\"$GK_RUN\""
}

# disk_byte OFFSET: that byte of the disk's image, in decimal.
disk_byte() {
	dd if=/run/disk.img bs=1 skip="$1" count=1 2>/dev/null | hexdump -e '1/1 "%d"'
}

# What the guest's `disk fill` writes: byte i is i * 7 + (i >> 8) + 1.
check_fill() {
	for i in 0 1 255 256 4095 4096 65535; do
		[ "$(disk_byte $((1048576 + i)))" -eq $(((i * 7 + (i >> 8) + 1) & 255)) ] ||
			fail "byte $i of the disk is $(disk_byte $((1048576 + i)))"
	done
	[ "$(dd if=/run/disk.img bs=1 skip=4095 count=5 2>/dev/null)" = hello ] ||
		fail 'the disk has no hello at 4095'
}

crash() {
	GK_OPTIONS='--net none' GK_RUN="crash $1"
	vm_start 30
	vm_expect "$2" 10
	vm_expect_end 7
	grep -q "$3" "$VM_LOG" || fail "no $3 in the back trace of a crash by $1"
}

outer() {
	vm_start 60
	vm_expect 'guest-kernel ready: 1 CPU,' 20
	vm_send 'echo typed it'
	vm_expect '^typed it' 10
	vm_send 'poweroff'
	vm_expect_end 0

	for cpus in 1 2 4; do
		dd if=/dev/zero of=/run/disk.img bs=1M count=4 2>/dev/null
		GK_OPTIONS="--cpus $cpus --memory 16M --disk /run/disk.img --balloon"
		GK_RUN='dev; selftest; ps; disk 0 fill 1M 64K; disk 0 write 4095 hello; sleep 20; poweroff'
		vm_start 60
		vm_expect "guest-kernel ready: $cpus CPU" 20
		vm_expect_end 0
		grep -q '^4 virtio devices, 0 without use; entropy from the device' "$VM_LOG" ||
			fail 'not all devices are in use'
		[ "$(grep -c 'idle/' "$VM_LOG")" -eq "$cpus" ] || fail "not $cpus CPUs"
		grep -q '^selftest: 0 failed' "$VM_LOG" || fail "$(grep '^FAIL' "$VM_LOG")"
		check_fill
	done

	crash panic 'panic: as the shell was told' 'cmd_crash + 0x'
	crash null 'null pointer at address 0x0' 'cmd_crash + 0x'
	crash stack 'stack overflow at address' 'crash_stack + 0x'
	crash idle 'stack overflow at address 0xffffffff80' 'sched_timer + 0x'
	crash text 'write to read-only memory at address 0xffffffff80' 'crash_text + 0x'
	crash exec 'execution of data at address 0xffffffff80' 'crash_exec + 0x'

	GK_OPTIONS='--memory 3M' GK_RUN='poweroff'
	vm_start 30
	vm_expect 'too little memory: 2\.6 MiB; it needs 16 MiB' 10
	vm_expect_end 7
	pass
}
