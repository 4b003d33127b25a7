/* An exception with no IDT: the CPU shuts down, and the VMM has to say so. */
#include "rt.h"

void guest_main(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) empty = {0, 0};
	__asm__ volatile("lidt %0\n\tud2" : : "m"(empty));
}
