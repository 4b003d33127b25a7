# shellcheck shell=bash
# Runs one case in the outer machine and judges it.

# The emulated CPU. CASE_OUTER_CPU=invtsc: one that says of its TSC that it is invariant, as every real
# one with nested paging does. QEMU's emulator does not offer to say so, although the TSC of a machine that
# counts instructions is; what it cannot do has to be switched off by name then.
outer_cpu() {
	case ${CASE_OUTER_CPU-} in
	'') echo EPYC,+svm,+npt ;;
	invtsc)
		echo EPYC,+svm,+npt,+invtsc,x-force-features=on,-rdseed,-sha-ni,-fxsr-opt,-misalignsse,-3dnowprefetch,-osvw,-topoext,-nrip-save,-xsavec
		;;
	*) die "$CASE_FILE: unknown CPU $CASE_OUTER_CPU" ;;
	esac
}

# The outer machine: QEMU's software emulation of an AMD CPU with SVM and nested paging.
# outer_args INITRD SEED: prints nothing, fills OUTER. The seed is for deterministic runs: with the
# same one a freeze would come again.
outer_args() {
	# Under load the emulator's timer comes too late for the kernel's check of it.
	local append='console=ttyS0 quiet panic=-1 mitigations=off no_timer_check' accel=tcg,thread=multi,tb-size=512
	# The emulated CPU cannot scale the TSC. KVM takes the kernel's first estimate of its rate for the
	# guests'; where the kernel's second one, a second later, is more than this from it, KVM refuses,
	# and leaves its own view of the guest's TSC at zero: each timer of the guest's then comes as late
	# as the guest is old.
	append+=' kvm.tsc_tolerance_ppm=50000'
	if [ "${CASE_ICOUNT-}" ]; then
		accel=tcg,thread=single,tb-size=512
	fi
	OUTER=(qemu-system-x86_64 -M q35 -accel "$accel" -cpu "$(outer_cpu)"
		-smp "${CASE_OUTER_CPUS:-1}" -m "${CASE_OUTER_MEMORY:-2048}" -nic none -no-reboot
		-display none -monitor none
		-kernel "${LAB_OUTER_KERNEL:-$LAB_BZIMAGE}" -initrd "$1")
	if [ "${CASE_ICOUNT-}" ]; then
		# One instruction is one nanosecond; nothing random and no host clock comes in.
		OUTER+=(-icount "shift=0,sleep=off" -rtc "base=2024-01-01,clock=vm" -seed "$2")
		append+=' nokaslr'
	fi
	if [ "${CASE_OUTER_DEVICES-}" ]; then
		outer_devices
		append+=' intel_iommu=on'
	fi
	[ -z "${CASE_PARTS-}" ] || append+=" LAB_PART=$part"
	# A defect of the emulator's is mended.
	OUTER+=(-plugin "file=$LAB_STATE/once.so")
	[ -z "${CASE_COUNT-}" ] || OUTER+=(-plugin "file=$LAB_STATE/count.so")
	OUTER+=(-append "$append")
}

# Makes the expansion ROM $1 (PCI 3.0, 6.3.1): 4 KiB, one image, with bytes that can be told apart.
outer_rom() {
	{
		printf '\x55\xaa\x08'
		head -c 21 /dev/zero
		printf '\x1c\0\0\0PCIR\x36\x1b\x10\0\0\0\x18\0\0\x02\x08\x01\x08\0\0\0\0\x80\0\0'
		seq 2000
	} | head -c 4096 >"$1"
}

