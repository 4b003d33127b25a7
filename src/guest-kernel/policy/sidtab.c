/* Security identifiers. See sidtab.h. */
#include "sidtab.h"

#include "label.h"

#define SID_BYTES_EACH 1024u /* of the budget: an entry, its sets of categories, its text */

policy_status_t sidtab_init(struct sidtab *t, const struct policy_mem *mem,
                            const struct policydb *db, uint32_t capacity)
{
	uint32_t buckets = 64;
	*t = (struct sidtab){.db = db, .capacity = (capacity + SID_CHUNK - 1) & ~(SID_CHUNK - 1)};
	if (t->capacity < 2 * SID_FIRST)
		t->capacity = 2 * SID_FIRST;
	while (buckets < t->capacity / 4)
		buckets *= 2;
	arena_init(&t->arena, mem, (size_t)t->capacity * SID_BYTES_EACH);
	t->chunk = arena_array(&t->arena, t->capacity / SID_CHUNK, sizeof(*t->chunk));
	t->bucket = arena_array(&t->arena, buckets, sizeof(*t->bucket));
	t->mask = buckets - 1;
	if (!t->chunk || !t->bucket) {
		sidtab_fini(t);
		return POLICY_E_NOMEM;
	}
	/* Backwards, so that of initial SIDs with one context the lowest is found. */
	for (uint32_t sid = INITIAL_SID_MAX; sid > 0; sid--) {
		const struct context *c = label_initial(db, sid);
		uint32_t as = sid;
		atomic_store_explicit(&t->count, sid, memory_order_relaxed);
		if (c && sidtab_add(t, c, &as) != POLICY_OK) {
			sidtab_fini(t);
			return POLICY_E_NOMEM;
		}
	}
	atomic_store_explicit(&t->count, SID_FIRST, memory_order_release);
	return POLICY_OK;
}

void sidtab_fini(struct sidtab *t)
{
	arena_fini(&t->arena);
	t->chunk = NULL;
}

const struct sid_entry *sidtab_entry(const struct sidtab *t, uint32_t sid)
{
	/* Acquire: pairs with the release of count in sidtab_add. */
	if (sid == 0 || sid >= atomic_load_explicit(&t->count, memory_order_acquire))
		return NULL;
	const struct sid_entry *chunk = t->chunk[sid / SID_CHUNK];
	return chunk && chunk[sid % SID_CHUNK].used ? &chunk[sid % SID_CHUNK] : NULL;
}

const struct context *sidtab_context(const struct sidtab *t, uint32_t sid)
{
	const struct sid_entry *e = sidtab_entry(t, sid);
	if (e && e->unmapped)
		return label_initial(t->db, SECINITSID_UNLABELED);
	return e ? &e->context : NULL;
}

uint32_t sidtab_find(const struct sidtab *t, const struct context *c)
{
	uint32_t hash = context_hash(c);
	uint32_t sid = atomic_load_explicit(&t->bucket[hash & t->mask], memory_order_acquire);
	while (sid) {
		const struct sid_entry *e = &t->chunk[sid / SID_CHUNK][sid % SID_CHUNK];
		if (e->hash == hash && !e->unmapped && context_equal(&e->context, c))
			return sid;
		sid = e->next;
	}
	return 0;
}

/* The place of SID, or NULL. */
static struct sid_entry *place(struct sidtab *t, uint32_t sid)
{
	if (sid >= t->capacity)
		return NULL;
	struct sid_entry **chunk = &t->chunk[sid / SID_CHUNK];
	if (!*chunk)
		*chunk = arena_array(&t->arena, SID_CHUNK, sizeof(**chunk));
	return *chunk ? &(*chunk)[sid % SID_CHUNK] : NULL;
}

static void link_entry(struct sidtab *t, struct sid_entry *e, uint32_t sid)
{
	e->hash = context_hash(&e->context);
	_Atomic(uint32_t) *bucket = &t->bucket[e->hash & t->mask];
	e->next = atomic_load_explicit(bucket, memory_order_relaxed);
	e->used = true;
	/* Release: whoever finds SID finds its entry filled in. */
	atomic_store_explicit(bucket, sid, memory_order_release);
}

policy_status_t sidtab_add(struct sidtab *t, const struct context *c, uint32_t *sid)
{
	uint32_t next = atomic_load_explicit(&t->count, memory_order_relaxed);
	if (next >= t->capacity)
		return POLICY_E_LIMIT;
	struct sid_entry *e = place(t, next);
	if (!e)
		return POLICY_E_NOMEM;
	e->context = *c;
	e->context.low.cat = set_copy(&t->arena, c->low.cat);
	e->context.high.cat =
	        c->high.cat == c->low.cat ? e->context.low.cat : set_copy(&t->arena, c->high.cat);
	if (!e->context.low.cat || !e->context.high.cat)
		return POLICY_E_NOMEM;
	link_entry(t, e, next);
	*sid = next;
	atomic_store_explicit(&t->count, next + 1, memory_order_release);
	return POLICY_OK;
}

static policy_status_t keep_text(struct sidtab *t, const struct sidtab *old,
                                 const struct sid_entry *from, struct sid_entry *to)
{
	if (from->unmapped) {
		to->unmapped = arena_string(&t->arena, from->unmapped, str_len(from->unmapped));
		return to->unmapped ? POLICY_OK : POLICY_E_NOMEM;
	}
	const struct policy_mem *mem = t->arena.mem;
	char *buf = mem->alloc(mem->ctx, CONTEXT_TEXT_MAX);
	if (!buf)
		return POLICY_E_NOMEM;
	struct text text;
	text_init(&text, buf, CONTEXT_TEXT_MAX);
	context_print(old->db, &from->context, &text);
	to->unmapped = arena_string(&t->arena, buf, text.len);
	mem->free(mem->ctx, buf, CONTEXT_TEXT_MAX);
	return to->unmapped ? POLICY_OK : POLICY_E_NOMEM;
}

static policy_status_t convert_one(struct sidtab *t, const struct sidtab *old,
                                   const struct sid_entry *from, uint32_t sid)
{
	policy_status_t status;
	struct sid_entry *to = place(t, sid);
	if (!to)
		return POLICY_E_NOMEM;
	if (from->unmapped)
		status = context_parse(t->db, &t->arena, from->unmapped, str_len(from->unmapped),
		                       &to->context, NULL);
	else
		status = context_convert(old->db, t->db, &t->arena, &from->context, &to->context,
		                         NULL);
	if (status == POLICY_OK) {
		link_entry(t, to, sid);
		return status;
	}
	if (status != POLICY_E_INVAL)
		return status;
	to->used = true;
	return keep_text(t, old, from, to);
}

policy_status_t sidtab_convert(struct sidtab *t, const struct sidtab *old)
{
	uint32_t count = atomic_load_explicit(&old->count, memory_order_relaxed);
	if (count > t->capacity)
		return POLICY_E_LIMIT;
	for (uint32_t sid = SID_FIRST; sid < count; sid++) {
		const struct sid_entry *from = sidtab_entry(old, sid);
		policy_status_t status = from ? convert_one(t, old, from, sid) : POLICY_OK;
		if (status)
			return status;
		atomic_store_explicit(&t->count, sid + 1, memory_order_release);
	}
	return POLICY_OK;
}
