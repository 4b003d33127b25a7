/* The reader of binary policies: whole, cut, damaged, without memory; and what only few policies
 * have. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "guest-kernel/policy/policydb_reader.h"
#include "guest-kernel/policy/te.h"
#include "policy_rig.h"
#include "suite.h"

static struct rig_mem mem;
static struct policy_error err;

static struct policydb *load(const char *name)
{
	struct rig_file f = rig_file(name);
	struct policydb *db = NULL;
	rig_mem_init(&mem);
	ck_assert_msg(policydb_load(&mem.mem, f.data, f.len, &db, &err) == POLICY_OK, "%s",
	              err.text);
	rig_file_free(&f);
	return db;
}

static void unload(struct policydb *db)
{
	policydb_free(db);
	ck_assert_uint_eq(mem.now, 0);
}

START_TEST(a_policy_is_read)
{
	struct policydb *db = load("features.33");
	ck_assert(db->mls);
	uint32_t file = policydb_class(db, "file");
	ck_assert_uint_eq(policydb_perm(db, file, "ioctl"), 1);
	ck_assert_uint_ne(policydb_perm(db, file, "entrypoint"), 0);
	ck_assert_uint_eq(policydb_perm(db, file, "select"), 0);
	ck_assert_uint_eq(policydb_class(db, "nothing"), 0);
	/* An alias is another name of the same type. */
	uint32_t http = symtab_find(&db->types, "http_t", 6);
	ck_assert_uint_ne(http, 0);
	ck_assert_uint_eq(symtab_find(&db->types, "web_t", 5), http);
	ck_assert_str_eq(symtab_name(&db->types, http), "http_t");
	unload(db);
}
END_TEST

START_TEST(memory_is_bounded)
{
	struct rig_file f = rig_file("features.33");
	struct policydb *db = load("features.33");
	ck_assert_uint_le(mem.peak, POLICYDB_BUDGET(f.len) + sizeof(*db));
	unload(db);
	rig_file_free(&f);
}
END_TEST

START_TEST(every_cut_is_found)
{
	struct rig_file f = rig_file("features.33");
	for (size_t len = 0; len < f.len; len++) {
		struct policydb *db = NULL;
		/* Of the exact size, so that the sanitizers see a read past the end. */
		uint8_t *cut = malloc(len ? len : 1);
		memcpy(cut, f.data, len);
		rig_mem_init(&mem);
		ck_assert_int_eq(policydb_load(&mem.mem, cut, len, &db, &err), POLICY_E_FORMAT);
		ck_assert_uint_eq(mem.now, 0);
		free(cut);
	}
	rig_file_free(&f);
}
END_TEST

START_TEST(what_follows_is_refused)
{
	struct rig_file f = rig_file("features.33");
	struct policydb *db = NULL;
	rig_mem_init(&mem);
	f.data = realloc(f.data, f.len + 1);
	f.data[f.len] = 0;
	ck_assert_int_eq(policydb_load(&mem.mem, f.data, f.len + 1, &db, &err), POLICY_E_FORMAT);
	ck_assert_ptr_nonnull(strstr(err.text, "1 bytes follow"));
	rig_file_free(&f);
}
END_TEST

START_TEST(other_versions_are_named)
{
	struct rig_file f = rig_file("features.33");
	struct policydb *db = NULL;
	rig_mem_init(&mem);
	f.data[16] = 31;
	ck_assert_int_eq(policydb_load(&mem.mem, f.data, f.len, &db, &err), POLICY_E_VERSION);
	ck_assert_ptr_nonnull(strstr(err.text, "version 31 is not read; version 33 is"));
	f.data[0] ^= 1;
	ck_assert_int_eq(policydb_load(&mem.mem, f.data, f.len, &db, &err), POLICY_E_FORMAT);
	ck_assert_ptr_nonnull(strstr(err.text, "no binary SELinux policy"));
	rig_file_free(&f);
}
END_TEST

