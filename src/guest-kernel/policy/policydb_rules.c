/*
 * Reading a policydb: type enforcement rules, and those in conditionals. See policydb.h.
 *
 * The file has its rules in the order of a hash table. Here they are sorted by source, class,
 * target and kind, so that a decision looks at the few rules of a source for one class in place of
 * probing for every pair of attributes.
 */
#include <stdatomic.h>

#include "policydb_reader.h"

#define UNCONDITIONAL UINT32_MAX
#define RULE_BYTES    12u /* without extended permissions */

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

static inline bool one_kind(uint32_t specified)
{
	return (specified & (AVTAB_AV | AVTAB_TYPE | AVTAB_XPERMS)) &&
	       !(specified & (specified - 1));
}

static inline uint16_t get16(const uint8_t *p)
{
	return (uint16_t)((unsigned)p[0] | (unsigned)p[1] << 8);
}

/* The fast half of reader_check: there are many rules. */
static inline bool exists(const struct symtab *s, uint32_t value)
{
	return value <= s->nprim && s->name[value];
}

static inline bool good_rule(const struct policydb *db, const struct raw_rule *rule, uint32_t cond)
{
	return one_kind(rule->specified) && exists(&db->types, rule->source) &&
	       exists(&db->types, rule->target) && exists(&db->classes, rule->tclass) &&
	       (!(rule->specified & AVTAB_XPERMS) || cond == UNCONDITIONAL);
}

