/*
 * Reading a policydb: type enforcement rules, conditionals, transitions of roles and of named
 * files, ranges, and the attributes of types. See policydb.h.
 *
 * The file has its rules in the order of a hash table. Here they are sorted by source, class,
 * target and kind, so that a decision looks at the few rules of a source for one class in place of
 * probing for every pair of attributes.
 */
#include <stdatomic.h>

#include "policydb_reader.h"

#define UNCONDITIONAL UINT32_MAX

/* -- one rule -- */

static uint32_t read_xperms(struct reader *r)
{
	struct xperms *x = vec_push(&r->xperms);
	if (!x) {
		reader_nomem(r);
		return 0;
	}
	x->specified = read_u8(r);
	x->driver = read_u8(r);
	for (unsigned i = 0; i < 8; i++)
		x->perms[i] = read_u32(r);
	if (reader_ok(r) && x->specified != XPERMS_IOCTLFUNCTION &&
	    x->specified != XPERMS_IOCTLDRIVER)
		reader_fail(r, "extended permissions are of the unknown kind %u", x->specified);
	return r->xperms.count - 1;
}

static bool one_kind(uint32_t specified)
{
	return specified && !(specified & (specified - 1)) &&
	       !(specified & (uint32_t) ~(AVTAB_AV | AVTAB_TYPE | AVTAB_XPERMS));
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)((unsigned)p[0] | (unsigned)p[1] << 8);
}

/* The fast half of reader_check: there are many rules. */
static bool exists(const struct symtab *s, uint32_t value)
{
	return value <= s->nprim && s->name[value];
}

static bool check_rule(struct reader *r, const struct raw_rule *rule, uint32_t cond)
{
	const struct policydb *db = r->db;
	if (!one_kind(rule->specified))
		reader_fail(r, "a rule is of the unknown kind 0x%x", rule->specified);
	if (!exists(&db->types, rule->source) || !exists(&db->types, rule->target) ||
	    !exists(&db->classes, rule->tclass))
		reader_fail(r, "a rule is about types %u and %u (they go to %u), class %u (to %u)",
		            rule->source, rule->target, db->types.nprim, rule->tclass,
		            db->classes.nprim);
	if ((rule->specified & AVTAB_XPERMS) && cond != UNCONDITIONAL)
		reader_fail(r, "a conditional has extended permissions");
	return reader_ok(r);
}

/* A conditional rule's data and conditional stand aside, so that what is sorted is small. */
static void put_aside(struct reader *r, struct raw_rule *rule, uint32_t cond)
{
	struct cond_part *part = vec_push(&r->cond_parts);
	if (!part) {
		reader_nomem(r);
		return;
	}
	*part = (struct cond_part){.data = rule->data, .cond = cond};
	rule->data = r->cond_parts.count - 1;
}

static void read_rule(struct reader *r, uint32_t cond)
{
	const uint8_t *p = read_take(r, 8);
	struct raw_rule *rule = p ? vec_push(&r->rules) : NULL;
	if (!rule) {
		if (p)
			reader_nomem(r);
		return;
	}
	rule->source = get16(p);
	rule->target = get16(p + 2);
	rule->tclass = get16(p + 4);
	rule->specified = get16(p + 6) & 0x7fff; /* the top bit is of the writer's memory */
	if (!check_rule(r, rule, cond))
		return;
	if (rule->specified & AVTAB_XPERMS) {
		rule->data = read_xperms(r);
	} else {
		p = read_take(r, 4);
		rule->data = p ? get_le32(p) : 0;
	}
	if (rule->specified & AVTAB_TYPE)
		(void)reader_check(r, &r->db->types, rule->data, "type");
	if (cond != UNCONDITIONAL)
		put_aside(r, rule, cond);
}

/* -- sorting -- */

static inline __attribute__((always_inline)) uint32_t digit(const struct raw_rule *rule,
                                                            unsigned pass)
{
	return pass == 0 ? rule->target : pass == 1 ? rule->tclass : rule->source;
}

