/* The reference monitor: life, loading, modes, booleans, contexts. See policy.h and engine.h. */
#include "engine.h"

#include "label.h"
#include "te.h"

void engine_lock(struct policy *p)
{
	if (p->config.lock) {
		p->config.lock(p->config.ctx);
		return;
	}
	while (atomic_flag_test_and_set_explicit(&p->lock, memory_order_acquire))
		if (p->config.relax)
			p->config.relax(p->config.ctx);
}

void engine_unlock(struct policy *p)
{
	if (p->config.unlock)
		p->config.unlock(p->config.ctx);
	else
		atomic_flag_clear_explicit(&p->lock, memory_order_release);
}

void engine_bump(struct policy *p)
{
	/* 0 is the number of what was never cached. */
	if (atomic_fetch_add(&p->seqno, 1) == UINT32_MAX)
		atomic_fetch_add(&p->seqno, 1);
}

/* -- life -- */

static policy_status_t init_labels(struct policy *p)
{
	const struct policy_mem *mem = p->config.mem;
	uint32_t max = p->config.label_max;
	uint32_t buckets = 64;
	while (buckets < max)
		buckets *= 2;
	p->label_mask = buckets - 1;
	p->label = mem->alloc(mem->ctx, ((size_t)max + 1) * sizeof(*p->label));
	p->label_bucket = mem->alloc(mem->ctx, buckets * sizeof(*p->label_bucket));
	if (!p->label || !p->label_bucket)
		return POLICY_E_NOMEM;
	__builtin_memset(p->label, 0, ((size_t)max + 1) * sizeof(*p->label));
	__builtin_memset(p->label_bucket, 0, buckets * sizeof(*p->label_bucket));
	for (uint32_t i = 1; i < max; i++)
		p->label[i].next = i + 1;
	p->label_free = 1;
	return POLICY_OK;
}

policy_status_t policy_create(const struct policy_config *config, struct policy **out)
{
	const struct policy_mem *mem = config->mem;
	if (config->label_max >= AVC_ID_MAX)
		return POLICY_E_INVAL;
	struct policy *p = mem->alloc(mem->ctx, sizeof(*p));
	if (!p)
		return POLICY_E_NOMEM;
	__builtin_memset(p, 0, sizeof(*p));
	p->config = *config;
	p->config.avc_entries = config->avc_entries ? config->avc_entries : 2048;
	p->config.sid_max = config->sid_max ? config->sid_max : 4096;
	p->config.label_max = config->label_max ? config->label_max : 4096;
	p->config.audit_per_second = config->audit_per_second ? config->audit_per_second : 100;
	atomic_init(&p->seqno, 1);
	atomic_init(&p->mode, POLICY_ENFORCING);
	atomic_flag_clear(&p->lock);
	if (avc_init(&p->avc, mem, p->config.avc_entries) || init_labels(p)) {
		policy_destroy(p);
		return POLICY_E_NOMEM;
	}
	*out = p;
	return POLICY_OK;
}

void policy_destroy(struct policy *p)
{
	if (!p)
		return;
	const struct policy_mem *mem = p->config.mem;
	world_free(p, engine_world(p));
	avc_fini(&p->avc);
	if (p->label)
		mem->free(mem->ctx, p->label,
		          ((size_t)p->config.label_max + 1) * sizeof(*p->label));
	if (p->label_bucket)
		mem->free(mem->ctx, p->label_bucket,
		          ((size_t)p->label_mask + 1) * sizeof(*p->label_bucket));
	mem->free(mem->ctx, p, sizeof(*p));
}

/* -- loading -- */

/*
 * Until nobody is left who entered before now. Twice, because a reader may have read the epoch but
 * not counted itself yet: it then counts on the side that the first round did not wait for.
 */
static void wait_for_readers(struct policy *p)
{
	for (int round = 0; round < 2; round++) {
		unsigned side = atomic_fetch_add(&p->epoch, 1) & 1;
		while (atomic_load(&p->readers[side]) != 0)
			if (p->config.relax)
				p->config.relax(p->config.ctx);
	}
}

static void keep_booleans(const struct world *old, struct world *w)
{
	const struct symtab *names = &w->db->bools;
	for (uint32_t i = 1; i <= names->nprim; i++) {
		const char *name = symtab_name(names, i);
		uint32_t before = name ? symtab_find(&old->db->bools, name, str_len(name)) : 0;
		if (before)
			atomic_store_explicit(&w->db->bool_state[i],
			                      policydb_bool_get(old->db, before),
			                      memory_order_relaxed);
	}
	policydb_evaluate(w->db);
}

