/*
 * Ticket locks: fair, two words, and the holder's CPU for assertions. A lock that an interrupt
 * handler may take is taken with the _irqsave forms everywhere. All bits zero is an open lock.
 */
#ifndef GK_CORE_SPINLOCK_H
#define GK_CORE_SPINLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "guest-kernel/arch/arch.h"

struct spinlock {
	_Atomic uint32_t next;   /* the ticket that the next comer draws */
	_Atomic uint32_t now;    /* the ticket that is being served */
	_Atomic uint32_t holder; /* CPU + 1 of the holder; 0: nobody */
};

static inline void spin_init(struct spinlock *l)
{
	atomic_init(&l->next, 0);
	atomic_init(&l->now, 0);
	atomic_init(&l->holder, 0);
}

/* For assertions: true if the executing CPU holds L. Means nothing where it can migrate. */
static inline bool spin_held(struct spinlock *l)
{
	return atomic_load_explicit(&l->holder, memory_order_relaxed) == arch_cpu() + 1;
}

/* Waits for its turn. The acquire pairs with the release in spin_unlock. */
static inline void spin_lock(struct spinlock *l)
{
	uint32_t ticket = atomic_fetch_add_explicit(&l->next, 1, memory_order_relaxed);
	while (atomic_load_explicit(&l->now, memory_order_acquire) != ticket)
		arch_cpu_relax();
	atomic_store_explicit(&l->holder, arch_cpu() + 1, memory_order_relaxed);
}

/* Never waits; false if somebody holds L. */
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