static inline __attribute__((always_inline)) void counting_pass(const struct raw_rule *from,
                                                                struct raw_rule *to, uint32_t count,
                                                                unsigned pass, uint32_t *start,
                                                                uint32_t values)
{
	__builtin_memset(start, 0, ((size_t)values + 2) * sizeof(*start));
	for (uint32_t i = 0; i < count; i++)
		start[digit(&from[i], pass) + 1]++;
	for (uint32_t v = 0; v <= values; v++)
		start[v + 1] += start[v];
	for (uint32_t i = 0; i < count; i++)
		to[start[digit(&from[i], pass)]++] = from[i];
}

/* Least significant digit first; the result is in r->rules again. */
static bool sort_rules(struct reader *r)
{
	const struct policydb *db = r->db;
	uint32_t most = db->types.nprim > db->classes.nprim ? db->types.nprim : db->classes.nprim;
	struct vec other, start;
	vec_init(&other, &r->db->arena, sizeof(struct raw_rule));
	vec_init(&start, &r->db->arena, sizeof(uint32_t));
	bool ok = vec_reserve(&other, r->rules.count) && vec_reserve(&start, most + 2);
	if (ok) {
		struct raw_rule *a = (struct raw_rule *)(void *)r->rules.data;
		struct raw_rule *b = (struct raw_rule *)(void *)other.data;
		uint32_t *s = (uint32_t *)(void *)start.data;
		other.count = r->rules.count;
		counting_pass(a, b, other.count, 0, s, db->types.nprim);
		counting_pass(b, a, other.count, 1, s, db->classes.nprim);
		counting_pass(a, b, other.count, 2, s, db->types.nprim);
		struct vec sorted = other;
		other = r->rules;
		r->rules = sorted;
	} else {
		reader_nomem(r);
	}
	vec_fini(&other);
	vec_fini(&start);
	return ok;
}

static bool same_group(const struct raw_rule *a, const struct raw_rule *b)
{
	return a->source == b->source && a->tclass == b->tclass;
}

static void fill_table(struct te_table *t, const struct raw_rule *rule, uint32_t count,
                       uint32_t types, const struct cond_part *parts)
{
	uint32_t g = 0;
	uint32_t source = 0; /* the sources up to it have their first group */
	for (uint32_t i = 0; i < count; i++) {
		if (i == 0 || !same_group(&rule[i], &rule[i - 1])) {
			while (source <= rule[i].source)
				t->source[source++] = g;
			t->group[g++] = (struct te_group){.tclass = rule[i].tclass, .first = i};
		}
		t->rule[i] = (struct te_rule){.target = rule[i].target,
		                              .specified = rule[i].specified,
		                              .data = rule[i].data};
		if (t->cond) {
			t->rule[i].data = parts[rule[i].data].data;
			t->cond[i] = parts[rule[i].data].cond;
		}
	}
	while (source <= types + 1)
		t->source[source++] = g;
	t->group[g] = (struct te_group){.first = count};
}

static void build_table(struct reader *r, struct te_table *t, bool conditional)
{
	struct arena *a = &r->db->arena;
	uint32_t types = r->db->types.nprim;
	if (!reader_ok(r) || !sort_rules(r))
		return;
	const struct raw_rule *rule = (const struct raw_rule *)(const void *)r->rules.data;
	uint32_t count = r->rules.count;
	uint32_t groups = 0;
	for (uint32_t i = 0; i < count; i++)
		groups += i == 0 || !same_group(&rule[i], &rule[i - 1]);
	*t = (struct te_table){.count = count, .group_count = groups};
	t->rule = arena_array(a, count, sizeof(*t->rule));
	t->group = arena_array(a, (size_t)groups + 1, sizeof(*t->group));
	t->source = arena_array(a, (size_t)types + 2, sizeof(*t->source));
	t->cond = conditional ? arena_array(a, count, sizeof(*t->cond)) : NULL;
	if (!t->rule || !t->group || !t->source || (conditional && !t->cond)) {
		reader_nomem(r);
		return;
	}
	fill_table(t, rule, count, types,
	           (const struct cond_part *)(const void *)r->cond_parts.data);
	vec_fini(&r->rules);
	vec_fini(&r->cond_parts);
}

