/* Security contexts. See context.h. */
#include "context.h"

/* -- comparing -- */

bool level_dom(const struct level *a, const struct level *b)
{
	return a->sens >= b->sens && set_subset(b->cat, a->cat);
}

bool level_equal(const struct level *a, const struct level *b)
{
	return a->sens == b->sens && set_equal(a->cat, b->cat);
}

bool context_equal(const struct context *a, const struct context *b)
{
	return a->user == b->user && a->role == b->role && a->type == b->type &&
	       level_equal(&a->low, &b->low) && level_equal(&a->high, &b->high);
}

static uint32_t mix(uint32_t h, uint32_t value)
{
	return (h ^ value) * 16777619u;
}

static uint32_t hash_level(uint32_t h, const struct level *l)
{
	struct set_iter it = {0};
	h = mix(h, l->sens);
	for (uint32_t bit; set_each(l->cat, &it, &bit);)
		h = mix(h, bit);
	return h;
}

uint32_t context_hash(const struct context *c)
{
	uint32_t h = mix(mix(mix(2166136261u, c->user), c->role), c->type);
	return hash_level(hash_level(h, &c->low), &c->high);
}

/* -- validity -- */

static bool invalid(const char **why, const char *text)
{
	if (why)
		*why = text;
	return false;
}

static bool mls_valid(const struct policydb *db, const struct context *c, const char **why)
{
	if (!db->mls)
		return true;
	if (!level_dom(&c->high, &c->low))
		return invalid(why, "the high level does not dominate the low one");
	if (!set_subset(c->low.cat, db->level_cats[c->low.sens]) ||
	    !set_subset(c->high.cat, db->level_cats[c->high.sens]))
		return invalid(why, "a sensitivity may not have one of its categories");
	if (c->role == OBJECT_R_VAL)
		return true;
	const struct mls_range *may = &db->user_datum[c->user].range;
	if (!level_dom(&c->low, &may->low) || !level_dom(&may->high, &c->high))
		return invalid(why, "the user is not cleared for this range");
	return true;
}

bool context_valid(const struct policydb *db, const struct context *c, const char **why)
{
	if (db->type_datum[c->type].attribute)
		return invalid(why, "the type is an attribute");
	if (c->role != OBJECT_R_VAL) {
		if (!set_has(db->role_datum[c->role].types, c->type - 1u))
			return invalid(why, "the role may not have this type");
		if (!set_has(db->user_datum[c->user].roles, c->role - 1u))
			return invalid(why, "the user may not have this role");
	}
	return mls_valid(db, c, why);
}

/* -- printing -- */

static void print_run(const struct policydb *db, struct text *t, bool *first, uint32_t from,
                      uint32_t to)
{
	text_char(t, *first ? ':' : ',');
	*first = false;
	text_add(t, symtab_name(&db->cats, from + 1));
	if (to == from)
		return;
	text_char(t, to > from + 1 ? '.' : ',');
	text_add(t, symtab_name(&db->cats, to + 1));
}

static void print_level(const struct policydb *db, const struct level *l, struct text *t)
{
	struct set_iter it = {0};
	bool first = true;
	uint32_t from = UINT32_MAX, to = 0;
	text_add(t, symtab_name(&db->levels, l->sens));
	for (uint32_t bit; set_each(l->cat, &it, &bit);) {
		if (from != UINT32_MAX && bit == to + 1) {
			to = bit;
			continue;
		}
		if (from != UINT32_MAX)
			print_run(db, t, &first, from, to);
		from = to = bit;
	}
	if (from != UINT32_MAX)
		print_run(db, t, &first, from, to);
}

void context_print(const struct policydb *db, const struct context *c, struct text *t)
{
	text_format(t, "%s:%s:%s", symtab_name(&db->users, c->user),
	            symtab_name(&db->roles, c->role), symtab_name(&db->types, c->type));
	if (!db->mls)
		return;
	text_char(t, ':');
	print_level(db, &c->low, t);
	if (level_equal(&c->low, &c->high))
		return;
	text_char(t, '-');
	print_level(db, &c->high, t);
}

/* -- sets that come at run time -- */

static struct set *set_new(struct arena *a, uint32_t count)
{
	struct set *s = arena_alloc(a, sizeof(*s) + (size_t)count * 10);
	if (s)
		s->count = count;
	return s;
}

