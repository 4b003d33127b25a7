/* The local APIC's timer: one-shot, periodic, TSC deadline. */
#include "rt.h"

#define VECTOR           0x42u
#define TIMER_PERIODIC   (1u << 17)
#define TIMER_DEADLINE   (2u << 17)
#define MSR_TSC_DEADLINE 0x6e0u

static volatile unsigned count;
static unsigned target;

static void handler(unsigned vector)
{
	(void)vector;
	count++;
}

static bool reached(void)
{
	return count >= target;
}

static bool has_deadline(void)
{
	uint32_t a = 1, b, c = 0, d;
	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return c & 1u << 24;
}

void guest_main(void)
{
	irq_handle(VECTOR, handler);
	lapic_write(LAPIC_TIMER_DIV, 0xb); /* by 1 */

	target = 1;
	lapic_write(LAPIC_LVT_TIMER, VECTOR);
	lapic_write(LAPIC_TIMER_INIT, 5000000); /* 1 ns each under KVM: 5 ms */
	check("one-shot", halt_until(reached, 5 * RT_TICKS_SECOND));
	check_eq("one-shot fires once", count, 1);
	check_eq("and has run down", lapic_read(LAPIC_TIMER_NOW), 0);

	target = 6;
	lapic_write(LAPIC_LVT_TIMER, VECTOR | TIMER_PERIODIC);
	lapic_write(LAPIC_TIMER_INIT, 2000000);
	check("periodic", halt_until(reached, 5 * RT_TICKS_SECOND));
	lapic_write(LAPIC_TIMER_INIT, 0);

	if (!has_deadline()) {
		print("SKIP TSC deadline: CPUID does not show it\n");
		return;
	}
	target = count + 1;
	lapic_write(LAPIC_LVT_TIMER, VECTOR | TIMER_DEADLINE);
	barrier();
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + RT_TICKS_SECOND / 200);
	check("TSC deadline", halt_until(reached, 5 * RT_TICKS_SECOND));
}
