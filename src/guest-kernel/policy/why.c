/* Why a check is answered as it is: by layer, by rule. See policy.h. */
#include "engine.h"
#include "te.h"

#define RULES_SHOWN 4u

struct why {
	struct policy *p;
	const struct world *w;
	const struct policy_request *r;
	const struct label *subject, *object;
	const struct context *s, *o;
	struct text *t;
};

/* -- the list -- */

static bool why_acl(const struct why *y)
{
	bool allowed = true;
	if (!y->w->has_acl || y->r->tclass == POLICY_CLASS_CAPABILITY ||
	    y->r->tclass == POLICY_CLASS_CAPABILITY2)
		return true;
	for (unsigned i = 0; i < 32; i++) {
		uint32_t bit = 1u << i;
		if (!(y->r->perms & bit))
			continue;
		const struct acl_rule *rule = acl_rule_for(&y->w->acl, y->subject->name,
		                                           y->object->name, y->r->tclass, bit);
		const char *perm = policy_classes[y->r->tclass].perm[i];
		allowed = allowed && rule && rule->allow;
		if (rule)
			text_format(y->t, "acl: %s: %s by line %u: %s%s %s%s %s %s\n", perm,
			            rule->allow ? "allowed" : "denied", rule->line, rule->subject.s,
			            rule->subject.prefix ? "*" : "", rule->object.s,
			            rule->object.prefix ? "*" : "", rule->action->text,
			            rule->allow ? "allow" : "deny");
		else
			text_format(y->t,
			            "acl: %s: denied: no line fits; %s %s %s.%s allow would\n",
			            perm, y->subject->name, y->object->name,
			            policy_classes[y->r->tclass].name, perm);
	}
	return allowed;
}

/* -- type enforcement -- */

struct rule_walk {
	const struct why *y;
	uint32_t want; /* permissions in the policy's numbers */
	uint32_t shown;
	bool off; /* look at rules that their booleans switch off */
};

static bool is_on(const struct policydb *db, uint32_t cond)
{
	uint8_t state = atomic_load_explicit(&db->cond_state[cond / 2], memory_order_relaxed);
	return cond == TE_UNCONDITIONAL || state == (cond & 1 ? 0 : 1);
}

static void print_perm_names(const struct policydb *db, uint32_t tclass, uint32_t perms,
                             struct text *t)
{
	text_add(t, "{ ");
	for (unsigned i = 0; i < PERMS_MAX; i++) {
		const char *name = policydb_perm_name(db, tclass, i);
		if ((perms >> i & 1) && name)
			text_format(t, "%s ", name);
	}
	text_add(t, "}");
}

/* As the policy language has it, in infix where it is simple. */
static void print_cond(const struct policydb *db, uint32_t cond, struct text *t)
{
	static const char *const ops[] = {"?", "", "not", "or", "and", "xor", "==", "!="};
	const struct cond *c = &db->cond.at[cond / 2];
	text_format(t, "if %s(", cond & 1 ? "not " : "");
	for (uint32_t i = 0; i < c->count && i < 16; i++) {
		const struct cond_expr *e = &c->expr[i];
		if (e->expr_type == COND_BOOL)
			text_format(t, " %s=%u", symtab_name(&db->bools, e->boolean),
			            policydb_bool_get(db, e->boolean));
		else
			text_format(t, " %s", ops[e->expr_type]);
	}
	text_add(t, " )");
}

static bool show_rule(void *ctx, uint32_t source, const struct te_rule *rule, uint32_t cond)
{
	struct rule_walk *walk = ctx;
	const struct why *y = walk->y;
	const struct policydb *db = y->w->db;
	if (rule->specified != AVTAB_ALLOWED || !(rule->data & walk->want))
		return true;
	bool on = cond == TE_UNCONDITIONAL || is_on(db, cond);
	if (on == walk->off)
		return true;
	if (++walk->shown > RULES_SHOWN)
		return false;
	text_format(y->t, "te: %s allow %s %s:%s ",
	            on ? "by" : "switched off:", symtab_name(&db->types, source),
	            symtab_name(&db->types, rule->target), policy_classes[y->r->tclass].name);
	print_perm_names(db, y->w->tclass[y->r->tclass], rule->data & walk->want, y->t);
	if (cond != TE_UNCONDITIONAL) {
		text_char(y->t, ' ');
		print_cond(db, cond, y->t);
	}
	text_char(y->t, '\n');
	return true;
}

static void show_rules(const struct why *y, uint32_t want, bool off)
{
	struct rule_walk walk = {.y = y, .want = want, .off = off};
	te_walk(y->w->db, y->s->type, y->o->type, y->w->tclass[y->r->tclass], show_rule, &walk);
}

static void show_constraints(const struct why *y, uint32_t taken)
{
	const struct class_datum *c = &y->w->db->class_datum[y->w->tclass[y->r->tclass]];
	for (uint32_t i = 0; i < c->constraint_count; i++) {
		const struct constraint *k = &c->constraint[i];
		if (!(k->permissions & taken) || constraint_holds(y->w->db, k, y->s, y->o, NULL))
			continue;
		text_format(y->t, "te: denied by constrain %s ", policy_classes[y->r->tclass].name);
		print_perm_names(y->w->db, y->w->tclass[y->r->tclass], k->permissions & taken,
		                 y->t);
		text_char(y->t, ' ');
		constraint_print(y->w->db, k, y->t);
		text_char(y->t, '\n');
	}
}

