/* A device's interrupt line: eventfd, irqfd, IOAPIC, local APIC, handler. */
#include "rt.h"
#include "testdev.h"

#define VECTOR 0x40u

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

static void request(uint32_t delay_us)
{
	mmio_write32(TESTDEV_MMIO + TESTDEV_MMIO_IRQ, delay_us);
}

static bool never(void)
{
	return false;
}

void guest_main(void)
{
	irq_handle(VECTOR, handler);
	ioapic_route(TESTDEV_GSI, VECTOR);
	for (unsigned i = 0; i < 200; i++) {
		target = count + 1;
		request(0);
		if (!halt_until(reached, RT_TICKS_SECOND))
			break;
	}
	check_eq("200 interrupts, each waited for with HLT", count, 200);

	count = 0;
	irq_on();
	for (unsigned i = 0; i < 50; i++) {
		target = i + 1;
		request(0);
		if (!spin_until(reached, RT_TICKS_SECOND))
			break;
	}
	irq_off();
	check_eq("50 interrupts into a running CPU", count, 50);

	count = 0;
	ioapic_mask(TESTDEV_GSI);
	irq_on();
	request(0);
	(void)spin_until(never, RT_TICKS_SECOND / 50);
	irq_off();
	check_eq("a masked pin stays silent", count, 0);

	ioapic_route(TESTDEV_GSI, VECTOR);
	irq_on();
	target = 1;
	request(0);
	(void)spin_until(reached, RT_TICKS_SECOND);
	irq_off();
	check("an unmasked pin speaks again", count >= 1);
}
