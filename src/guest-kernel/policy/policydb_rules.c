/*
 * Reading a policydb: type enforcement rules, and those in conditionals. See policydb.h.
 *
 * The file has its rules in the order of a hash table. Here they are sorted by source, class and
 * target, so that a decision looks at the few rules of a source for one class in place of probing
 * for every pair of attributes. There are many: they are validated and counted where they are, and
 * then sorted out of the file by those counts (a radix sort, the least significant key first).
 */
#include "policydb_reader.h"

#define RULE_BYTES 12u /* without extended permissions */

/* -- rules in the file -- */

/* As the file has them. Extended permissions are in the place of DATA, and take more. */
struct raw_rule {
	uint16_t source, target, tclass, specified;
	uint32_t data; /* when sorted, an index: into xperms, or a conditional rule's into parts */
};
_Static_assert(sizeof(struct raw_rule) == RULE_BYTES, "as in the file");

#define SPECIFIED_MASK 0x7fffu /* the top bit is of the writer's memory */

/* Rules that follow each other in the file, where they stay until they are sorted. */
struct run {
	const uint8_t *at;
	uint32_t count;
	/* In a conditional what te_table.cond will have; of one rule with extended permissions,
	 * which is a run by itself, their index. */
	uint32_t extra;
};

/* The rules of one table. */
struct rules {
	struct vec runs; /* struct run */
	uint32_t count;
	/* uint32_t: how many rules each target, class and source has, at [number + 1]; then where
	 * they begin when sorted by it, at [number]. */
	struct vec target, tclass, source;
};

static uint32_t *numbers(const struct vec *v)
{
	return (uint32_t *)(void *)v->data;
}

static bool make_numbers(struct vec *v, struct arena *budget, uint32_t highest)
{
	vec_init(v, budget, sizeof(uint32_t));
	if (!vec_reserve(v, highest + 2))
		return false;
	__builtin_memset(v->data, 0, ((size_t)highest + 2) * sizeof(uint32_t));
	return true;
}

static void rules_init(struct reader *r, struct rules *rules)
{
	struct arena *a = &r->db->arena;
	vec_init(&rules->runs, a, sizeof(struct run));
	rules->count = 0;
	bool target = make_numbers(&rules->target, a, r->db->types.nprim);
	bool tclass = make_numbers(&rules->tclass, a, r->db->classes.nprim);
	bool source = make_numbers(&rules->source, a, r->db->types.nprim);
	if (!target || !tclass || !source)
		reader_nomem(r);
}

static void rules_fini(struct rules *rules)
{
	vec_fini(&rules->runs);
	vec_fini(&rules->target);
	vec_fini(&rules->tclass);
	vec_fini(&rules->source);
}

static inline struct raw_rule parse_rule(const uint8_t *p)
{
	return (struct raw_rule){.source = get_le16(p),
	                         .target = get_le16(p + 2),
	                         .tclass = get_le16(p + 4),
	                         .specified = get_le16(p + 6) & SPECIFIED_MASK,
	                         .data = get_le32(p + 8)};
}

/* One kind, and among KINDS. */
static inline bool one_kind(uint32_t specified, uint32_t kinds)
{
	return (specified & kinds) && !(specified & (specified - 1));
}

/* Whether each number is somebody's is asked when all are counted: check_named. */
static inline bool numbers_fit(const struct policydb *db, const struct raw_rule *rule)
{
	return rule->source <= db->types.nprim && rule->target <= db->types.nprim &&
	       rule->tclass <= db->classes.nprim;
}

static void add_run(struct reader *r, struct rules *rules, struct run run)
{
	struct run *to = vec_push(&rules->runs);
	if (!to) {
		reader_nomem(r);
		return;
	}
	*to = run;
	rules->count += run.count;
}

/*
 * As many good rules without extended permissions as come next, MOST at most, for which the file
 * has bytes. How many: the next one is for read_odd_rule.
 */
static uint32_t read_run(struct reader *r, struct rules *rules, uint32_t most, uint32_t extra)
{
	const struct policydb *db = r->db;
	const uint8_t *begin = r->data + r->at, *p = begin;
	uint32_t *target = numbers(&rules->target) + 1, *tclass = numbers(&rules->tclass) + 1;
	uint32_t *source = numbers(&rules->source) + 1;
	uint32_t n = 0;
	for (; n < most; n++, p += RULE_BYTES) {
		struct raw_rule rule = parse_rule(p);
		if (!one_kind(rule.specified, AVTAB_AV | AVTAB_TYPE) || !numbers_fit(db, &rule))
			break;
		if ((rule.specified & AVTAB_TYPE) && !symtab_name(&db->types, rule.data))
			break;
		target[rule.target]++;
		tclass[rule.tclass]++;
		source[rule.source]++;
	}
	r->at += (size_t)n * RULE_BYTES;
	if (n)
		add_run(r, rules, (struct run){.at = begin, .count = n, .extra = extra});
	return n;
}

