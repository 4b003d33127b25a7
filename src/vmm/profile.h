/*
 * A vCPU's exits to the VMM, counted and timed. The two calls around KVM_RUN are all that the exit
 * path pays: two looks at the clock, one look-up, five additions. One writer, the vCPU's thread;
 * readers see whole values, perhaps late.
 */
#ifndef SRC_VMM_PROFILE_H
#define SRC_VMM_PROFILE_H

#include <linux/kvm.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/profile.h"

struct profile_place {
	uint64_t key; /* profile_key; 0: free */
	_Atomic uint64_t count;
	_Atomic uint64_t ticks;
	_Atomic uint64_t min_ticks, max_ticks;
	_Atomic uint32_t bucket[VMM_PROFILE_BUCKETS];
};

struct profile {
	uint64_t entered; /* KVM_RUN, or 0: not in it */
	uint64_t left;
	struct profile_place *place; /* of the exit that is being handled, or NULL */
	_Atomic uint64_t began;      /* the first KVM_RUN */
	_Atomic uint64_t run_ticks;
	_Atomic uint64_t vmm_ticks;
	_Atomic int tid;
	struct profile_place rest; /* of exits whose place found no room */
	struct profile_place places[VMM_PROFILE_PLACES];
};

/* NULL: out of memory. */
struct profile *profile_create(void);
void profile_destroy(struct profile *p);

/* Right before KVM_RUN: ends the exit that was being handled. */
void profile_enter(struct profile *p);
/* Right after it, with ERR its errno or 0. */
void profile_leave(struct profile *p, const struct kvm_run *run, int err);
/* The thread stops to wait for something that is no exit's doing. */
void profile_rest(struct profile *p);

/*
 * What and where an exit is, as one number that is not 0. Two places never share one as long as a
 * guest-physical address has at most 52 bits.
 */
uint64_t profile_key(const struct kvm_run *run, int err);
void profile_describe(uint64_t key, vmm_profile_entry_t *e);

#endif
