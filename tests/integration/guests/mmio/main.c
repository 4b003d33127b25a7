/* Memory-mapped accesses of every width, aligned and not. */
#include "rt.h"
#include "testdev.h"

void guest_main(void)
{
	const uint64_t echo = TESTDEV_MMIO + TESTDEV_MMIO_ECHO;
	mmio_write8(echo, 0x5a);
	check_eq("8 bits", mmio_read8(echo), 0xa5);
	mmio_write16(echo, 0x1234);
	check_eq("16 bits", mmio_read16(echo), 0xedcb);
	mmio_write32(echo, 0xdeadbeef);
	check_eq("32 bits", mmio_read32(echo), 0x21524110);
	mmio_write64(echo, 0x0123456789abcdef);
	check_eq("64 bits", mmio_read64(echo), 0xfedcba9876543210);

	mmio_write16(echo + 1, 0x1234);
	check_eq("16 bits, unaligned", mmio_read16(echo + 1), 0xedcb);
	mmio_write32(echo + 3, 0xdeadbeef);
	check_eq("32 bits, unaligned", mmio_read32(echo + 3), 0x21524110);
	mmio_write64(echo + 5, 0x0123456789abcdef);
	check_eq("64 bits, unaligned", mmio_read64(echo + 5), 0xfedcba9876543210);

	uint64_t rax = ~0ull;
	__asm__ volatile("movb (%1), %b0" : "+a"(rax) : "r"(echo));
	check_eq("an 8-bit read keeps the rest of RAX", rax >> 8, ~0ull >> 8);
	mmio_write8(echo, 0x7f);
	uint64_t wide;
	__asm__ volatile("movsbq (%1), %0" : "=r"(wide) : "r"(echo));
	check_eq("sign extension", wide, 0xffffffffffffff80);
	__asm__ volatile("movzbl (%1), %k0" : "=r"(wide) : "r"(echo));
	check_eq("zero extension", wide, 0x80);

	mmio_write64(TESTDEV_MMIO + TESTDEV_MMIO_BYTES - 4, 1);
	(void)mmio_read64(TESTDEV_MMIO + TESTDEV_MMIO_BYTES - 4);
	check("an access across the end of the device", true);
}
