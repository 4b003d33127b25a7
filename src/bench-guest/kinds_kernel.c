/* Exits that need CPL 0: model-specific and control registers, interrupts, page tables. */
#include <stddef.h>

#include "cpu.h"
#include "guest.h"

#define MSR_MCG_STATUS   0x17au /* KVM keeps it and nothing depends on it */
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_STAR         0xc0000081u
#define MSR_LSTAR        0xc0000082u
#define MSR_SFMASK       0xc0000084u

#define CR0_AM           (1ull << 18)
#define CR4_MCE          (1ull << 6)
#define TIMER_DEADLINE   (2u << 17)
#define CPUID_DEADLINE   (1u << 24)
#define ICR_SELF         0x40000u
#define PTE_BITS         7u /* present, writable, user */
#define WINDOW_PAGES     512u

extern uint64_t pd[];
extern const char ring_change_back[];
void ring_change(void);

static uint64_t window_table[WINDOW_PAGES] __attribute__((aligned(4096)));

static void rdmsr_kernel(struct bench_sample *s)
{
	(void)s;
	(void)rdmsr(MSR_MCG_STATUS);
}

static void wrmsr_kernel(struct bench_sample *s)
{
	(void)s;
	wrmsr(MSR_MCG_STATUS, 0);
}

static void rdmsr_user(struct bench_sample *s)
{
	(void)s;
	(void)rdmsr(BENCH_MSR);
}

static void wrmsr_user(struct bench_sample *s)
{
	(void)s;
	wrmsr(BENCH_MSR, 0);
}

static uint64_t cr_value;

static bool cr0_begin(void)
{
	__asm__ volatile("movq %%cr0, %0" : "=r"(cr_value));
	return true;
}

static void cr0_write(struct bench_sample *s)
{
	(void)s;
	cr_value ^= CR0_AM;
	__asm__ volatile("movq %0, %%cr0" : : "r"(cr_value) : "memory");
}

static bool cr3_begin(void)
{
	__asm__ volatile("movq %%cr3, %0" : "=r"(cr_value));
	return true;
}

static void cr3_write(struct bench_sample *s)
{
	(void)s;
	__asm__ volatile("movq %0, %%cr3" : : "r"(cr_value) : "memory");
}

static bool cr4_begin(void)
{
	__asm__ volatile("movq %%cr4, %0" : "=r"(cr_value));
	return true;
}

static void cr4_write(struct bench_sample *s)
{
	(void)s;
	cr_value ^= CR4_MCE;
	__asm__ volatile("movq %0, %%cr4" : : "r"(cr_value) : "memory");
}

static bool line_begin(void)
{
	ioapic_route(BENCH_GSI, BENCH_VECTOR_IRQ);
	return true;
}

static void wait_halted(uint64_t before)
{
	while (irq_seen.count == before)
		halt();
}

/* With PAUSE, interrupts on. */
static void wait_running(uint64_t before)
{
	irq_on();
	while (irq_seen.count == before)
		pause();
	irq_off();
}

static void hlt_wake(struct bench_sample *s)
{
	uint64_t before = irq_seen.count;
	s->begin = stamp();
	outl(BENCH_PORT_DOORBELL, 0);
	wait_halted(before);
	s->end = irq_seen.at;
}

static void request(struct bench_sample *s, enum bench_irq how)
{
	uint64_t before = irq_seen.count;
	s->begin = stamp();
	outl(BENCH_PORT_IRQ, how);
	wait_running(before);
	s->end = irq_seen.at;
}

static void irqfd(struct bench_sample *s)
{
	request(s, BENCH_IRQ_LINE);
}

static void msi(struct bench_sample *s)
{
	request(s, BENCH_IRQ_MSI);
}

static void self_ipi(struct bench_sample *s)
{
	uint64_t before = irq_seen.count;
	s->begin = stamp();
	lapic_write(LAPIC_ICR_LOW, ICR_SELF | VECTOR_SELF);
	wait_running(before);
	s->end = irq_seen.at;
}

static bool ipi_begin(void)
{
	smp_start();
	lapic_write(LAPIC_ICR_HIGH, 1u << 24);
	return true;
}

static bool ipi_halted_begin(void)
{
	ap_halts = true;
	return ipi_begin();
}

static void ipi(struct bench_sample *s)
{
	uint64_t before = reply_seen.count;
	s->begin = stamp();
	lapic_write(LAPIC_ICR_LOW, VECTOR_REQUEST);
	while (reply_seen.count == before)
		pause();
	s->end = stamp();
}

static void ipi_halted(struct bench_sample *s)
{
	uint64_t before = reply_seen.count;
	s->begin = stamp();
	lapic_write(LAPIC_ICR_LOW, VECTOR_REQUEST);
	while (reply_seen.count == before)
		halt();
	s->end = reply_seen.at;
}

/* Ticks until the timer fires. */
static uint64_t timer_ticks(void)
{
	return (uint64_t)params()->tsc_khz * BENCH_TIMER_NS / 1000000;
}

static bool deadline_begin(void)
{
	if (!(cpuid_ecx(1) & CPUID_DEADLINE) || params()->tsc_khz == 0)
		return false;
	lapic_write(LAPIC_LVT_TIMER, VECTOR_TIMER | TIMER_DEADLINE);
	return true;
}

