# shellcheck shell=sh
# Functions for the outer part of a case. Sourced by busybox sh in the outer machine.
# LAB_VMM, LAB_VMMS and LAB_VERBOSE come from /lab/settings.

VM_LOG=/run/vm.log       # what the VM wrote to its console
VM_ERR=/run/vm.err       # what the VMM itself said
VM_STDIN=/run/vm.stdin   # fifo: the VM's console input

# Ends the case.
verdict() {
	echo "LAB-VERDICT $*"
	sync
	poweroff -f
	sleep 60
}

pass() {
	verdict PASS
}

skip() {
	verdict SKIP "$*"
}

# Ends the case where what was seen is a known defect of the emulator's: it is run again, with other
# seeds, and fails where it ends so four times.
again() {
	verdict AGAIN "$*"
}

# Ends the case with what was seen.
fail() {
	if [ -s "$VM_LOG" ]; then
		echo '--- the VM wrote:'
		tail -n 60 "$VM_LOG"
	fi
	if [ -s "$VM_ERR" ]; then
		echo '--- the VMM said:'
		tail -n 30 "$VM_ERR"
	fi
	echo '--- the outer kernel said:'
	dmesg | tail -n 12
	verdict FAIL "$*"
}

# The case, for a VM with a device of each kind, which the inner part uses: all of them work.
every_device() {
	truncate -s 16M /tmp/disk
	tap_up
	stream listen 5001 receive 8 >/run/received &
	receiver=$!
	VM_DISKS=/tmp/disk
	VM_TAP=tap0
	VM_RNG=1
	VM_BALLOON=32M
	VM_EXTRA='--console file=/run/hvc'
	vm_start 150
	vm_expect 'inner: user space reached' 90
	vm_expect 'inner: devices are right' 60
	wait "$receiver" || fail 'what the guest sent is not right'
	vm_expect_end 0
	grep -q 'written to hvc0' /run/hvc || fail 'nothing on the console'
	[ "$(head -c 5 /tmp/disk)" = right ] || fail 'the disk has other data'
	pass
}

# figure NAME VALUE UNIT: a measured value for the log and the summary.
figure() {
	echo "LAB-FIGURE $*"
}

# counted NAME UNITS UNIT: what the emulator has counted next, between two marks of the guest's, is
# that of UNITS of it (CASE_COUNT). soaked: as blksoak does it, in two counts.
counted() {
	echo "LAB-COUNTED $*"
}

soaked() {
	echo "LAB-SOAKED $*"
}

# The VM to run, set by cases before vm_start:
VM_KERNEL=bzimage   # or vmlinux: the ELF file, entered through PVH
VM_CPUS=1
VM_MEMORY=256M
VM_DISKS=           # FILE or FILE,ro; several separated by spaces
VM_TAP=             # name of a TAP device
VM_MAC=52:54:00:12:34:56
VM_RNG=             # 1: an entropy source
VM_BALLOON=         # its size at the start, 0 for an empty one: a balloon
VM_HVC=             # 1: the virtio console is on standard input and output, ttyS0 is not
VM_APPEND=          # more for the kernel's command line; mode=NAME picks the inner function
VM_TRANSPORT=       # of virtio under vmm: mmio or pci; vmm's choice, which is PCI, if empty
VM_EXTRA=           # more options for vmm
VM_EXTRA_QEMU=      # more options for QEMU
VM_WRAP=            # a command that runs the VMM: onpty
VM_SERIAL=file=/run/vm.serial   # where vmm's ttyS0 goes when VM_HVC is set
VM_CONSOLE=ttyS0

vm_cmdline() {
	if [ "$LAB_VERBOSE" ]; then
		echo "console=$VM_CONSOLE panic=-1 $VM_APPEND"
	else
		echo "console=$VM_CONSOLE quiet panic=-1 $VM_APPEND"
	fi
}

