/*
 * Policy text: the first byte picks an access control list, capabilities, or a context (of one of
 * two policies of the corpus, with levels and without). What is read is used; then it is read once
 * more, in little memory.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest-kernel/policy/acl.h"
#include "guest-kernel/policy/capability.h"
#include "guest-kernel/policy/context.h"
#include "guest-kernel/policy/hosted.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void list(struct arena *a, const char *text, size_t len)
{
	struct acl acl;
	struct policy_error err;
	if (acl_parse(&acl, a, "acl", text, len, &err) != POLICY_OK)
		return;
	for (unsigned c = 0; c < POLICY_CLASS_COUNT; c++) {
		enum policy_class tclass = (enum policy_class)c;
		uint32_t allowed = acl_allowed(&acl, "http", "port:80", tclass);
		for (unsigned bit = 0; policy_classes[c].perm[bit]; bit++) {
			const struct acl_rule *r =
			        acl_rule_for(&acl, "http", "port:80", tclass, 1u << bit);
			if ((allowed >> bit & 1) != (r && r->allow))
				abort();
		}
	}
}

static void must_nest(const struct capabilities *c)
{
	if ((c->effective & ~c->permitted) || (c->permitted & ~c->bounding))
		abort();
}

/* Each name stands for its number, and what is printed is made of names. */
static void print_capabilities(uint64_t set)
{
	char buf[1024], line[sizeof(buf) + 32];
	struct text t;
	struct arena a;
	struct capability_table table;
	text_init(&t, buf, sizeof(buf));
	capabilities_print(set, &t);
	for (int cap = 0; cap <= CAP_LAST; cap++)
		if (capability_number(capability_name(cap), strlen(capability_name(cap))) != cap)
			abort();
	if (capability_name(-1) || capability_name(CAP_LAST + 1) || t.cut)
		abort();
	int n = snprintf(line, sizeof(line), "x bounding %s\nx permitted none\n", buf);
	arena_init(&a, &policy_hosted_mem, 1u << 16);
	if (capability_table_parse(&table, &a, "printed", line, (size_t)n, NULL) != POLICY_OK ||
	    capability_table_find(&table, "x", NULL).bounding != set)
		abort();
	arena_fini(&a);
}

/* What a task may do with its sets, and with another's: none of it gives what was not there. */
static void change(struct capabilities *c, struct capabilities *other)
{
	uint64_t set = c->permitted & other->bounding, had = other->permitted;
	uint64_t foreign = CAP_ALL & ~c->permitted; /* none, where it has them all */
	capability_lower(c, set);
	must_nest(c);
	if (capability_raise(c, c->permitted) != POLICY_OK ||
	    (capability_raise(c, foreign) == POLICY_OK) != (foreign == 0))
		abort();
	bool may = capability_has(c, CAP_SETPCAP);
	if ((capability_grant(c, other, set) == POLICY_OK) != may ||
	    (other->permitted & ~(had | set)) || (!may && other->permitted != had))
		abort();
	must_nest(other);
	if ((capability_revoke(c, other, had) == POLICY_OK) != may ||
	    (may && (other->permitted & had)))
		abort();
	struct capabilities child = capability_inherit(c, other->bounding);
	must_nest(&child);
	if (child.bounding & ~other->bounding)
		abort();
	capability_drop(c, set);
	capability_drop_bounding(other, set);
	must_nest(c);
	must_nest(other);
	if ((c->permitted & set) || (other->bounding & set))
		abort();
}

static void capabilities(struct arena *a, const char *text, size_t len)
{
	struct capability_table t;
	struct policy_error err;
	if (capability_table_parse(&t, a, "capabilities", text, len, &err) != POLICY_OK)
		return;
	struct capabilities c = capability_table_find(&t, "net", NULL);
	uint32_t line;
	struct capabilities other = capability_table_find(&t, "http", &line);
	if (line > len + 1)
		abort();
	must_nest(&c);
	must_nest(&other);
	print_capabilities(c.bounding);
	change(&c, &other);
}

/* Read once, and kept: the process ends with them. One with levels, one without. */
static const struct policydb *policy(bool levels)
{
	static const char *const path[2] = {POLICY_CORPUS "/features-no-levels.33",
	                                    POLICY_CORPUS "/features.33"};
	static struct policydb *db[2];
	static uint8_t data[1u << 16];
	struct policy_error err;
	if (db[levels])
		return db[levels];
	FILE *f = fopen(path[levels], "rb");
	if (!f)
		abort();
	size_t len = fread(data, 1, sizeof(data), f);
	(void)fclose(f);
	if (policydb_load(&policy_hosted_mem, data, len, &db[levels], &err) != POLICY_OK ||
	    db[levels]->mls != levels)
		abort();
	return db[levels];
}

static void categories(struct arena *a, const struct context *c)
{
	const struct set *low = c->low.cat, *high = c->high.cat;
	const struct set *both = set_and(a, low, high), *copy = set_copy(a, high);
	if (!both || !copy || !set_equal(copy, high) || !set_subset(both, low) ||
	    !set_subset(both, high) || set_intersects(low, high) != (both->count > 0) ||
	    set_equal(both, low) != set_subset(low, high))
		abort();
}

/* Printed, and read again: the same. Under the other policy it is a valid one, or none. */
static void context(struct arena *a, bool levels, const char *text, size_t len)
{
	const struct policydb *db = policy(levels);
	struct context c, again, there;
	struct policy_error err;
	struct text t;
	char buf[CONTEXT_TEXT_MAX];
	if (context_parse(db, a, text, len, &c, &err) != POLICY_OK)
		return;
	text_init(&t, buf, sizeof(buf));
	context_print(db, &c, &t);
	if (t.cut || context_parse(db, a, buf, t.len, &again, NULL) != POLICY_OK ||
	    !context_equal(&c, &again) || context_hash(&c) != context_hash(&again))
		abort();
	if (context_convert(db, policy(!levels), a, &c, &there, &err) == POLICY_OK &&
	    !context_valid(policy(!levels), &there, NULL))
		abort();
	if (levels)
		categories(a, &c);
}

/* What is read, in memory for LIMIT bytes. */
static void read_text(char kind, const char *text, size_t len, size_t limit)
{
	struct arena a;
	arena_init(&a, &policy_hosted_mem, limit);
	if (kind == 'l')
		list(&a, text, len);
	else if (kind == 'c')
		capabilities(&a, text, len);
	else
		context(&a, kind != 'p', text, len);
	arena_fini(&a);
}

/* The same where memory ends at some place: an error, or it was enough. */
static void read_starved(char kind, const char *text, size_t len, size_t limit)
{
	struct acl acl;
	struct capability_table table;
	struct context c;
	struct policy_error err;
	struct arena a;
	arena_init(&a, &policy_hosted_mem, limit);
	if (kind == 'l')
		(void)!acl_parse(&acl, &a, "acl", text, len, &err);
	else if (kind == 'c')
		(void)!capability_table_parse(&table, &a, "capabilities", text, len, &err);
	else
		(void)!context_parse(policy(true), &a, text, len, &c, &err);
	arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	char *text = malloc(size); /* of the exact size, for the sanitizers */
	if (!text)
		abort();
	memcpy(text, data + 1, size - 1);
	read_text((char)data[0], text, size - 1, 64 * size + 65536);
	read_starved((char)data[0], text, size - 1, size % 16 * 64);
	free(text);
	return 0;
}
