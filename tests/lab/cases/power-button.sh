# shellcheck shell=sh disable=SC2034
# SIGTERM presses the power button: the guest hears it and powers off. A guest that does not care
# is stopped when the time for it is over.

CASE_ONLY_VMM=1
CASE_TIMEOUT=200

outer() {
	VM_APPEND=mode=obeys
	vm_start 90
	vm_expect 'inner: listens' 80
	kill -TERM "$VM_PID"
	vm_expect 'inner: the button was pressed' 15
	vm_expect_end 0

	VM_APPEND=mode=ignores
	VM_EXTRA='--stop-timeout 3'
	vm_start 90
	vm_expect 'inner: does not listen' 80
	before=$(now)
	kill -TERM "$VM_PID"
	vm_expect_end 8
	took=$((($(now) - before) / 1000000))
	[ "$took" -ge 2500 ] || fail "it was stopped after $took ms, not 3 s"
	pass
}

inner_obeys() {
	load_modules
	hear_button
}

inner_ignores() {
	say 'does not listen'
	sleep 60
}
