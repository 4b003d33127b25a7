/*
 * Waiting for a condition, and mutexes. The condition belongs to a spin lock of the caller's; READY
 * is called with it held, and may take at once what it waited for, so that no other task comes
 * between.
 */
#ifndef GK_CORE_WAITQ_H
#define GK_CORE_WAITQ_H

#include "guest-kernel/core/task.h"

struct waitq {
	struct list waiters;
};

void waitq_init(struct waitq *q);
/*
 * LOCK is not held. True once READY(ctx) has been true; false if DEADLINE_NS comes first (0: now,
 * so that it only tries; FOREVER). Task context.
 */
bool waitq_wait(struct waitq *q, struct spinlock *lock, bool (*ready)(void *ctx), void *ctx,
                uint64_t deadline_ns);
/* The condition may have changed: the one that has waited longest looks again, or all. LOCK is
 * held. */
void waitq_wake_one(struct waitq *q);
void waitq_wake_all(struct waitq *q);

/*
 * A lock for tasks, handed from its holder to the one that has waited longest. While a more urgent
 * task waits the holder has its priority; it gives that back with the last mutex it holds.
 */
struct mutex {
	struct spinlock lock;
	struct list waiters;
	struct task *owner;
};

void mutex_init(struct mutex *m);
void mutex_lock(struct mutex *m);
bool mutex_try(struct mutex *m);
/* False if it was not to be had until DEADLINE_NS. */
bool mutex_lock_until(struct mutex *m, uint64_t deadline_ns);
/* By its holder only: anyone else panics. */
void mutex_unlock(struct mutex *m);

#endif
