/*
 * Security identifiers: small numbers that stand for contexts. Reading takes no lock: entries never
 * move and never change; adding is for one thread at a time (the engine's lock).
 */
#ifndef GUEST_KERNEL_POLICY_SIDTAB_H
#define GUEST_KERNEL_POLICY_SIDTAB_H

#include <stdatomic.h>

#include "context.h"

/* Initial SIDs keep their numbers; others begin here. */
#define SID_FIRST (INITIAL_SID_MAX + 1u)

struct sid_entry {
	struct context context;
	uint32_t hash;
	uint32_t next; /* SID of the same bucket, or 0 */
	/*
	 * The context's text if the policy in force does not know it (any more): it counts as
	 * unlabeled until a policy knows it again. Else NULL.
	 */
	const char *unmapped;
	bool used;
};

#define SID_CHUNK 64u
struct sidtab {
	const struct policydb *db;
	struct arena arena;        /* entries, sets of categories */
	struct sid_entry **chunk;  /* [capacity / SID_CHUNK] */
	_Atomic(uint32_t) *bucket; /* [mask + 1] */
	uint32_t mask;
	uint32_t capacity;
	_Atomic(uint32_t) count; /* SIDs are below it */
};

/* Room for CAPACITY SIDs; the initial ones of DB are in it. POLICY_E_NOMEM. */
POLICY_WARN_UNUSED policy_status_t sidtab_init(struct sidtab *t, const struct policy_mem *mem,
                                               const struct policydb *db, uint32_t capacity);
void sidtab_fini(struct sidtab *t);

/* NULL: no such SID. What is unmapped has the context of the initial SID `unlabeled`. */
const struct context *sidtab_context(const struct sidtab *t, uint32_t sid);
const struct sid_entry *sidtab_entry(const struct sidtab *t, uint32_t sid);

/* 0: none yet. */
uint32_t sidtab_find(const struct sidtab *t, const struct context *c);
/* C (copied) as the next SID; one writer at a time. POLICY_E_LIMIT, POLICY_E_NOMEM. */
POLICY_WARN_UNUSED policy_status_t sidtab_add(struct sidtab *t, const struct context *c,
                                              uint32_t *sid);
/*
 * Everything of OLD that is not initial, with the same numbers, under T's policy. T is new. A
 * context that T's policy does not know is kept as text. POLICY_E_NOMEM, POLICY_E_LIMIT.
 */
POLICY_WARN_UNUSED policy_status_t sidtab_convert(struct sidtab *t, const struct sidtab *old);

#endif
