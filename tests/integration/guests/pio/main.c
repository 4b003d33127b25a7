/* Port reads and writes of every width. */
#include "rt.h"
#include "testdev.h"

void guest_main(void)
{
	const uint16_t echo = TESTDEV_PORT + TESTDEV_ECHO;
	outb(echo, 0x5a);
	check_eq("byte", inb(echo), 0xa5);
	outw(echo, 0x1234);
	check_eq("word", inw(echo), 0xedcb);
	outl(echo, 0xdeadbeef);
	check_eq("long", inl(echo), 0x21524110);
	check_eq("every access arrived once", inl(TESTDEV_PORT + TESTDEV_COUNT), 6);

	uint64_t rax = ~0ull;
	__asm__ volatile("inb %w1, %b0" : "+a"(rax) : "d"(echo));
	check_eq("a byte read keeps the rest of RAX", rax >> 8, ~0ull >> 8);
	rax = ~0ull;
	__asm__ volatile("inl %w1, %k0" : "+a"(rax) : "d"(echo));
	check_eq("a long read clears the upper half of RAX", rax >> 32, 0);

	outb(echo, 1);
	unsigned wrong = 0;
	for (unsigned i = 0; i < 1000; i++) {
		outb(echo, (uint8_t)i);
		wrong += inb(echo) != (uint8_t)~i;
	}
	check_eq("a thousand round trips", wrong, 0);
}
