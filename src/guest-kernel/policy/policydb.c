/* Looking things up in a policydb: names, sets, rules; and its booleans. See policydb.h. */
#include "policydb.h"

#include <stdatomic.h>

size_t policydb_bytes(const struct policydb *db)
{
	return sizeof(*db) + db->arena.used_bytes;
}

/* -- names -- */

uint32_t symtab_find(const struct symtab *s, const char *name, size_t len)
{
	if (!s->bucket)
		return 0;
	for (uint32_t i = s->bucket[str_hash(name, len) & s->mask]; i; i = s->symbol[i - 1].next)
		if (str_eq_n(name, len, s->symbol[i - 1].name))
			return s->symbol[i - 1].value;
	return 0;
}

const char *symtab_name(const struct symtab *s, uint32_t value)
{
	return value > 0 && value <= s->nprim ? s->name[value] : NULL;
}

uint32_t policydb_class(const struct policydb *db, const char *name)
{
	return symtab_find(&db->classes, name, str_len(name));
}

uint32_t policydb_perm(const struct policydb *db, uint32_t tclass, const char *name)
{
	if (!symtab_name(&db->classes, tclass))
		return 0;
	const struct class_datum *c = &db->class_datum[tclass];
	for (uint32_t i = 0; i < c->nprim; i++)
		if (c->perm[i] && str_eq(c->perm[i], name))
			return 1u << i;
	return 0;
}

const char *policydb_perm_name(const struct policydb *db, uint32_t tclass, unsigned bit)
{
	return bit < PERMS_MAX && symtab_name(&db->classes, tclass)
	               ? db->class_datum[tclass].perm[bit]
	               : NULL;
}

/* -- sets -- */

bool set_has(const struct set *s, uint32_t bit)
{
	const uint16_t *word = set_words(s);
	uint32_t want = bit / 64;
	uint32_t lo = 0;
	for (uint32_t n = s->count; n > 1;) {
		uint32_t half = n / 2;
		lo = word[lo + half] <= want ? lo + half : lo;
		n -= half;
	}
	return s->count && word[lo] == want && (s->map[lo] >> (bit % 64) & 1);
}

bool set_equal(const struct set *a, const struct set *b)
{
	if (a == b)
		return true;
	return a->count == b->count &&
	       __builtin_memcmp(a->map, b->map, a->count * sizeof(a->map[0])) == 0 &&
	       __builtin_memcmp(set_words(a), set_words(b), a->count * sizeof(uint16_t)) == 0;
}

bool set_subset(const struct set *inner, const struct set *outer)
{
	const uint16_t *in = set_words(inner), *out = set_words(outer);
	uint32_t j = 0;
	if (inner == outer)
		return true;
	for (uint32_t i = 0; i < inner->count; i++) {
		while (j < outer->count && out[j] < in[i])
			j++;
		if (j == outer->count || out[j] != in[i] || (inner->map[i] & ~outer->map[j]))
			return false;
	}
	return true;
}

bool set_below(const struct set *s, uint32_t limit)
{
	if (s->count == 0)
		return true;
	uint32_t top = set_words(s)[s->count - 1] * 64u + 63 -
	               (uint32_t)__builtin_clzll(s->map[s->count - 1]);
	return top < limit;
}

bool set_intersects(const struct set *a, const struct set *b)
{
	const uint16_t *x = set_words(a), *y = set_words(b);
	for (uint32_t i = 0, j = 0; i < a->count && j < b->count;) {
		if (x[i] == y[j] && (a->map[i] & b->map[j]))
			return true;
		if (x[i] < y[j])
			i++;
		else
			j++;
	}
	return false;
}

/* -- rules -- */

const struct te_group *te_find(const struct te_table *t, uint32_t source, uint32_t tclass)
{
	uint32_t lo = t->source[source];
	uint32_t n = t->source[source + 1] - lo;
	if (n == 0)
		return NULL;
	while (n > 1) {
		uint32_t half = n / 2;
		lo = t->group[lo + half].tclass <= tclass ? lo + half : lo;
		n -= half;
	}
	return t->group[lo].tclass == tclass ? &t->group[lo] : NULL;
}

/* -- booleans -- */

enum { COND_FALSE, COND_TRUE, COND_UNDEFINED };

/* The reader made sure that the stack neither under- nor overflows. */
static uint8_t evaluate(const struct policydb *db, const struct cond *c)
{
	bool stack[COND_EXPR_MAXDEPTH + 1] = {false};
	int sp = -1;
	for (uint32_t i = 0; i < c->count; i++) {
		const struct cond_expr *e = &c->expr[i];
		if (e->expr_type == COND_BOOL) {
			stack[++sp] = policydb_bool_get(db, e->boolean);
			continue;
		}
		if (e->expr_type == COND_NOT) {
			stack[sp] = !stack[sp];
			continue;
		}
		bool b = stack[sp--];
		bool *a = &stack[sp];
		switch (e->expr_type) {
		case COND_OR:
			*a = *a || b;
			break;
		case COND_AND:
			*a = *a && b;
			break;
		case COND_XOR:
		case COND_NEQ:
			*a = *a != b;
			break;
		default: /* COND_EQ */
			*a = *a == b;
			break;
		}
	}
	return sp < 0 ? COND_UNDEFINED : stack[0] ? COND_TRUE : COND_FALSE;
}

void policydb_evaluate(struct policydb *db)
{
	for (uint32_t i = 0; i < db->cond.count; i++)
		atomic_store_explicit(&db->cond_state[i], evaluate(db, &db->cond.at[i]),
		                      memory_order_relaxed);
}

void policydb_bool_set(struct policydb *db, uint32_t number, bool value)
{
	atomic_store_explicit(&db->bool_state[number], value, memory_order_relaxed);
	policydb_evaluate(db);
}

bool policydb_bool_get(const struct policydb *db, uint32_t number)
{
	return atomic_load_explicit(&db->bool_state[number], memory_order_relaxed) != 0;
}
