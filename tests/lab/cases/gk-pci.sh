# shellcheck shell=sh disable=SC2034
# The shipped guest kernel drives virtio over PCI: it finds its disk, entropy source and balloon on
# the bus that the device tree names; what it writes is in the image. Two disks, to tell them apart.

CASE_NEEDS=guest_kernel
CASE_ONLY_VMM=1
CASE_TIMEOUT=120

vm_exec_vmm() {
	# shellcheck disable=SC2086
	exec vmm run --transport pci $GK_OPTIONS --cmdline "gk.run=\"$GK_RUN\""
}

outer() {
	for cpus in 1 2; do
		dd if=/dev/zero of=/run/disk.img bs=1M count=4 2>/dev/null
		dd if=/dev/zero of=/run/other.img bs=1M count=2 2>/dev/null
		GK_OPTIONS="--cpus $cpus --memory 16M --disk /run/disk.img --disk /run/other.img --balloon"
		GK_RUN='dev; disk 0 fill 1M 64K; disk 0 write 4095 hello; disk 1 write 512 other; sleep 20; poweroff'
		vm_start 60
		vm_expect "guest-kernel ready: $cpus CPU" 20
		vm_expect_end 0
		grep -q '^5 virtio devices, 0 without use; entropy from the device' "$VM_LOG" ||
			fail 'not all devices are in use'
		[ "$(dd if=/run/disk.img bs=1 skip=4095 count=5 2>/dev/null)" = hello ] ||
			fail 'the first disk has no hello'
		[ "$(dd if=/run/other.img bs=1 skip=512 count=5 2>/dev/null)" = other ] ||
			fail 'the second disk has no other'
		# Byte i of what was filled is i * 7 + (i >> 8) + 1.
		[ "$(dd if=/run/disk.img bs=1 skip=1048831 count=1 2>/dev/null | hexdump -e '1/1 "%d"')" -eq 250 ] ||
			fail 'the disk was not filled'
	done
	pass
}
