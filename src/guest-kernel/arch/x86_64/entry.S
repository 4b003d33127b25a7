/*
 * From the PVH entry (Xen, docs/misc/pvh.pandoc: 32 bit, paging off, EBX = start info) to C in long
 * mode at the high addresses; and from the reset state of a started CPU to the same place.
 * The tables here only carry the way up; paging.c makes those that stay.
 */
#define OFFSET 0xffffffff80000000
#define PHYS(x) ((x) - OFFSET)
#define AP_PAGE 0x8000

	.section .note.Xen, "a", @note
	.long 4, 8, 18			/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.quad PHYS(gk_entry32)

	.text
	.code32
	.globl gk_entry32
gk_entry32:
	cli
	cld
	rdtsc				/* EDX:EAX to EDI:ESI, as the boot's beginning */
	movl %eax, %esi
	movl %edx, %edi
	movl $PHYS(gk_boot_stack_top), %esp
	movl %cr4, %eax
	orl $0xa0, %eax			/* PAE, PGE */
	movl %eax, %cr4
	movl $PHYS(gk_way_up), %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx		/* EFER */
	rdmsr
	orl $0x900, %eax		/* LME, NXE */
	wrmsr
	movl $0x80010001, %eax		/* PG, WP, PE */
	movl %eax, %cr0
	lgdt PHYS(gk_way_up_gdt_pointer)
	ljmp $0x08, $PHYS(gk_entry64)
	.code64
gk_entry64:
	movabsq $1f, %rax
	jmp *%rax
1:	xorl %eax, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl %eax, %fs
	movl %eax, %gs
	leaq gk_boot_stack_top(%rip), %rsp
	xorl %ebp, %ebp
	movl %esi, %esi			/* upper halves are not ours after a 32-bit past */
	shlq $32, %rdi
	orq %rdi, %rsi
	movl %ebx, %edi
	call gk_boot			/* (start info, cycles) */
	ud2

	/* A started CPU begins here in real mode, copied to AP_PAGE. */
	.section .rodata
	.balign 16
	.globl gk_ap_start, gk_ap_end
	.code16
gk_ap_start:
	cli
	cld
	xorl %eax, %eax
	movw %ax, %ds
	lgdtl AP_PAGE + ap_gdt_pointer - gk_ap_start
	movl %cr4, %eax
	orl $0xa0, %eax
	movl %eax, %cr4
	movl $PHYS(gk_way_up), %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x900, %eax
	wrmsr
	movl $0x80010001, %eax
	movl %eax, %cr0
	ljmpl $0x08, $AP_PAGE + ap_long_mode - gk_ap_start
	.code64
ap_long_mode:
	movabsq $gk_ap_high, %rax
	jmp *%rax
	.balign 8
ap_gdt_pointer:
	.word 23
	.long PHYS(gk_way_up_gdt)
gk_ap_end:

	.text
gk_ap_high:
	xorl %eax, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl %eax, %fs
	movl %eax, %gs
	movq gk_ap_stack(%rip), %rsp
	xorl %ebp, %ebp
	movq gk_final_cr3(%rip), %rax
	movq %rax, %cr3			/* the low addresses are gone from here on */
	call gk_ap_main
	ud2

	.data
	.balign 4096
	.globl gk_way_up
gk_way_up:
	.quad PHYS(way_up_pdpt) + 3
	.fill 510, 8, 0
	.quad PHYS(way_up_pdpt) + 3
way_up_pdpt:
	.quad PHYS(way_up_pd) + 3
	.fill 509, 8, 0
	.quad PHYS(way_up_pd) + 3
	.quad 0
way_up_pd:
	.quad 0x000083, 0x200083	/* 4 MiB: the page of started CPUs, and the kernel */
	.fill 510, 8, 0
	.balign 16
	.globl gk_way_up_gdt
gk_way_up_gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* 64-bit code */
	.quad 0x00cf93000000ffff	/* data */
gk_way_up_gdt_pointer:
	.word 23
	.quad PHYS(gk_way_up_gdt)

	.section .bss
	.balign 4096
	.globl gk_boot_stack_hole
gk_boot_stack_hole:
	.skip 4096			/* taken out of the page tables by boot.c */
	.skip 16384
	.globl gk_boot_stack_top
gk_boot_stack_top:
	.section .note.GNU-stack, "", @progbits
