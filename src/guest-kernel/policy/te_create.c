/* The context of a new object. See te.h; libsepol 3.4, services.c, sepol_compute_sid, and mls.c. */
#include "te.h"

#include <stdatomic.h>

static uint16_t default_user(const struct class_datum *c, const struct context *source,
                             const struct context *target, uint32_t kind)
{
	if (kind == AVTAB_MEMBER || c->default_user == DEFAULT_TARGET)
		return target->user;
	return source->user;
}

static uint16_t pick(uint8_t chosen, uint16_t source, uint16_t target, uint16_t otherwise)
{
	if (chosen == DEFAULT_SOURCE)
		return source;
	return chosen == DEFAULT_TARGET ? target : otherwise;
}

/* -- type -- */

static uint32_t type_rule(const struct policydb *db, const struct te_table *t, uint32_t source,
                          uint32_t target, uint32_t tclass, uint32_t kind)
{
	const struct te_group *g = te_find(t, source, tclass);
	if (!g)
		return 0;
	uint32_t end = g[1].first;
	uint32_t lo = g->first + te_lower_bound(t->rule + g->first, end - g->first, target);
	for (; lo < end && t->rule[lo].target == target; lo++) {
		if (t->rule[lo].specified != kind)
			continue;
		if (!t->cond)
			return t->rule[lo].data;
		uint8_t state = atomic_load_explicit(&db->cond_state[t->cond[lo] / 2],
		                                     memory_order_relaxed);
		if (state == (t->cond[lo] & 1 ? 0 : 1))
			return t->rule[lo].data;
	}
	return 0;
}

static uint32_t filename_type(const struct policydb *db, uint32_t source, uint32_t target,
                              uint32_t tclass, const char *name)
{
	uint32_t lo = 0;
	for (uint32_t n = db->filename_trans.count; n > 0;) {
		const struct filename_trans *f = &db->filename_trans.at[lo + n / 2];
		int order = f->ttype != target    ? (f->ttype < target ? -1 : 1)
		            : f->tclass != tclass ? (f->tclass < tclass ? -1 : 1)
		                                  : str_cmp(f->name, name);
		if (order < 0) {
			lo += n / 2 + 1;
			n -= n / 2 + 1;
			continue;
		}
		if (order > 0) {
			n /= 2;
			continue;
		}
		for (uint32_t i = 0; i < f->count; i++)
			if (set_has(f->datum[i].stypes, source - 1))
				return f->datum[i].otype;
		return 0;
	}
	return 0;
}

/* -- role -- */

static uint32_t role_rule(const struct policydb *db, uint32_t role, uint32_t type, uint32_t tclass)
{
	uint32_t lo = 0;
	for (uint32_t n = db->role_trans.count; n > 0;) {
		const struct role_trans *t = &db->role_trans.at[lo + n / 2];
		bool right = t->role != role   ? t->role < role
		             : t->type != type ? t->type < type
		                               : t->tclass < tclass;
		lo = right ? lo + n / 2 + 1 : lo;
		n = right ? n - n / 2 - 1 : n / 2;
	}
	if (lo == db->role_trans.count)
		return 0;
	const struct role_trans *t = &db->role_trans.at[lo];
	return t->role == role && t->type == type && t->tclass == tclass ? t->new_role : 0;
}

/* -- levels -- */

static const struct mls_range *range_rule(const struct policydb *db, uint32_t source,
                                          uint32_t target, uint32_t tclass)
{
	uint32_t lo = 0;
	for (uint32_t n = db->range_trans.count; n > 0;) {
		const struct range_trans *t = &db->range_trans.at[lo + n / 2];
		bool right = t->source != source   ? t->source < source
		             : t->target != target ? t->target < target
		                                   : t->tclass < tclass;
		lo = right ? lo + n / 2 + 1 : lo;
		n = right ? n - n / 2 - 1 : n / 2;
	}
	if (lo == db->range_trans.count)
		return NULL;
	const struct range_trans *t = &db->range_trans.at[lo];
	return t->source == source && t->target == target && t->tclass == tclass ? &t->range : NULL;
}

static void set_range(struct context *c, const struct level *low, const struct level *high)
{
	c->low = *low;
	c->high = *high;
}