static void show_denials(const struct why *y, uint32_t want, const struct av_steps *steps)
{
	const struct policydb *db = y->w->db;
	const char *source = symtab_name(&db->types, y->s->type);
	const char *target = symtab_name(&db->types, y->o->type);
	uint32_t missing = want & ~steps->rules;
	if (missing) {
		text_format(y->t, "te: no rule: allow %s %s:%s ", source, target,
		            policy_classes[y->r->tclass].name);
		print_perm_names(db, y->w->tclass[y->r->tclass], missing, y->t);
		text_add(y->t, ";\n");
		show_rules(y, missing, true);
	}
	if (want & steps->constraints)
		show_constraints(y, want & steps->constraints);
	if (want & steps->roles)
		text_format(y->t, "te: no rule: allow %s %s; (the role would change)\n",
		            symtab_name(&db->roles, y->s->role),
		            symtab_name(&db->roles, y->o->role));
	if (want & steps->bounds)
		text_format(y->t, "te: %s is bounded by %s, which may not\n", source,
		            symtab_name(&db->types, db->type_datum[y->s->type].bounds));
}

static bool why_te(const struct why *y)
{
	const struct world *w = y->w;
	bool allow_unknown = w->db->config & ALLOW_UNKNOWN;
	uint32_t want = 0, unknown = y->r->perms & w->unknown[y->r->tclass];
	struct av_steps steps;
	if (unknown)
		text_format(y->t,
		            "te: %s: the policy does not know %s; it %s what it does not know\n",
		            allow_unknown ? "allowed" : "denied", policy_classes[y->r->tclass].name,
		            allow_unknown ? "allows" : "denies");
	for (unsigned i = 0; i < 32; i++)
		if (y->r->perms >> i & 1)
			want |= w->perm[y->r->tclass][i];
	if (!w->tclass[y->r->tclass] || !want)
		return allow_unknown;
	te_explain_av(w->db, y->s, y->o, w->tclass[y->r->tclass], &steps);
	uint32_t denied = want & (~steps.rules | steps.constraints | steps.roles | steps.bounds);
	if (want & ~denied)
		show_rules(y, want & ~denied, false);
	if (denied)
		show_denials(y, denied, &steps);
	return !denied && (!unknown || allow_unknown);
}

/* -- capabilities -- */

static bool why_capability(const struct why *y)
{
	const struct policy_request *r = y->r;
	if (r->cap == POLICY_NO_CAP)
		return true;
	const char *name = capability_name(r->cap);
	bool has = capability_has(&r->subject->caps, r->cap);
	text_format(y->t, "capability: %s: %s %s %s in effect\n", has ? "allowed" : "denied",
	            y->subject->name, has ? "has" : "does not have", name ? name : "it");
	if (!has)
		text_format(y->t, "capability: the line `%s permitted %s` would give it\n",
		            y->subject->name, name ? name : "?");
	/* The binary policy speaks of it as well: as a permission of the domain on itself. */
	const struct policy_request te = {
	        .subject = r->subject,
	        .object = r->subject->label,
	        .tclass = r->cap < 32 ? POLICY_CLASS_CAPABILITY : POLICY_CLASS_CAPABILITY2,
	        .perms = 1u << (r->cap % 32),
	};
	struct why of_cap = *y;
	of_cap.r = &te;
	of_cap.object = y->subject;
	of_cap.o = y->s;
	bool may = why_te(&of_cap);
	return has && may;
}

static bool why_object_capability(const struct why *y)
{
	const struct policy_request *r = y->r;
	if (!r->space)
		return true;
	bool has = objcap_allows(r->space, r->subject->id, r->held, r->object_id, r->rights);
	text_format(y->t, "object capability: %s: rights 0x%x are needed, 0x%x are there\n",
	            has ? "allowed" : "denied", r->rights, objcap_rights(r->space, r->held));
	return has;
}

/* -- the whole -- */

static bool explain(struct why *y)
{
	y->subject = engine_label(y->p, y->r->subject->label);
	y->object = engine_label(y->p, y->r->object);
	if (!y->w) {
		text_add(y->t, "denied: there is no policy\n");
		return false;
	}
	if (!y->subject || !y->object) {
		text_add(y->t, "denied: the subject or the object has no label\n");
		return false;
	}
	y->s = sidtab_context(&y->w->sids, y->subject->sid);
	y->o = sidtab_context(&y->w->sids, y->object->sid);
	if (!y->s || !y->o) {
		text_add(y->t, "denied: the subject or the object has no context\n");
		return false;
	}
	bool acl = why_acl(y);
	bool te = why_te(y);
	bool cap = why_capability(y);
	bool object = why_object_capability(y);
	return acl && te && cap && object;
}

bool policy_why(struct policy *p, const struct policy_request *r, char *buf, size_t size)
{
	struct text t;
	text_init(&t, buf, size);
	unsigned side = engine_enter(p);
	struct why y = {.p = p, .w = engine_world(p), .r = r, .t = &t};
	bool allowed = explain(&y);
	enum policy_mode mode = policy_mode(p);
	bool domain = y.w && y.s && set_has(y.w->db->permissive, y.s->type);
	if (!allowed && mode != POLICY_ENFORCING)
		text_format(&t, "mode: %s, so it goes on\n",
		            mode == POLICY_DISABLED ? "disabled" : "permissive");
	else if (!allowed && domain)
		text_format(&t, "mode: domain %s is permissive, so it goes on\n",
		            symtab_name(&y.w->db->types, y.s->type));
	engine_leave(p, side);
	return allowed || mode != POLICY_ENFORCING || domain;
}