/* -- unconditional rules -- */

static void check_unique(struct reader *r, const struct te_table *t)
{
	for (uint32_t g = 0; reader_ok(r) && g < t->group_count; g++) {
		uint32_t seen = 0;
		for (uint32_t i = t->group[g].first; i < t->group[g + 1].first; i++) {
			const struct te_rule *rule = &t->rule[i];
			if (i > t->group[g].first && rule->target != rule[-1].target)
				seen = 0;
			if (seen & rule->specified & (AVTAB_AV | AVTAB_TYPE)) {
				reader_fail(r, "two rules of one kind for target %s, class %s",
				            symtab_name(&r->db->types, rule->target),
				            symtab_name(&r->db->classes, t->group[g].tclass));
				return;
			}
			seen |= rule->specified;
		}
	}
}

static void read_te(struct reader *r)
{
	r->part = "access vectors";
	uint32_t nel = read_count(r, 12);
	if (reader_ok(r) && !vec_reserve(&r->rules, nel ? nel : 1))
		reader_nomem(r);
	for (uint32_t i = 0; reader_ok(r) && i < nel; i++)
		read_rule(r, UNCONDITIONAL);
	build_table(r, &r->db->te, false);
	check_unique(r, &r->db->te);
	uint32_t count = r->xperms.count;
	struct xperms *x = arena_array(&r->db->arena, count, sizeof(*x));
	if (!x) {
		reader_nomem(r);
		return;
	}
	if (count)
		__builtin_memcpy(x, r->xperms.data, count * sizeof(*x));
	r->db->xperms.at = x;
	r->db->xperms.count = count;
}

/* -- conditionals -- */

static void read_cond_expr(struct reader *r, struct cond_expr *e, int *depth)
{
	e->expr_type = read_u32(r);
	e->boolean = read_u32(r);
	if (!reader_ok(r))
		return;
	if (e->expr_type < COND_BOOL || e->expr_type > COND_NEQ) {
		reader_fail(r, "a conditional has the unknown operator %u", e->expr_type);
	} else if (e->expr_type == COND_BOOL) {
		(void)reader_check(r, &r->db->bools, e->boolean, "boolean");
		(*depth)++;
	} else if (*depth < (e->expr_type == COND_NOT ? 1 : 2)) {
		reader_fail(r, "a conditional's operator has too few operands");
	} else if (e->expr_type != COND_NOT) {
		(*depth)--;
	}
	if (*depth > COND_EXPR_MAXDEPTH)
		reader_fail(r, "a conditional needs a stack of more than %u",
		            (unsigned)COND_EXPR_MAXDEPTH);
}

static void read_branch(struct reader *r, uint32_t cond)
{
	uint32_t count = read_count(r, 12);
	for (uint32_t i = 0; reader_ok(r) && i < count; i++)
		read_rule(r, cond);
}

static void read_cond(struct reader *r, struct cond *c, uint32_t number)
{
	int depth = 0;
	(void)read_u32(r); /* its value when it was written: evaluated anew */
	c->count = read_count(r, 8);
	struct cond_expr *e = arena_array(&r->db->arena, c->count, sizeof(*e));
	if (!e) {
		reader_nomem(r);
		return;
	}
	for (uint32_t i = 0; reader_ok(r) && i < c->count; i++)
		read_cond_expr(r, &e[i], &depth);
	if (reader_ok(r) && depth != 1)
		reader_fail(r, "a conditional leaves %u values, not one", (unsigned)depth);
	c->expr = e;
	read_branch(r, 2 * number);
	read_branch(r, 2 * number + 1);
}