static uint32_t read_xperms(struct reader *r, struct vec *xperms)
{
	struct xperms *x = vec_push(xperms);
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
	return xperms->count - 1;
}

/* What a run has against a rule, and what is the matter with extended permissions. */
static void refuse_rule(struct reader *r, const struct raw_rule *rule)
{
	const struct policydb *db = r->db;
	if (!one_kind(rule->specified, AVTAB_AV | AVTAB_TYPE | AVTAB_XPERMS))
		reader_fail(r, "a rule is of the unknown kind 0x%x", rule->specified);
	else if (!numbers_fit(db, rule))
		reader_fail(r, "a rule is about types %u and %u (they go to %u), class %u (to %u)",
		            rule->source, rule->target, db->types.nprim, rule->tclass,
		            db->classes.nprim);
	else if (rule->specified & AVTAB_XPERMS)
		reader_fail(r, "a conditional has extended permissions");
	else
		(void)reader_check(r, &db->types, rule->data, "type");
}

/* One that read_run did not take: it has extended permissions, or is refused. */
static void read_odd_rule(struct reader *r, struct rules *rules, struct vec *xperms)
{
	const uint8_t *p = read_take(r, RULE_BYTES);
	if (!p)
		return;
	struct raw_rule rule = parse_rule(p);
	if (!xperms || !one_kind(rule.specified, AVTAB_XPERMS) || !numbers_fit(r->db, &rule)) {
		refuse_rule(r, &rule);
		return;
	}
	r->at -= sizeof(rule.data);
	uint32_t extra = read_xperms(r, xperms);
	numbers(&rules->target)[rule.target + 1]++;
	numbers(&rules->tclass)[rule.tclass + 1]++;
	numbers(&rules->source)[rule.source + 1]++;
	add_run(r, rules, (struct run){.at = p, .count = 1, .extra = extra});
}

/* COUNT of them. XPERMS: NULL where extended permissions may not be. */
static void read_rule_list(struct reader *r, struct rules *rules, uint32_t count, uint32_t extra,
                           struct vec *xperms)
{
	while (reader_ok(r) && count > 0) {
		size_t there = (r->len - r->at) / RULE_BYTES;
		uint32_t n = read_run(r, rules, there < count ? (uint32_t)there : count, extra);
		count -= n;
		if (n == 0) {
			read_odd_rule(r, rules, xperms);
			count--;
		}
	}
}

/* -- sorting -- */

/* Every number that a rule has is somebody's. */
static void check_named(struct reader *r, const struct symtab *s, const struct vec *count,
                        const char *what)
{
	for (uint32_t v = 0; v <= s->nprim; v++)
		if (numbers(count)[v + 1] && !s->name[v])
			reader_fail(r, "a rule is about %s %u, which is nobody's", what, v);
}

static void add_up(const struct vec *v, uint32_t highest)
{
	uint32_t *start = numbers(v);
	for (uint32_t i = 0; i <= highest; i++)
		start[i + 1] += start[i];
}

/* What is sorted is small: a conditional rule's data and conditional stand aside. */
struct cond_part {
	uint32_t data;
	uint32_t cond;
};

static struct raw_rule *rule_array(const struct vec *v)
{
	return (struct raw_rule *)(void *)v->data;
}

/* Out of the file, by target. PART: [count], to be filled in; NULL outside conditionals. */
static void sort_by_target(const struct rules *rules, struct raw_rule *to, struct cond_part *part)
{
	const struct run *run = (const struct run *)(const void *)rules->runs.data;
	uint32_t *start = numbers(&rules->target);
	uint32_t parts = 0;
	for (uint32_t i = 0; i < rules->runs.count; i++) {
		const uint8_t *p = run[i].at;
		for (const uint8_t *end = p + (size_t)run[i].count * RULE_BYTES; p < end;
		     p += RULE_BYTES) {
			struct raw_rule *rule = &to[start[get_le16(p + 2)]++];
			__builtin_memcpy(rule, p, sizeof(*rule));
			if (part) {
				part[parts] = (struct cond_part){rule->data, run[i].extra};
				rule->data = parts++;
			} else if (get_le16(p + 6) & AVTAB_XPERMS) {
				rule->data = run[i].extra;
			}
		}
	}
}

/* Then by class, within which the order stays. */
static void sort_by_class(const struct rules *rules, const struct raw_rule *from,
                          struct raw_rule *to)
{
	uint32_t *start = numbers(&rules->tclass);
	for (const struct raw_rule *end = from + rules->count; from < end; from++)
		to[start[from->tclass]++] = *from;
}

