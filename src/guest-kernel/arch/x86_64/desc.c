/*
 * Segments, task state and interrupt gates (Intel SDM 3A, 3.4, 7.7, 6.14). Double fault, NMI and
 * machine check have stacks of their own: a task that ran out of its stack is still reported.
 */
#include "guest-kernel/core/kernel.h"
#include "guest-kernel/core/task.h"
#include "x86.h"

struct gate {
	uint16_t offset_low, selector, flags, offset_mid;
	uint32_t offset_high, zero;
};

#define GATE_INTERRUPT 0x8e00u
#define VECTORS        128u
#define STUB_BYTES     16u
#define TSS_IST1       36u

extern const char gk_stubs[];

static struct gate idt[VECTORS] __attribute__((aligned(16)));

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static unsigned stack_of(unsigned vector)
{
	switch (vector) {
	case 8: /* #DF */
		return 1;
	case 2: /* NMI */
		return 2;
	case 18: /* #MC */
		return 3;
	default:
		return 0;
	}
}

static void fill_idt(void)
{
	for (unsigned i = 0; i < VECTORS; i++) {
		uint64_t stub = (uintptr_t)gk_stubs + (uint64_t)STUB_BYTES * i;
		idt[i] = (struct gate){
		        .offset_low = (uint16_t)stub,
		        .selector = SELECTOR_CODE,
		        .flags = (uint16_t)(GATE_INTERRUPT | stack_of(i)),
		        .offset_mid = (uint16_t)(stub >> 16),
		        .offset_high = (uint32_t)(stub >> 32),
		};
	}
}

static void fill_gdt(struct percpu *p)
{
	uint64_t tss = (uintptr_t)p->tss;
	p->gdt[0] = 0;
	p->gdt[1] = 0x00af9b000000ffffull; /* 64-bit code */
	p->gdt[2] = 0x00cf93000000ffffull; /* data */
	p->gdt[3] = (sizeof(p->tss) - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 |
	            (tss >> 24 & 0xff) << 56;
	p->gdt[4] = tss >> 32;
}

static void fill_tss(struct percpu *p, uint8_t *const ist[DESC_IST_STACKS])
{
	for (unsigned i = 0; i < DESC_IST_STACKS; i++) {
		uint64_t end = (uintptr_t)ist[i] + ARCH_PAGE_SIZE;
		__builtin_memcpy(&p->tss[TSS_IST1 + 8 * i], &end, sizeof(end));
	}
	uint16_t no_io_map = sizeof(p->tss);
	__builtin_memcpy(&p->tss[102], &no_io_map, sizeof(no_io_map));
}

static bool guarded(uintptr_t low)
{
	return paging_mapped(low) && !paging_mapped(low - 1);
}

static bool ist_guarded(const struct percpu *p)
{
	bool good = true;
	for (unsigned i = 0; i < DESC_IST_STACKS; i++) {
		uint64_t end;
		__builtin_memcpy(&end, &p->tss[TSS_IST1 + 8 * i], sizeof(end));
		good = good && guarded(end - ARCH_PAGE_SIZE);
	}
	return good;
}

bool arch_stacks_guarded(void)
{
	const struct task *t = arch_current();
	bool good = guarded((uintptr_t)gk_boot_stack_hole + ARCH_PAGE_SIZE) &&
	            guarded(t->context.stack_low);
	for (unsigned i = 0; i < ARCH_CPUS_MAX; i++)
		good = good && (!x86_percpu[i] || ist_guarded(x86_percpu[i]));
	return good;
}

static __attribute__((no_stack_protector)) uint64_t first_canary(void)
{
	uint64_t bits = 0;
	if (x86_cpuid(1, 0).ecx & (1u << 30))
		(void)gk_rdrand_safe(&bits);
	/* The lowest byte is 0: a string that runs over cannot write the rest. */
	return (bits ^ x86_rdtsc() * 0x9e3779b97f4a7c15ull) << 8;
}

__attribute__((no_stack_protector)) void desc_init(struct percpu *p, unsigned index,
                                                   uint8_t *const ist[DESC_IST_STACKS])
{
	struct table_pointer table = {sizeof(idt) - 1, (uintptr_t)idt};
	p->self = p;
	p->index = index;
	if (index == 0)
		fill_idt();
	fill_gdt(p);
	fill_tss(p, ist);
	struct table_pointer gdt = {sizeof(p->gdt) - 1, (uintptr_t)p->gdt};
	__asm__ volatile("lgdt %0" : : "m"(gdt));
	__asm__ volatile("lidt %0" : : "m"(table));
	__asm__ volatile("ltr %w0" : : "r"(SELECTOR_TSS));
	x86_wrmsr(MSR_FS_BASE, (uintptr_t)p);
	/* The same on all: a task may leave a function on another CPU than it entered it. */
	p->canary = index == 0 ? first_canary() : x86_percpu[0]->canary;
}

/*
 * STI holds interrupts off until HLT has begun (Intel SDM volume 2, STI), so that none comes
 * between what the caller saw and the halt. Emulators of nested virtualization let one in all the
 * same: gk_trap then leaves out the HLT.
 */
void arch_idle(void)
{
	/* What is pending is taken first: then there is no need of a halt. */
	const struct cpu *cpu = arch_local();
	uint64_t before = cpu->interrupts;
	__asm__ volatile("sti; nop; cli" : : : "memory");
	if (cpu->interrupts != before)
		return;
	__asm__ volatile("sti\n"
	                 ".globl gk_idle_hlt\n"
	                 "gk_idle_hlt:\n\t"
	                 "hlt\n"
	                 ".globl gk_idle_end\n"
	                 "gk_idle_end:\n\t"
	                 "cli"
	                 :
	                 :
	                 : "memory");
}

void arch_context_init(struct arch_context *c, void *low, size_t bytes, void (*entry)(void *),
                       void *arg)
{
	uint64_t *sp = (uint64_t *)((uintptr_t)low + bytes) - 2;
	*--sp = (uintptr_t)gk_context_start;
	*--sp = 0;                /* rbp */
	*--sp = 0;                /* rbx */
	*--sp = (uintptr_t)entry; /* r12 */
	*--sp = (uintptr_t)arg;   /* r13 */
	*--sp = 0;                /* r14 */
	*--sp = 0;                /* r15 */
	*c = (struct arch_context){
	        .sp = (uintptr_t)sp,
	        .stack_low = (uintptr_t)low,
	        .stack_bytes = bytes,
	};
}

void arch_context_adopt(struct arch_context *c)
{
	*c = (struct arch_context){0};
}

void arch_context_switch(struct arch_context *from, struct arch_context *to)
{
	gk_switch(&from->sp, to->sp);
}

void arch_context_fini(struct arch_context *c)
{
	c->sp = 0;
}
