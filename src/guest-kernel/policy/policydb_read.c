/*
 * Reading a policydb: header, numbers, sets, ranges and contexts, and the order of the parts
 * (libsepol 3.4, policydb.c, policydb_read; Linux 5.19, ss/policydb.c). See policydb.h.
 */
#include "context.h"
#include "policydb_reader.h"

/* -- failures -- */

policy_status_t reader_fail(struct reader *r, const char *fmt, ...)
{
	if (r->status != POLICY_OK)
		return r->status;
	r->status = POLICY_E_FORMAT;
	if (!r->err)
		return r->status;
	struct text t;
	va_list ap;
	r->err->status = POLICY_E_FORMAT;
	text_init(&t, r->err->text, sizeof(r->err->text));
	text_format(&t, "%s, before offset %u: ", r->part, (unsigned)r->at);
	va_start(ap, fmt);
	text_vformat(&t, fmt, ap);
	va_end(ap);
	return r->status;
}

policy_status_t reader_nomem(struct reader *r)
{
	if (r->status == POLICY_OK)
		r->status = policy_fail(r->err, POLICY_E_NOMEM,
		                        "%s: no memory (%u bytes in use, at most %u)", r->part,
		                        (unsigned)r->db->arena.used_bytes,
		                        (unsigned)r->db->arena.budget_bytes);
	return r->status;
}

/* -- numbers: little endian -- */

const uint8_t *reader_short(struct reader *r, size_t len)
{
	if (reader_ok(r))
		reader_fail(r, "the file ends here: %u more bytes are needed, %u are left",
		            (unsigned)len, (unsigned)(r->len - r->at));
	return NULL;
}

uint8_t read_u8(struct reader *r)
{
	const uint8_t *p = read_take(r, 1);
	return p ? *p : 0;
}

uint64_t read_u64(struct reader *r)
{
	uint64_t low = read_u32(r);
	return low | (uint64_t)read_u32(r) << 32;
}

void read_bytes(struct reader *r, void *to, size_t len)
{
	const uint8_t *p = read_take(r, len);
	if (p)
		__builtin_memcpy(to, p, len);
	else
		__builtin_memset(to, 0, len);
}

uint32_t read_count(struct reader *r, size_t min_bytes)
{
	uint32_t count = read_u32(r);
	if (reader_ok(r) && count > (r->len - r->at) / min_bytes) {
		reader_fail(r, "%u records are announced, but only %u bytes are left", count,
		            (unsigned)(r->len - r->at));
		return 0;
	}
	return count;
}

/* -- strings -- */

#define EACH_BYTE 0x0101010101010101u

/* One of the eight is below LEAST (at most 128) or DEL. */
static inline bool any_odd_byte(const uint8_t *p, uint8_t least)
{
	uint64_t w;
	__builtin_memcpy(&w, p, sizeof(w));
	uint64_t del = w ^ EACH_BYTE * 0x7f; /* 0 where it is */
	return (((w - EACH_BYTE * least) & ~w) | ((del - EACH_BYTE) & ~del)) & EACH_BYTE * 0x80;
}

static const char *read_text(struct reader *r, uint32_t len, uint8_t least)
{
	if (reader_ok(r) && len == 0)
		reader_fail(r, "a name is empty");
	const uint8_t *p = read_take(r, len);
	if (!p)
		return NULL;
	uint32_t i = 0;
	while (len - i >= 8 && !any_odd_byte(p + i, least))
		i += 8;
	for (; i < len; i++)
		if (p[i] < least || p[i] == 0x7f) {
			reader_fail(r, "a name has the byte 0x%x in it", p[i]);
			return NULL;
		}
	const char *s = arena_string(&r->db->arena, (const char *)p, len);
	if (!s)
		reader_nomem(r);
	return s;
}

const char *read_string(struct reader *r, uint32_t len)
{
	return read_text(r, len, 1);
}