/* And last by source, into the table; TCLASS gets each one's class. */
static void place_rules(const struct rules *rules, const struct raw_rule *from, struct te_rule *to,
                        uint16_t *tclass)
{
	uint32_t *start = numbers(&rules->source);
	for (const struct raw_rule *end = from + rules->count; from < end; from++) {
		uint32_t at = start[from->source]++;
		tclass[at] = from->tclass;
		to[at] = (struct te_rule){.target = from->target,
		                          .specified = from->specified & SPECIFIED_MASK,
		                          .data = from->data};
	}
}

/* The data and the conditionals of rules that are in their places. */
static void fill_in_parts(const struct te_table *t, const struct cond_part *part)
{
	for (uint32_t i = 0; i < t->count; i++) {
		struct cond_part of = part[t->rule[i].data];
		t->rule[i].data = of.data;
		t->cond[i] = of.cond;
	}
}

/*
 * Writes the groups to GROUP, which has room for as many as there are rules; how many. Two rules of
 * one kind for the same are found on the way; in conditionals there is more to it: see
 * check_cond_types. No processor foresees where a group ends, so what is done for each rule does
 * not branch on it.
 */
static uint32_t find_groups(struct reader *r, const struct te_table *t, const struct rules *rules,
                            const uint16_t *tclass, struct te_group *group)
{
	const struct te_rule *rule = t->rule, *twice = NULL;
	const uint32_t *end = numbers(&rules->source); /* of each source: they have been placed */
	uint32_t once = t->cond ? 0 : AVTAB_AV | AVTAB_TYPE;
	uint32_t types = r->db->types.nprim, g = 0, i = 0;
	for (uint32_t s = 0; s <= types; s++) {
		uint32_t last_class = UINT32_MAX, last_target = UINT32_MAX, seen = 0;
		t->source[s] = g;
		for (uint32_t stop = end[s]; i < stop; i++) {
			uint32_t c = tclass[i], target = rule[i].target, kind = rule[i].specified;
			bool same_class = c == last_class, same_target = target == last_target;
			group[g] = (struct te_group){.tclass = c, .first = i};
			g += !same_class;
			seen = (same_class & same_target) ? seen : 0;
			if (seen & kind & once)
				twice = &rule[i];
			seen |= kind;
			last_class = c;
			last_target = target;
		}
	}
	t->source[types + 1] = g;
	if (twice)
		reader_fail(r, "two rules of one kind for target %s, class %s",
		            symtab_name(&r->db->types, twice->target),
		            symtab_name(&r->db->classes, tclass[twice - rule]));
	return g;
}

/* SPARE has room for as many groups as there are rules. */
static bool group_rules(struct reader *r, struct te_table *t, const struct rules *rules,
                        const uint16_t *tclass, struct te_group *spare)
{
	struct arena *a = &r->db->arena;
	t->source = arena_array_raw(a, (size_t)r->db->types.nprim + 2, sizeof(*t->source));
	if (!t->source)
		return false;
	t->group_count = find_groups(r, t, rules, tclass, spare);
	t->group = arena_array_raw(a, (size_t)t->group_count + 1, sizeof(*t->group));
	if (!t->group)
		return false;
	if (t->group_count)
		__builtin_memcpy(t->group, spare, t->group_count * sizeof(*spare));
	t->group[t->group_count] = (struct te_group){.first = t->count};
	return true;
}

/* The temporary memory of one table. */
struct sorting {
	struct vec rules[2]; /* struct raw_rule */
	struct vec parts;    /* struct cond_part */
	struct vec tclass;   /* uint16_t */
};

#define CACHE_LINE 64u

/* Memory that is in no cache comes faster in order than where the rules go, here and there. */
static void touch(const struct vec *v)
{
	for (size_t i = 0; i < (size_t)v->capacity * v->size; i += CACHE_LINE)
		v->data[i] = 0;
}

static bool sort_rules(const struct rules *rules, struct sorting *s, bool conditional)
{
	uint32_t room = rules->count + 1; /* an empty vec has no memory at all */
	if (!vec_reserve(&s->rules[0], room) || !vec_reserve(&s->rules[1], room) ||
	    (conditional && !vec_reserve(&s->parts, room)))
		return false;
	touch(&s->rules[0]);
	sort_by_target(rules, rule_array(&s->rules[0]), (struct cond_part *)(void *)s->parts.data);
	sort_by_class(rules, rule_array(&s->rules[0]), rule_array(&s->rules[1]));
	vec_fini(&s->rules[0]);
	return true;
}

