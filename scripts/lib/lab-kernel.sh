# shellcheck shell=bash disable=SC2034
# Debian's cloud kernel for the lab: downloaded and unpacked under $LAB_STATE/kernel,
# never installed. Sets LAB_KVER, LAB_BZIMAGE, LAB_VMLINUX and LAB_MODULES.

LAB_META=linux-image-cloud-amd64

# Prints "package version" of the kernel that the meta package depends on.
kernel_candidate() {
	local package version
	package=$(apt-cache depends "$LAB_META" 2>/dev/null |
		awk '$1 == "Depends:" && $2 ~ /^linux-image-/ { print $2; exit }')
	[ -n "$package" ] || return 1
	version=$(apt-cache policy "$package" | awk '$1 == "Candidate:" { print $2; exit }')
	[ -n "$version" ] && [ "$version" != "(none)" ] || return 1
	printf '%s %s\n' "$package" "$version"
}

# Downloads package $1 and unpacks it into directory $2, which is made anew.
package_unpack() {
	local package=$1 dir=$2 download=$2.download
	rm -rf "$dir" "$download"
	mkdir -p "$download"
	chmod 755 "$download"
	(cd "$download" && apt-get -q download "$package" >"$LAB_LOGS/kernel.log" 2>&1) ||
		die "apt-get download $package failed; see $LAB_LOGS/kernel.log"
	dpkg-deb -x "$download"/*.deb "$dir"
	rm -rf "$download"
}

# Unpacks a kernel package into directory $2.
kernel_unpack() {
	local dir=$2
	package_unpack "$1" "$dir"
	# A modules tree under /usr/lib (merged /usr packages) or under /lib.
	[ -d "$dir/lib/modules" ] || mv "$dir/usr/lib" "$dir/lib"
	/bin/busybox depmod -b "$dir" "$(ls "$dir/lib/modules")" 2>>"$LAB_LOGS/kernel.log" ||
		die "depmod failed; see $LAB_LOGS/kernel.log"
}

# Little-endian number of $3 bytes at offset $2 of file $1.
le_number() {
	od -An -v -t "u$3" -j "$2" -N "$3" "$1" | tr -d ' '
}

# The compressed ELF inside a bzImage: setup header 2.08 and up say where it is
# (Documentation/arch/x86/boot.rst, payload_offset and payload_length).
kernel_extract() {
	local image=$1 out=$2 setup offset length magic
	[ "$(le_number "$image" $((0x202)) 2)" -ge $((0x208)) ] || die "$image: boot protocol too old"
	setup=$(le_number "$image" $((0x1f1)) 1)
	[ "$setup" -gt 0 ] || setup=4
	offset=$(((setup + 1) * 512 + $(le_number "$image" $((0x248)) 4)))
	length=$(le_number "$image" $((0x24c)) 4)
	magic=$(od -An -v -t x1 -j "$offset" -N 4 "$image" | tr -d ' ')
	tail -c "+$((offset + 1))" "$image" | head -c "$length" >"$out.payload"
	# The last four bytes are the unpacked size, which the tools take for rubbish.
	case $magic in
	02214c18) lz4 -dc <"$out.payload" >"$out.part" 2>/dev/null ;;
	1f8b*) gzip -dc <"$out.payload" >"$out.part" 2>/dev/null ;;
	fd377a58) xz -dc --single-stream <"$out.payload" >"$out.part" 2>/dev/null ;;
	28b52ffd) zstd -dcq <"$out.payload" >"$out.part" 2>/dev/null ;;
	*) die "$image: unknown compression, magic $magic" ;;
	esac
	rm -f "$out.payload"
	[ "$(od -An -v -t x1 -N 4 "$out.part" | tr -d ' ')" = 7f454c46 ] ||
		die "$image: the payload is not an ELF file"
	mv "$out.part" "$out"
}

lab_kernel() {
	local candidate dir=$LAB_STATE/kernel
	candidate=$(kernel_candidate) || candidate=
	if [ -z "$candidate" ] && [ ! -f "$dir/.version" ] && [ "$(id -u)" -eq 0 ]; then
		apt-get update >"$LAB_LOGS/kernel.log" 2>&1 || true
		candidate=$(kernel_candidate) || candidate=
	fi
	if [ -z "$candidate" ]; then
		[ -f "$dir/.version" ] || die "apt knows no $LAB_META; run: apt-get update"
	elif [ ! -f "$dir/.version" ] || [ "$(cat "$dir/.version")" != "$candidate" ]; then
		note "unpacking ${candidate% *} (${candidate#* })"
		kernel_unpack "${candidate% *}" "$dir"
		kernel_extract "$(ls "$dir"/boot/vmlinuz-*)" "$dir/vmlinux"
		printf '%s\n' "$candidate" >"$dir/.version"
	fi
	LAB_KVER=$(ls "$dir/lib/modules")
	LAB_BZIMAGE=$dir/boot/vmlinuz-$LAB_KVER
	LAB_VMLINUX=$dir/vmlinux
	LAB_MODULES=$dir/lib/modules/$LAB_KVER
}

# Prints the module files for the given names, each after those it depends on.
# A name that is built in or unknown to this kernel is left out.
kernel_modules() {
	awk -v wanted="$*" '
		function name(path) { sub(/.*\//, "", path); sub(/\.ko$/, "", path); gsub(/-/, "_", path); return path }
		function visit(n,    i, k, parts) {
			if (n in done || !(n in file)) return
			done[n] = 1
			k = split(deps[n], parts, " ")
			for (i = 1; i <= k; i++) visit(name(parts[i]))
			print file[n]
		}
		{ split($0, half, ":"); n = name(half[1]); file[n] = half[1]; deps[n] = half[2] }
		END { k = split(wanted, list, " "); for (i = 1; i <= k; i++) { gsub(/-/, "_", list[i]); visit(list[i]) } }
	' "$LAB_MODULES/modules.dep"
}