# CASE_OUTER_DEVICES of the outer machine, behind an IOMMU that remaps interrupts: in the order
# given, from slot 0x10 on, whatever else is there. nvme and virtio-blk are disks of 64 MiB whose
# file lives as long as the run; nvme-zero needs none, and reads as zeroes, after a while in which a guest
# turns to something else; nvme-rom has an expansion
# ROM as well; nvme-sriov has a virtual function to give; virtio-blk-two are two disks, functions 0
# and 1 of one device; edu has MSI, but no MSI-X; vmxnet3 and virtio-net are pairwise on one network
# with `peer`, a card that stays the outer machine's.
outer_devices() {
	local device n=16 at function
	OUTER+=(-device "intel-iommu,intremap=on,caching-mode=on" -machine kernel-irqchip=split)
	for device in $CASE_OUTER_DEVICES; do
		at=$(printf 'addr=%#x' "$n")
		case $device in
		nvme | nvme-rom | nvme-sriov | virtio-blk) truncate -s 64M "$LAB_RUN/$name.$n" ;;
		esac
		case $device in
		nvme)
			OUTER+=(-drive "if=none,id=d$n,format=raw,cache=unsafe,file=$LAB_RUN/$name.$n"
				-device "nvme,drive=d$n,serial=lab$n,$at")
			;;
		virtio-blk)
			OUTER+=(-drive "if=none,id=d$n,format=raw,cache=unsafe,file=$LAB_RUN/$name.$n"
				-device "virtio-blk-pci,drive=d$n,disable-legacy=on,iommu_platform=on,$at")
			;;
		nvme-rom)
			outer_rom "$LAB_RUN/$name.$n.rom"
			OUTER+=(-drive "if=none,id=d$n,format=raw,cache=unsafe,file=$LAB_RUN/$name.$n"
				-device "nvme,drive=d$n,serial=lab$n,$at,romfile=$LAB_RUN/$name.$n.rom")
			;;
		nvme-sriov)
			OUTER+=(-drive "if=none,id=d$n,format=raw,cache=unsafe,file=$LAB_RUN/$name.$n"
				-device "nvme-subsys,id=s$n"
				-device "nvme,serial=lab$n,id=n$n,subsys=s$n,sriov_max_vfs=1,sriov_vq_flexible=2,sriov_vi_flexible=1,$at"
				-device "nvme-ns,drive=d$n,bus=n$n,shared=on")
			;;
		edu) OUTER+=(-device "edu,$at") ;;
		virtio-blk-two)
			for function in 0 1; do
				truncate -s 64M "$LAB_RUN/$name.$n.$function"
				OUTER+=(-drive "if=none,id=d$n.$function,format=raw,cache=unsafe,file=$LAB_RUN/$name.$n.$function"
					-device "virtio-blk-pci,drive=d$n.$function,disable-legacy=on,iommu_platform=on,$at.$function,multifunction=on")
			done
			;;
		nvme-zero)
			OUTER+=(-drive "if=none,id=d$n,driver=null-co,size=64M,read-zeroes=on,latency-ns=100000"
				-device "nvme,drive=d$n,serial=lab$n,$at")
			;;
		vmxnet3 | e1000e)
			OUTER+=(-netdev "hubport,id=n$n,hubid=0"
				-device "$device,netdev=n$n,romfile=,mac=52:54:00:00:00:$n,$at")
			;;
		virtio-net | peer)
			OUTER+=(-netdev "hubport,id=n$n,hubid=0"
				-device "virtio-net-pci,netdev=n$n,romfile=,mac=52:54:00:00:00:$n,disable-legacy=on,iommu_platform=on,$at")
			;;
		*) die "$CASE_FILE: unknown device $device" ;;
		esac
		n=$((n + 1))
	done
}

# Runs the outer machine once. Leaves the log in $2; returns 0 if a verdict came,
# 1 if it ended without one, 2 if it froze.
outer_run() {
	local image=$1 log=$2 limit=$3 seed=$4 status=0
	outer_args "$image" "$seed"
	# timeout is our child and QEMU is its: each ends what it started, by process id.
	timeout --foreground -k 5 "$limit" "${OUTER[@]}" -serial stdio </dev/null >"$log" 2>&1 &
	OUTER_PID=$!
	trap 'kill "$OUTER_PID" 2>/dev/null; exit 143' INT TERM
	wait "$OUTER_PID" || status=$?
	trap - INT TERM
	tr -d '\r\0' <"$log" | grep -av "warning: TCG doesn't support" >"$log.part" && mv "$log.part" "$log"
	grep -aq '^LAB-VERDICT ' "$log" && return 0
	[ "$status" -ne 124 ] && [ "$status" -ne 137 ] && return 1
	return 2
}

