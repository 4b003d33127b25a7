/* Ports and addresses that nothing answers: reads give all ones, writes go nowhere. */
#include "rt.h"
#include "testdev.h"

void guest_main(void)
{
	check_eq("port, byte", inb(NOTHING_PORT), 0xff);
	check_eq("port, word", inw(NOTHING_PORT), 0xffff);
	check_eq("port, long", inl(NOTHING_PORT), 0xffffffff);
	outb(NOTHING_PORT, 1);
	outw(NOTHING_PORT, 1);
	outl(NOTHING_PORT, 1);
	check("port, writes", true);
	check_eq("memory, 8 bits", mmio_read8(NOTHING_MMIO), 0xff);
	check_eq("memory, 16 bits", mmio_read16(NOTHING_MMIO), 0xffff);
	check_eq("memory, 32 bits", mmio_read32(NOTHING_MMIO), 0xffffffff);
	check_eq("memory, 64 bits", mmio_read64(NOTHING_MMIO), ~0ull);
	mmio_write8(NOTHING_MMIO, 1);
	mmio_write16(NOTHING_MMIO, 1);
	mmio_write32(NOTHING_MMIO, 1);
	mmio_write64(NOTHING_MMIO, 1);
	check("memory, writes", true);
	check_eq("the last port", inb(0xffff), 0xff);
	check_eq("a long read over the last port", inl(0xfffd) >> 24, 0xff);
}
