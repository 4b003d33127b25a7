/*
 * A vCPU's exits to the VMM, counted and timed. The two calls around KVM_RUN are all that the exit
 * path pays: two looks at the clock, a look-up, two additions. One writer, the vCPU's thread;
 * readers see whole values, perhaps late.
 */
#ifndef SRC_VMM_EXIT_PROFILE_H
#define SRC_VMM_EXIT_PROFILE_H

#include <linux/kvm.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "stats/buckets.h"
#include "ticks.h"
#include "vmm/profile.h"

struct profile_place {
	uint64_t key; /* profile_key; 0: free */
	_Atomic uint64_t ticks;
	_Atomic uint64_t min_ticks; /* plus one: 0 in a place that has seen nothing */
	_Atomic uint64_t max_ticks;
	uint64_t span;                                /* from the least to the greatest */
	_Atomic uint64_t bucket[VMM_PROFILE_BUCKETS]; /* their sum is the count */
};

struct profile {
	uint64_t left;               /* KVM_RUN; 0: no exit is being handled */
	struct profile_place *place; /* of the last exit: the next one often has the same */
	_Atomic uint64_t began;      /* the first KVM_RUN */
	uint64_t resting;            /* since when it waits at the gate, or 0 */
	_Atomic uint64_t rest_ticks;
	_Atomic int tid;
	struct profile_place rest; /* of exits whose place found no room */
	struct profile_place places[VMM_PROFILE_PLACES];
};

_Static_assert(KVM_EXIT_IO_OUT == 1 && KVM_EXIT_IO_IN == 0, "the direction is the write bit");

/* What proc(5) says of this process, to be read when files cannot be opened any more; or -1. */
int profile_stat_open(void);
/* NULL: out of memory. */
struct profile *profile_create(void);
void profile_destroy(struct profile *p);

/* The first KVM_RUN, and the first one after a rest. */
void profile_resume(struct profile *p);
/* The place of this exit: found, new, or that of the rest. */
struct profile_place *profile_find(struct profile *p, uint64_t key);
/* The least or the greatest of PLACE so far. */
void profile_widen(struct profile_place *place, uint64_t ticks);
/* The thread stops to wait for something that is no exit's doing. */
void profile_rest(struct profile *p);

/*
 * What and where an exit is, as one number that is not 0. Two places never share one as long as a
 * guest-physical address has at most 52 bits.
 */
static inline uint64_t profile_key(const struct kvm_run *run, int err);
void profile_describe(uint64_t key, vmm_profile_entry_t *e);

/* One writer: a plain addition that readers may see late. */
static inline void profile_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
	                      memory_order_relaxed);
}

static inline void profile_record(struct profile_place *place, uint64_t ticks)
{
	/* One look for both ends, which a new place is always beyond. */
	if (ticks + 1 - atomic_load_explicit(&place->min_ticks, memory_order_relaxed) > place->span)
		profile_widen(place, ticks);
	profile_add(&place->ticks, ticks);
	profile_add(&place->bucket[bucket_of(ticks, VMM_PROFILE_BITS)], 1);
}

#define PROFILE_REASON_SHIFT 56u
#define PROFILE_WRITE        (1ull << 55)
#define PROFILE_USED         (1ull << 54)
#define PROFILE_ADDRESS      ((1ull << 52) - 1)
#define PROFILE_KEY(reason)  ((uint64_t)(reason) << PROFILE_REASON_SHIFT | PROFILE_USED)

static inline uint64_t profile_key(const struct kvm_run *run, int err)
{
	if (err)
		return PROFILE_KEY(KVM_EXIT_INTR);
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		return PROFILE_KEY(KVM_EXIT_IO) | run->io.port | (uint64_t)run->io.direction << 55;
	case KVM_EXIT_MMIO:
		return PROFILE_KEY(KVM_EXIT_MMIO) | (run->mmio.phys_addr & PROFILE_ADDRESS) |
		       (run->mmio.is_write ? PROFILE_WRITE : 0);
	case KVM_EXIT_X86_RDMSR:
		return PROFILE_KEY(KVM_EXIT_X86_RDMSR) | run->msr.index;
	case KVM_EXIT_X86_WRMSR:
		return PROFILE_KEY(KVM_EXIT_X86_WRMSR) | run->msr.index | PROFILE_WRITE;
	default:
		return PROFILE_KEY(run->exit_reason < 0xff ? run->exit_reason : 0xff);
	}
}

/* Right before KVM_RUN: ends the exit that was being handled. */
static inline void profile_enter(struct profile *p)
{
	if (p->left)
		profile_record(p->place, ticks_now() - p->left);
	else
		profile_resume(p);
}

/* Right after it, with ERR its errno or 0. */
static inline void profile_leave(struct profile *p, const struct kvm_run *run, int err)
{
	p->left = ticks_now();
	uint64_t key = profile_key(run, err);
	if (p->place->key != key)
		p->place = profile_find(p, key);
}

#endif
