# shellcheck shell=sh disable=SC2034
# What `scripts/lab demo` and scripts/quickstart show: a Linux guest with a disk, a network card,
# a console and entropy. With LAB_DEMO=shell the guest ends in a shell.

CASE_NEEDS='vmlinux ext4'
CASE_OUTER_MODULES=loop

outer() {
	dmesg -n 1
	tap_up
	mkdir -p /tmp/files /tmp/www
	echo 'a file that the host put on the disk' >/tmp/files/hello
	truncate -s 32M /tmp/disk
	mkfs.ext4 -q -d /tmp/files /tmp/disk || fail 'mkfs.ext4'
	echo 'a page from the host' >/tmp/www/index.html
	httpd -p 10.9.0.1:80 -h /tmp/www
	VM_KERNEL=vmlinux
	VM_DISKS=/tmp/disk
	VM_TAP=tap0
	VM_RNG=1
	VM_HVC=1
	VM_SERIAL=none
	VM_EXTRA=--stats
	VM_APPEND="mode=demo demo=$LAB_DEMO"
	echo "==> the command, in a machine with KVM that QEMU emulates:"
	echo "    vmm run --kernel vmlinux --initrd initrd --disk disk.img \\"
	echo "        --net tap=tap0 --console stdio"
	started=$(now)
	(vm_exec "$LAB_VMM")
	status=$?
	echo "==> vmm ended with status $status after $((($(now) - started) / 1000000000)) s"
	[ "$status" -eq 0 ] || fail "vmm ended with status $status"
	[ "$LAB_DEMO" = shell ] || {
		mount -o ro,loop /tmp/disk /mnt || fail 'cannot mount the disk'
		grep -q 'a file that the guest wrote' /mnt/reply || fail 'the guest left no file on its disk'
		echo "==> on the disk afterwards: $(cat /mnt/reply)"
	}
	pass
}

inner_demo() {
	load_modules
	wait_for 10 test -c /dev/hvc0 || give_up 'no console'
	exec </dev/hvc0 >/dev/hvc0 2>&1
	echo
	echo "==> Linux $(uname -r) on $(nproc) CPU, $(awk '$1 == "MemTotal:" { print int($2 / 1024) }' /proc/meminfo) MiB, console /dev/hvc0"
	mkdir -p /mnt
	wait_for 10 test -b /dev/vda || give_up 'no disk'
	mount -t ext4 /dev/vda /mnt || give_up 'cannot mount the disk'
	echo "==> disk:     /dev/vda, $(($(cat /sys/block/vda/size) / 2048)) MiB of ext4, holds $(cat /mnt/hello)"
	echo 'a file that the guest wrote' >/mnt/reply
	net_up
	echo "==> network:  eth0 10.9.0.2, got $(wget -q -O - http://10.9.0.1/)"
	echo "==> entropy:  $(cat /sys/class/misc/hw_random/rng_current): $(head -c 16 /dev/hwrng | hexdump -v -e '/1 "%02x"')"
	if grep -q demo=shell /proc/cmdline; then
		echo '==> A shell in the guest. It ends with exit; Ctrl-A x ends the VMM at once.'
		cd / && HOME=/ PS1='guest# ' setsid cttyhack sh -i
	fi
	umount /mnt
}