policy_status_t policy_load(struct policy *p, const void *data, size_t len,
                            struct policy_error *err)
{
	struct world *w;
	policy_status_t status = world_load(p, data, len, &w, err);
	if (status)
		return status;
	engine_lock(p);
	struct world *old = engine_world(p);
	if (old) {
		keep_booleans(old, w);
		status = sidtab_convert(&w->sids, &old->sids);
	}
	if (!status) {
		atomic_store(&p->world, w);
		engine_bump(p);
		p->loads++;
	}
	engine_unlock(p);
	if (status) {
		world_free(p, w);
		return policy_fail(err, status,
		                   "the contexts in use do not fit under the new policy: %s",
		                   status == POLICY_E_LIMIT ? "too many" : "no memory");
	}
	wait_for_readers(p);
	world_free(p, old);
	return POLICY_OK;
}

uint32_t policy_seqno(const struct policy *p)
{
	return atomic_load_explicit(&p->seqno, memory_order_acquire);
}

const _Atomic(uint32_t) *policy_epoch(const struct policy *p)
{
	return &p->seqno;
}

void policy_set_mode(struct policy *p, enum policy_mode mode)
{
	atomic_store(&p->mode, (uint32_t)mode);
}

enum policy_mode policy_mode(const struct policy *p)
{
	return (enum policy_mode)atomic_load_explicit(&p->mode, memory_order_relaxed);
}

/* -- booleans -- */

policy_status_t policy_bool_set(struct policy *p, const char *name, bool value)
{
	engine_lock(p);
	struct world *w = engine_world(p);
	uint32_t number = w ? symtab_find(&w->db->bools, name, str_len(name)) : 0;
	if (number) {
		policydb_bool_set(w->db, number, value);
		engine_bump(p);
	}
	engine_unlock(p);
	return number ? POLICY_OK : POLICY_E_NOT_FOUND;
}

policy_status_t policy_bool_get(struct policy *p, const char *name, bool *value)
{
	unsigned side = engine_enter(p);
	struct world *w = engine_world(p);
	uint32_t number = w ? symtab_find(&w->db->bools, name, str_len(name)) : 0;
	if (number)
		*value = policydb_bool_get(w->db, number);
	engine_leave(p, side);
	return number ? POLICY_OK : POLICY_E_NOT_FOUND;
}

policy_status_t policy_bool_at(struct policy *p, uint32_t i, char *name, size_t size, bool *value)
{
	struct text t;
	text_init(&t, name, size);
	unsigned side = engine_enter(p);
	struct world *w = engine_world(p);
	bool there = w && i < w->db->bools.nprim;
	const char *found = there ? symtab_name(&w->db->bools, i + 1) : NULL;
	if (there) {
		text_add(&t, found ? found : "");
		*value = policydb_bool_get(w->db, i + 1);
	}
	engine_leave(p, side);
	return there ? POLICY_OK : POLICY_E_NOT_FOUND;
}

/* -- contexts -- */

/* C's SID under the world in force; under the lock, because that is where new ones come from. */
static policy_status_t intern_locked(struct world *w, const struct context *c, policy_sid_t *sid)
{
	if (!c)
		return POLICY_E_NOT_FOUND;
	*sid = sidtab_find(&w->sids, c);
	return *sid ? POLICY_OK : sidtab_add(&w->sids, c, sid);
}

policy_status_t policy_sid(struct policy *p, const char *context, size_t len, policy_sid_t *sid,
                           struct policy_error *err)
{
	struct arena scratch;
	struct context c;
	arena_init(&scratch, p->config.mem, 65536);
	engine_lock(p);
	struct world *w = engine_world(p);
	policy_status_t status =
	        w ? context_parse(w->db, &scratch, context, len, &c, err)
	          : policy_fail(err, POLICY_E_INVAL, "context: there is no policy yet");
	if (!status) {
		status = intern_locked(w, &c, sid);
		if (status)
			(void)policy_fail(err, status, "context: no room for another");
	}
	engine_unlock(p);
	arena_fini(&scratch);
	return status;
}

