/* INS and OUTS with a repeat count: KVM hands over many items in one exit. */
#include "rt.h"
#include "testdev.h"

static uint8_t out_bytes[600], in_bytes[600];
static uint32_t out_longs[100], in_longs[100];

static void outs8(uint16_t port, const void *src, size_t n)
{
	__asm__ volatile("rep outsb" : "+S"(src), "+c"(n) : "d"(port) : "memory");
}

static void ins8(uint16_t port, void *dst, size_t n)
{
	__asm__ volatile("rep insb" : "+D"(dst), "+c"(n) : "d"(port) : "memory");
}

static void outs16(uint16_t port, const void *src, size_t n)
{
	__asm__ volatile("rep outsw" : "+S"(src), "+c"(n) : "d"(port) : "memory");
}

static void ins16(uint16_t port, void *dst, size_t n)
{
	__asm__ volatile("rep insw" : "+D"(dst), "+c"(n) : "d"(port) : "memory");
}

static void outs32(uint16_t port, const void *src, size_t n)
{
	__asm__ volatile("rep outsl" : "+S"(src), "+c"(n) : "d"(port) : "memory");
}

static void ins32(uint16_t port, void *dst, size_t n)
{
	__asm__ volatile("rep insl" : "+D"(dst), "+c"(n) : "d"(port) : "memory");
}

void guest_main(void)
{
	const uint16_t fifo = TESTDEV_PORT + TESTDEV_FIFO;
	for (size_t i = 0; i < sizeof(out_bytes); i++)
		out_bytes[i] = (uint8_t)(i * 7 + 3);
	outs8(fifo, out_bytes, sizeof(out_bytes));
	ins8(fifo, in_bytes, sizeof(in_bytes));
	check("bytes", memcmp(out_bytes, in_bytes, sizeof(in_bytes)) == 0);

	memset(in_bytes, 0, sizeof(in_bytes));
	outs16(fifo, out_bytes, sizeof(out_bytes) / 2);
	ins16(fifo, in_bytes, sizeof(in_bytes) / 2);
	check("words", memcmp(out_bytes, in_bytes, sizeof(in_bytes)) == 0);

	for (uint32_t i = 0; i < 100; i++)
		out_longs[i] = i * 0x01020304;
	outs32(fifo, out_longs, 100);
	ins32(fifo, in_longs, 100);
	check("longs", memcmp(out_longs, in_longs, sizeof(in_longs)) == 0);

	/* Backwards. */
	const uint8_t *last = out_bytes + 9;
	size_t n = 10;
	__asm__ volatile("std\n\trep outsb\n\tcld" : "+S"(last), "+c"(n) : "d"(fifo) : "memory");
	ins8(fifo, in_bytes, 10);
	bool reversed = true;
	for (unsigned i = 0; i < 10; i++)
		reversed = reversed && in_bytes[i] == out_bytes[9 - i];
	check("direction flag", reversed);

	memset(in_bytes, 0, 64);
	ins8(NOTHING_PORT, in_bytes, 64);
	bool ones = true;
	for (unsigned i = 0; i < 64; i++)
		ones = ones && in_bytes[i] == 0xff;
	check("from a port where nothing is", ones);
	outs8(NOTHING_PORT, out_bytes, 64);
	check("to a port where nothing is", true);
}
