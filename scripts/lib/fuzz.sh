# shellcheck shell=bash
# Running one fuzz target of the preset fuzz, from the tree's root. For scripts/fuzz and scripts/test.

FUZZ_BUILD=build/fuzz
FUZZ_CORPUS=tests/fuzz/corpus # what is committed

# fuzz_targets DIRECTORY: the names of those that were built there.
fuzz_targets() {
	local program
	for program in "$1"/tests/fuzz/fuzz_*; do
		[ ! -f "$program" ] || echo "${program##*/fuzz_}"
	done
}

# fuzz_run NAME SECONDS ARTIFACTS [OPTION...]: what it finds goes to build/fuzz/corpus/NAME, what
# fails to files whose names begin with ARTIFACTS.
fuzz_run() {
	local name=$1 seconds=$2 artifacts=$3 seeds=()
	shift 3
	mkdir -p "$FUZZ_BUILD/corpus/$name"
	[ ! -d "$FUZZ_CORPUS/$name" ] || seeds=("$FUZZ_CORPUS/$name")
	timeout -k 10 $((seconds + 60)) "$FUZZ_BUILD/tests/fuzz/fuzz_$name" \
		-max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="$artifacts" "$@" "$FUZZ_BUILD/corpus/$name" "${seeds[@]}"
}
