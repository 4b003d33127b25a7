# nm -n of the first link in, the .symbols section out: see arch_symbol.
BEGIN { n = 0; at = 0 }
$3 == "gk_image" { base = $1 }
$2 ~ /^[tT]$/ && $3 != "gk_image" && $3 != "gk_text_end" && $3 !~ /^\./ && $1 != last {
	last = $1
	address[n] = $1
	name[n++] = $3
}
END {
	print "\t.section .symbols, \"a\""
	print "\t.globl gk_symbols\n\t.balign 8\ngk_symbols:"
	print "\t.long " n
	for (i = 0; i < n; i++) {
		printf "\t.long 0x%s - 0x%s, %d\n", address[i], base, at
		at += length(name[i]) + 1
	}
	for (i = 0; i < n; i++)
		print "\t.asciz \"" name[i] "\""
	print "\t.section .note.GNU-stack, \"\", @progbits"
}
