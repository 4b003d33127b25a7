/* Decisions of a policydb. See te.h. */
#include "te.h"

#include <stdatomic.h>

/* -- walking the rules -- */

struct attrs {
	const uint16_t *at;
	uint32_t count;
};

static struct attrs attributes(const struct policydb *db, uint32_t type)
{
	uint32_t first = db->attr_first[type];
	return (struct attrs){.at = db->attr + first, .count = db->attr_first[type + 1] - first};
}

/* Conditional rules count while their branch is the one that its booleans choose. */
static bool enabled(const struct policydb *db, uint32_t cond)
{
	uint8_t state = atomic_load_explicit(&db->cond_state[cond / 2], memory_order_relaxed);
	return state == (cond & 1 ? 0 : 1);
}

static void apply(const struct te_rule *rule, struct av_decision *avd)
{
	switch (rule->specified) {
	case AVTAB_ALLOWED:
		avd->allowed |= rule->data;
		break;
	case AVTAB_AUDITALLOW:
		avd->auditallow |= rule->data;
		break;
	case AVTAB_AUDITDENY:
		avd->auditdeny &= rule->data;
		break;
	default:
		break;
	}
}

/* More rules than this for each attribute of the target: search for each; fewer: walk along. */
#define SEARCH_FACTOR 8u

static void apply_group(const struct policydb *db, const struct te_table *t,
                        const struct te_group *g, struct attrs target, struct av_decision *avd)
{
	const struct te_rule *rule = t->rule + g->first;
	uint32_t count = g[1].first - g->first;
	bool search = count > target.count * SEARCH_FACTOR;
	uint32_t i = 0;
	for (uint32_t a = 0; a < target.count && i < count; a++) {
		uint32_t want = target.at[a];
		if (search)
			i += te_lower_bound(rule + i, count - i, want);
		else
			while (i < count && rule[i].target < want)
				i++;
		for (; i < count && rule[i].target == want; i++)
			if (!t->cond || enabled(db, t->cond[g->first + i]))
				apply(&rule[i], avd);
	}
}

static void apply_rules(const struct policydb *db, uint32_t source, uint32_t target,
                        uint32_t tclass, struct av_decision *avd)
{
	struct attrs from = attributes(db, source);
	struct attrs to = attributes(db, target);
	*avd = (struct av_decision){.auditdeny = UINT32_MAX};
	for (uint32_t i = 0; i < from.count; i++) {
		const struct te_group *g = te_find(&db->te, from.at[i], tclass);
		if (g)
			apply_group(db, &db->te, g, to, avd);
		g = te_find(&db->te_cond, from.at[i], tclass);
		if (g)
			apply_group(db, &db->te_cond, g, to, avd);
	}
}

static bool walk_table(const struct policydb *db, const struct te_table *t, uint32_t source,
                       uint32_t target, uint32_t tclass, te_each_t each, void *ctx)
{
	const struct te_group *g = te_find(t, source, tclass);
	struct attrs to = attributes(db, target);
	for (uint32_t a = 0; g && a < to.count; a++) {
		uint32_t end = g[1].first;
		uint32_t i =
		        g->first + te_lower_bound(t->rule + g->first, end - g->first, to.at[a]);
		for (; i < end && t->rule[i].target == to.at[a]; i++)
			if (!each(ctx, source, &t->rule[i],
			          t->cond ? t->cond[i] : TE_UNCONDITIONAL))
				return false;
	}
	return true;
}

void te_walk(const struct policydb *db, uint32_t source, uint32_t target, uint32_t tclass,
             te_each_t each, void *ctx)
{
	struct attrs from = attributes(db, source);
	for (uint32_t i = 0; i < from.count; i++)
		if (!walk_table(db, &db->te, from.at[i], target, tclass, each, ctx) ||
		    !walk_table(db, &db->te_cond, from.at[i], target, tclass, each, ctx))
			return;
}

/* -- access vectors -- */

static void apply_constraints(const struct policydb *db, const struct context *source,
                              const struct context *target, uint32_t tclass,
                              struct av_decision *avd)
{
	const struct class_datum *class_datum = &db->class_datum[tclass];
	for (uint32_t i = 0; i < class_datum->constraint_count; i++) {
		const struct constraint *c = &class_datum->constraint[i];
		if ((c->permissions & avd->allowed) &&
		    !constraint_holds(db, c, source, target, NULL))
			avd->allowed &= ~c->permissions;
	}
}

static bool role_may_change(const struct policydb *db, uint32_t from, uint32_t to)
{
	uint32_t lo = 0, n = db->role_allow.count;
	while (n > 0) {
		const struct role_allow *a = &db->role_allow.at[lo + n / 2];
		if (a->role == from && a->new_role == to)
			return true;
		if (a->role < from || (a->role == from && a->new_role < to)) {
			lo += n / 2 + 1;
			n -= n / 2 + 1;
		} else {
			n /= 2;
		}
	}
	return false;
}