const char *read_name(struct reader *r, uint32_t len)
{
	return read_text(r, len, 0x21);
}

bool reader_check(struct reader *r, const struct symtab *s, uint32_t value, const char *what)
{
	if (reader_ok(r) && !symtab_name(s, value))
		reader_fail(r, "there is no %s %u (they go to %u)", what, value, s->nprim);
	return reader_ok(r);
}

/* -- sets: libsepol's ebitmap -- */

/* After so many others a set is kept by itself: a file may be made of sets that all hash alike. */
#define PROBES_MAX 64u

static bool intern_grow(struct reader *r)
{
	uint32_t slots = r->intern_mask ? (r->intern_mask + 1) * 2 : 256;
	struct vec v;
	vec_init(&v, &r->db->arena, sizeof(*r->intern));
	if (!vec_reserve(&v, slots))
		return false;
	const struct set **to = (const struct set **)(void *)v.data;
	__builtin_memset(to, 0, slots * sizeof(*to));
	for (uint32_t i = 0; r->intern && i <= r->intern_mask; i++) {
		if (!r->intern[i])
			continue;
		uint32_t at = r->intern[i]->hash & (slots - 1);
		while (to[at])
			at = (at + 1) & (slots - 1);
		to[at] = r->intern[i];
	}
	vec_fini(&r->intern_slots);
	r->intern_slots = v;
	r->intern = to;
	r->intern_mask = slots - 1;
	return true;
}

static bool same_as_file(const struct set *s, const struct set_nodes *n)
{
	if (s->count != n->count)
		return false;
	for (uint32_t i = 0; i < n->count; i++)
		if (node_start(n, i) != set_words(s)[i] * 64u || node_map(n, i) != s->map[i])
			return false;
	return true;
}

static uint32_t hash_nodes(const struct set_nodes *n)
{
	uint64_t hash = n->count;
	for (uint32_t i = 0; i < n->count; i++) {
		hash = (hash ^ node_start(n, i)) * 0x9e3779b97f4a7c15u;
		hash = (hash ^ hash >> 32 ^ node_map(n, i)) * 0x9e3779b97f4a7c15u;
	}
	return (uint32_t)(hash >> 32);
}

static struct set *set_of(struct reader *r, const struct set_nodes *n, uint32_t hash)
{
	struct set *s = arena_alloc(&r->db->arena, sizeof(*s) + (size_t)n->count * 10);
	if (!s)
		return NULL;
	s->count = n->count;
	s->hash = hash;
	uint16_t *words = (uint16_t *)(void *)(s->map + s->count);
	for (uint32_t i = 0; i < s->count; i++) {
		s->map[i] = node_map(n, i);
		words[i] = (uint16_t)(node_start(n, i) / 64);
	}
	return s;
}

static const struct set *intern(struct reader *r, const struct set_nodes *n)
{
	if (r->intern_count * 2 >= r->intern_mask && !intern_grow(r))
		return NULL;
	uint32_t hash = hash_nodes(n);
	uint32_t at = hash & r->intern_mask;
	unsigned probes = 0;
	for (; r->intern[at] && probes < PROBES_MAX; at = (at + 1) & r->intern_mask, probes++)
		if (r->intern[at]->hash == hash && same_as_file(r->intern[at], n))
			return r->intern[at];
	struct set *s = set_of(r, n, hash);
	if (s && probes < PROBES_MAX) {
		r->intern[at] = s;
		r->intern_count++;
	}
	return s;
}

static bool check_nodes(struct reader *r, const struct set_nodes *n, uint32_t highbit)
{
	uint32_t least = 0;
	for (uint32_t i = 0; i < n->count; i++) {
		uint32_t start = node_start(n, i);
		if (start % 64 || start < least || start > highbit - 64 || !node_map(n, i)) {
			reader_fail(r, "a bit map's word at bit %u is misplaced or empty", start);
			return false;
		}
		least = start + 64;
	}
	if (least != highbit)
		reader_fail(r, "a bit map ends at bit %u, not at %u as it says", least, highbit);
	return reader_ok(r);
}