# Prints why VMM $1 cannot be used here, or nothing.
vmm_obstacle() {
	case $1 in
	vmm) [ -x "$VMM_STATIC" ] || echo "no static vmm at $VMM_STATIC (set VMM_STATIC)" ;;
	kvmtool) [ -x "${KVMTOOL-}" ] || echo "no kvmtool (set KVMTOOL=/path/to/lkvm-static)" ;;
	qemu) ;;
	passt) command -v passt >/dev/null || echo "no passt (scripts/deps bench)" ;;
	*) echo "unknown VMM $1" ;;
	esac
}

# What a case cannot do without: prints a reason to skip, or nothing.
case_obstacle() {
	local need
	[ "$LAB_VMMS" ] || echo "no VMM to measure"
	# shellcheck disable=SC2153
	[ "$CASE_VMMS" ] || vmm_obstacle "$LAB_VMM"
	for need in $CASE_NEEDS; do
		[ "$need" != two_vms ] || [ -x "$LAB_TWO_VMS" ] ||
			echo "no static two_vms example at $LAB_TWO_VMS (set LAB_TWO_VMS)"
		[ "$need" != guest_kernel ] || [ -r "$LAB_GUEST_KERNEL" ] ||
			echo "no guest kernel at $LAB_GUEST_KERNEL (set LAB_GUEST_KERNEL)"
		[ "$need" != bench ] || [ -x "$LAB_BENCH/bench_bare" ] ||
			echo "no static benches in $LAB_BENCH (set LAB_BENCH)"
		[ "$need" != suites ] || [ -x "$LAB_SUITES/tests/integration/it_life" ] ||
			echo "no it_life in $LAB_SUITES (set LAB_SUITES)"
		[ "$need" != gnuplot ] || command -v gnuplot >/dev/null ||
			echo "no gnuplot (apt-get install gnuplot-nox)"
		[ "$need" != soak ] || [ -x "$LAB_GUESTS/soak" ] ||
			echo "no static soak in $LAB_GUESTS (set LAB_GUESTS)"
		[ "$need" != trace ] || [ -x "$LAB_GUESTS/sandbox_trace" ] ||
			echo "no static sandbox_trace in $LAB_GUESTS (set LAB_GUESTS)"
		[ "$need" != escape ] || [ -x "$LAB_GUESTS/it_escape" ] ||
			echo "no static it_escape in $LAB_GUESTS (set LAB_GUESTS)"
		[ "$need" != guests ] || [ -x "$LAB_GUESTS/it_guests" ] ||
			echo "no static it_guests in $LAB_GUESTS (set LAB_GUESTS)"
	done
	[ "$CASE_VMMS" ] && return
	case "$LAB_VMM $CASE_NEEDS ${CASE_FILE##*/}" in
	"kvmtool "*vmlinux*) echo "kvmtool has no PVH entry" ;;
	"kvmtool "*2cpu*) echo "kvmtool's MP table means nothing to Debian's kernel" ;;
	esac
	if [ "$LAB_VMM" != vmm ] && [ "${CASE_ONLY_VMM-}" ]; then
		echo "for vmm only"
	fi
}

# Reads a case's declarations into CASE_*; call it in a subshell.
case_load() {
	local vmm
	CASE_NEEDS=bzimage CASE_TIMEOUT=150 CASE_VMMS='' CASE_PARTS='' CASE_RUNS=1
	CASE_FILE=$1
	# shellcheck disable=SC1090
	. "$1"
	LAB_VMMS=$LAB_VMM
	[ "$CASE_VMMS" ] || return 0
	# A comparison: those that are at hand.
	LAB_VMMS=
	for vmm in $CASE_VMMS; do
		[ "$(vmm_obstacle "$vmm")" ] || LAB_VMMS="$LAB_VMMS $vmm"
	done
}

