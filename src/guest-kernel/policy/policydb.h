/*
 * A binary policy of SELinux in memory: what `secilc` and `checkpolicy` write, policydb version 33
 * (libsepol 3.4, policydb.c; Linux 5.19, security/selinux/ss/policydb.c). Read once, validated as a
 * whole, never changed afterwards but for the booleans; so any number of threads may look at it.
 *
 * Values (of users, types, classes, ...) begin with 1, as they do in the file. Every value that is
 * reachable from here names something that exists: the reader checked it.
 */
#ifndef GUEST_KERNEL_POLICY_POLICYDB_H
#define GUEST_KERNEL_POLICY_POLICYDB_H

#include "base.h"

#define POLICYDB_MAGIC      0xf97cff8cu
#define POLICYDB_STRING     "SE Linux"
#define POLICYDB_VERSION    33u /* the only one that is read */

#define POLICYDB_CONFIG_MLS 1u
#define REJECT_UNKNOWN      2u
#define ALLOW_UNKNOWN       4u

#define OBJECT_R_VAL        1u
#define PERMS_MAX           32u
#define CEXPR_MAXDEPTH      5
#define TYPE_BOUNDS_MAX     16u /* ancestors of a type */
#define POLICYDB_VALUE_MAX  65535u

/* Policy capabilities, in the order of the file's bit map. */
enum {
	POLICYDB_CAP_NETPEER,
	POLICYDB_CAP_OPENPERM,
	POLICYDB_CAP_EXTSOCKCLASS,
	POLICYDB_CAP_ALWAYSNETWORK,
};

/*
 * A set of bits, stored once however often the file has it: COUNT words of 64 bits that are not
 * zero, in rising order. word(i) says which bits map[i] holds: 64 * word to 64 * word + 63.
 */
struct set {
	uint32_t count;
	uint32_t hash;
	uint64_t map[]; /* [count], then uint16_t[count]: set_words() */
};

struct level {
	uint32_t sens;
	const struct set *cat; /* categories, bit 0 is value 1; never NULL */
};

struct context {
	uint16_t user, role, type;
	struct level low, high; /* both zero in a policy without MLS */
};

struct mls_range {
	struct level low, high;
};

/* Names to values: NAME of each value, and a hash table that knows aliases as well. */
struct symbol {
	const char *name;
	uint32_t value;
	uint32_t next; /* of the same hash: index + 1, or 0 */
};

struct symtab {
	uint32_t nprim;        /* the greatest value */
	uint32_t count;        /* names, with aliases */
	const char **name;     /* [nprim + 1] by value; NULL: that value is not used */
	struct symbol *symbol; /* [count] */
	uint32_t *bucket;      /* [mask + 1]: index + 1, or 0 */
	uint32_t mask;
};

struct constraint_expr {
	uint8_t expr_type; /* CEXPR_NOT ... */
	uint8_t op;        /* CEXPR_EQ ... */
	uint16_t attr;     /* CEXPR_USER ... */
	const struct set *names;
	const struct set
	        *type_names; /* as it was written: types and attributes; for explanations */
};

enum {
	CEXPR_NOT = 1,
	CEXPR_AND,
	CEXPR_OR,
	CEXPR_ATTR,
	CEXPR_NAMES,
};

enum {
	CEXPR_USER = 1,
	CEXPR_ROLE = 2,
	CEXPR_TYPE = 4,
	CEXPR_TARGET = 8,
	CEXPR_XTARGET = 16,
	CEXPR_L1L2 = 32,
	CEXPR_L1H2 = 64,
	CEXPR_H1L2 = 128,
	CEXPR_H1H2 = 256,
	CEXPR_L1H1 = 512,
	CEXPR_L2H2 = 1024,
};

enum {
	CEXPR_EQ = 1,
	CEXPR_NEQ,
	CEXPR_DOM,
	CEXPR_DOMBY,
	CEXPR_INCOMP,
};

struct constraint {
	uint32_t permissions; /* validatetrans: unused */
	uint32_t count;
	const struct constraint_expr *expr; /* in reverse Polish order, depth at most 5 */
};

enum default_object {
	DEFAULT_SOURCE = 1,
	DEFAULT_TARGET = 2,
};

enum default_range {
	DEFAULT_SOURCE_LOW = 1,
	DEFAULT_SOURCE_HIGH,
	DEFAULT_SOURCE_LOW_HIGH,
	DEFAULT_TARGET_LOW,
	DEFAULT_TARGET_HIGH,
	DEFAULT_TARGET_LOW_HIGH,
	DEFAULT_GLBLUB,
};

struct common {
	uint32_t nprim;
	const char *perm[PERMS_MAX];
};

struct class_datum {
	const char *common;          /* its name, or NULL */
	uint32_t nprim;              /* permissions */
	const char *perm[PERMS_MAX]; /* by value - 1, with those of the common; NULL: not used */
	uint32_t constraint_count, validatetrans_count;
	const struct constraint *constraint, *validatetrans;
	uint8_t default_user, default_role, default_type, default_range;
};