policy_status_t policy_sid_text(struct policy *p, policy_sid_t sid, char *buf, size_t size)
{
	struct text t;
	policy_status_t status = POLICY_E_NOT_FOUND;
	text_init(&t, buf, size);
	unsigned side = engine_enter(p);
	struct world *w = engine_world(p);
	const struct sid_entry *e = w ? sidtab_entry(&w->sids, sid) : NULL;
	if (e) {
		if (e->unmapped)
			text_add(&t, e->unmapped);
		else
			context_print(w->db, &e->context, &t);
		status = POLICY_OK;
	}
	engine_leave(p, side);
	return status;
}

policy_status_t policy_port_sid(struct policy *p, uint8_t protocol, uint16_t port,
                                policy_sid_t *sid)
{
	engine_lock(p);
	struct world *w = engine_world(p);
	policy_status_t status =
	        w ? intern_locked(w, label_port(w->db, protocol, port), sid) : POLICY_E_NOT_FOUND;
	engine_unlock(p);
	return status;
}

policy_status_t policy_node_sid(struct policy *p, const uint8_t *addr, size_t len,
                                policy_sid_t *sid)
{
	if (len != 4 && len != 16)
		return POLICY_E_INVAL;
	engine_lock(p);
	struct world *w = engine_world(p);
	policy_status_t status =
	        w ? intern_locked(w, label_node(w->db, addr, len), sid) : POLICY_E_NOT_FOUND;
	engine_unlock(p);
	return status;
}

policy_status_t policy_netif_sid(struct policy *p, const char *name, policy_sid_t *sid)
{
	engine_lock(p);
	struct world *w = engine_world(p);
	policy_status_t status =
	        w ? intern_locked(w, label_netif(w->db, name), sid) : POLICY_E_NOT_FOUND;
	engine_unlock(p);
	return status;
}

policy_status_t policy_path_sid(struct policy *p, const char *space, const char *path,
                                enum policy_class tclass, policy_sid_t *sid)
{
	engine_lock(p);
	struct world *w = engine_world(p);
	policy_status_t status =
	        w ? intern_locked(w, label_genfs(w->db, space, path, w->tclass[tclass]), sid)
	          : POLICY_E_NOT_FOUND;
	engine_unlock(p);
	return status;
}

policy_status_t policy_create_sid(struct policy *p, policy_sid_t subject, policy_sid_t object,
                                  enum policy_class tclass, const char *name, policy_sid_t *sid,
                                  struct policy_error *err)
{
	struct arena scratch;
	struct context c;
	policy_status_t status = POLICY_E_NOT_FOUND;
	arena_init(&scratch, p->config.mem, 65536);
	engine_lock(p);
	struct world *w = engine_world(p);
	const struct context *s = w ? sidtab_context(&w->sids, subject) : NULL;
	const struct context *o = w ? sidtab_context(&w->sids, object) : NULL;
	if (s && o && w->tclass[tclass])
		status = te_compute_create(w->db, &scratch, s, o, w->tclass[tclass],
		                           AVTAB_TRANSITION, name, &c, err);
	else
		(void)policy_fail(err, status, "no such SID, or the policy lacks class %s",
		                  policy_classes[tclass].name);
	if (!status)
		status = intern_locked(w, &c, sid);
	engine_unlock(p);
	arena_fini(&scratch);
	return status;
}

policy_status_t policy_validate_transition(struct policy *p, policy_sid_t old, policy_sid_t new_sid,
                                           policy_sid_t task, enum policy_class tclass,
                                           struct policy_error *err)
{
	policy_status_t status = POLICY_E_NOT_FOUND;
	unsigned side = engine_enter(p);
	struct world *w = engine_world(p);
	const struct context *o = w ? sidtab_context(&w->sids, old) : NULL;
	const struct context *n = w ? sidtab_context(&w->sids, new_sid) : NULL;
	const struct context *t = w ? sidtab_context(&w->sids, task) : NULL;
	if (!o || !n || !t || !w->tclass[tclass]) {
		(void)policy_fail(err, status, "no such SID, or the policy lacks class %s",
		                  policy_classes[tclass].name);
	} else {
		const struct constraint *c =
		        te_validate_transition(w->db, o, n, t, w->tclass[tclass]);
		char rule[200];
		struct text text;
		text_init(&text, rule, sizeof(rule));
		if (c)
			constraint_print(w->db, c, &text);
		status = c ? policy_fail(err, POLICY_E_DENIED, "validatetrans %s %s",
		                         policy_classes[tclass].name, rule)
		           : POLICY_OK;
	}
	engine_leave(p, side);
	return status;
}
