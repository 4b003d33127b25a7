/* Counters that one counts up at a time, on its CPU or under its lock, and anyone may read. */
#ifndef GK_CORE_COUNTER_H
#define GK_CORE_COUNTER_H

#include <stdint.h>

static inline uint64_t counter_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static inline void counter_up(uint64_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

#endif