struct role_datum {
	uint32_t bounds;
	const struct set *dominates; /* bit 0 is value 1 */
	const struct set *types;
};

struct type_datum {
	uint16_t bounds; /* type, or 0 */
	bool attribute;
};

struct user_datum {
	uint32_t bounds;
	const struct set *roles;
	struct mls_range range;
	struct level dfltlevel;
};

/* -- type enforcement -- */

enum {
	AVTAB_ALLOWED = 0x0001,
	AVTAB_AUDITALLOW = 0x0002,
	AVTAB_AUDITDENY = 0x0004,
	AVTAB_TRANSITION = 0x0010,
	AVTAB_MEMBER = 0x0020,
	AVTAB_CHANGE = 0x0040,
	AVTAB_XPERMS_ALLOWED = 0x0100,
	AVTAB_XPERMS_AUDITALLOW = 0x0200,
	AVTAB_XPERMS_DONTAUDIT = 0x0400,
	AVTAB_AV = 0x0007,
	AVTAB_TYPE = 0x0070,
	AVTAB_XPERMS = 0x0700,
};

struct te_rule {
	uint16_t target;
	uint16_t specified; /* one of AVTAB_* */
	uint32_t data;      /* permissions, a type, or an index into xperms */
};

/* The rules of one source for one class: [first of this group, first of the next). */
struct te_group {
	uint32_t tclass;
	uint32_t first;
};

/* Rules by source, then class, then target. */
struct te_table {
	uint32_t count;
	struct te_rule *rule; /* [count] */
	uint32_t *cond;       /* [count] 2 * conditional + (0: if true, 1: if false), or NULL */
	uint32_t group_count;
	struct te_group *group; /* [group_count + 1] */
	uint32_t *source;       /* [types + 2]: its first group */
};

enum {
	XPERMS_IOCTLFUNCTION = 1, /* perms are the low bytes under one driver */
	XPERMS_IOCTLDRIVER = 2,   /* perms are drivers (high bytes) as a whole */
};

struct xperms {
	uint8_t specified;
	uint8_t driver;
	uint32_t perms[8];
};

enum {
	COND_BOOL = 1,
	COND_NOT,
	COND_OR,
	COND_AND,
	COND_XOR,
	COND_EQ,
	COND_NEQ,
};
#define COND_EXPR_MAXDEPTH 10

struct cond_expr {
	uint32_t expr_type;
	uint32_t boolean;
};

struct cond {
	uint32_t count;
	const struct cond_expr *expr; /* reverse Polish order */
};

struct role_trans {
	uint16_t role, type, tclass, new_role;
	uint32_t order; /* in the file: of two alike the first counts */
};

struct role_allow {
	uint16_t role, new_role;
};

struct filename_datum {
	const struct set *stypes; /* bit 0 is value 1 */
	uint32_t otype;
};

struct filename_trans {
	const char *name;
	uint16_t ttype, tclass;
	uint32_t count;
	const struct filename_datum *datum;
};

struct range_trans {
	uint16_t source, target, tclass;
	struct mls_range range;
};

/* -- contexts of objects that carry none -- */

#define INITIAL_SID_MAX 255u

struct initial_sid {
	uint32_t sid;
	struct context context;
};

struct named_context { /* fs, netif */
	const char *name;
	struct context context[2];
};

struct portcon {
	uint8_t protocol;
	uint16_t low, high;
	struct context context;
};

struct nodecon { /* IPv4 uses the first four bytes; both in network order */
	uint8_t addr[16], mask[16];
	struct context context;
};

struct fs_use {
	const char *fstype;
	uint32_t behavior;
	struct context context;
};

struct ibpkeycon {
	uint64_t subnet_prefix; /* as in the file */
	uint16_t low, high;
	struct context context;
};

struct ibendportcon {
	const char *dev_name;
	uint8_t port;
	struct context context;
};

struct genfs_path {
	const char *path;
	uint32_t tclass; /* 0: any */
	struct context context;
};

struct genfs {
	const char *fstype;
	uint32_t count;
	const struct genfs_path *path; /* longer ones first */
};

#define ARRAY_OF(type)                                             \
	struct {                                                   \
		uint32_t count;                                    \
		type *at; /* NOLINT(bugprone-macro-parentheses) */ \
	}

struct policydb {
	struct arena arena;
	uint32_t config; /* POLICYDB_CONFIG_MLS, REJECT_UNKNOWN, ALLOW_UNKNOWN */
	bool mls;
	const struct set *empty;
	const struct set *policycaps;
	const struct set *permissive; /* bit N is type value N, as in the file */

	struct symtab commons, classes, roles, types, users, bools, levels, cats;
	struct common *common; /* [by value], as all below */
	struct class_datum *class_datum;
	struct role_datum *role_datum;
	struct type_datum *type_datum;
	struct user_datum *user_datum;
	const struct set **level_cats; /* categories that may stand beside a sensitivity */
	_Atomic(uint8_t) *bool_state;  /* 0 or 1 */