# The command of each VMM, in words: vmm_words_X is run by vm_exec.
vm_exec_vmm() {
	set -- run --kernel "/lab/$VM_KERNEL" --initrd /lab/initrd --cmdline "$(vm_cmdline)" \
		--memory "$VM_MEMORY" --cpus "$VM_CPUS" ${VM_TRANSPORT:+--transport "$VM_TRANSPORT"}
	if [ "$VM_HVC" ]; then
		set -- "$@" --console stdio --serial "$VM_SERIAL"
	else
		set -- "$@" --serial stdio
	fi
	for disk in $VM_DISKS; do
		case $disk in
		*,ro) set -- "$@" --disk "${disk%,ro},readonly" ;;
		*) set -- "$@" --disk "$disk" ;;
		esac
	done
	[ -z "$VM_TAP" ] || set -- "$@" --net "tap=$VM_TAP,mac=$VM_MAC"
	[ "$VM_RNG" ] || set -- "$@" --rng=off
	[ -z "$VM_BALLOON" ] || set -- "$@" "--balloon=$VM_BALLOON"
	# shellcheck disable=SC2086
	exec $VM_WRAP vmm "$@" $VM_EXTRA
}

vm_exec_qemu() {
	set -- -M microvm,x-option-roms=off,pit=off,pic=off,isa-serial=on,rtc=on -accel kvm -cpu host \
		-nodefaults -no-user-config -display none -smp "$VM_CPUS" -m "$VM_MEMORY" \
		-kernel "/lab/$VM_KERNEL" -initrd /lab/initrd -append "$(vm_cmdline)"
	if [ "$VM_HVC" ]; then
		set -- "$@" -device virtio-serial-device -chardev stdio,id=hvc \
			-device virtconsole,chardev=hvc -serial file:/run/vm.serial
	else
		set -- "$@" -serial stdio
	fi
	n=0
	for disk in $VM_DISKS; do
		readonly=off
		[ "$disk" = "${disk%,ro}" ] || readonly=on
		set -- "$@" -drive "if=none,format=raw,id=d$n,file=${disk%%,*},readonly=$readonly" \
			-device "virtio-blk-device,drive=d$n"
		n=$((n + 1))
	done
	[ -z "$VM_TAP" ] || set -- "$@" -netdev "tap,id=n0,ifname=$VM_TAP,script=no,downscript=no" \
		-device "virtio-net-device,netdev=n0,mac=$VM_MAC"
	[ -z "$VM_RNG" ] || set -- "$@" -device virtio-rng-device
	[ -z "$VM_BALLOON" ] || set -- "$@" -device virtio-balloon-device,free-page-reporting=on
	# shellcheck disable=SC2086
	exec qemu-system-x86_64 "$@" $VM_EXTRA_QEMU
}

vm_exec_kvmtool() {
	# Without --nodefaults it forces noapic, noacpi and earlyprintk, which slow the boot.
	set -- run --nodefaults -k "/lab/$VM_KERNEL" -i /lab/initrd \
		-p "$(vm_cmdline) pci=conf1 reboot=k i8042.noaux=1" \
		-m "${VM_MEMORY%M}" -c "$VM_CPUS"
	if [ "$VM_HVC" ]; then
		set -- "$@" --console virtio
	else
		set -- "$@" --console serial
	fi
	for disk in $VM_DISKS; do
		set -- "$@" -d "$disk"
	done
	if [ "$VM_TAP" ]; then
		set -- "$@" -n "mode=tap,tapif=$VM_TAP,guest_mac=$VM_MAC"
	else
		set -- "$@" -n mode=none
	fi
	[ -z "$VM_RNG" ] || set -- "$@" --rng
	[ -z "$VM_BALLOON" ] || set -- "$@" --balloon
	exec lkvm "$@"
}

# Replaces this shell by the VMM $1, with the VM_* settings.
vm_exec() {
	"vm_exec_$1"
}

# vm_start [SECS]: starts the VM in the background, killed after SECS (default 60).
vm_start() {
	rm -f "$VM_STDIN"
	mkfifo "$VM_STDIN"
	exec 3<>"$VM_STDIN"
	: >"$VM_LOG"
	(vm_exec "$LAB_VMM") <"$VM_STDIN" >"$VM_LOG" 2>"$VM_ERR" 3>&- &
	VM_PID=$!
	(
		exec 3>&-
		sleep "${1:-60}"
		echo "outer: the VM ran into its limit of ${1:-60} s"
		kill -KILL "$VM_PID"
	) 2>/dev/null &
	VM_WATCH=$!
}

