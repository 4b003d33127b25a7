/* Access control list. See acl.h. */
#include "acl.h"

static uint32_t all_perms(enum policy_class c)
{
	uint32_t perms = 0;
	for (unsigned i = 0; i < 32 && policy_classes[c].perm[i]; i++)
		perms |= 1u << i;
	return perms;
}

/* CLASS.PERMISSION or CLASS.*, DOT bytes before the dot. */
static policy_status_t class_action(struct acl_action *a, const struct lines *l,
                                    const struct word *w, size_t dot, struct policy_error *err)
{
	enum policy_class c = classes_find(w->s, dot);
	const char *perm = w->s + dot + 1;
	size_t len = w->len - dot - 1;
	if (c == POLICY_CLASS_COUNT)
		return lines_fail(l, w, err, "the guest kernel has no such class");
	a->perms[c] = len == 1 && *perm == '*' ? all_perms(c) : classes_perm(c, perm, len);
	if (!a->perms[c])
		return lines_fail(l, w, err, "class %s has no such permission",
		                  policy_classes[c].name);
	return POLICY_OK;
}

static policy_status_t parse_action(struct acl_action *a, const struct lines *l,
                                    const struct word *w, struct policy_error *err)
{
	bool any = w->len == 1 && w->s[0] == '*';
	uint32_t seen = 0;
	for (size_t i = 0; i < w->len; i++)
		if (w->s[i] == '.')
			return class_action(a, l, w, i, err);
	for (unsigned c = 0; c < POLICY_CLASS_COUNT; c++) {
		a->perms[c] = any ? all_perms((enum policy_class)c)
		                  : classes_perm((enum policy_class)c, w->s, w->len);
		seen |= a->perms[c];
	}
	return seen ? POLICY_OK : lines_fail(l, w, err, "no class has such a permission");
}

struct parser {
	struct arena *arena;
	struct lines lines;
	struct vec rules;
	struct vec actions; /* const struct acl_action * */
	struct policy_error *err;
};

static policy_status_t nomem(struct parser *p)
{
	return policy_fail(p->err, POLICY_E_NOMEM, "%s:%u: no memory", p->lines.file,
	                   p->lines.line);
}

/* Rules share what they have in common: there are few actions and many rules. */
static policy_status_t find_action(struct parser *p, const struct word *w,
                                   const struct acl_action **action)
{
	const struct acl_action **known = (const struct acl_action **)(void *)p->actions.data;
	for (uint32_t i = 0; i < p->actions.count; i++)
		if (str_eq_n(w->s, w->len, known[i]->text)) {
			*action = known[i];
			return POLICY_OK;
		}
	struct acl_action *a = arena_alloc(p->arena, sizeof(*a));
	const struct acl_action **to = vec_push(&p->actions);
	if (!a || !to || !(a->text = arena_string(p->arena, w->s, w->len)))
		return nomem(p);
	*to = a;
	*action = a;
	return parse_action(a, &p->lines, w, p->err);
}

static policy_status_t parse_rule(struct parser *p)
{
	const struct lines *l = &p->lines;
	struct acl_rule *r = vec_push(&p->rules);
	if (!r)
		return nomem(p);
	if (l->count != 4)
		return lines_fail(l, NULL, p->err,
		                  "%u words; SUBJECT OBJECT ACTION allow|deny would be right",
		                  l->count);
	const struct word *decision = &l->word[3];
	*r = (struct acl_rule){.line = l->line};
	r->allow = str_eq_n(decision->s, decision->len, "allow");
	if (!r->allow && !str_eq_n(decision->s, decision->len, "deny"))
		return lines_fail(l, decision, p->err, "allow or deny would be right");
	policy_status_t status = pattern_parse(&r->subject, p->arena, l, &l->word[0], p->err);
	if (!status)
		status = pattern_parse(&r->object, p->arena, l, &l->word[1], p->err);
	return status ? status : find_action(p, &l->word[2], &r->action);
}

policy_status_t acl_parse(struct acl *acl, struct arena *arena, const char *file, const char *text,
                          size_t len, struct policy_error *err)
{
	struct parser p = {.arena = arena, .err = err};
	policy_status_t status;
	vec_init(&p.rules, arena, sizeof(struct acl_rule));
	vec_init(&p.actions, arena, sizeof(const struct acl_action *));
	lines_init(&p.lines, file, text, len);
	do {
		status = lines_next(&p.lines, err);
		if (!status)
			status = parse_rule(&p);
	} while (!status);
	if (status == POLICY_E_NOT_FOUND) {
		*acl = (struct acl){.count = p.rules.count};
		acl->file = arena_string(arena, file, str_len(file));
		acl->rule = arena_array(arena, acl->count, sizeof(*acl->rule));
		if (acl->rule && acl->count)
			__builtin_memcpy(acl->rule, p.rules.data, acl->count * sizeof(*acl->rule));
		status = acl->rule && acl->file ? POLICY_OK : nomem(&p);
	}
	vec_fini(&p.rules);
	vec_fini(&p.actions);
	return status;
}

/* -- deciding -- */

uint32_t acl_allowed(const struct acl *acl, const char *subject, const char *object,
                     enum policy_class tclass)
{
	uint32_t open = all_perms(tclass); /* not decided yet */
	uint32_t allowed = 0;
	for (uint32_t i = 0; open && i < acl->count; i++) {
		const struct acl_rule *r = &acl->rule[i];
		uint32_t perms = r->action->perms[tclass] & open;
		if (!perms || !pattern_matches(&r->subject, subject) ||
		    !pattern_matches(&r->object, object))
			continue;
		if (r->allow)
			allowed |= perms;
		open &= ~perms;
	}
	return allowed;
}

const struct acl_rule *acl_rule_for(const struct acl *acl, const char *subject, const char *object,
                                    enum policy_class tclass, uint32_t perm)
{
	for (uint32_t i = 0; i < acl->count; i++) {
		const struct acl_rule *r = &acl->rule[i];
		if ((r->action->perms[tclass] & perm) && pattern_matches(&r->subject, subject) &&
		    pattern_matches(&r->object, object))
			return r;
	}
	return NULL;
}