static bool fill_table(struct reader *r, struct te_table *t, const struct rules *rules,
                       struct sorting *s, bool conditional)
{
	struct arena *a = &r->db->arena;
	*t = (struct te_table){.count = rules->count};
	if (!sort_rules(rules, s, conditional) || !vec_reserve(&s->tclass, t->count + 1))
		return false;
	t->rule = arena_array_raw(a, t->count, sizeof(*t->rule));
	t->cond = conditional ? arena_array_raw(a, t->count, sizeof(*t->cond)) : NULL;
	if (!t->rule || (conditional && !t->cond))
		return false;
	uint16_t *tclass = (uint16_t *)(void *)s->tclass.data;
	place_rules(rules, rule_array(&s->rules[1]), t->rule, tclass);
	if (conditional)
		fill_in_parts(t, (const struct cond_part *)(const void *)s->parts.data);
	_Static_assert(sizeof(struct te_group) <= sizeof(struct raw_rule), "a group for each rule");
	return group_rules(r, t, rules, tclass, (struct te_group *)(void *)s->rules[1].data);
}

static void build_table(struct reader *r, struct te_table *t, const struct rules *rules,
                        bool conditional)
{
	struct arena *a = &r->db->arena;
	struct sorting s;
	vec_init(&s.rules[0], a, sizeof(struct raw_rule));
	vec_init(&s.rules[1], a, sizeof(struct raw_rule));
	vec_init(&s.parts, a, sizeof(struct cond_part));
	vec_init(&s.tclass, a, sizeof(uint16_t));
	check_named(r, &r->db->types, &rules->source, "type");
	check_named(r, &r->db->types, &rules->target, "type");
	check_named(r, &r->db->classes, &rules->tclass, "class");
	add_up(&rules->source, r->db->types.nprim);
	add_up(&rules->target, r->db->types.nprim);
	add_up(&rules->tclass, r->db->classes.nprim);
	if (reader_ok(r) && !fill_table(r, t, rules, &s, conditional))
		reader_nomem(r);
	vec_fini(&s.rules[0]);
	vec_fini(&s.rules[1]);
	vec_fini(&s.parts);
	vec_fini(&s.tclass);
}

/* -- unconditional rules -- */

static void keep_xperms(struct reader *r, const struct vec *xperms)
{
	struct xperms *x = arena_array_raw(&r->db->arena, xperms->count, sizeof(*x));
	if (!x) {
		reader_nomem(r);
		return;
	}
	if (xperms->count)
		__builtin_memcpy(x, xperms->data, xperms->count * sizeof(*x));
	r->db->xperms.at = x;
	r->db->xperms.count = xperms->count;
}

static void read_te(struct reader *r)
{
	struct rules rules;
	struct vec xperms;
	vec_init(&xperms, &r->db->arena, sizeof(struct xperms));
	r->part = "access vectors";
	rules_init(r, &rules);
	read_rule_list(r, &rules, read_count(r, RULE_BYTES), 0, &xperms);
	if (reader_ok(r))
		build_table(r, &r->db->te, &rules, false);
	if (reader_ok(r))
		keep_xperms(r, &xperms);
	vec_fini(&xperms);
	rules_fini(&rules);
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

static void read_cond(struct reader *r, struct cond *c, struct rules *rules, uint32_t number)
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
	for (uint32_t branch = 0; branch < 2; branch++)
		read_rule_list(r, rules, read_count(r, RULE_BYTES), 2 * number + branch, NULL);
}

static const struct te_rule *find_kind(const struct te_table *t, uint32_t source, uint32_t tclass,
                                       uint32_t target, uint32_t specified)
{
	const struct te_group *g = te_find(t, source, tclass);
	if (!g)
		return NULL;
	uint32_t i = g->first + te_lower_bound(t->rule + g->first, g[1].first - g->first, target);
	for (; i < g[1].first && t->rule[i].target == target; i++)
		if (t->rule[i].specified == specified)
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
	/* For this target how many of each kind, and the conditional of the first. */
	uint32_t kinds[3][2];
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

static void read_conds(struct reader *r, struct rules *rules)
{
	struct policydb *db = r->db;
	db->cond.count = read_count(r, 16);
	db->cond.at = arena_array(&db->arena, db->cond.count, sizeof(*db->cond.at));
	db->cond_state = arena_array(&db->arena, (size_t)db->cond.count + 1, 1);
	if (!db->cond.at || !db->cond_state)
		reader_nomem(r);
	for (uint32_t i = 0; reader_ok(r) && i < db->cond.count; i++)
		read_cond(r, &db->cond.at[i], rules, i);
}

static void read_conditionals(struct reader *r)
{
	struct policydb *db = r->db;
	struct rules rules;
	r->part = "conditionals";
	rules_init(r, &rules);
	read_conds(r, &rules);
	if (reader_ok(r))
		build_table(r, &db->te_cond, &rules, true);
	rules_fini(&rules);
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