static const struct te_rule *find_kind(const struct te_table *t, uint32_t source, uint32_t tclass,
                                       uint32_t target, uint32_t specified)
{
	const struct te_group *g = te_find(t, source, tclass);
	for (uint32_t i = g ? g->first : 0; g && i < g[1].first; i++)
		if (t->rule[i].target == target && t->rule[i].specified == specified)
			return &t->rule[i];
	return NULL;
}

/*
 * A type rule in a conditional is the only one for its key, or one of two in the branches of one
 * conditional (libsepol, conditional.c, cond_insertf).
 */
static void check_cond_types(struct reader *r, uint32_t source, const struct te_group *g)
{
	const struct te_table *t = &r->db->te_cond;
	uint32_t kinds[3]
	              [2]; /* how many of each kind for this target; the conditional of the first */
	for (uint32_t i = g->first; i < g[1].first; i++) {
		const struct te_rule *rule = &t->rule[i];
		if (i == g->first || rule->target != rule[-1].target)
			__builtin_memset(kinds, 0, sizeof(kinds));
		if (!(rule->specified & AVTAB_TYPE))
			continue;
		uint32_t *k = kinds[__builtin_ctz(rule->specified) - 4];
		bool pair = k[0] == 1 && t->cond[i] == (k[1] | 1) && !(k[1] & 1);
		if (k[0] > 0 && !pair)
			reader_fail(r, "two conditionals set a type for the same objects");
		if (k[0]++ == 0)
			k[1] = t->cond[i];
		if (find_kind(&r->db->te, source, g->tclass, rule->target, rule->specified))
			reader_fail(r, "a conditional sets a type that is set without one");
	}
}

static void read_conditionals(struct reader *r)
{
	struct policydb *db = r->db;
	r->part = "conditionals";
	db->cond.count = read_count(r, 16);
	db->cond.at = arena_array(&db->arena, db->cond.count, sizeof(*db->cond.at));
	db->cond_state = arena_array(&db->arena, (size_t)db->cond.count + 1, 1);
	if (!db->cond.at || !db->cond_state)
		reader_nomem(r);
	for (uint32_t i = 0; reader_ok(r) && i < db->cond.count; i++)
		read_cond(r, &db->cond.at[i], i);
	build_table(r, &db->te_cond, true);
	for (uint32_t s = 1; reader_ok(r) && s <= db->types.nprim; s++)
		for (uint32_t g = db->te_cond.source[s]; g < db->te_cond.source[s + 1]; g++)
			check_cond_types(r, s, &db->te_cond.group[g]);
}

/* -- roles -- */

static bool role_trans_less(const void *a, const void *b)
{
	const struct role_trans *x = a, *y = b;
	if (x->role != y->role)
		return x->role < y->role;
	if (x->type != y->type)
		return x->type < y->type;
	if (x->tclass != y->tclass)
		return x->tclass < y->tclass;
	return x->order < y->order;
}

static void read_role_transitions(struct reader *r)
{
	struct policydb *db = r->db;
	r->part = "role transitions";
	uint32_t count = read_count(r, 16);
	struct role_trans *list = arena_array(&db->arena, count, sizeof(*list));
	if (!list)
		reader_nomem(r);
	for (uint32_t i = 0; reader_ok(r) && i < count; i++) {
		uint32_t role = read_u32(r);
		uint32_t type = read_u32(r);
		uint32_t new_role = read_u32(r);
		uint32_t tclass = read_u32(r);
		if (reader_check(r, &db->roles, role, "role") &&
		    reader_check(r, &db->types, type, "type") &&
		    reader_check(r, &db->roles, new_role, "role") &&
		    reader_check(r, &db->classes, tclass, "class"))
			list[i] = (struct role_trans){.role = (uint16_t)role,
			                              .type = (uint16_t)type,
			                              .tclass = (uint16_t)tclass,
			                              .new_role = (uint16_t)new_role,
			                              .order = i};
	}
	if (!reader_ok(r))
		return;
	sort_in_place(list, count, sizeof(*list), role_trans_less);
	db->role_trans.at = list;
	db->role_trans.count = count;
}

