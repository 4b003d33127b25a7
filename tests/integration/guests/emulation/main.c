/*
 * An instruction that a pagetable-based host cannot emulate at CPL 0. With hardware KVM the guest
 * goes on; else the VMM has to say what happened, with the bytes at RIP.
 */
#include "rt.h"

void guest_main(void)
{
	uint64_t n = 0xff;
	__asm__ volatile("popcnt %0, %0" : "+a"(n)); /* f3 48 0f b8 c0 */
	check_eq("POPCNT", n, 8);
}