/* Every byte, one after the other, set to another value: an error or a policy, and no leak. */
START_TEST(damage_does_no_harm)
{
	struct rig_file f = rig_file("features.33");
	const uint8_t values[] = {0x00, 0xff, 0x01};
	unsigned refused = 0;
	for (size_t i = 0; i < f.len; i++) {
		struct policydb *db = NULL;
		uint8_t was = f.data[i];
		f.data[i] = values[i / 4 % 3];
		rig_mem_init(&mem);
		if (policydb_load(&mem.mem, f.data, f.len, &db, &err) == POLICY_OK)
			policydb_free(db);
		else
			refused++;
		ck_assert_uint_eq(mem.now, 0);
		f.data[i] = was;
	}
	ck_assert_uint_gt(refused, f.len / 3);
	rig_file_free(&f);
}
END_TEST

/* features.33, each time with one fault. */
START_TEST(rules_that_are_wrong)
{
	static const struct {
		const char *file, *error;
	} rows[] = {
	        {"rule-of-two-kinds", "a rule is of the unknown kind 0x3"},
	        {"rule-beyond-types", "a rule is about types 65535 and 20 (they go to 23)"},
	        {"rule-of-nobody", "a rule is about type 0, which is nobody's"},
	        {"rule-sets-no-type", "there is no type 0"},
	        {"rule-twice", "two rules of one kind for target files, class dir"},
	        {"conditional-xperms", "a conditional has extended permissions"},
	        {"conditional-type-twice", "two conditionals set a type for the same objects"},
	        {"conditional-type-set", "a conditional sets a type that is set without one"},
	        {"conditional-too-deep", "a conditional needs a stack of more than 10"},
	        {"range-twice", "two range transitions from shell_t to data_t"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rig_file f = rig_file(rows[i].file);
		struct policydb *db = NULL;
		rig_mem_init(&mem);
		ck_assert_int_eq(policydb_load(&mem.mem, f.data, f.len, &db, &err),
		                 POLICY_E_FORMAT);
		ck_assert_msg(strstr(err.text, rows[i].error) != NULL, "%s: %s", rows[i].file,
		              err.text);
		ck_assert_uint_eq(mem.now, 0);
		rig_file_free(&f);
	}
}
END_TEST

START_TEST(no_memory_at_any_point)
{
	struct rig_file f = rig_file("features.33");
	policy_status_t status = POLICY_E_NOMEM;
	for (unsigned long n = 1; status != POLICY_OK; n++) {
		struct policydb *db = NULL;
		rig_mem_init(&mem);
		mem.fail_at = n;
		status = policydb_load(&mem.mem, f.data, f.len, &db, &err);
		ck_assert(status == POLICY_OK || status == POLICY_E_NOMEM);
		if (status == POLICY_OK)
			policydb_free(db);
		ck_assert_uint_eq(mem.now, 0);
		ck_assert_uint_lt(n, 1000);
	}
	rig_file_free(&f);
}
END_TEST

/* -- what the comparison with libsepol does not reach -- */

static struct context parse(struct policydb *db, struct arena *sets, const char *text)
{
	struct context c;
	ck_assert_msg(context_parse(db, sets, text, strlen(text), &c, &err) == POLICY_OK, "%s",
	              err.text);
	return c;
}

static const char *created(struct policydb *db, struct arena *sets, const char *tclass,
                           const char *name)
{
	static char text[256];
	struct text t;
	struct context made;
	struct context s = parse(db, sets, "system:staff:shell_t:s0");
	struct context o = parse(db, sets, "system:object_r:tmp_t:s0");
	ck_assert_int_eq(te_compute_create(db, sets, &s, &o, policydb_class(db, tclass),
	                                   AVTAB_TRANSITION, name, &made, &err),
	                 POLICY_OK);
	text_init(&t, text, sizeof(text));
	context_print(db, &made, &t);
	return text;
}

START_TEST(names_choose_types)
{
	struct policydb *db = load("features.33");
	struct arena sets;
	arena_init(&sets, &mem.mem, SIZE_MAX);
	ck_assert_str_eq(created(db, &sets, "dir", "cache"), "system:object_r:etc_t:s0");
	ck_assert_str_eq(created(db, &sets, "dir", "other"), "system:object_r:tmp_t:s0");
	ck_assert_str_eq(created(db, &sets, "dir", NULL), "system:object_r:tmp_t:s0");
	arena_fini(&sets);
	unload(db);
}
END_TEST

START_TEST(booleans_choose_types)
{
	struct policydb *db = load("features.33");
	struct arena sets;
	arena_init(&sets, &mem.mem, SIZE_MAX);
	uint32_t strict = symtab_find(&db->bools, "strict", 6);
	/* (eq strict allow_web): false and true at first. */
	ck_assert_str_eq(created(db, &sets, "file", NULL), "system:object_r:secret_t:s0");
	policydb_bool_set(db, strict, true);
	ck_assert_str_eq(created(db, &sets, "file", NULL), "system:object_r:data_t:s0");
	arena_fini(&sets);
	unload(db);
}
END_TEST

START_TEST(extended_permissions)
{
	struct policydb *db = load("features.33");
	struct arena sets;
	struct xperm_decision xd;
	arena_init(&sets, &mem.mem, SIZE_MAX);
	struct context s = parse(db, &sets, "system:staff:shell_t:s0");
	struct context o = parse(db, &sets, "system:object_r:data_t:s0");
	struct context e = parse(db, &sets, "system:object_r:etc_t:s0");
	uint32_t file = policydb_class(db, "file");
	static const struct {
		uint16_t number;
		bool allowed, audited;
	} rows[] = {{0x1200, true, false},  {0x12ff, true, false}, {0x1234, true, true},
	            {0x1300, false, false}, {0x8901, true, false}, {0x8902, false, false}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		te_compute_xperm(db, &s, &o, file, rows[i].number, &xd);
		ck_assert(xd.limited);
		ck_assert_int_eq(xd.allowed, rows[i].allowed);
		ck_assert_int_eq(xd.auditallow, rows[i].audited);
	}
	te_compute_xperm(db, &s, &e, file, 0x1300, &xd);
	ck_assert(!xd.limited && xd.allowed);
	arena_fini(&sets);
	unload(db);
}
END_TEST

START_TEST(contexts_are_checked)
{
	struct policydb *db = load("features.33");
	struct arena sets;
	static const struct {
		const char *text, *error;
	} rows[] = {
	        {"nobody:staff:shell_t:s0", "no user 'nobody'"},
	        {"system:nothing:shell_t:s0", "no role 'nothing'"},
	        {"system:staff:nothing:s0", "no type 'nothing'"},
	        {"system:staff:shell_t", "multilevel"},
	        {"system:staff:shell_t:s9", "no sensitivity 's9'"},
	        {"system:staff:shell_t:s1:c9", "no category 'c9'"},
	        {"system:staff:shell_t:s1:c2.c0", "must rise"},
	        {"system:staff:shell_t:s2-s0", "does not dominate"},
	        {"system:staff:shell_t:s0:c4", "may not have one of its categories"},
	        {"guest:visitor:shell_t:s1", "not cleared"},
	        {"guest:staff:shell_t:s0", "may not have this role"},
	        {"system:staff:net_t:s0", "may not have this type"},
	        {"system:object_r:domain:s0", "attribute"},
	        {"", "no user ''"},
	};
	arena_init(&sets, &mem.mem, SIZE_MAX);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct context c;
		ck_assert_int_eq(
		        context_parse(db, &sets, rows[i].text, strlen(rows[i].text), &c, &err),
		        POLICY_E_INVAL);
		ck_assert_msg(strstr(err.text, rows[i].error) != NULL, "%s: %s", rows[i].text,
		              err.text);
	}
	arena_fini(&sets);
	unload(db);
}
END_TEST

