/* Reading a policydb: what its parts share. Private to policydb_*.c. */
#ifndef GUEST_KERNEL_POLICY_POLICYDB_READER_H
#define GUEST_KERNEL_POLICY_POLICYDB_READER_H

#include "policydb.h"

/*
 * A file being read. The first failure sticks: reads after it give zeroes, so that a loop needs one
 * look at STATUS for each turn.
 */
struct reader {
	const uint8_t *data;
	size_t len, at;
	struct policydb *db;
	struct policy_error *err;
	policy_status_t status;
	const char *part; /* what is being read, for messages */
	/* Sets that were read, by content. */
	const struct set **intern;
	uint32_t intern_count, intern_mask;
	struct vec intern_slots;
};

policy_status_t reader_fail(struct reader *r, const char *fmt, ...) POLICY_PRINTF(2, 3);
policy_status_t reader_nomem(struct reader *r);
static inline bool reader_ok(const struct reader *r)
{
	return r->status == POLICY_OK;
}

/* NULL, for what is beyond the end or after a failure. */
const uint8_t *reader_short(struct reader *r, size_t len);
/* The next LEN bytes in place, or NULL. */
static inline const uint8_t *read_take(struct reader *r, size_t len)
{
	if (!reader_ok(r) || len > r->len - r->at)
		return reader_short(r, len);
	const uint8_t *p = r->data + r->at;
	r->at += len;
	return p;
}
static inline uint16_t get_le16(const uint8_t *p)
{
	return (uint16_t)((uint32_t)p[0] | (uint32_t)p[1] << 8);
}
static inline uint32_t get_le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
uint8_t read_u8(struct reader *r);
static inline uint32_t read_u32(struct reader *r)
{
	const uint8_t *p = read_take(r, 4);
	return p ? get_le32(p) : 0;
}
uint64_t read_u64(struct reader *r);
void read_bytes(struct reader *r, void *to, size_t len);
/* A number of records that each take at least MIN_BYTES of what is left. */
uint32_t read_count(struct reader *r, size_t min_bytes);
/* LEN bytes, not empty, no NUL among them; a name has no blanks or control bytes either. */
const char *read_string(struct reader *r, uint32_t len);
const char *read_name(struct reader *r, uint32_t len);

/* A set as it stands in the file: COUNT words of 64 bits, none zero, in rising order, each with the
 * number of its first bit. */
struct set_nodes {
	const uint8_t *at;
	uint32_t count;
};
#define SET_NODE_BYTES 12u
static inline uint32_t node_start(const struct set_nodes *n, uint32_t i)
{
	return get_le32(n->at + (size_t)i * SET_NODE_BYTES);
}
static inline uint64_t node_map(const struct set_nodes *n, uint32_t i)
{
	uint64_t map;
	__builtin_memcpy(&map, n->at + (size_t)i * SET_NODE_BYTES + 4, sizeof(map));
	return map;
}
/* Every bit below LIMIT; COUNT is 0 after a failure. */
struct set_nodes read_set_nodes(struct reader *r, uint32_t limit);
/* The same, kept for good. */
const struct set *read_set(struct reader *r, uint32_t limit);
struct level read_level(struct reader *r);
struct mls_range read_range(struct reader *r);
/* A context that is valid under the policy. */
struct context read_context(struct reader *r);
/* VALUE must name something in S; WHAT is its kind. */
bool reader_check(struct reader *r, const struct symtab *s, uint32_t value, const char *what);

/* Parts of the file, in its order. */
void read_symbols(struct reader *r);
void read_rules(struct reader *r);
void read_transitions(struct reader *r);
void read_ocontexts(struct reader *r);
void read_range_transitions(struct reader *r);
void read_type_attributes(struct reader *r);

#endif
