/* The policy that is in force when the machine gives none: policies/base and policies/default. */
	.section .rodata
	.balign 16
	.globl security_builtin
security_builtin:
	.incbin SECURITY_BUILTIN
	.globl security_builtin_end
security_builtin_end:
	.byte 0
	.section .note.GNU-stack, "", %progbits