# What the emulator counted (tests/lab/emulator/count.c), as figures of log $1: the case names the
# counts in their order, LAB-COUNTED NAME UNITS UNIT. LAB-SOAKED takes two: of a process of the guest's that
# ran alone, and of the same one beside what is measured, from which is taken what its share cost before.
# The guest's user space is in none of the figures.
counted_figures() {
	awk '
		{ print }
		$1 == "LAB-COUNT" { line[++last] = $0 }
		$1 == "LAB-COUNTED" || $1 == "LAB-SOAKED" {
			for (i = 3; i <= 5; i++)
				rate[i] = 0
			if ($1 == "LAB-SOAKED") {
				if (split(line[++at], n, " ") != 6 || n[2] == 0)
					exit 1
				for (i = 3; i <= 5; i++)
					rate[i] = n[i] / n[2]
			}
			if (split(line[++at], n, " ") != 6)
				exit 1
			for (i = 3; i <= 5; i++)
				n[i] = (n[i] - rate[i] * n[2]) / $3
			printf "LAB-FIGURE %s %.0f instructions per %s: guest kernel %.0f, outer kernel %.0f, VMM %.1f; entered %.2f times; user space of the guest %.0f\n",
				$2, n[3] + n[4] + n[5], $4, n[3], n[5], n[4], n[6] / $3, n[2] / $3
		}' "$1" >"$1.part" && mv "$1.part" "$1"
}

# Prints the figures of a log, GROUP/VMM[/VARIANT] VALUE UNIT, and what vmm's are of the others'.
print_figures() {
	awk '
		$1 != "LAB-FIGURE" { next }
		{
			line = $0; sub(/^LAB-FIGURE /, "     ", line); print line
			split($2, part, "/")
			names[++n] = $2; value[n] = $3; group[n] = part[1]; vmm[n] = part[2]
		}
		END {
			for (i = 1; i <= n; i++)
				for (j = 1; j <= n; j++)
					if (vmm[i] == "vmm" && vmm[j] != "vmm" && group[i] == group[j] && value[j] > 0)
						printf "     %s is %.3f of %s\n", names[i], value[i] / value[j], names[j]
		}'
}

# The figures of logs "$@", one line for each name: where a name comes several times, the mean of each number
# in it, and between which the first was.
mean_figures() {
	sed -n '/^LAB-FIGURE /p' "$@" | awk '
		function number(word) { return word ~ /^-?[0-9]+(\.[0-9]+)?[,;]?$/ }
		{
			if (!($2 in runs))
				name[++names] = $2
			line[$2] = $0
			for (i = 3; i <= NF; i++)
				if (number($i))
					sum[$2, i] += $i
			if (!runs[$2]++ || $3 < low[$2])
				low[$2] = $3
			if (runs[$2] == 1 || $3 > high[$2])
				high[$2] = $3
		}
		END {
			for (n = 1; n <= names; n++) {
				$0 = line[name[n]]
				for (i = 3; i <= NF; i++) {
					if (!number($i))
						continue
					decimals = match($i, /\.[0-9]+/) ? RLENGTH - 1 : 0
					last = match($i, /[,;]$/) ? substr($i, RSTART) : ""
					$i = sprintf("%.*f%s", decimals, sum[name[n], i] / runs[name[n]], last)
				}
				if (runs[name[n]] > 1)
					$0 = $0 sprintf(" (%d runs, %s to %s)", runs[name[n]], low[name[n]], high[name[n]])
				print
			}
		}'
}

# Both logs have figures, and the same.
same_figures() {
	grep -q '^LAB-FIGURE ' "$1" && diff <(grep '^LAB-FIGURE ' "$1") <(grep '^LAB-FIGURE ' "$2")
}

has_verdict() {
	grep -aq "^LAB-VERDICT $1" "$2"
}

# What a log tells of a known defect of the emulator's, or nothing: the case says so itself, or it
# failed and a guest's timer, which is KVM's, stood still, as where its interrupt came between STI
# and HLT.
emulator_defect() {
	sed -n 's/^LAB-VERDICT AGAIN //p' "$1"
	has_verdict FAIL "$1" || return 0
	! grep -aq "kthread timer wakeup didn't happen" "$1" || echo "a guest's timer stood still"
}

