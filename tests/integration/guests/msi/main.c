/* A message-signalled interrupt that the host sends. */
#include "rt.h"
#include "testdev.h"

#define VECTOR 0x44u

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

void guest_main(void)
{
	irq_handle(VECTOR, handler);
	for (target = 1; target <= 20; target++) {
		mmio_write32(TESTDEV_MMIO + TESTDEV_MMIO_MSI, VECTOR);
		if (!halt_until(reached, RT_TICKS_SECOND))
			break;
	}
	check_eq("20 messages", count, 20);
}