static bool role_allow_less(const void *a, const void *b)
{
	const struct role_allow *x = a, *y = b;
	return x->role != y->role ? x->role < y->role : x->new_role < y->new_role;
}

static void read_role_allows(struct reader *r)
{
	struct policydb *db = r->db;
	r->part = "allowed role changes";
	uint32_t count = read_count(r, 8);
	struct role_allow *list = arena_array(&db->arena, count, sizeof(*list));
	if (!list)
		reader_nomem(r);
	for (uint32_t i = 0; reader_ok(r) && i < count; i++) {
		uint32_t role = read_u32(r);
		uint32_t new_role = read_u32(r);
		if (reader_check(r, &db->roles, role, "role") &&
		    reader_check(r, &db->roles, new_role, "role"))
			list[i] = (struct role_allow){(uint16_t)role, (uint16_t)new_role};
	}
	if (!reader_ok(r))
		return;
	sort_in_place(list, count, sizeof(*list), role_allow_less);
	db->role_allow.at = list;
	db->role_allow.count = count;
}

/* -- files with a name, ranges -- */

static bool filename_less(const void *a, const void *b)
{
	const struct filename_trans *x = a, *y = b;
	if (x->ttype != y->ttype)
		return x->ttype < y->ttype;
	if (x->tclass != y->tclass)
		return x->tclass < y->tclass;
	return str_cmp(x->name, y->name) < 0;
}

static void read_filename_data(struct reader *r, struct filename_trans *f)
{
	f->count = read_count(r, 16);
	if (reader_ok(r) && f->count == 0)
		reader_fail(r, "a transition of files named %s has no rule", f->name);
	struct filename_datum *d = arena_array(&r->db->arena, f->count, sizeof(*d));
	if (!d)
		reader_nomem(r);
	for (uint32_t i = 0; reader_ok(r) && i < f->count; i++) {
		d[i].stypes = read_set(r, r->db->types.nprim);
		d[i].otype = read_u32(r);
		(void)reader_check(r, &r->db->types, d[i].otype, "type");
	}
	f->datum = d;
}

static void read_filename_transitions(struct reader *r)
{
	struct policydb *db = r->db;
	r->part = "transitions of named files";
	uint32_t count = read_count(r, 16);
	struct filename_trans *list = arena_array(&db->arena, count, sizeof(*list));
	if (!list)
		reader_nomem(r);
	for (uint32_t i = 0; reader_ok(r) && i < count; i++) {
		list[i].name = read_string(r, read_u32(r));
		uint32_t ttype = read_u32(r);
		uint32_t tclass = read_u32(r);
		if (!reader_check(r, &db->types, ttype, "type") ||
		    !reader_check(r, &db->classes, tclass, "class"))
			return;
		list[i].ttype = (uint16_t)ttype;
		list[i].tclass = (uint16_t)tclass;
		read_filename_data(r, &list[i]);
	}
	if (!reader_ok(r))
		return;
	sort_in_place(list, count, sizeof(*list), filename_less);
	for (uint32_t i = 1; i < count; i++)
		if (!filename_less(&list[i - 1], &list[i])) {
			reader_fail(r, "two transitions of files named %s", list[i].name);
			return;
		}
	db->filename_trans.at = list;
	db->filename_trans.count = count;
}

static bool range_less(const void *a, const void *b)
{
	const struct range_trans *x = a, *y = b;
	if (x->source != y->source)
		return x->source < y->source;
	return x->target != y->target ? x->target < y->target : x->tclass < y->tclass;
}

