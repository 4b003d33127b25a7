/* The reference monitor: the check. See policy.h and engine.h. */
#include "engine.h"

#include "te.h"

/* -- deciding, without the cache -- */

static void map_decision(const struct world *w, enum policy_class tclass,
                         const struct av_decision *avd, struct verdict *v)
{
	for (unsigned i = 0; i < 32; i++) {
		uint32_t theirs = w->perm[tclass][i];
		if (!theirs)
			continue;
		if (avd->allowed & theirs)
			v->te |= 1u << i;
		if (avd->auditallow & theirs)
			v->auditallow |= 1u << i;
		if (!(avd->auditdeny & theirs))
			v->auditdeny &= ~(1u << i);
	}
}

/* Capabilities have a list of their own. */
static bool acl_speaks_of(enum policy_class tclass)
{
	return tclass != POLICY_CLASS_CAPABILITY && tclass != POLICY_CLASS_CAPABILITY2;
}

void engine_decide(const struct world *w, const struct label *subject, const struct label *object,
                   enum policy_class tclass, struct verdict *v)
{

	*v = (struct verdict){.auditdeny = UINT32_MAX};
	if (!w || !subject || !object)
		return;
	v->acl = w->has_acl && acl_speaks_of(tclass)
	                 ? acl_allowed(&w->acl, subject->name, object->name, tclass)
	                 : UINT32_MAX;
	const struct context *s = sidtab_context(&w->sids, subject->sid);
	const struct context *o = sidtab_context(&w->sids, object->sid);
	if (!s || !o)
		return;
	if (w->db->config & ALLOW_UNKNOWN)
		v->te = w->unknown[tclass];
	v->permissive = set_has(w->db->permissive, s->type);
	if (w->tclass[tclass]) {
		struct av_decision avd;
		te_compute_av(w->db, s, o, w->tclass[tclass], &avd);
		map_decision(w, tclass, &avd, v);
	}
	/* What the list denies is recorded whatever the binary policy says about records. */
	v->auditdeny |= ~v->acl;
}

static uint64_t key_of(const struct policy_request *r)
{
	return avc_key(r->subject->label, r->object, (uint32_t)r->tclass);
}

static void compute(struct policy *p, const struct policy_request *r, uint32_t seqno,
                    struct avc_decision *d)
{
	struct verdict v;
	unsigned side = engine_enter(p);
	engine_decide(engine_world(p), engine_label(p, r->subject->label),
	              engine_label(p, r->object), r->tclass, &v);
	engine_leave(p, side);
	*d = (struct avc_decision){.allowed = v.te & v.acl,
	                           .auditallow = v.auditallow,
	                           .auditdeny = v.auditdeny,
	                           .flags = v.permissive ? AVC_PERMISSIVE : 0};
	atomic_fetch_add_explicit(&p->misses, 1, memory_order_relaxed);
	avc_put(&p->avc, key_of(r), seqno, d);
}

/* -- denials and records -- */

static void record_av(struct policy *p, const struct policy_request *r,
                      const struct avc_decision *d, bool permissive)
{
	uint32_t denied = r->perms & ~d->allowed & d->auditdeny;
	uint32_t granted = r->perms & d->allowed & d->auditallow;
	if (!denied && !granted)
		return;
	struct verdict v;
	unsigned side = engine_enter(p);
	const struct world *w = engine_world(p);
	engine_decide(w, engine_label(p, r->subject->label), engine_label(p, r->object), r->tclass,
	              &v);
	if (denied & ~v.te)
		audit_record(p, w, r, AUDIT_AVC, denied & ~v.te, true, permissive);
	if (denied & v.te)
		audit_record(p, w, r, AUDIT_ACL, denied & v.te, true, permissive);
	if (granted && !denied)
		audit_record(p, w, r, AUDIT_AVC, granted, false, permissive);
	engine_leave(p, side);
}

static bool holds_object(const struct policy_request *r)
{
	return !r->space ||
	       objcap_allows(r->space, r->subject->id, r->held, r->object_id, r->rights);
}

