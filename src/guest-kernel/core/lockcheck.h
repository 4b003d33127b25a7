/*
 * The order of spin locks, checked in debug builds: whoever takes B while holding A has set the
 * order A before B for good; taking A while holding B is then reported, whether or not two CPUs
 * meet. The second lock of a class that is already held is reported as well. Targets that have
 * lockcheck.c define GK_LOCKCHECK; elsewhere nothing is left of it.
 */
#ifndef GK_CORE_LOCKCHECK_H
#define GK_CORE_LOCKCHECK_H

#include <stdint.h>

#define LOCKCHECK_CLASSES 32u
#define LOCKCHECK_HELD    8u

/* What a CPU holds. */
struct lockcheck_held {
	const void *lock[LOCKCHECK_HELD];
	uint8_t class[LOCKCHECK_HELD];
	uint32_t count;
};

struct lockcheck {
	const char *names[LOCKCHECK_CLASSES];
	uint32_t after[LOCKCHECK_CLASSES]; /* bit B of [A]: B has been taken while A was held */
	uint32_t count;
	uint32_t busy;
	uint32_t faults;
};

#if defined(GK_LOCKCHECK) && GK_LOCKCHECK
void lockcheck_take(const void *lock, const char *name);
void lockcheck_drop(const void *lock);
#else
static inline void lockcheck_take(const void *lock, const char *name)
{
	(void)lock;
	(void)name;
}
static inline void lockcheck_drop(const void *lock)
{
	(void)lock;
}
#endif

#endif
