/*
 * The bench guest's ways in: PVH (32 bit, paging off) at CPL 0, a long-mode entry at CPL 3 that the
 * host sets up itself, and the second CPU from real mode. 4 GiB are mapped one to one, for both
 * rings.
 */
	.section .header, "a", @progbits
	.globl bench_header
bench_header:
	.long 0x68636e62, 1		/* BENCH_MAGIC, BENCH_VERSION */
	.quad entry_user, stack_top, pml4

	.section .note.Xen, "a", @note
	.long 4, 8, 18			/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.quad entry32

	.text
	.code32
	.globl entry32
entry32:
	cli
	cld
	movl $stack_top, %esp
	movl %cr4, %eax
	orl $0x620, %eax		/* PAE, OSFXSR, OSXMMEXCPT */
	movl %eax, %cr4
	movl $pml4, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx		/* EFER */
	rdmsr
	orl $0x101, %eax		/* LME, SCE */
	wrmsr
	movl %cr0, %eax
	orl $0x80000001, %eax		/* PG, PE */
	movl %eax, %cr0
	lgdt gdt_pointer
	ljmp $0x08, $in_long_mode

	.code64
in_long_mode:
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movq $stack_top, %rsp
	xorl %ebp, %ebp
	call bench_kernel_main
1:	hlt
	jmp 1b

entry_user:
	xorl %ebp, %ebp
	call bench_user_main
1:	pause
	jmp 1b

	/* The second CPU begins here, in real mode; smp_start copies it to page 8. */
	.globl ap_start, ap_end
	.code16
ap_start:
	cli
	cld
	xorl %eax, %eax
	movw %ax, %ds
	lgdtl 0x8000 + ap_gdt_pointer - ap_start
	movl %cr4, %eax
	orl $0x20, %eax
	movl %eax, %cr4
	movl $pml4, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl %cr0, %eax
	orl $0x80000001, %eax
	movl %eax, %cr0
	ljmpl $0x08, $ap_long_mode
	.balign 8
ap_gdt_pointer:
	.word gdt_end - gdt - 1
	.long gdt
ap_end:

	.code64
ap_long_mode:
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movq $ap_stack_top, %rsp
	call bench_ap_main
1:	hlt
	jmp 1b

	/*
	 * CPL 0 to CPL 3 by SYSRET and back by SYSCALL, as a kernel's way out and in. The caller
	 * keeps nothing in registers but what the C calling convention saves.
	 */
	.globl ring_change, ring_change_back
ring_change:
	pushq %rbx
	movq %rsp, ring_stack
	movq $in_user, %rcx
	movq $2, %r11
	sysretq
in_user:
	syscall
ring_change_back:
	movq ring_stack, %rsp
	popq %rbx
	ret

	.data
	.balign 4096
	.globl pml4, pd
pml4:
	.quad pdpt + 7
	.fill 511, 8, 0
pdpt:
	.quad pd + 7, pd + 0x1007, pd + 0x2007, pd + 0x3007
	.fill 508, 8, 0
pd:
	.set page, 0
	.rept 2048
	.quad (page << 21) + 0x87	/* present, writable, user, 2 MiB */
	.set page, page + 1
	.endr
gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* 0x08: 64-bit code */
	.quad 0x00cf93000000ffff	/* 0x10: data */
	.quad 0				/* 0x18: 32-bit user code, unused */
	.quad 0x00cff3000000ffff	/* 0x20: user data */
	.quad 0x00affb000000ffff	/* 0x28: 64-bit user code */
gdt_end:
gdt_pointer:
	.word gdt_end - gdt - 1
	.quad gdt
ring_stack:
	.quad 0

	.bss
	.balign 4096
	.skip 16384
stack_top:
	.skip 16384
ap_stack_top:
	.section .note.GNU-stack, "", @progbits
