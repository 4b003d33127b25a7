/* The processor's clock: cheap enough for the exit path, the same on all CPUs. */
#ifndef SRC_VMM_TICKS_H
#define SRC_VMM_TICKS_H

#include <stdint.h>
#include <x86intrin.h>

static inline uint64_t ticks_now(void)
{
	return __rdtsc();
}

#endif