static policy_status_t glblub(struct arena *sets, const struct context *a, const struct context *b,
                              struct context *out, struct policy_error *err)
{
	if (a->high.sens < b->low.sens || b->high.sens < a->low.sens)
		return policy_fail(err, POLICY_E_INVAL, "the two ranges do not overlap");
	out->low.sens = a->low.sens > b->low.sens ? a->low.sens : b->low.sens;
	out->high.sens = a->high.sens < b->high.sens ? a->high.sens : b->high.sens;
	out->low.cat = set_and(sets, a->low.cat, b->low.cat);
	out->high.cat = set_and(sets, a->high.cat, b->high.cat);
	if (!out->low.cat || !out->high.cat)
		return policy_fail(err, POLICY_E_NOMEM, "no memory for a range");
	return POLICY_OK;
}

/* True: the class says where the range comes from, and OUT (or *STATUS) has it. */
static bool default_range(struct arena *sets, uint8_t rule, const struct context *s,
                          const struct context *t, struct context *out, policy_status_t *status,
                          struct policy_error *err)
{
	switch (rule) {
	case DEFAULT_SOURCE_LOW:
		set_range(out, &s->low, &s->low);
		return true;
	case DEFAULT_SOURCE_HIGH:
		set_range(out, &s->high, &s->high);
		return true;
	case DEFAULT_SOURCE_LOW_HIGH:
		set_range(out, &s->low, &s->high);
		return true;
	case DEFAULT_TARGET_LOW:
		set_range(out, &t->low, &t->low);
		return true;
	case DEFAULT_TARGET_HIGH:
		set_range(out, &t->high, &t->high);
		return true;
	case DEFAULT_TARGET_LOW_HIGH:
		set_range(out, &t->low, &t->high);
		return true;
	case DEFAULT_GLBLUB:
		*status = glblub(sets, s, t, out, err);
		return true;
	default:
		return false;
	}
}

static policy_status_t new_range(const struct policydb *db, struct arena *sets,
                                 const struct context *s, const struct context *t, uint32_t tclass,
                                 uint32_t kind, struct context *out, struct policy_error *err)
{
	policy_status_t status = POLICY_OK;
	if (!db->mls) {
		set_range(out, &s->low, &s->high);
		return status;
	}
	if (kind == AVTAB_TRANSITION) {
		const struct mls_range *r = range_rule(db, s->type, t->type, tclass);
		if (r) {
			set_range(out, &r->low, &r->high);
			return status;
		}
		if (default_range(sets, db->class_datum[tclass].default_range, s, t, out, &status,
		                  err))
			return status;
	}
	bool whole = kind != AVTAB_MEMBER && tclass == db->process_class;
	set_range(out, &s->low, whole ? &s->high : &s->low);
	return status;
}

policy_status_t te_compute_create(const struct policydb *db, struct arena *sets,
                                  const struct context *source, const struct context *target,
                                  uint32_t tclass, uint32_t kind, const char *name,
                                  struct context *out, struct policy_error *err)
{
	const struct class_datum *c = &db->class_datum[tclass];
	bool process = tclass == db->process_class;
	*out = (struct context){
	        .user = default_user(c, source, target, kind),
	        .role = pick(c->default_role, source->role, target->role,
	                     process ? source->role : OBJECT_R_VAL),
	        .type = pick(c->default_type, source->type, target->type,
	                     process ? source->type : target->type),
	};
	uint32_t type = type_rule(db, &db->te, source->type, target->type, tclass, kind);
	if (!type)
		type = type_rule(db, &db->te_cond, source->type, target->type, tclass, kind);
	uint32_t named = name && kind == AVTAB_TRANSITION
	                         ? filename_type(db, source->type, target->type, tclass, name)
	                         : 0;
	if (type || named)
		out->type = (uint16_t)(named ? named : type);
	uint32_t role =
	        kind == AVTAB_TRANSITION ? role_rule(db, source->role, target->type, tclass) : 0;
	if (role)
		out->role = (uint16_t)role;
	policy_status_t status = new_range(db, sets, source, target, tclass, kind, out, err);
	const char *why = NULL;
	if (!status && !context_valid(db, out, &why)) {
		char text[160];
		struct text t;
		text_init(&t, text, sizeof(text));
		context_print(db, out, &t);
		status = policy_fail(err, POLICY_E_INVAL, "the new context %s is not valid: %s",
		                     text, why);
	}
	return status;
}