static void check_range(struct reader *r, const struct level *l)
{
	if (reader_check(r, &r->db->levels, l->sens, "sensitivity") &&
	    !set_subset(l->cat, r->db->level_cats[l->sens]))
		reader_fail(r, "a range has categories that its sensitivity cannot have");
}

void read_range_transitions(struct reader *r)
{
	struct policydb *db = r->db;
	uint32_t count = read_count(r, 24);
	struct range_trans *list = arena_array(&db->arena, count, sizeof(*list));
	if (!list)
		reader_nomem(r);
	for (uint32_t i = 0; reader_ok(r) && i < count; i++) {
		uint32_t source = read_u32(r);
		uint32_t target = read_u32(r);
		uint32_t tclass = read_u32(r);
		list[i].range = read_range(r);
		if (!reader_check(r, &db->types, source, "type") ||
		    !reader_check(r, &db->types, target, "type") ||
		    !reader_check(r, &db->classes, tclass, "class"))
			return;
		check_range(r, &list[i].range.low);
		check_range(r, &list[i].range.high);
		list[i].source = (uint16_t)source;
		list[i].target = (uint16_t)target;
		list[i].tclass = (uint16_t)tclass;
	}
	if (!reader_ok(r))
		return;
	sort_in_place(list, count, sizeof(*list), range_less);
	for (uint32_t i = 1; i < count; i++)
		if (!range_less(&list[i - 1], &list[i])) {
			reader_fail(r, "two range transitions from %s to %s",
			            symtab_name(&db->types, list[i].source),
			            symtab_name(&db->types, list[i].target));
			return;
		}
	db->range_trans.at = list;
	db->range_trans.count = count;
}

/* -- attributes -- */

static void add_attribute(struct reader *r, struct vec *list, uint32_t value)
{
	uint16_t *to = vec_push(list);
	if (to)
		*to = (uint16_t)value;
	else
		reader_nomem(r);
}

/* Those of type T. It is its own attribute, written down or not. */
static void read_attributes_of(struct reader *r, struct vec *list, uint32_t t)
{
	const struct set *s = read_set(r, r->db->types.nprim);
	struct set_iter it = {0};
	uint32_t bit;
	bool self = !r->db->types.name[t];
	while (reader_ok(r) && set_each(s, &it, &bit)) {
		if (!self && bit + 1 > t)
			add_attribute(r, list, t);
		self = self || bit + 1 >= t;
		add_attribute(r, list, bit + 1);
	}
	if (!self && reader_ok(r))
		add_attribute(r, list, t);
}

void read_type_attributes(struct reader *r)
{
	struct policydb *db = r->db;
	uint32_t types = db->types.nprim;
	struct vec list;
	vec_init(&list, &db->arena, sizeof(uint16_t));
	db->attr_first = arena_array(&db->arena, (size_t)types + 2, sizeof(*db->attr_first));
	if (!db->attr_first)
		reader_nomem(r);
	for (uint32_t t = 1; reader_ok(r) && t <= types; t++) {
		db->attr_first[t] = list.count;
		read_attributes_of(r, &list, t);
		if (db->type_datum[t].attribute && list.count - db->attr_first[t] > 1)
			reader_fail(r, "attribute %s has attributes", db->types.name[t]);
	}
	if (reader_ok(r)) {
		db->attr_first[types + 1] = list.count;
		db->attr = arena_array(&db->arena, list.count, sizeof(*db->attr));
		if (!db->attr)
			reader_nomem(r);
		else if (list.count)
			__builtin_memcpy(db->attr, list.data, list.count * sizeof(*db->attr));
	}
	vec_fini(&list);
}

void read_rules(struct reader *r)
{
	read_te(r);
	if (reader_ok(r))
		read_conditionals(r);
	if (reader_ok(r))
		read_role_transitions(r);
	if (reader_ok(r))
		read_role_allows(r);
	if (reader_ok(r))
		read_filename_transitions(r);
}
