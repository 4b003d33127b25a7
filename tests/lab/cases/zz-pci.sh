# shellcheck shell=sh disable=SC2034
# The guests of tests/integration/guests on hardware KVM, where they also run natively.

CASE_NEEDS=guests
CASE_ONLY_VMM=1
CASE_TIMEOUT=240

outer() {
	for elf in /lab/irq.elf /lab/virtio-pci.elf /lab/virtio-rng.elf /lab/irq.elf; do
		name=$(basename "$elf" .elf)
		status=0
		timeout 100 /lab/it_guests "$elf" "$name" >"$VM_LOG" 2>"$VM_ERR" || status=$?
		# A guest that only other cases know of is none of the runner's.
		! grep -q "no such case" "$VM_LOG" || continue
		cat "$VM_LOG"
		[ "$status" -eq 0 ] || [ "$status" -eq 77 ] || fail "$name ended with status $status"
		echo "$name: $(grep -c ^PASS "$VM_LOG") passed"
	done
	pass
}
