# Lines of C that hold code: neither blank nor nothing but a comment. The sum of all files, last; with
# each=1 every file's before it.
FNR == 1 {
	show()
	comment = 0
}
{
	rest = $0
	code = 0
	while (rest != "") {
		if (comment) {
			end = index(rest, "*/")
			rest = end ? substr(rest, end + 2) : ""
			comment = !end
		} else if (match(rest, /^[ \t]+/)) {
			rest = substr(rest, RLENGTH + 1)
		} else if (rest ~ /^\/\//) {
			rest = ""
		} else if (rest ~ /^\/\*/) {
			comment = 1
			rest = substr(rest, 3)
		} else {
			code = 1
			if (!match(rest, /^"([^"\\]|\\.)*"/) && !match(rest, /^'([^'\\]|\\.)*'/))
				RLENGTH = 1
			rest = substr(rest, RLENGTH + 1)
		}
	}
	lines += code
	name = FILENAME
}
END {
	show()
	print sum + 0
}

function show() {
	if (each && name != "")
		printf "%6d %s\n", lines, name
	sum += lines
	lines = 0
}
