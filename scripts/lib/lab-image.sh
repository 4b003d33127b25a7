# shellcheck shell=bash
# Builds the initramfs images of the lab: one for the inner guest (VMM's guest) and one
# for the outer machine, which carries the inner one, the kernels and the VMM.

LAB_OUTER_MODULES='irqbypass kvm kvm-amd tun virtio_net'
LAB_VFIO_MODULES='virtio_pci vfio vfio_virqfd vfio_iommu_type1 vfio-pci-core vfio-pci'
LAB_INNER_MODULES='virtio_mmio virtio_pci virtio_blk virtio_net virtio_console virtio_rng
	virtio_balloon button evdev pvpanic_mmio'

# compile PROGRAM SOURCE FLAG...: where the source, or a header beside it, is newer than the program.
compile() {
	local program=$1 source=$2 file
	shift 2
	for file in "$source" "${source%/*}"/*.h; do
		[ "$program" -nt "$file" ] && continue
		cc -std=gnu17 "$@" -O2 -Wall -Wextra -Werror -o "$program" "$source" ||
			die "cannot compile $source"
		return
	done
}

# Compiles the guest-side programs, each a static C file, and the emulator's plugins.
lab_tools() {
	local source
	mkdir -p "$LAB_STATE/tools"
	for source in "$LAB_SRC"/tools/*.c; do
		compile "$LAB_STATE/tools/$(basename "$source" .c)" "$source" -static
	done
	for source in "$LAB_SRC"/emulator/*.c; do
		compile "$LAB_STATE/$(basename "$source" .c).so" "$source" -shared -fPIC -fvisibility=hidden
	done
}

# Packs directory $1 as a newc archive into file $2, the same bytes for the same content.
pack() {
	find "$1" -exec touch -h -d @0 {} +
	(cd "$1" && find . | LC_ALL=C sort |
		cpio --quiet -o -H newc -R 0:0 --reproducible) >"$2.part"
	mv "$2.part" "$2"
}

# Root with busybox, the tools and modules: what both guests have.
image_base() {
	local root=$1 file applet
	shift
	mkdir -p "$root"/{bin,dev,etc,mnt,proc,sys,run,tmp,lab,lib/modules}
	cp /bin/busybox "$root/bin/busybox"
	for applet in $(/bin/busybox --list); do
		[ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
	done
	cp "$LAB_STATE"/tools/* "$root/bin/"
	cp "$LAB_SRC/both.sh" "$root/lab/"
	for file in $(kernel_modules "$@"); do
		cp "$LAB_MODULES/$file" "$root/lib/modules/"
		basename "$file" >>"$root/lab/modules"
	done
}

# Copies a program and the shared libraries it needs.
image_program() {
	local root=$1 program=$2 file
	for file in "$program" $(ldd "$program" 2>/dev/null | grep -o '/[^ ]*'); do
		[ -e "$root$file" ] || install -D "$file" "$root$file"
	done
}

# QEMU as a VMM under test, with what its microvm machine reads.
image_qemu() {
	local root=$1 file
	image_program "$root" "$(command -v qemu-system-x86_64)"
	for file in bios-microvm.bin linuxboot_dma.bin pvh.bin kvmvapic.bin; do
		if [ -e "/usr/share/qemu/$file" ]; then
			install -D "/usr/share/qemu/$file" "$root/usr/share/qemu/$file"
		fi
	done
	install -D /usr/share/seabios/bios-256k.bin "$root/usr/share/seabios/bios-256k.bin"
}

# passt as the network of QEMU's: the program, and the one that it becomes where the CPU has AVX2.
image_passt() {
	local root=$1 program
	image_qemu "$root"
	program=$(command -v passt)
	image_program "$root" "$program"
	[ ! -e "$program.avx2" ] || image_program "$root" "$program.avx2"
}

# Builds the inner guest's image of a case: image_inner CASEFILE OUTPUT.
image_inner() {
	local root
	root=$(mktemp -d "$LAB_RUN/inner.XXXXXX")
	# shellcheck disable=SC2086
	image_base "$root" ${CASE_INNER_MODULES-$LAB_INNER_MODULES}
	install -m 755 "$LAB_SRC/inner/init" "$root/init"
	cp "$LAB_SRC/inner/lib.sh" "$root/lab/"
	cp "$1" "$root/lab/case.sh"
	pack "$root" "$2"
	rm -rf "$root"
}

# Builds the outer image of a case: image_build CASEFILE OUTPUT. The case's declarations
# (CASE_*) are set. The VMMs to carry are in LAB_VMMS.
image_build() {
	local case_file=$1 out=$2 work vmm need file
	work=$(mktemp -d "$LAB_RUN/image.XXXXXX")
	# shellcheck disable=SC2086
	image_base "$work/outer" $LAB_OUTER_MODULES ${CASE_OUTER_MODULES-} \
		${CASE_OUTER_DEVICES:+$LAB_VFIO_MODULES}
	install -m 755 "$LAB_SRC/outer/init" "$work/outer/init"
	cp "$LAB_SRC/outer/lib.sh" "$work/outer/lab/"
	cp "$case_file" "$work/outer/lab/case.sh"
	printf 'LAB_VMM=%q\nLAB_VMMS=%q\nLAB_VERBOSE=%q\nLAB_DEMO=%q\nLAB_ICOUNT=%q\n' \
		"$LAB_VMM" "$LAB_VMMS" "${LAB_VERBOSE-}" "${LAB_DEMO-}" "${CASE_ICOUNT-}" \
		>"$work/outer/lab/settings"
	for need in $CASE_NEEDS; do
		case $need in
		bzimage) cp "$LAB_BZIMAGE" "$work/outer/lab/bzimage" ;;
		vmlinux) cp "$LAB_VMLINUX" "$work/outer/lab/vmlinux" ;;
		ext4)
			image_program "$work/outer" "$(PATH=$PATH:/sbin command -v mkfs.ext4)"
			image_program "$work/outer" "$(PATH=$PATH:/sbin command -v e2fsck)"
			;;
		two_vms) cp "$LAB_TWO_VMS" "$work/outer/bin/two_vms" ;;
		guest_kernel)
			cp "$LAB_GUEST_KERNEL" "$work/outer/bin/guest-kernel.elf"
			cp "$(dirname "$LAB_GUEST_KERNEL")/multilevel.policy" "$work/outer/lab/"
			;;
		bench) cp "$LAB_BENCH"/bench_* "$work/outer/bin/" ;;
		gnuplot)
			file=$(readlink -f "$(command -v gnuplot)")
			image_program "$work/outer" "$file"
			ln -s "$file" "$work/outer/bin/gnuplot"
			;;
		suites)
			for file in tests/integration/it_life tests/integration/it_image \
				examples/step_loop examples/custom_device examples/two_vms bench/bench_cycles; do
				image_program "$work/outer" "$LAB_SUITES/$file"
				# Not where it was: the outer machine may hide that place.
				mv "$work/outer$LAB_SUITES/$file" "$work/outer/bin/"
			done
			;;
		cli)
			cp "$LAB_ROOT"/tests/integration/run_{cli,gk} "$work/outer/lab/"
			install -D "$LAB_ROOT/scripts/lib/guest-demo.sh" \
				"$work/outer/scripts/lib/guest-demo.sh"
			image_program "$work/outer" /bin/bash
			;;
		soak) cp "$LAB_GUESTS/soak" "$work/outer/bin/" ;;
		trace) cp "$LAB_GUESTS/sandbox_trace" "$work/outer/bin/" ;;
		escape)
			cp "$LAB_GUESTS/it_escape" "$work/outer/bin/"
			cp "$LAB_GUESTS/hello.elf" "$work/outer/lab/"
			;;
		guests) cp "$LAB_GUESTS"/it_guests "$LAB_GUESTS"/*.elf "$work/outer/lab/" ;;
		*) die "$case_file: unknown need $need" ;;
		esac
	done
	for vmm in $LAB_VMMS; do
		case $vmm in
		vmm) cp "$VMM_STATIC" "$work/outer/bin/vmm" ;;
		qemu) image_qemu "$work/outer" ;;
		kvmtool) cp "$KVMTOOL" "$work/outer/bin/lkvm" ;;
		passt) image_passt "$work/outer" ;;
		esac
	done
	image_inner "$case_file" "$work/outer/lab/initrd"
	pack "$work/outer" "$out"
	rm -rf "$work"
}
