/*
 * Timers: a function at a time, in interrupt context. Each CPU has its own heap; a timer belongs to
 * the CPU it was started on until it has fired or been stopped.
 */
#ifndef GK_CORE_TIMER_H
#define GK_CORE_TIMER_H

#include "guest-kernel/core/counter.h"
#include "guest-kernel/core/pheap.h"
#include "guest-kernel/core/spinlock.h"

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull
#define FOREVER   UINT64_MAX

struct timer;
/*
 * Runs with interrupts off and the CPU's timers locked: it wakes somebody or queues work, and must
 * not start or stop a timer. It returns when to run again (arch_now_ns), or 0.
 */
typedef uint64_t (*timer_fn)(struct timer *t);

struct timer {
	struct pheap_node node;
	timer_fn fn;
	uint32_t cpu;
};

struct cpu_timers {
	struct spinlock lock;
	struct pheap heap;
	uint64_t armed_ns; /* what the hardware is set to; FOREVER: nothing */
	uint64_t fired;
};

void timers_init(struct cpu_timers *c);
void timer_init(struct timer *t, timer_fn fn);
/* At DEADLINE_NS of arch_now_ns; a timer that is running already is moved. */
void timer_start(struct timer *t, uint64_t deadline_ns);
/* After it FN does not run, nor is it running elsewhere. True if it was still to come. */
bool timer_stop(struct timer *t);
/* From the timer interrupt. */
void timers_expire(struct cpu_timers *c);
/* Makes sure that there is an interrupt on this CPU at AT_NS at the latest. Interrupts are off. */
void timers_arm(struct cpu_timers *c, uint64_t at_ns);

#endif