# The case's first run, and another with the next seed where one tells nothing of the VMM: the outer
# machine froze (once), or the case saw a defect of the emulator's (three times, as whether it shows
# is a matter of the seed). Sets result, retried and the seed of the last.
first_run() {
	local again=0 frozen=0 defect
	while :; do
		result=0 defect=''
		outer_run "$image" "$log" "$CASE_TIMEOUT" "$seed" || result=$?
		[ "$result" -ne 0 ] || defect=$(emulator_defect "$log")
		if [ "$result" -eq 2 ] && [ "$frozen" -lt 1 ]; then
			frozen=1
			mv "$log" "$log.frozen"
			echo "$name" >>"$LAB_RUN/freezes"
			retried+=', outer machine froze once'
		elif [ "$defect" ] && [ "$again" -lt 3 ]; then
			again=$((again + 1))
			mv "$log" "$log.again"
			retried+=", once again: $defect"
		else
			return
		fi
		seed=$((seed + 1))
	done
}

# The machines that case $1 of file $2 takes, by name: itself, or PARTS, each in one of its own as often as
# CASE_RUNS says.
case_units() (
	case_load "$2"
	[ "$CASE_PARTS" ] || echo "$1"
	for part in $CASE_PARTS; do
		[[ " $LAB_VMMS " != *" ${part%%-*} "* ]] || printf "$1.$part.%d\n" $(seq "$CASE_RUNS")
	done
)

# summary UNIT...: the figures of a case's machines, if they are several.
summary() {
	local unit logs=()
	for unit in "$@"; do
		logs+=("$LAB_LOGS/$unit.log")
	done
	[ $# -lt 2 ] || mean_figures "${logs[@]}" | print_figures
}

# Runs one of a case's machines (case_units) and prints its verdict line. Returns 0 for pass, 1 for fail, 3
# for skip.
case_run() (
	name=$1 file=$2
	started=$SECONDS
	case_load "$file"
	seed=${LAB_SEED:-1}
	if [ "$CASE_PARTS" ]; then
		part=${name#*.}
		seed=$((seed + 10 * (${part#*.} - 1)))
		part=${part%.*}
	fi
	why=$(case_obstacle | head -n 1)
	if [ -n "$why" ]; then
		echo "SKIP $name: $why"
		return 3
	fi
	image=$LAB_RUN/$name.img
	log=$LAB_LOGS/$name.log
	image_build "$file" "$image"
	retried=''
	first_run
	if [ "$result" -eq 0 ] && [ "${CASE_TWICE-}" ] && has_verdict PASS "$log"; then
		mv "$log" "$log.first"
		outer_run "$image" "$log" "$CASE_TIMEOUT" "$seed" || result=$?
	fi
	rm -f "$image" "$LAB_RUN/$name".[0-9]*
	if [ "$result" -eq 0 ] && [ "${CASE_COUNT-}" ]; then
		counted_figures "$log" || result=4
	fi
	took=$((SECONDS - started))
	case $result in
	1) verdict='FAIL the outer machine ended without a verdict' ;;
	2) verdict='FAIL the outer machine froze twice' ;;
	4) verdict='FAIL the emulator counted less often than the case says' ;;
	*) verdict=$(sed -n 's/^LAB-VERDICT //p' "$log" | head -n 1) ;;
	esac
	case ${CASE_TWICE-}$verdict in
	1PASS*) same_figures "$log.first" "$log" ||
		verdict="FAIL two runs differ, $log.first and $log" ;;
	AGAIN* | 1AGAIN*) verdict="FAIL each time: ${verdict#AGAIN }" ;;
	esac
	print_figures <"$log"
	case $verdict in
	PASS*) echo "PASS $name (${took} s$retried)" ;;
	SKIP*) echo "SKIP $name: ${verdict#SKIP }"; return 3 ;;
	*)
		tail -n 30 "$log" | sed 's/^/  | /'
		echo "FAIL $name: ${verdict#FAIL } (${took} s$retried, $log)"
		return 1
		;;
	esac
)
