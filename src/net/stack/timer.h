/* Timers: a pairing heap of nodes inside their owners, so that arming one cannot fail. */
#ifndef NET_STACK_TIMER_H
#define NET_STACK_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#define TIMER_NEVER UINT64_MAX

struct timer {
	uint64_t when_ns;
	struct timer *child, *next,
	        *prev; /* prev: the left sibling, or the parent of a first child */
	bool armed;
	void (*fire)(struct timer *t);
};

struct timer_heap {
	struct timer *root;
};

/* Arm, or move, a timer. */
void timer_set(struct timer_heap *h, struct timer *t, uint64_t when_ns);
void timer_disarm(struct timer_heap *h, struct timer *t);
/* Take the earliest timer that is due, or NULL. */
struct timer *timer_pop(struct timer_heap *h, uint64_t now_ns);
uint64_t timer_next(const struct timer_heap *h);

#endif