	/* The attributes of each type, itself among them, rising: attr[attr_first[t]] and on. */
	uint32_t *attr_first; /* [types + 2] */
	uint16_t *attr;

	struct te_table te, te_cond;
	ARRAY_OF(struct xperms) xperms;
	ARRAY_OF(struct cond) cond;
	_Atomic(uint8_t) *cond_state; /* 0 false, 1 true, 2 neither: the expression is undefined */

	ARRAY_OF(struct role_trans) role_trans;
	ARRAY_OF(struct role_allow) role_allow;
	ARRAY_OF(struct filename_trans) filename_trans;
	ARRAY_OF(struct range_trans) range_trans;

	ARRAY_OF(struct initial_sid) isid;
	ARRAY_OF(struct named_context) fs;
	ARRAY_OF(struct portcon) port;
	ARRAY_OF(struct named_context) netif;
	ARRAY_OF(struct nodecon) node;
	ARRAY_OF(struct fs_use) fs_use;
	ARRAY_OF(struct nodecon) node6;
	ARRAY_OF(struct ibpkeycon) ibpkey;
	ARRAY_OF(struct ibendportcon) ibendport;
	ARRAY_OF(struct genfs) genfs;

	uint32_t process_class;          /* 0: the policy has none */
	uint32_t process_trans_dyntrans; /* permissions of it */
	uint32_t dir_class;
};

/*
 * Read the LEN bytes at DATA, which must not change meanwhile and are not needed afterwards. MEM
 * must outlive *OUT. Takes at most POLICYDB_BUDGET(LEN) bytes at any moment, and time linear in LEN
 * but for sorting.
 * POLICY_E_FORMAT, POLICY_E_VERSION, POLICY_E_NOMEM.
 */
#define POLICYDB_BUDGET(len) (8 * (size_t)(len) + 65536)
POLICY_WARN_UNUSED policy_status_t policydb_load(const struct policy_mem *mem, const void *data,
                                                 size_t len, struct policydb **out,
                                                 struct policy_error *err);
void policydb_free(struct policydb *db);

/* Bytes that it holds of the allocator. */
size_t policydb_bytes(const struct policydb *db);

/* -- names: 0 or NULL where there is none -- */
uint32_t symtab_find(const struct symtab *s, const char *name, size_t len);
const char *symtab_name(const struct symtab *s, uint32_t value);
uint32_t policydb_class(const struct policydb *db, const char *name);
/* One bit, or 0. */
uint32_t policydb_perm(const struct policydb *db, uint32_t tclass, const char *name);
const char *policydb_perm_name(const struct policydb *db, uint32_t tclass, unsigned bit);

/* -- booleans: one writer at a time -- */
/* VALUE of boolean NUMBER (1 and on), then the conditionals that it decides. */
void policydb_bool_set(struct policydb *db, uint32_t number, bool value);
bool policydb_bool_get(const struct policydb *db, uint32_t number);

/* -- sets -- */
static inline const uint16_t *set_words(const struct set *s)
{
	return (const uint16_t *)(const void *)(s->map + s->count);
}
bool set_has(const struct set *s, uint32_t bit);
bool set_subset(const struct set *inner, const struct set *outer);
bool set_equal(const struct set *a, const struct set *b);
/* Its highest bit is below LIMIT. */
bool set_below(const struct set *s, uint32_t limit);
bool set_intersects(const struct set *a, const struct set *b);

/* for (uint32_t bit; set_each(s, &it, &bit);) with it = {0} at first: rising. */
struct set_iter {
	uint32_t word; /* index of the next */
	uint64_t map;  /* what is left of the present */
};
static inline bool set_each(const struct set *s, struct set_iter *it, uint32_t *bit)
{
	while (!it->map) {
		if (it->word == s->count)
			return false;
		it->map = s->map[it->word++];
	}
	*bit = set_words(s)[it->word - 1] * 64u + (uint32_t)__builtin_ctzll(it->map);
	it->map &= it->map - 1;
	return true;
}

/* The group (SOURCE, TCLASS), or NULL. */
const struct te_group *te_find(const struct te_table *t, uint32_t source, uint32_t tclass);
/* Of COUNT rules of a group the first whose target is not below TARGET; COUNT, if there is none. */
static inline uint32_t te_lower_bound(const struct te_rule *rule, uint32_t count, uint32_t target)
{
	uint32_t lo = 0;
	while (count > 0) {
		uint32_t half = count / 2;
		bool right = rule[lo + half].target < target;
		lo = right ? lo + half + 1 : lo;
		count = right ? count - half - 1 : half;
	}
	return lo;
}

/* The reader's, shared with tests: re-evaluate every conditional. */
void policydb_evaluate(struct policydb *db);

#endif
