/*
 * From the two ways in (PVH: 32 bit, paging off; the 64-bit Linux entry) to C in long mode, with
 * 4 GiB mapped one to one, and 256 interrupt stubs.
 */
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
	orl $0x20, %eax			/* PAE */
	movl %eax, %cr4
	movl $pml4, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx		/* EFER */
	rdmsr
	orl $0x100, %eax		/* LME */
	wrmsr
	movl %cr0, %eax
	orl $0x80000001, %eax		/* PG, PE */
	movl %eax, %cr0
	lgdt gdt_pointer
	ljmp $0x08, $in_long_mode

	.code64
	.globl entry64
entry64:
	cli
	cld
	movq $stack_top, %rsp
	movq $pml4, %rax
	movq %rax, %cr3
	lgdt gdt_pointer
	pushq $0x08
	pushq $in_long_mode
	lretq

in_long_mode:
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	movq $stack_top, %rsp
	xorl %ebp, %ebp
	call rt_main
1:	hlt
	jmp 1b

	/* Stub N pushes N and, where the CPU does not, an error code; all are 16 bytes long. */
	.balign 16
	.globl rt_stubs
rt_stubs:
	.set vector, 0
	.rept 256
	.balign 16
	.if (vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17)
	.else
	pushq $0
	.endif
	pushq $vector
	jmp common
	.set vector, vector + 1
	.endr

common:
	pushq %rax
	pushq %rcx
	pushq %rdx
	pushq %rsi
	pushq %rdi
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	movq 72(%rsp), %rdi		/* vector */
	leaq 88(%rsp), %rsi		/* where RIP is */
	movq 80(%rsp), %rdx		/* error code */
	call rt_interrupt
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rdi
	popq %rsi
	popq %rdx
	popq %rcx
	popq %rax
	addq $16, %rsp
	iretq

	/* A started CPU begins here, in real mode; rt_smp_start copies it to page 8. */
	.globl rt_ap_start, rt_ap_end
	.code16
rt_ap_start:
	cli
	cld
	xorl %eax, %eax
	movw %ax, %ds
	lgdtl 0x8000 + ap_gdt_pointer - rt_ap_start
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
	.word 23
	.long gdt
rt_ap_end:

	.code64
ap_long_mode:
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl $1, %eax			/* stacks of 4 KiB, by order of arrival */
	lock xaddl %eax, ap_arrivals
	incl %eax
	shll $12, %eax
	leaq ap_stacks(%rax), %rsp
	call rt_ap_main
1:	hlt
	jmp 1b

	.data
	.balign 4096
pml4:
	.quad pdpt + 3
	.fill 511, 8, 0
pdpt:
	.quad pd + 3, pd + 0x1003, pd + 0x2003, pd + 0x3003
	.fill 508, 8, 0
pd:
	.set page, 0
	.rept 2048
	.quad (page << 21) + 0x83	/* present, writable, 2 MiB */
	.set page, page + 1
	.endr
gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* 64-bit code */
	.quad 0x00cf93000000ffff	/* data */
gdt_pointer:
	.word 23
	.quad gdt
ap_arrivals:
	.long 0

	.bss
	.balign 4096
	.skip 16384
stack_top:
ap_stacks:
	.skip 4096 * 32
	.section .note.GNU-stack, "", @progbits