# vm_expect PATTERN SECS: waits for a line in the VM's console output, or fails the case.
vm_expect() {
	vm_expect_left=$(($2 * 5))
	until grep -q -e "$1" "$VM_LOG"; do
		[ "$vm_expect_left" -gt 0 ] || fail "no '$1' from the VM within $2 s"
		if ! kill -0 "$VM_PID" 2>/dev/null; then
			grep -q -e "$1" "$VM_LOG" && return
			wait "$VM_PID"
			fail "the VMM ended with status $? before the VM said '$1'"
		fi
		vm_expect_left=$((vm_expect_left - 1))
		usleep 200000
	done
}

# vm_send TEXT: a line of input to the VM's console.
vm_send() {
	echo "$1" >&3
}

# Waits until the VMM ends; its status is in VM_STATUS.
vm_wait() {
	wait "$VM_PID"
	VM_STATUS=$?
	kill "$VM_WATCH" 2>/dev/null
}

# vm_expect_end STATUS: the VMM must end by itself with this status.
vm_expect_end() {
	vm_wait
	[ "$VM_STATUS" -eq "$1" ] || fail "the VMM ended with status $VM_STATUS, not $1"
}

# laps_figure NAME VMM UNIT: the figure of that line in what `laps` wrote to /run/laps.
laps_figure() {
	read -r laps_count _ laps_busy <<END
$(awk -v name="$1" '$1 == name { print $2, $3, $4 }' /run/laps)
END
	[ "$laps_busy" ] || fail "$2 did not get as far as $1"
	figure "$1/$2" "$((laps_busy / laps_count))" "instructions per $3"
}

# tap_up: the TAP device tap0 with this machine's end of the network, 10.9.0.1.
tap_up() {
	tunctl -t tap0 >/dev/null || fail 'cannot make a TAP device'
	ip address add 10.9.0.1/24 dev tap0
	ip link set tap0 up
}

# vm_memory KEY: that line of the VMM's /proc/PID/status, in KiB.
vm_memory() {
	awk -v key="$1:" '$1 == key { print $2 }' "/proc/$VM_PID/status"
}

# check_ext4 IMAGE: replays the journal if need be; any damage fails the case.
check_ext4() {
	e2fsck -fy "$1" >/run/e2fsck.log 2>&1
	status=$?
	# 1: corrected. Only the journal's replay and what it leaves to settle may be.
	if [ "$status" -gt "${2:-0}" ]; then
		cat /run/e2fsck.log
		fail "e2fsck ends with status $status"
	fi
}

# Ends the VM without ceremony.
vm_kill() {
	kill -KILL "$VM_PID" 2>/dev/null
	vm_wait
}

# Passed devices of the outer machine: the Nth of CASE_OUTER_DEVICES, from 0, is at this address.
passed() {
	printf '0000:00:%02x.0' "$((16 + $1))"
}

# pass_device N: the Nth is bound to vfio-pci, and listed so.
pass_device() {
	vmm vfio bind "$(passed "$1")" 2>"$VM_ERR" || fail "cannot bind $(passed "$1")"
	vmm vfio list >/run/vfio.list 2>&1
	grep -q "^$(passed "$1") .* vfio-pci  *can be passed" /run/vfio.list || {
		cat /run/vfio.list
		fail "$(passed "$1") is not listed as one that can be passed"
	}
}

# way_of N: how a VM takes the Nth, which is bound to vfio-pci: iommufd, or group.
way_of() {
	if vmm vfio list 2>/dev/null | grep -q "^$(passed "$1") .* can be passed, through iommufd"; then
		echo iommufd
	else
		echo group
	fi
}

# take_back N: the Nth goes back to its driver here.
take_back() {
	vmm vfio unbind "$(passed "$1")" 2>"$VM_ERR" || fail "cannot unbind $(passed "$1")"
}
