# shellcheck shell=sh disable=SC2034
# A vCPU that halts without leaving the guest (--idle guest): KVM sees nothing of two seconds of sleep,
# timers and the power button still wake it, and a reset keeps it so, in the sandbox. Without the option
# KVM sees it halt.

CASE_TIMEOUT=240
CASE_ONLY_VMM=1

# halted: of the VM's time, in percent, as KVM counts it.
halted() {
	sed -n 's/^profile: .* halted \([0-9.]*\)%,.*/\1/p' "$VM_ERR"
}

outer() {
	truncate -s 16M /tmp/disk
	VM_DISKS=/tmp/disk
	VM_EXTRA='--profile --idle guest'
	vm_start 120
	vm_expect 'inner: boot 1' 80
	vm_expect 'inner: boot 2' 60
	vm_expect 'inner: listens' 20
	sleep 1
	kill -TERM "$VM_PID"
	vm_expect 'inner: the button was pressed' 20
	vm_expect_end 0
	[ "$(halted)" = 0.00 ] || fail "KVM saw it halt for $(halted) % of the time"

	VM_EXTRA=--profile
	VM_APPEND=mode=sleeps
	vm_start 100
	vm_expect 'inner: slept' 90
	vm_expect_end 0
	halted | grep -q '^0.00$' && fail 'KVM did not see it halt'
	halted | grep -q '^[0-9]' || fail 'there is no profile'
	pass
}

inner_main() {
	load_modules
	wait_for 10 test -b /dev/vda || give_up 'no disk'
	count=$(count_boot /dev/vda)
	sleep 2
	say "boot $count"
	[ "$count" -gt 1 ] || reset_by acpi
	hear_button
}

inner_sleeps() {
	sleep 2
	say slept
}