START_TEST(constraints_have_a_text)
{
	struct policydb *db = load("features.33");
	char buf[512];
	struct text t;
	const struct class_datum *c = &db->class_datum[policydb_class(db, "file")];
	ck_assert_uint_eq(c->constraint_count, 2);
	text_init(&t, buf, sizeof(buf));
	for (uint32_t i = 0; i < c->constraint_count; i++)
		constraint_print(db, &c->constraint[i], &t);
	ck_assert_ptr_nonnull(strstr(buf, "( l1 dom l2 or t1 == { trusted } )"));
	ck_assert_ptr_nonnull(
	        strstr(buf, "( l1 domby l2 or ( t1 == { trusted } and t2 != { secret_t } ) )"));
	unload(db);
}
END_TEST

/* -- a file that is made to be slow -- */

#define ALIKE 20000u
#define ODD   0x9e3779b97f4a7c15u /* of hash_nodes */

/* The word that makes a set of one word hash to the upper half of WANT. */
static uint64_t word_for(uint64_t want)
{
	uint64_t inverse = ODD; /* right in 3 bits, twice as many with each round (Newton) */
	for (unsigned i = 0; i < 5; i++)
		inverse *= 2 - ODD * inverse;
	return want * inverse ^ ODD ^ ODD >> 32;
}

