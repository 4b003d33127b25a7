# shellcheck shell=bash
# Shared by the scripts: where the tree is, and messages. Sourced.

# shellcheck disable=SC2034 # for those who source this
TREE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

note() {
	printf '%s\n' "$*" >&2
}

die() {
	note "${0##*/}: $*"
	exit 2
}
