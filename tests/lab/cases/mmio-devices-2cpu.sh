# shellcheck shell=sh disable=SC2034
# As pci-devices-2cpu, over mmio.

CASE_NEEDS=vmlinux
CASE_ONLY_VMM=1
CASE_TIMEOUT=200

outer() {
	VM_KERNEL=vmlinux
	VM_CPUS=2
	VM_TRANSPORT=mmio
	every_device
}

inner_main() {
	mmio_devices 2
}
