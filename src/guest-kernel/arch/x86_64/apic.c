/*
 * The local APIC (Intel SDM 3A, chapter 10): by MSR where the CPU has x2APIC, else by its
 * registers. The timer is in TSC-deadline mode where there is one, else one-shot.
 */
#include "x86.h"

#define REG_ID         0x02u /* MSR_X2APIC + REG, or 16 * REG in the register page */
#define REG_TPR        0x08u
#define REG_EOI        0x0bu
#define REG_SVR        0x0fu
#define REG_ICR        0x30u
#define REG_ICR_HIGH   0x31u
#define REG_LVT_TIMER  0x32u
#define REG_LVT_LINT0  0x35u
#define REG_LVT_LINT1  0x36u
#define REG_TIMER_INIT 0x38u
#define REG_TIMER_DIV  0x3eu

#define LVT_MASKED     0x10000u
#define LVT_NMI        0x400u
#define LVT_DEADLINE   0x40000u
#define ICR_PENDING    0x1000u
#define BASE_ENABLE    0x800u
#define BASE_X2        0x400u

static bool x2apic, deadline;
static volatile void *page;

static void set(uint32_t reg, uint32_t value)
{
	if (x2apic)
		x86_wrmsr(MSR_X2APIC + reg, value);
	else
		arch_mmio_write32(page, 16 * reg, value);
}

static uint32_t get(uint32_t reg)
{
	return x2apic ? (uint32_t)x86_rdmsr(MSR_X2APIC + reg) : arch_mmio_read32(page, 16 * reg);
}

/* CPUID may tell of the host's CPU what the virtual one has not: believe only what works. */
static void find_mode(void)
{
	struct cpuid f = x86_cpuid(1, 0);
	uint64_t base = x86_rdmsr(MSR_APIC_BASE);
	deadline = f.ecx & (1u << 24) && gk_wrmsr_safe(MSR_TSC_DEADLINE, 0);
	x2apic = f.ecx & (1u << 21) && gk_wrmsr_safe(MSR_APIC_BASE, base | BASE_ENABLE | BASE_X2);
	if (!x2apic)
		page = arch_mmio_map(base & 0xffffff000ull, ARCH_PAGE_SIZE);
}

void apic_init_cpu(void)
{
	if (arch_cpu() == 0)
		find_mode();
	else if (x2apic)
		x86_wrmsr(MSR_APIC_BASE, x86_rdmsr(MSR_APIC_BASE) | BASE_ENABLE | BASE_X2);
	set(REG_SVR, 0x100 | VECTOR_SPURIOUS);
	set(REG_TPR, 0);
	set(REG_LVT_LINT0, LVT_MASKED);
	set(REG_LVT_LINT1, LVT_NMI);
	set(REG_TIMER_DIV, 0xb); /* by 1 */
	set(REG_LVT_TIMER, VECTOR_TIMER | (deadline ? LVT_DEADLINE : 0));
}

uint32_t apic_id(void)
{
	return x2apic ? get(REG_ID) : get(REG_ID) >> 24;
}

void apic_eoi(void)
{
	set(REG_EOI, 0);
}

void apic_send(uint32_t id, uint32_t command)
{
	if (x2apic) {
		/* The stores that the other CPU is to see, before the message (SDM 3A, 10.12.3). */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		x86_wrmsr(MSR_X2APIC + REG_ICR, (uint64_t)id << 32 | command);
		return;
	}
	unsigned long flags = arch_irq_save();
	while (get(REG_ICR) & ICR_PENDING)
		arch_cpu_relax();
	set(REG_ICR_HIGH, id << 24);
	set(REG_ICR, command);
	arch_irq_restore(flags);
}

void arch_kick(unsigned cpu)
{
	apic_send(x86_percpu[cpu]->apic_id, APIC_FIXED | VECTOR_KICK);
}

void arch_timer_set(uint64_t deadline_ns)
{
	if (deadline) {
		x86_wrmsr(MSR_TSC_DEADLINE,
		          deadline_ns == UINT64_MAX ? 0 : clock_tsc_at(deadline_ns));
		return;
	}
	if (deadline_ns == UINT64_MAX) {
		set(REG_TIMER_INIT, 0);
		return;
	}
	uint64_t now = arch_now_ns();
	uint64_t ticks = deadline_ns > now ? clock_apic_ticks(deadline_ns - now) : 1;
	set(REG_TIMER_INIT, ticks > 0xffffffffu ? 0xffffffffu : ticks == 0 ? 1 : (uint32_t)ticks);
}
