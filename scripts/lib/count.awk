# Counts single tests in the output of `ctest -V`, or of a program that prints verdict lines.
#
# A line belongs to test N of ctest if it starts with 'N: '; other output is test 0. What counts:
#   100%: Checks: 5, Failures: 0, Errors: 0      a Check suite
#   PASS name / FAIL name: why / SKIP name: why  verdict lines
#   3/9 Test #3: unit/bus ....   Passed          ctest's own word: one test, if it showed neither
# What a failed test shows of its logs, after '  | ', is passed on.
# Prints one line 'passed failed skipped', before it a line for each failure and skip.

function verdict(id, line)
{
	if (match(line, /^[0-9]+%: Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+/)) {
		split(line, n, /[^0-9]+/)
		bad[id] += n[3] + n[4]
		good[id] += n[2] - n[3] - n[4]
	} else if (line ~ /^PASS /) {
		good[id]++
	} else if (line ~ /^FAIL /) {
		bad[id]++
		print "  " line
	} else if (line ~ /^SKIP /) {
		idle[id]++
		print "  " line
	} else if (line ~ /^  \| /) {
		print "  " line
	}
}

{ sub(/\r$/, "") }

/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / {
	match($0, /#[0-9]+/)
	id = substr($0, RSTART + 1, RLENGTH - 1)
	name = $0
	sub(/^[^:]*: /, "", name)
	sub(/ .*/, "", name)
	if ($0 ~ / Passed +[0-9.]+ sec/) {
		if (!good[id] && !bad[id] && !idle[id])
			good[id] = 1
	} else if ($0 ~ /\*\*\*Skipped/) {
		if (!idle[id]) {
			idle[id] = 1
			print "  SKIP " name
		}
	} else {
		# A crash or a time-out after some verdicts is one more failure.
		if (!bad[id])
			bad[id] = 1
		result = $0
		sub(/^[^*]*\**/, "", result)
		print "  FAIL " name ": " result
	}
	next
}

/^[0-9]+: / {
	id = $0
	sub(/:.*/, "", id)
	line = $0
	sub(/^[0-9]+: /, "", line)
	verdict(id, line)
	next
}

{ verdict(0, $0) }

END {
	for (id in good)
		passed += good[id]
	for (id in bad)
		failed += bad[id]
	for (id in idle)
		skipped += idle[id]
	print passed + 0, failed + 0, skipped + 0
}
