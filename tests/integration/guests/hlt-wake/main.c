/* A halted CPU sleeps until an interrupt comes, and goes on then. */
#include "rt.h"
#include "testdev.h"

#define VECTOR 0x41u

static volatile bool woken;

static void handler(unsigned vector)
{
	(void)vector;
	woken = true;
}

static bool is_woken(void)
{
	return woken;
}

void guest_main(void)
{
	irq_handle(VECTOR, handler);
	ioapic_route(TESTDEV_GSI, VECTOR);
	uint64_t begin = rdtsc();
	mmio_write32(TESTDEV_MMIO + TESTDEV_MMIO_IRQ, 50000);
	check("not before its time", !woken);
	check("woken", halt_until(is_woken, 10 * RT_TICKS_SECOND));
	check("slept for some milliseconds", rdtsc() - begin > RT_TICKS_SECOND / 200);
}
