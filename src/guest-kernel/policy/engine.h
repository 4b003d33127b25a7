/*
 * The reference monitor's inside. Private to its files.
 *
 * What a policy consists of is a `world`, replaced as a whole. Who looks into it is between
 * engine_enter and engine_leave, which cost two atomic additions and never wait; a reload publishes
 * the new world and waits until nobody is left who could have seen the old one. Checks that the
 * cache answers do not even enter.
 *
 * Order: world before seqno on writing, seqno before world on reading; so what is cached under a
 * number was decided under its policy or a newer one.
 */
#ifndef GUEST_KERNEL_POLICY_ENGINE_H
#define GUEST_KERNEL_POLICY_ENGINE_H

#include <stdatomic.h>

#include "acl.h"
#include "avc.h"
#include "policy.h"
#include "sidtab.h"

struct world {
	struct policydb *db;
	struct sidtab sids;
	struct arena text; /* the list, the capabilities, this itself is not */
	bool has_acl, has_caps;
	struct acl acl;
	struct capability_table caps;
	/* The kernel's classes and permissions in the policy's numbers; 0: it has them not. */
	uint32_t tclass[POLICY_CLASS_COUNT];
	uint32_t perm[POLICY_CLASS_COUNT][32];
	uint32_t unknown[POLICY_CLASS_COUNT]; /* kernel permissions that the policy lacks */
};

struct label {
	policy_sid_t sid;
	uint32_t refs;
	uint32_t hash;
	uint32_t next; /* of the bucket, or of the free ones; 0: none */
	bool used;
	char name[POLICY_NAME_MAX + 1];
};

struct policy {
	/* Read by every check. */
	_Atomic(uint32_t) seqno;
	_Atomic(uint32_t) mode;
	struct avc avc;
	_Atomic(uint64_t) checks[POLICY_CLASS_COUNT];

	struct policy_config config;
	_Atomic(struct world *) world; /* NULL: no policy yet */
	_Atomic(uint32_t) epoch;
	_Atomic(uint32_t) readers[2];
	atomic_flag lock; /* of labels, of new SIDs, of booleans, of the exchange of worlds */

	struct label *label; /* [label_max + 1] */
	uint32_t *label_bucket;
	uint32_t label_mask, label_free, label_used;

	uint32_t loads;
	_Atomic(uint64_t) misses;
	_Atomic(uint64_t) denials[POLICY_CLASS_COUNT];
	_Atomic(uint64_t) records, records_lost;
	_Atomic(uint64_t) audit_second; /* second << 32 | records in it */
};

static inline unsigned engine_enter(struct policy *p)
{
	unsigned side = atomic_load_explicit(&p->epoch, memory_order_relaxed) & 1;
	atomic_fetch_add(&p->readers[side], 1);
	return side;
}

static inline void engine_leave(struct policy *p, unsigned side)
{
	atomic_fetch_sub_explicit(&p->readers[side], 1, memory_order_release);
}

static inline struct world *engine_world(struct policy *p)
{
	return atomic_load(&p->world);
}

void engine_lock(struct policy *p);
void engine_unlock(struct policy *p);
/* Void what is cached. */
void engine_bump(struct policy *p);

/* NULL: no such label. Whoever has a reference may look at it without a lock. */
const struct label *engine_label(const struct policy *p, policy_label_t label);

/* Of one (subject, object, class): by layer. In kernel permissions. */
struct verdict {
	uint32_t acl; /* allowed by the list */
	uint32_t te;  /* allowed by the binary policy */
	uint32_t auditallow, auditdeny;
	bool permissive;
};
/* W may be NULL. */
void engine_decide(const struct world *w, const struct label *subject, const struct label *object,
                   enum policy_class tclass, struct verdict *v);

/* A world of DATA that is not in force yet. */
policy_status_t world_load(struct policy *p, const void *data, size_t len, struct world **out,
                           struct policy_error *err);
void world_free(struct policy *p, struct world *w);

enum audit_layer { AUDIT_AVC, AUDIT_ACL, AUDIT_CAPABILITY, AUDIT_OBJECT_CAPABILITY };
/* One record about PERMS, unless the limit is reached. */
void audit_record(struct policy *p, const struct world *w, const struct policy_request *r,
                  enum audit_layer layer, uint32_t perms, bool denied, bool permissive);

#endif
