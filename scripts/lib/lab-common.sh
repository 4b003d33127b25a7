# shellcheck shell=bash disable=SC2034
# Shared by the lab scripts: paths, messages, packages. Sourced by scripts/lab.

LAB_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
LAB_STATE=${LAB_STATE:-$LAB_ROOT/.lab}
LAB_SRC=$LAB_ROOT/tests/lab
LAB_LOGS=$LAB_STATE/logs

die() {
	printf 'lab: %s\n' "$*" >&2
	exit 2
}

note() {
	printf 'lab: %s\n' "$*" >&2
}

# One line per requirement: a path or command to look for, and its Debian package.
LAB_REQUIREMENTS='
qemu-system-x86_64 qemu-system-x86
/bin/busybox busybox-static
cpio cpio
lz4 lz4
xz xz-utils
mkfs.ext4 e2fsprogs
dpkg-deb dpkg
cc gcc
/usr/lib/x86_64-linux-gnu/libc.a libc6-dev
'

have() {
	case $1 in
	/bin/busybox) [ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1 ;;
	/*) [ -e "$1" ] ;;
	*) PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null ;;
	esac
}

# Installs what is missing when root; otherwise says what to install.
lab_packages() {
	local what package missing=()
	while read -r what package; do
		[ -z "$what" ] || have "$what" || missing+=("$package")
	done <<<"$LAB_REQUIREMENTS"
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ "$(id -u)" -ne 0 ]; then
		die "missing packages; run: apt-get install ${missing[*]}"
	fi
	note "installing ${missing[*]}"
	{
		apt-get update
		DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
	} >"$LAB_LOGS/packages.log" 2>&1 ||
		die "apt-get install ${missing[*]} failed; see $LAB_LOGS/packages.log"
}
