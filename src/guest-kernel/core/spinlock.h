/*
 * Ticket locks: fair, with the holder's CPU for assertions. They are held with interrupts off,
 * always: a holder is neither interrupted nor preempted. All bits zero is an open lock. Locks with
 * a name take part in the order check of debug builds (lockcheck.h).
 */
#ifndef GK_CORE_SPINLOCK_H
#define GK_CORE_SPINLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "guest-kernel/arch/arch.h"
#include "guest-kernel/core/lockcheck.h"

struct spinlock {
	_Atomic uint32_t next;   /* the ticket that the next comer draws */
	_Atomic uint32_t now;    /* the ticket that is being served */
	_Atomic uint32_t holder; /* CPU + 1 of the holder; 0: nobody */
	const char *name;        /* locks of one name are one class; NULL: not checked */
};

static inline void spin_init(struct spinlock *l)
{
	atomic_init(&l->next, 0);
	atomic_init(&l->now, 0);
	atomic_init(&l->holder, 0);
	l->name = NULL;
}

static inline void spin_init_named(struct spinlock *l, const char *name)
{
	spin_init(l);
	l->name = name;
}

/* For assertions: true if the executing CPU holds L. Means nothing where it can migrate. */
static inline bool spin_held(struct spinlock *l)
{
	return atomic_load_explicit(&l->holder, memory_order_relaxed) == arch_cpu() + 1;
}

/* Waits for its turn. The acquire pairs with the release in spin_unlock. */
static inline void spin_lock(struct spinlock *l)
{
	lockcheck_take(l, l->name);
	uint32_t ticket = atomic_fetch_add_explicit(&l->next, 1, memory_order_relaxed);
	while (atomic_load_explicit(&l->now, memory_order_acquire) != ticket)
		arch_cpu_relax();
	atomic_store_explicit(&l->holder, arch_cpu() + 1, memory_order_relaxed);
}

/* Never waits; false if somebody holds L. Outside the order check, as it cannot block. */
static inline bool spin_trylock(struct spinlock *l)
{
	uint32_t now = atomic_load_explicit(&l->now, memory_order_acquire);
	uint32_t ticket = now;
	if (!atomic_compare_exchange_strong_explicit(&l->next, &ticket, now + 1,
	                                             memory_order_acquire, memory_order_relaxed))
		return false;
	atomic_store_explicit(&l->holder, arch_cpu() + 1, memory_order_relaxed);
	return true;
}

static inline void spin_unlock(struct spinlock *l)
{
	lockcheck_drop(l);
	uint32_t now = atomic_load_explicit(&l->now, memory_order_relaxed);
	atomic_store_explicit(&l->holder, 0, memory_order_relaxed);
	atomic_store_explicit(&l->now, now + 1, memory_order_release);
}

/* Interrupts off on this CPU, then the lock. The value goes to spin_unlock_irqrestore. */
static inline unsigned long spin_lock_irqsave(struct spinlock *l)
{
	unsigned long flags = arch_irq_save();
	spin_lock(l);
	return flags;
}

static inline void spin_unlock_irqrestore(struct spinlock *l, unsigned long flags)
{
	spin_unlock(l);
	arch_irq_restore(flags);
}

#endif
