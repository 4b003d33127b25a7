/*
 * Interrupt stubs, the context switch, and accesses that may fault. One frame layout for all: struct
 * trap_frame of trap.h. Interrupts are never nested; exceptions with a stack of their own say so in
 * the IDT.
 */
	.text
	/* Stub N pushes N and, where the CPU does not, an error code; all are 16 bytes long. */
	.balign 16
	.globl gk_stubs
gk_stubs:
	.set vector, 0
	.rept 128
	.balign 16
	.if (vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17) || (vector == 21)
	.else
	pushq $0
	.endif
	pushq $vector
	jmp common
	.set vector, vector + 1
	.endr

common:
	cld
	pushq %rdi
	pushq %rsi
	pushq %rdx
	pushq %rcx
	pushq %rax
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, %rdi
	xorl %ebp, %ebp			/* a back trace ends here; the frame says where it goes on */
	movq %rsp, %rbx
	andq $-16, %rsp
	call gk_trap
	movq %rbx, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rax
	popq %rcx
	popq %rdx
	popq %rsi
	popq %rdi
	addq $16, %rsp
	iretq

	/* void gk_switch(uintptr_t *from_sp, uintptr_t to_sp) */
	.globl gk_switch
gk_switch:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret

	/* Where a new context begins: R12 = entry, R13 = its argument. */
	.globl gk_context_start
gk_context_start:
	xorl %ebp, %ebp
	movq %r13, %rdi
	call *%r12
	ud2

	/* bool gk_rdmsr_safe(uint32_t msr, uint64_t *out): false where it faults */
	.globl gk_rdmsr_safe
gk_rdmsr_safe:
	movl %edi, %ecx
1:	rdmsr
	shlq $32, %rdx
	movl %eax, %eax
	orq %rdx, %rax
	movq %rax, (%rsi)
	movl $1, %eax
	ret
2:	xorl %eax, %eax
	ret
	.section .fixups, "a"
	.quad 1b, 2b
	.text

	/* bool gk_wrmsr_safe(uint32_t msr, uint64_t value) */
	.globl gk_wrmsr_safe
gk_wrmsr_safe:
	movl %edi, %ecx
	movl %esi, %eax
	movq %rsi, %rdx
	shrq $32, %rdx
1:	wrmsr
	movl $1, %eax
	ret
2:	xorl %eax, %eax
	ret
	.section .fixups, "a"
	.quad 1b, 2b
	.text

	/* bool gk_rdrand_safe(uint64_t *out): false where there is none, or none ready */
	.globl gk_rdrand_safe
gk_rdrand_safe:
	xorl %eax, %eax
1:	.byte 0x48, 0x0f, 0xc7, 0xf1	/* rdrand %rcx */
	jnc 2f
	movq %rcx, (%rdi)
	movl $1, %eax
2:	ret
3:	xorl %eax, %eax
	ret
	.section .fixups, "a"
	.quad 1b, 3b
	.section .note.GNU-stack, "", @progbits