static void deadline(struct bench_sample *s)
{
	uint64_t before = irq_seen.count;
	s->begin = stamp() + timer_ticks();
	wrmsr(MSR_TSC_DEADLINE, s->begin);
	wait_running(before);
	s->end = irq_seen.at;
}

static void deadline_halted(struct bench_sample *s)
{
	uint64_t before = irq_seen.count;
	s->begin = stamp() + timer_ticks();
	wrmsr(MSR_TSC_DEADLINE, s->begin);
	wait_halted(before);
	s->end = irq_seen.at;
}

static bool lapic_timer_begin(void)
{
	lapic_write(LAPIC_TIMER_DIV, 0xb); /* by 1: KVM counts nanoseconds */
	lapic_write(LAPIC_LVT_TIMER, VECTOR_TIMER);
	return params()->tsc_khz != 0;
}

static void lapic_timer(struct bench_sample *s)
{
	uint64_t before = irq_seen.count;
	s->begin = stamp() + timer_ticks();
	lapic_write(LAPIC_TIMER_INIT, BENCH_TIMER_NS);
	wait_running(before);
	s->end = irq_seen.at;
}

/* 4 KiB pages under the window, in place of its one large page. */
static bool window_begin(void)
{
	for (unsigned i = 0; i < WINDOW_PAGES; i++)
		window_table[i] = (BENCH_WINDOW + 4096ull * i) | PTE_BITS;
	pd[BENCH_WINDOW >> 21] = (uint64_t)window_table | PTE_BITS;
	for (unsigned i = 0; i < 2; i++)
		store32(BENCH_WINDOW + 4096ull * i, i);
	return cr3_begin();
}

/* The first page of the window shows the first and the second frame in turn. */
static void remap(void)
{
	*(volatile uint64_t *)&window_table[0] = window_table[0] ^ 4096u;
}

static void pte_write(struct bench_sample *s)
{
	(void)s;
	remap();
	invlpg(BENCH_WINDOW);
	(void)load32(BENCH_WINDOW);
}

static void invlpg_only(struct bench_sample *s)
{
	(void)s;
	invlpg(BENCH_WINDOW);
	(void)load32(BENCH_WINDOW);
}

static bool shootdown_begin(void)
{
	(void)window_begin();
	return ipi_begin();
}

static void shootdown(struct bench_sample *s)
{
	uint64_t before = reply_seen.count;
	s->begin = stamp();
	remap();
	invlpg(BENCH_WINDOW);
	lapic_write(LAPIC_ICR_LOW, VECTOR_FLUSH);
	while (reply_seen.count == before)
		pause();
	s->end = stamp();
}

static bool ring_begin(void)
{
	/* SYSRET: 64-bit code at 0x18 + 16, stack at 0x18 + 8; SYSCALL: 0x08 and 0x10. */
	wrmsr(MSR_STAR, 0x0018000800000000ull | (3ull << 48));
	wrmsr(MSR_LSTAR, (uint64_t)ring_change_back);
	wrmsr(MSR_SFMASK, 0x200);
	return true;
}

static void ring(struct bench_sample *s)
{
	(void)s;
	ring_change();
}

const struct kind *kind_kernel(uint32_t kind)
{
	static const struct kind kinds[BENCH_KINDS] = {
	        [BENCH_RDMSR_KERNEL] = {.round = rdmsr_kernel},
	        [BENCH_WRMSR_KERNEL] = {.round = wrmsr_kernel},
	        [BENCH_RDMSR_USER] = {.round = rdmsr_user},
	        [BENCH_WRMSR_USER] = {.round = wrmsr_user},
	        [BENCH_CR0_WRITE] = {.prepare = cr0_begin, .round = cr0_write},
	        [BENCH_CR3_WRITE] = {.prepare = cr3_begin, .round = cr3_write},
	        [BENCH_CR4_WRITE] = {.prepare = cr4_begin, .round = cr4_write},
	        [BENCH_HLT_WAKE] = {.prepare = line_begin, .round = hlt_wake, .own = true},
	        [BENCH_IRQFD] = {.prepare = line_begin, .round = irqfd, .own = true},
	        [BENCH_MSI] = {.round = msi, .own = true},
	        [BENCH_IPI] = {.prepare = ipi_begin, .round = ipi, .own = true},
	        [BENCH_IPI_HALTED] = {.prepare = ipi_halted_begin,
	                              .round = ipi_halted,
	                              .own = true},
	        [BENCH_SELF_IPI] = {.round = self_ipi, .own = true},
	        [BENCH_TSC_DEADLINE] = {.prepare = deadline_begin, .round = deadline, .own = true},
	        [BENCH_TSC_DEADLINE_HALTED] = {.prepare = deadline_begin,
	                                       .round = deadline_halted,
	                                       .own = true},
	        [BENCH_LAPIC_TIMER] = {.prepare = lapic_timer_begin,
	                               .round = lapic_timer,
	                               .own = true},
	        [BENCH_PTE_WRITE] = {.prepare = window_begin, .round = pte_write},
	        [BENCH_INVLPG] = {.prepare = window_begin, .round = invlpg_only},
	        [BENCH_TLB_SHOOTDOWN] = {.prepare = shootdown_begin,
	                                 .round = shootdown,
	                                 .own = true},
	        [BENCH_RING_CHANGE] = {.prepare = ring_begin, .round = ring},
	};
	return kinds[kind].round ? &kinds[kind] : NULL;
}
