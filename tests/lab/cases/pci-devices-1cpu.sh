# shellcheck shell=sh disable=SC2034
# Every virtio device on PCI, the default, 1 vCPU: Debian's drivers find them, use them, and get their
# interrupts by MSI-X.

CASE_ONLY_VMM=1
CASE_TIMEOUT=200

outer() {
	every_device
}

inner_main() {
	pci_devices 1
}
