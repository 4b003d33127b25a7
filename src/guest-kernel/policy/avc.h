/*
 * The decision cache: what a subject may do to an object of a class, answered in a few nanoseconds.
 * Four entries to a set, each guarded by its own sequence number, so that readers neither lock nor
 * write; a writer that meets another one gives up, because a decision that is not cached is only
 * slower. All entries of an older policy are void at once: each carries the number of the policy it
 * was made under. Any thread, any context, interrupts included.
 */
#ifndef GUEST_KERNEL_POLICY_AVC_H
#define GUEST_KERNEL_POLICY_AVC_H

#include <stdatomic.h>

#include "base.h"

/* Subjects and objects are numbers below this. */
#define AVC_ID_MAX (1u << 24)

/* What is cached: the answer of all layers together. */
struct avc_decision {
	uint32_t allowed;
	uint32_t auditallow;
	uint32_t auditdeny;
	uint32_t flags; /* AVC_PERMISSIVE */
};
#define AVC_PERMISSIVE 1u /* the subject's domain is permissive */

/* Half a cache line. */
struct avc_entry {
	/* Number of the policy << 32 (0: never used) | sequence, which is odd while it is written.
	 */
	_Atomic(uint64_t) version;
	_Atomic(uint64_t) key;   /* subject << 40 | object << 16 | class */
	_Atomic(uint64_t) allow; /* allowed << 32 | auditallow */
	_Atomic(uint64_t) deny;  /* auditdeny << 32 | flags */
};

#define AVC_WAYS 4u
struct avc {
	struct avc_entry *entry; /* [(mask + 1) * AVC_WAYS], aligned to 128 bytes */
	uint32_t mask;
	_Atomic(uint32_t) victim; /* spreads the replacements over the ways */
	void *raw;
	size_t raw_bytes;
	const struct policy_mem *mem;
};

/* ENTRIES is rounded up to a power of two, 64 at least. POLICY_E_NOMEM. */
POLICY_WARN_UNUSED policy_status_t avc_init(struct avc *a, const struct policy_mem *mem,
                                            uint32_t entries);
void avc_fini(struct avc *a);

static inline uint64_t avc_key(uint32_t subject, uint32_t object, uint32_t tclass)
{
	return (uint64_t)subject << 40 | (uint64_t)object << 16 | tclass;
}

static inline uint32_t avc_set(const struct avc *a, uint64_t key)
{
	return (uint32_t)((key * 0x9e3779b97f4a7c15u) >> 40) & a->mask;
}

/*
 * True: *ALLOW, and with DENY *DENY, are the words of KEY's entry under policy SEQNO. The acquire
 * loads of the words pair with the release stores in avc_put: words of two writers are never mixed.
 * The first look at the key only finds the way.
 */
static inline __attribute__((always_inline)) bool avc_words(const struct avc *a, uint64_t key,
                                                            uint32_t seqno, uint64_t *allow,
                                                            uint64_t *deny)
{
	const struct avc_entry *e = &a->entry[(size_t)avc_set(a, key) * AVC_WAYS];
	for (unsigned way = 0; way < AVC_WAYS; way++, e++) {
		if (atomic_load_explicit(&e->key, memory_order_relaxed) != key)
			continue;
		uint64_t before = atomic_load_explicit(&e->version, memory_order_acquire);
		uint64_t again = atomic_load_explicit(&e->key, memory_order_acquire);
		*allow = atomic_load_explicit(&e->allow, memory_order_acquire);
		if (deny)
			*deny = atomic_load_explicit(&e->deny, memory_order_acquire);
		uint64_t after = atomic_load_explicit(&e->version, memory_order_relaxed);
		if (again == key && before == after && before >> 32 == seqno && !(before & 1))
			return true;
	}
	return false;
}

/* PERMS are all allowed, by a cached decision, and none is to be recorded. */
static inline bool avc_allows(const struct avc *a, uint64_t key, uint32_t seqno, uint32_t perms)
{
	uint64_t allow;
	return avc_words(a, key, seqno, &allow, NULL) &&
	       !(perms & ~((uint32_t)(allow >> 32) & ~(uint32_t)allow));
}

/* True: *D is what was decided under policy SEQNO. */
static inline bool avc_get(const struct avc *a, uint64_t key, uint32_t seqno,
                           struct avc_decision *d)
{
	uint64_t allow, deny;
	if (!avc_words(a, key, seqno, &allow, &deny))
		return false;
	*d = (struct avc_decision){.allowed = (uint32_t)(allow >> 32),
	                           .auditallow = (uint32_t)allow,
	                           .auditdeny = (uint32_t)(deny >> 32),
	                           .flags = (uint32_t)deny};
	return true;
}

void avc_put(struct avc *a, uint64_t key, uint32_t seqno, const struct avc_decision *d);

/* Entries of policy SEQNO: for statistics. */
uint32_t avc_used(const struct avc *a, uint32_t seqno);

#endif