static void record_layer(struct policy *p, const struct policy_request *r, enum audit_layer layer,
                         bool permissive)
{
	unsigned side = engine_enter(p);
	audit_record(p, engine_world(p), r, layer, r->perms, true, permissive);
	engine_leave(p, side);
}

static void decide(struct policy *p, const struct policy_request *r, struct avc_decision *d)
{
	uint32_t seqno = atomic_load_explicit(&p->seqno, memory_order_acquire);
	if (!avc_get(&p->avc, key_of(r), seqno, d))
		compute(p, r, seqno, d);
}

/* All that is not a plain yes. Out of the way: what the cache answers shall save no registers. */
static __attribute__((noinline)) policy_status_t slow(struct policy *p,
                                                      const struct policy_request *r)
{
	enum policy_mode mode = policy_mode(p);
	struct avc_decision d;
	decide(p, r, &d);
	if (mode == POLICY_DISABLED)
		return POLICY_OK;
	bool permissive = mode == POLICY_PERMISSIVE || (d.flags & AVC_PERMISSIVE);
	bool denied = (r->perms & ~d.allowed) != 0 || r->perms == 0;
	record_av(p, r, &d, permissive);
	if (!holds_object(r)) {
		record_layer(p, r, AUDIT_OBJECT_CAPABILITY, permissive);
		denied = true;
	}
	if (denied)
		atomic_fetch_add_explicit(&p->denials[r->tclass], 1, memory_order_relaxed);
	if (denied && !permissive)
		return POLICY_E_DENIED;
	return r->cap == POLICY_NO_CAP ? POLICY_OK : policy_capable(p, r->subject, r->cap);
}

static inline void count_check(struct policy *p, enum policy_class tclass)
{
	_Atomic(uint64_t) *checks = &p->checks[tclass];
	atomic_store_explicit(checks, atomic_load_explicit(checks, memory_order_relaxed) + 1,
	                      memory_order_relaxed);
}

static inline bool is_plain(struct policy *p, const struct policy_request *r, uint32_t seqno)
{
	return r->perms != 0 && r->cap == POLICY_NO_CAP && !r->space &&
	       avc_allows(&p->avc, key_of(r), seqno, r->perms);
}

policy_status_t policy_check(struct policy *p, const struct policy_request *r)
{
	uint32_t seqno = atomic_load_explicit(&p->seqno, memory_order_acquire);
	count_check(p, r->tclass);
	return __builtin_expect(is_plain(p, r, seqno), 1) ? POLICY_OK : slow(p, r);
}

policy_status_t policy_check_for(struct policy *p, const struct policy_request *r,
                                 uint32_t *good_for)
{
	uint32_t seqno = atomic_load_explicit(&p->seqno, memory_order_acquire);
	count_check(p, r->tclass);
	*good_for = is_plain(p, r, seqno) ? seqno : 0;
	return *good_for ? POLICY_OK : slow(p, r);
}

policy_status_t policy_capable(struct policy *p, const struct policy_subject *subject, int cap)
{
	if (cap < 0 || cap > CAP_LAST)
		return POLICY_E_DENIED;
	const struct policy_request r = {
	        .subject = subject,
	        .object = subject->label,
	        .tclass = cap < 32 ? POLICY_CLASS_CAPABILITY : POLICY_CLASS_CAPABILITY2,
	        .perms = 1u << (cap % 32),
	        .cap = POLICY_NO_CAP,
	};
	enum policy_mode mode = policy_mode(p);
	if (capability_has(&subject->caps, cap) || mode == POLICY_DISABLED)
		return policy_check(p, &r);
	struct avc_decision d;
	count_check(p, r.tclass);
	decide(p, &r, &d);
	bool permissive = mode == POLICY_PERMISSIVE || (d.flags & AVC_PERMISSIVE);
	record_layer(p, &r, AUDIT_CAPABILITY, permissive);
	atomic_fetch_add_explicit(&p->denials[r.tclass], 1, memory_order_relaxed);
	return permissive ? POLICY_OK : POLICY_E_DENIED;
}