/* MAP: WORDS words, all of them. */
static const struct set *set_pack(struct arena *a, const uint64_t *map, uint32_t words)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < words; i++)
		count += map[i] != 0;
	struct set *s = set_new(a, count);
	if (!s)
		return NULL;
	uint16_t *word = (uint16_t *)(void *)(s->map + count);
	for (uint32_t i = 0, n = 0; i < words; i++)
		if (map[i]) {
			word[n] = (uint16_t)i;
			s->map[n++] = map[i];
		}
	return s;
}

const struct set *set_copy(struct arena *sets, const struct set *s)
{
	struct set *to = set_new(sets, s->count);
	if (to)
		__builtin_memcpy(to->map, s->map, (size_t)s->count * 10);
	return to;
}

const struct set *set_and(struct arena *sets, const struct set *a, const struct set *b)
{
	const uint16_t *x = set_words(a), *y = set_words(b);
	uint32_t count = 0;
	for (uint32_t i = 0, j = 0; i < a->count && j < b->count;) {
		count += x[i] == y[j] && (a->map[i] & b->map[j]);
		if (x[i] <= y[j])
			i++;
		else
			j++;
	}
	struct set *s = set_new(sets, count);
	if (!s)
		return NULL;
	uint16_t *word = (uint16_t *)(void *)(s->map + count);
	for (uint32_t i = 0, j = 0, n = 0; i < a->count && j < b->count;) {
		if (x[i] == y[j] && (a->map[i] & b->map[j])) {
			word[n] = x[i];
			s->map[n++] = a->map[i] & b->map[j];
		}
		if (x[i] <= y[j])
			i++;
		else
			j++;
	}
	return s;
}

/* -- parsing -- */

struct cursor {
	const char *s;
	size_t len;
};

/* What comes before the next byte of STOPS, which is eaten; *STOP is it, or 0 at the end. */
static struct cursor next_part(struct cursor *in, const char *stops, char *stop)
{
	struct cursor part = {.s = in->s};
	while (part.len < in->len) {
		char c = in->s[part.len];
		for (const char *p = stops; *p; p++)
			if (c == *p) {
				*stop = c;
				in->s += part.len + 1;
				in->len -= part.len + 1;
				return part;
			}
		part.len++;
	}
	*stop = '\0';
	in->s += part.len;
	in->len = 0;
	return part;
}

static policy_status_t unknown(struct policy_error *err, const char *what, struct cursor name)
{
	char shown[80];
	struct text t;
	text_init(&t, shown, sizeof(shown));
	text_add_n(&t, name.s, name.len);
	return policy_fail(err, POLICY_E_INVAL, "context: there is no %s '%s'", what, shown);
}

/* "c3" or "c3.c7" into MAP. */
static policy_status_t parse_categories(const struct policydb *db, struct cursor part,
                                        uint64_t *map, struct policy_error *err)
{
	char stop;
	struct cursor low = next_part(&part, ".", &stop);
	uint32_t from = symtab_find(&db->cats, low.s, low.len);
	if (!from)
		return unknown(err, "category", low);
	uint32_t to = stop ? symtab_find(&db->cats, part.s, part.len) : from;
	if (!to)
		return unknown(err, "category", part);
	if (stop && to <= from)
		return policy_fail(err, POLICY_E_INVAL,
		                   "context: a run of categories must rise, as in c0.c5");
	for (uint32_t v = from - 1; v < to; v++)
		map[v / 64] |= (uint64_t)1 << (v % 64);
	return POLICY_OK;
}

/* *STOP: what ended it, '-' or 0. MAP has a bit for each category and is used up. */
static policy_status_t parse_level(const struct policydb *db, struct arena *sets, struct cursor *in,
                                   struct level *l, uint64_t *map, char *stop, const char *stops,
                                   struct policy_error *err)
{
	uint32_t words = (db->cats.nprim + 63) / 64;
	struct cursor sens = next_part(in, stops, stop);
	l->sens = symtab_find(&db->levels, sens.s, sens.len);
	if (!l->sens)
		return unknown(err, "sensitivity", sens);
	l->cat = db->empty;
	if (*stop != ':')
		return POLICY_OK;
	__builtin_memset(map, 0, words * sizeof(*map));
	do {
		struct cursor part = next_part(in, ",-", stop);
		policy_status_t status = parse_categories(db, part, map, err);
		if (status)
			return status;
	} while (*stop == ',');
	l->cat = set_pack(sets, map, words);
	if (!l->cat)
		return policy_fail(err, POLICY_E_NOMEM, "context: no memory for its categories");
	return POLICY_OK;
}