/* Sets that all hash alike do not make each look at all that came before. */
START_TEST(sets_that_hash_alike)
{
	static uint8_t data[ALIKE * 24];
	static struct policydb db;
	rig_mem_init(&mem);
	arena_init(&db.arena, &mem.mem, SIZE_MAX);
	for (uint32_t i = 0; i < ALIKE; i++) {
		const uint32_t head[] = {64, 64, 1, 0};
		uint64_t word = word_for((uint64_t)7 << 32 | (i + 1));
		memcpy(data + (size_t)i * 24, head, 16);
		memcpy(data + (size_t)i * 24 + 16, &word, 8);
	}
	struct reader r = {.data = data, .len = sizeof(data), .db = &db, .err = &err};
	vec_init(&r.intern_slots, &db.arena, sizeof(void *));
	for (uint32_t i = 0; i < ALIKE; i++) {
		uint64_t word;
		memcpy(&word, data + (size_t)i * 24 + 16, 8);
		const struct set *s = read_set(&r, 65536);
		ck_assert_int_eq(r.status, POLICY_OK);
		ck_assert(s->count == 1 && s->map[0] == word && s->hash == 7);
	}
	ck_assert_uint_le(r.intern_count, 64);
	vec_fini(&r.intern_slots);
	arena_fini(&db.arena);
	ck_assert_uint_eq(mem.now, 0);
}
END_TEST

static size_t put32(uint8_t *to, size_t at, uint32_t value)
{
	memcpy(to + at, &value, sizeof(value));
	return at + sizeof(value);
}

/* What is wrong with a file whose first table, the commons, has COUNT names of one hash. */
static const char *read_alike(uint32_t count)
{
	static uint8_t data[8192];
	struct policydb db = {0};
	struct reader r = {.data = data, .db = &db, .err = &err};
	size_t at = put32(data, put32(data, 0, count), count);
	uint32_t found = 0;
	for (uint32_t i = 0; found < count; i++) {
		char name[16];
		int len = snprintf(name, sizeof(name), "n%u", i);
		if (str_hash(name, (size_t)len) % 128 != 5)
			continue;
		at = put32(data, put32(data, at, (uint32_t)len), ++found);
		at = put32(data, put32(data, at, 0), 0);
		ck_assert_uint_lt(at + (size_t)len, sizeof(data));
		memcpy(data + at, name, (size_t)len);
		at += (size_t)len;
	}
	r.len = at;
	rig_mem_init(&mem);
	arena_init(&db.arena, &mem.mem, SIZE_MAX);
	read_symbols(&r);
	ck_assert_int_eq(r.status, POLICY_E_FORMAT);
	arena_fini(&db.arena);
	ck_assert_uint_eq(mem.now, 0);
	return err.text;
}

/* Nor do names. */
START_TEST(names_that_hash_alike)
{
	ck_assert_ptr_nonnull(strstr(read_alike(64), "classes, before")); /* the next table */
	ck_assert_ptr_nonnull(strstr(read_alike(65), "hashes as 64 other names do"));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("policydb");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_policy_is_read);
	tcase_add_test(tc, memory_is_bounded);
	tcase_add_test(tc, every_cut_is_found);
	tcase_add_test(tc, what_follows_is_refused);
	tcase_add_test(tc, other_versions_are_named);
	tcase_add_test(tc, damage_does_no_harm);
	tcase_add_test(tc, rules_that_are_wrong);
	tcase_add_test(tc, no_memory_at_any_point);
	tcase_add_test(tc, names_choose_types);
	tcase_add_test(tc, booleans_choose_types);
	tcase_add_test(tc, extended_permissions);
	tcase_add_test(tc, contexts_are_checked);
	tcase_add_test(tc, constraints_have_a_text);
	tcase_add_test(tc, sets_that_hash_alike);
	tcase_add_test(tc, names_that_hash_alike);
	return suite_run("policydb", tc);
}
