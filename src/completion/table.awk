# What a text of --help says of commands and options, as lines of the table (see table).
# -v command=: whose text it is. -v cases=: the words for CASE.

# The kind of a value by the name that the text gives it; its words into WORDS.
function kind_of(meta, option) {
	words = "-"
	if (option == "--tap")
		return "tap"
	if (meta ~ /^[a-z0-9]+(\|[a-z0-9]+)+$/) {
		words = meta
		gsub(/\|/, ",", words)
		return "words"
	}
	if (meta ~ /^CASE/) {
		words = cases
		return "words"
	}
	if (meta ~ /^(DIRECTORY)/)
		return "directory"
	if (meta ~ /^ADDRESS/)
		return "pci"
	if (meta ~ /FILE|OUTPUT|PATH|PROGRAM|\.json$|^OLD$|^NEW$/)
		return "file"
	return meta == "" ? "-" : "text"
}

function add(path, option, meta, help,    at) {
	at = path SUBSEP option
	if (!(at in metas)) {
		order[++options] = at
		metas[at] = meta
	}
	if (help != "")
		texts[at] = help
	told_at[at] = last = NR
}

function usage(line,    n, w, i, path, paths, names, count, meta, help) {
	sub(/^(usage:)? +vmm ?/, "", line)
	help = match(line, /   +/) ? substr(line, RSTART + RLENGTH) : ""
	sub(/   .*/, "", line)
	n = split(line, w, " ")
	path = ""
	for (i = 1; i <= n && i < 3 && w[i] ~ /^[a-z|]+$/; i++)
		path = path (path == "" ? "" : " ") w[i]
	count = 1
	paths[1] = path
	if (path ~ /\|/) {
		names = path
		sub(/.* /, "", names)
		sub(/ .*/, "", path)
		count = split(names, paths, "|")
		for (n = 1; n <= count; n++)
			paths[n] = path " " paths[n]
		n = split(line, w, " ")
	}
	for (; i <= n; i++) {
		meta = ""
		if (w[i] ~ /^\[?-.*[^]]$/ && i < n && w[i + 1] !~ /^(\[|-)/)
			meta = w[i + 1]
		gsub(/[][]|\.\.\.\]?$/, "", w[i])
		gsub(/[][]|\.\.\.$/, "", meta)
		for (count = 1; count in paths; count++) {
			if (w[i] ~ /^OPTION/)
				takes_all[paths[count]] = 1
			else if (w[i] ~ /^-/)
				add(paths[count], w[i], meta, "")
			else if (w[i] ~ /^[A-Z]/ && w[i] !~ /^(WHAT|COMMAND)$/)
				add(paths[count], "-", w[i], "")
		}
		if (meta != "")
			i++
	}
	for (count = 1; count in paths; count++) {
		if (paths[count] ~ / /)
			add(paths[count], "+", "", help)
		if (paths[count] != "" && !(paths[count] in seen)) {
			seen[paths[count]] = 1
			known[++knowns] = paths[count]
		}
	}
}

# An option's line: "  -k, --kernel FILE    text", also with one space where the name is long.
function option_line(line,    letter, name, meta, help, path, i) {
	sub(/^ +/, "", line)
	help = match(line, /  +/) ? substr(line, RSTART + RLENGTH) : ""
	if (help != "")
		line = substr(line, 1, RSTART - 1)
	letter = "-"
	if (match(line, /^-[A-Za-z], +/)) {
		letter = substr(line, 1, 2)
		line = substr(line, RLENGTH + 1)
	}
	name = line
	sub(/[ =[].*/, "", name)
	meta = substr(line, length(name) + 2)
	if (name == "--help")
		return
	for (i = 1; i <= knowns; i++) {
		path = known[i]
		if (path in takes_all || (path SUBSEP name) in metas) {
			add(path, name, meta, help)
			letters[path, name] = letter
			listed[path, letter] = 1
		}
	}
}

# "  name   text", of a list of commands.
function command_line(line,    name, help, n, names, i) {
	name = line
	sub(/^ +/, "", name)
	help = name
	sub(/  .*/, "", name)
	if (!sub(/^[^ ]+(, [a-z]+)*  +/, "", help))
		help = ""
	n = split(name, names, /, /)
	for (i = 1; i <= n; i++)
		add((command == "" ? "" : command " ") names[i], "+", "", help)
}

# A text that goes on, of all that the line before told of.
function more(line,    i) {
	sub(/^ +/, "", line)
	for (i = 1; i <= options; i++)
		if (told_at[order[i]] == last)
			texts[order[i]] = texts[order[i]] (texts[order[i]] == "" ? "" : " ") line
}

/^usage: vmm|^       vmm / {
	usage($0)
	next
}
/^$/ {
	last = 0
	next
}
/^An example/ {
	exit
}
/^ +(-[A-Za-z], +)?--[a-z]/ {
	option_line($0)
	next
}
command ~ /^(|image|policy|vfio|bench)$/ && /^  [a-z]+(, [a-z]+)*(  +[a-z].*)?$/ && !/^  vmm / {
	command_line($0)
	next
}
/^         +[^ ]/ && last {
	more($0)
}

END {
	for (i = 1; i <= options; i++) {
		split(order[i], at, SUBSEP)
		if (at[2] ~ /^-[a-z]$/ && listed[at[1], at[2]])
			continue
		kind = kind_of(metas[order[i]], at[2])
		printf "%s\t%s\t%s\t%s\t%s\t%s\n", at[1], at[2],
			order[i] in letters ? letters[order[i]] : "-", kind, words,
			texts[order[i]] == "" ? "-" : texts[order[i]]
	}
}