static policy_status_t parse_range(const struct policydb *db, struct arena *sets, struct cursor in,
                                   struct context *c, struct policy_error *err)
{
	size_t bytes = (size_t)(db->cats.nprim + 64) / 64 * 8;
	const struct policy_mem *mem = sets->mem;
	uint64_t *map = mem->alloc(mem->ctx, bytes);
	char stop;
	if (!map)
		return policy_fail(err, POLICY_E_NOMEM, "context: no memory for its categories");
	policy_status_t status = parse_level(db, sets, &in, &c->low, map, &stop, ":-", err);
	c->high = c->low;
	if (!status && stop == '-') {
		status = parse_level(db, sets, &in, &c->high, map, &stop, ":", err);
		if (!status && stop == '-')
			status =
			        policy_fail(err, POLICY_E_INVAL, "context: a range has two levels");
	}
	mem->free(mem->ctx, map, bytes);
	return status;
}

policy_status_t context_parse(const struct policydb *db, struct arena *sets, const char *s,
                              size_t len, struct context *c, struct policy_error *err)
{
	if (len > CONTEXT_TEXT_MAX)
		return policy_fail(err, POLICY_E_INVAL, "context: longer than %u bytes",
		                   CONTEXT_TEXT_MAX);
	struct cursor in = {.s = s, .len = len};
	char stop;
	*c = (struct context){.low = {.cat = db->empty}, .high = {.cat = db->empty}};
	struct cursor user = next_part(&in, ":", &stop);
	struct cursor role = next_part(&in, ":", &stop);
	struct cursor type = next_part(&in, ":", &stop);
	c->user = (uint16_t)symtab_find(&db->users, user.s, user.len);
	c->role = (uint16_t)symtab_find(&db->roles, role.s, role.len);
	c->type = (uint16_t)symtab_find(&db->types, type.s, type.len);
	if (!c->user)
		return unknown(err, "user", user);
	if (!c->role)
		return unknown(err, "role", role);
	if (!c->type)
		return unknown(err, "type", type);
	if (db->mls && !stop)
		return policy_fail(err, POLICY_E_INVAL,
		                   "context: this policy is multilevel: write "
		                   "user:role:type:level or user:role:type:low-high");
	if (!db->mls && stop)
		return policy_fail(err, POLICY_E_INVAL, "context: this policy has no levels");
	policy_status_t status = db->mls ? parse_range(db, sets, in, c, err) : POLICY_OK;
	const char *why = NULL;
	if (!status && !context_valid(db, c, &why))
		status = policy_fail(err, POLICY_E_INVAL, "context: %s", why);
	return status;
}

policy_status_t context_convert(const struct policydb *from, const struct policydb *to,
                                struct arena *sets, const struct context *c, struct context *out,
                                struct policy_error *err)
{
	const struct policy_mem *mem = sets->mem;
	char *buf = mem->alloc(mem->ctx, CONTEXT_TEXT_MAX);
	if (!buf)
		return policy_fail(err, POLICY_E_NOMEM, "no memory to convert a context");
	struct text t;
	text_init(&t, buf, CONTEXT_TEXT_MAX);
	context_print(from, c, &t);
	/* A policy that gains levels gives its lowest one to what had none, and the other way
	 * round. */
	if (!from->mls && to->mls && symtab_name(&to->levels, 1))
		text_format(&t, ":%s", symtab_name(&to->levels, 1));
	size_t len = t.len;
	if (from->mls && !to->mls) {
		unsigned colons = 0;
		for (len = 0; len < t.len && (colons += buf[len] == ':') < 3; len++)
			;
	}
	policy_status_t status =
	        t.cut ? policy_fail(err, POLICY_E_INVAL, "context: longer than %u bytes",
	                            CONTEXT_TEXT_MAX)
	              : context_parse(to, sets, buf, len, out, err);
	mem->free(mem->ctx, buf, CONTEXT_TEXT_MAX);
	return status;
}