struct set_nodes read_set_nodes(struct reader *r, uint32_t limit)
{
	const struct set_nodes none = {0};
	const uint8_t *head = read_take(r, 12);
	if (!head)
		return none;
	uint32_t mapsize = get_le32(head), highbit = get_le32(head + 4);
	struct set_nodes n = {.count = get_le32(head + 8)};
	if (mapsize != 64)
		reader_fail(r, "a bit map has words of %u bits; 64 would be right", mapsize);
	if (!reader_ok(r) || highbit == 0)
		return none;
	if (highbit % 64 || highbit > 65536u * 64 || n.count == 0 || n.count > highbit / 64) {
		reader_fail(r, "a bit map of %u bits in %u words is impossible", highbit, n.count);
		return none;
	}
	n.at = read_take(r, (size_t)n.count * SET_NODE_BYTES);
	if (!n.at || !check_nodes(r, &n, highbit))
		return none;
	uint64_t last = node_map(&n, n.count - 1);
	uint32_t top = highbit - 1 - (uint32_t)__builtin_clzll(last);
	if (top >= limit) {
		reader_fail(r, "a bit map has bit %u; below %u would be right", top, limit);
		return none;
	}
	return n;
}

const struct set *read_set(struct reader *r, uint32_t limit)
{
	struct set_nodes n = read_set_nodes(r, limit);
	const struct set *s = n.count ? intern(r, &n) : r->db->empty;
	if (!s)
		reader_nomem(r);
	return s ? s : r->db->empty;
}

/* -- levels and contexts -- */

static void check_level(struct reader *r, const struct level *l)
{
	(void)reader_check(r, &r->db->levels, l->sens, "sensitivity");
}

struct level read_level(struct reader *r)
{
	struct level l = {.sens = read_u32(r)};
	l.cat = read_set(r, POLICYDB_VALUE_MAX);
	return l;
}

struct mls_range read_range(struct reader *r)
{
	struct mls_range range;
	uint32_t items = read_u32(r);
	if (reader_ok(r) && items != 1 && items != 2)
		reader_fail(r, "a range has %u levels; 1 or 2 would be right", items);
	range.low.sens = read_u32(r);
	range.high.sens = items == 2 ? read_u32(r) : range.low.sens;
	range.low.cat = read_set(r, POLICYDB_VALUE_MAX);
	range.high.cat = items == 2 ? read_set(r, POLICYDB_VALUE_MAX) : range.low.cat;
	return range;
}

struct context read_context(struct reader *r)
{
	uint32_t user = read_u32(r);
	uint32_t role = read_u32(r);
	uint32_t type = read_u32(r);
	struct mls_range range = read_range(r);
	struct context c = {.low = range.low, .high = range.high};
	if (!reader_check(r, &r->db->users, user, "user") ||
	    !reader_check(r, &r->db->roles, role, "role") ||
	    !reader_check(r, &r->db->types, type, "type"))
		return c;
	c.user = (uint16_t)user;
	c.role = (uint16_t)role;
	c.type = (uint16_t)type;
	if (r->db->mls) {
		check_level(r, &c.low);
		check_level(r, &c.high);
	}
	const char *why = NULL;
	if (reader_ok(r) && !context_valid(r->db, &c, &why))
		reader_fail(r, "a context of user %s, role %s, type %s is not valid: %s",
		            symtab_name(&r->db->users, user), symtab_name(&r->db->roles, role),
		            symtab_name(&r->db->types, type), why);
	return c;
}

/* -- the file -- */