static void apply_roles(const struct policydb *db, const struct context *source,
                        const struct context *target, uint32_t tclass, struct av_decision *avd)
{
	if (tclass == db->process_class && (avd->allowed & db->process_trans_dyntrans) &&
	    source->role != target->role && !role_may_change(db, source->role, target->role))
		avd->allowed &= ~db->process_trans_dyntrans;
}

/* Without bounds. */
static void compute_one(const struct policydb *db, const struct context *source,
                        const struct context *target, uint32_t tclass, struct av_decision *avd)
{
	apply_rules(db, source->type, target->type, tclass, avd);
	apply_constraints(db, source, target, tclass, avd);
	apply_roles(db, source, target, tclass, avd);
}

/*
 * What the parent of the source's type may not, towards the target or its parent, the child may not
 * either; and so on up. Chains are finite and at most TYPE_BOUNDS_MAX long: the reader checked.
 */
static uint32_t bounded(const struct policydb *db, const struct context *source,
                        const struct context *target, uint32_t tclass)
{
	struct context s = *source, t = *target;
	uint32_t allowed = UINT32_MAX;
	while (db->type_datum[s.type].bounds) {
		struct av_decision parent;
		s.type = db->type_datum[s.type].bounds;
		if (db->type_datum[t.type].bounds)
			t.type = db->type_datum[t.type].bounds;
		compute_one(db, &s, &t, tclass, &parent);
		allowed &= parent.allowed;
	}
	return allowed;
}

void te_compute_av(const struct policydb *db, const struct context *source,
                   const struct context *target, uint32_t tclass, struct av_decision *avd)
{
	compute_one(db, source, target, tclass, avd);
	if (db->type_datum[source->type].bounds)
		avd->allowed &= bounded(db, source, target, tclass);
}

void te_explain_av(const struct policydb *db, const struct context *source,
                   const struct context *target, uint32_t tclass, struct av_steps *steps)
{
	struct av_decision avd;
	apply_rules(db, source->type, target->type, tclass, &avd);
	steps->rules = avd.allowed;
	apply_constraints(db, source, target, tclass, &avd);
	steps->constraints = steps->rules & ~avd.allowed;
	uint32_t before = avd.allowed;
	apply_roles(db, source, target, tclass, &avd);
	steps->roles = before & ~avd.allowed;
	steps->bounds = avd.allowed & ~bounded(db, source, target, tclass);
}

const struct constraint *te_validate_transition(const struct policydb *db,
                                                const struct context *old,
                                                const struct context *new_context,
                                                const struct context *task, uint32_t tclass)
{
	const struct class_datum *c = &db->class_datum[tclass];
	for (uint32_t i = 0; i < c->validatetrans_count; i++)
		if (!constraint_holds(db, &c->validatetrans[i], old, new_context, task))
			return &c->validatetrans[i];
	return NULL;
}

/* -- extended permissions -- */

struct xperm_walk {
	const struct policydb *db;
	uint16_t number;
	struct xperm_decision *xd;
};

static bool xperm_has(const struct xperms *x, uint16_t number)
{
	uint8_t driver = (uint8_t)(number >> 8), function = (uint8_t)number;
	if (x->specified == XPERMS_IOCTLDRIVER)
		return x->perms[driver >> 5] >> (driver & 31) & 1;
	return x->driver == driver && (x->perms[function >> 5] >> (function & 31) & 1);
}

static bool xperm_rule(void *ctx, uint32_t source, const struct te_rule *rule, uint32_t cond)
{
	struct xperm_walk *w = ctx;
	(void)source;
	if (cond != TE_UNCONDITIONAL || !(rule->specified & AVTAB_XPERMS))
		return true;
	bool has = xperm_has(&w->db->xperms.at[rule->data], w->number);
	if (rule->specified == AVTAB_XPERMS_ALLOWED) {
		w->xd->limited = true;
		w->xd->allowed |= has;
	} else if (rule->specified == AVTAB_XPERMS_AUDITALLOW) {
		w->xd->auditallow |= has;
	} else {
		w->xd->dontaudit |= has;
	}
	return true;
}

void te_compute_xperm(const struct policydb *db, const struct context *source,
                      const struct context *target, uint32_t tclass, uint16_t number,
                      struct xperm_decision *xd)
{
	struct xperm_walk w = {.db = db, .number = number, .xd = xd};
	*xd = (struct xperm_decision){0};
	te_walk(db, source->type, target->type, tclass, xperm_rule, &w);
	if (!xd->limited)
		xd->allowed = true;
}