/* What good_rule has against it. */
static __attribute__((noinline)) void refuse_rule(struct reader *r, const struct raw_rule *rule)
{
	const struct policydb *db = r->db;
	if (!one_kind(rule->specified))
		reader_fail(r, "a rule is of the unknown kind 0x%x", rule->specified);
	else if (!exists(&db->types, rule->source) || !exists(&db->types, rule->target) ||
	         !exists(&db->classes, rule->tclass))
		reader_fail(r, "a rule is about types %u and %u (they go to %u), class %u (to %u)",
		            rule->source, rule->target, db->types.nprim, rule->tclass,
		            db->classes.nprim);
	else
		reader_fail(r, "a conditional has extended permissions");
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

/* All but access vectors. Extended permissions are in the place of the four bytes of data, and take
 * more. */
static __attribute__((noinline)) void read_data(struct reader *r, struct raw_rule *rule)
{
	if (rule->specified & AVTAB_XPERMS) {
		r->at -= 4;
		rule->data = read_xperms(r);
	} else {
		(void)reader_check(r, &r->db->types, rule->data, "type");
	}
}

/* The top bit of the kind is of the writer's memory. */
static inline struct raw_rule parse_rule(const uint8_t *p)
{
	return (struct raw_rule){.source = get16(p),
	                         .target = get16(p + 2),
	                         .tclass = get16(p + 4),
	                         .specified = get16(p + 6) & 0x7fff,
	                         .data = get_le32(p + 8)};
}

static void read_rule(struct reader *r, uint32_t cond)
{
	const uint8_t *p = read_take(r, RULE_BYTES);
	struct raw_rule *rule = p ? vec_push(&r->rules) : NULL;
	if (!rule) {
		if (p)
			reader_nomem(r);
		return;
	}
	*rule = parse_rule(p);
	if (!good_rule(r->db, rule, cond)) {
		refuse_rule(r, rule);
		return;
	}
	if (!(rule->specified & AVTAB_AV))
		read_data(r, rule);
	if (cond != UNCONDITIONAL)
		put_aside(r, rule, cond);
}

/*
 * Most rules are of this kind: good access vectors outside conditionals. As many of them as come
 * next, COUNT at most, for which there is room in r->rules. How many: for the next one see
 * read_rule.
 */
static uint32_t read_vectors(struct reader *r, uint32_t count)
{
	const uint8_t *p = r->data + r->at;
	struct raw_rule *to = (struct raw_rule *)(void *)r->rules.data + r->rules.count;
	size_t there = (r->len - r->at) / RULE_BYTES;
	uint32_t most = there < count ? (uint32_t)there : count, n = 0;
	for (; n < most; n++, p += RULE_BYTES) {
		struct raw_rule rule = parse_rule(p);
		if (!(rule.specified & AVTAB_AV) || !good_rule(r->db, &rule, UNCONDITIONAL))
			break;
		to[n] = rule;
	}
	r->at += (size_t)n * RULE_BYTES;
	r->rules.count += n;
	return n;
}

/* -- sorting -- */

/* Where the rules of each target, class and source begin: [highest number + 2]. */
struct starts {
	struct vec target, tclass, source;
};

static uint32_t *starts_of(const struct vec *v)
{
	return (uint32_t *)(void *)v->data;
}

static bool make_starts(struct vec *v, struct arena *budget, uint32_t highest)
{
	vec_init(v, budget, sizeof(uint32_t));
	if (!vec_reserve(v, highest + 2))
		return false;
	__builtin_memset(v->data, 0, ((size_t)highest + 2) * sizeof(uint32_t));
	return true;
}

static void add_up(uint32_t *start, uint32_t highest)
{
	for (uint32_t v = 0; v <= highest; v++)
		start[v + 1] += start[v];
}

static bool count_rules(struct reader *r, struct starts *s)
{
	const struct raw_rule *rule = (const struct raw_rule *)(const void *)r->rules.data;
	uint32_t types = r->db->types.nprim, classes = r->db->classes.nprim;
	struct arena *a = &r->db->arena;
	bool target = make_starts(&s->target, a, types);
	bool tclass = make_starts(&s->tclass, a, classes);
	if (!make_starts(&s->source, a, types) || !target || !tclass)
		return false;
	uint32_t *t = starts_of(&s->target) + 1, *c = starts_of(&s->tclass) + 1;
	uint32_t *f = starts_of(&s->source) + 1;
	for (uint32_t i = 0; i < r->rules.count; i++) {
		t[rule[i].target]++;
		c[rule[i].tclass]++;
		f[rule[i].source]++;
	}
	add_up(t - 1, types);
	add_up(c - 1, classes);
	add_up(f - 1, types);
	return true;
}

/* By target, then by class: the least significant first, each keeping the order of the one before.
 */
static bool sort_rules(struct reader *r, const struct starts *s)
{
	uint32_t count = r->rules.count;
	struct vec other;
	vec_init(&other, &r->db->arena, sizeof(struct raw_rule));
	bool ok = vec_reserve(&other, count);
	if (ok) {
		struct raw_rule *a = (struct raw_rule *)(void *)r->rules.data;
		struct raw_rule *b = (struct raw_rule *)(void *)other.data;
		uint32_t *target = starts_of(&s->target), *tclass = starts_of(&s->tclass);
		for (uint32_t i = 0; i < count; i++)
			b[target[a[i].target]++] = a[i];
		for (uint32_t i = 0; i < count; i++)
			a[tclass[b[i].tclass]++] = b[i];
	}
	vec_fini(&other);
	return ok;
}

/* And last by source, into the table. SOURCE then has where those of each end; TCLASS each one's
 * class. */
static void place_rules(struct reader *r, const struct te_table *t, uint32_t *source,
                        uint16_t *tclass)
{
	const struct raw_rule *rule = (const struct raw_rule *)(const void *)r->rules.data;
	const struct cond_part *part = (const struct cond_part *)(const void *)r->cond_parts.data;
	for (uint32_t i = 0; i < t->count; i++) {
		uint32_t at = source[rule[i].source]++;
		tclass[at] = rule[i].tclass;
		t->rule[at] = (struct te_rule){.target = rule[i].target,
		                               .specified = rule[i].specified,
		                               .data = rule[i].data};
		if (t->cond) {
			t->rule[at].data = part[rule[i].data].data;
			t->cond[at] = part[rule[i].data].cond;
		}
	}
}

/* Writes the groups to GROUP, which has room for as many as there are rules; how many. */
static uint32_t find_groups(const struct te_table *t, struct te_group *group, const uint32_t *end,
                            const uint16_t *tclass, uint32_t types)
{
	uint32_t g = 0, i = 0;
	for (uint32_t s = 0; s <= types; s++) {
		uint32_t last = UINT32_MAX;
		t->source[s] = g;
		for (; i < end[s]; i++) {
			if (tclass[i] == last)
				continue;
			last = tclass[i];
			group[g++] = (struct te_group){.tclass = last, .first = i};
		}
	}
	t->source[types + 1] = g;
	return g;
}

/* The rules have been placed: where they were is room for the groups until their number is known.
 */
static void group_rules(struct reader *r, struct te_table *t, const uint32_t *end,
                        const uint16_t *tclass)
{
	struct arena *a = &r->db->arena;
	uint32_t types = r->db->types.nprim;
	struct te_group *found = (struct te_group *)(void *)r->rules.data;
	_Static_assert(sizeof(struct te_group) <= sizeof(struct raw_rule), "a group for each rule");
	t->source = arena_array_raw(a, (size_t)types + 2, sizeof(*t->source));
	if (!t->source) {
		reader_nomem(r);
		return;
	}
	t->group_count = find_groups(t, found, end, tclass, types);
	t->group = arena_array_raw(a, (size_t)t->group_count + 1, sizeof(*t->group));
	if (!t->group) {
		reader_nomem(r);
		return;
	}
	if (t->group_count)
		__builtin_memcpy(t->group, found, t->group_count * sizeof(*found));
	t->group[t->group_count] = (struct te_group){.first = t->count};
}

static void fill_table(struct reader *r, struct te_table *t, bool conditional)
{
	struct arena *a = &r->db->arena;
	struct starts s = {0};
	struct vec tclass;
	vec_init(&tclass, a, sizeof(uint16_t));
	*t = (struct te_table){.count = r->rules.count};
	bool ok = count_rules(r, &s) && sort_rules(r, &s) && vec_reserve(&tclass, t->count + 1);
	t->rule = ok ? arena_array_raw(a, t->count, sizeof(*t->rule)) : NULL;
	t->cond = ok && conditional ? arena_array_raw(a, t->count, sizeof(*t->cond)) : NULL;
	if (t->rule && (!conditional || t->cond)) {
		uint16_t *classes = (uint16_t *)(void *)tclass.data;
		place_rules(r, t, starts_of(&s.source), classes);
		group_rules(r, t, starts_of(&s.source), classes);
	} else {
		reader_nomem(r);
	}
	vec_fini(&tclass);
	vec_fini(&s.target);
	vec_fini(&s.tclass);
	vec_fini(&s.source);
}

static void build_table(struct reader *r, struct te_table *t, bool conditional)
{
	if (reader_ok(r))
		fill_table(r, t, conditional);
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
	uint32_t nel = read_count(r, RULE_BYTES);
	if (reader_ok(r) && !vec_reserve(&r->rules, nel ? nel : 1))
		reader_nomem(r);
	while (reader_ok(r) && r->rules.count < nel) {
		if (read_vectors(r, nel - r->rules.count) == 0)
			read_rule(r, UNCONDITIONAL);
	}
	build_table(r, &r->db->te, false);
	check_unique(r, &r->db->te);
	uint32_t count = r->xperms.count;
	struct xperms *x = arena_array_raw(&r->db->arena, count, sizeof(*x));
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
	uint32_t count = read_count(r, RULE_BYTES);
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
	uint32_t most = (uint32_t)((r->len - r->at) / RULE_BYTES); /* rules that can come */
	if (!db->cond.at || !db->cond_state || !vec_reserve(&r->rules, most) ||
	    !vec_reserve(&r->cond_parts, most))
		reader_nomem(r);
	for (uint32_t i = 0; reader_ok(r) && i < db->cond.count; i++)
		read_cond(r, &db->cond.at[i], i);
	build_table(r, &db->te_cond, true);
	for (uint32_t s = 1; reader_ok(r) && s <= db->types.nprim; s++)
		for (uint32_t g = db->te_cond.source[s]; g < db->te_cond.source[s + 1]; g++)
			check_cond_types(r, s, &db->te_cond.group[g]);
}

void read_rules(struct reader *r)
{
	read_te(r);
	if (reader_ok(r))
		read_conditionals(r);
}