static void read_header(struct reader *r)
{
	char string[sizeof(POLICYDB_STRING)] = {0};
	uint32_t magic = read_u32(r);
	uint32_t len = read_u32(r);
	if (!reader_ok(r) || magic != POLICYDB_MAGIC || len != sizeof(string) - 1) {
		r->status = POLICY_OK;
		reader_fail(r, "this is no binary SELinux policy (it begins with 0x%x, not 0x%x)",
		            magic, POLICYDB_MAGIC);
		return;
	}
	read_bytes(r, string, len);
	if (reader_ok(r) && !str_eq(string, POLICYDB_STRING))
		reader_fail(r, "the target is not '%s'", POLICYDB_STRING);
	uint32_t version = read_u32(r);
	if (reader_ok(r) && version != POLICYDB_VERSION) {
		r->status =
		        policy_fail(r->err, POLICY_E_VERSION,
		                    "policy version %u is not read; version %u is "
		                    "(secilc -c %u, checkpolicy -c %u)",
		                    version, POLICYDB_VERSION, POLICYDB_VERSION, POLICYDB_VERSION);
		return;
	}
	r->db->config = read_u32(r);
	r->db->mls = r->db->config & POLICYDB_CONFIG_MLS;
	uint32_t symbols = read_u32(r);
	uint32_t ocontexts = read_u32(r);
	if (reader_ok(r) && (symbols != 8 || ocontexts != 9))
		reader_fail(r, "%u symbol and %u context tables; 8 and 9 would be right", symbols,
		            ocontexts);
	r->db->policycaps = read_set(r, 1024);
	r->db->permissive = read_set(r, POLICYDB_VALUE_MAX + 1);
}

static void find_well_known(struct policydb *db)
{
	db->process_class = policydb_class(db, "process");
	db->dir_class = policydb_class(db, "dir");
	db->process_trans_dyntrans = policydb_perm(db, db->process_class, "transition") |
	                             policydb_perm(db, db->process_class, "dyntransition");
}

static void read_all(struct reader *r)
{
	r->part = "header";
	read_header(r);
	if (reader_ok(r))
		read_symbols(r);
	if (reader_ok(r)) {
		find_well_known(r->db);
		read_rules(r);
	}
	if (reader_ok(r))
		read_transitions(r);
	if (reader_ok(r))
		read_ocontexts(r);
	if (reader_ok(r)) {
		r->part = "range transitions";
		read_range_transitions(r);
	}
	if (reader_ok(r)) {
		r->part = "attributes of types";
		read_type_attributes(r);
	}
	r->part = "end";
	if (reader_ok(r) && r->at != r->len)
		reader_fail(r, "%u bytes follow the policy", (unsigned)(r->len - r->at));
}

policy_status_t policydb_load(const struct policy_mem *mem, const void *data, size_t len,
                              struct policydb **out, struct policy_error *err)
{
	struct policydb *db = mem->alloc(mem->ctx, sizeof(*db));
	if (!db)
		return policy_fail(err, POLICY_E_NOMEM, "no memory for a policy");
	__builtin_memset(db, 0, sizeof(*db));
	/* Offsets are printed, and counted by the file itself, in 32 bits. */
	size_t budget = len < UINT32_MAX / 8 ? POLICYDB_BUDGET(len) : 0;
	arena_init(&db->arena, mem, budget);
	struct reader r = {.data = data, .len = len, .db = db, .err = err, .part = "policy"};
	vec_init(&r.intern_slots, &db->arena, sizeof(*r.intern));
	db->empty = arena_alloc(&db->arena, sizeof(*db->empty));
	if (db->empty)
		read_all(&r);
	else
		(void)reader_nomem(&r);
	vec_fini(&r.intern_slots);
	if (reader_ok(&r)) {
		policydb_evaluate(db);
		*out = db;
	} else {
		policydb_free(db);
	}
	return r.status;
}

void policydb_free(struct policydb *db)
{
	if (!db)
		return;
	const struct policy_mem *mem = db->arena.mem;
	arena_fini(&db->arena);
	mem->free(mem->ctx, db, sizeof(*db));
}
