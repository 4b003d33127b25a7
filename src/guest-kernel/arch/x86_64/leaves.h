/* What CPUID's leaves mean. Pure functions of what they hold: hosted tests run them too. */
#ifndef GK_ARCH_X86_LEAVES_H
#define GK_ARCH_X86_LEAVES_H

#include "guest-kernel/arch/arch.h"

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

#define LEAVES_CACHES 8u /* subleaves that are looked at */

/*
 * The last level of cache among LEAVES, the subleaves from 0 on of leaf 4 (Intel SDM 2A, CPUID) or
 * 0x8000001d (AMD APM 3, E.4.15). Not known: there is none, or its geometry is not one that a cache
 * can have.
 */
void leaves_llc(const struct cpuid leaves[LEAVES_CACHES], struct arch_cache *out);

#endif
