# shellcheck shell=sh disable=SC2034
# As pci-devices-1cpu, with 2 vCPUs, entered by PVH.

CASE_NEEDS=vmlinux
CASE_ONLY_VMM=1
CASE_TIMEOUT=200

outer() {
	VM_KERNEL=vmlinux
	VM_CPUS=2
	every_device
}

inner_main() {
	pci_devices 2
}
