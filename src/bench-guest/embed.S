/* The bench guest's ELF file inside the vmm binary. */
	.section .rodata
	.balign 16
	.globl bench_guest_image, bench_guest_image_end
	.hidden bench_guest_image, bench_guest_image_end
bench_guest_image:
	.incbin BENCH_GUEST_FILE
bench_guest_image_end:
	.section .note.GNU-stack, "", @progbits
