/* Every CPU is started by INIT and SIPI, counts itself in and answers an interrupt. */
#include "rt.h"

#define VECTOR 0x43u

static uint32_t online = 1, answered, idle;

void rt_ap_main(void)
{
	lapic_write(LAPIC_SVR, 0x1ff);
	__atomic_fetch_add(&online, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&idle, __ATOMIC_SEQ_CST))
		pause();
	/* Polls the request register: no second IDT is needed to see that the message came. */
	while (!(lapic_read(0x200 + 0x10 * (VECTOR / 32)) & 1u << VECTOR % 32))
		pause();
	__atomic_fetch_add(&answered, 1, __ATOMIC_SEQ_CST);
}

#define FW_CPUS 4u /* the runner gives that many */

static bool all_online(void)
{
	return __atomic_load_n(&online, __ATOMIC_SEQ_CST) == FW_CPUS;
}

static bool all_answered(void)
{
	return __atomic_load_n(&answered, __ATOMIC_SEQ_CST) == FW_CPUS - 1;
}

void guest_main(void)
{
	check_eq("the boot CPU's APIC id", lapic_read(LAPIC_ID) >> 24, 0);
	smp_start();
	check("every CPU came", spin_until(all_online, 10 * RT_TICKS_SECOND));
	__atomic_store_n(&idle, 1, __ATOMIC_SEQ_CST);
	lapic_write(LAPIC_ICR_LOW, 0xc4000 | VECTOR); /* fixed, all but self */
	check("every CPU got the message", spin_until(all_answered, 10 * RT_TICKS_SECOND));
}
