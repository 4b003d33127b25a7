/*
 * Policy text: the first byte picks an access control list, capabilities, or a context (of a policy
 * of the corpus). What is read is used; a context is printed and read again as the same.
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

static void capabilities(struct arena *a, const char *text, size_t len)
{
	struct capability_table t;
	struct policy_error err;
	if (capability_table_parse(&t, a, "capabilities", text, len, &err) != POLICY_OK)
		return;
	struct capabilities c = capability_table_find(&t, "net", NULL);
	if ((c.effective & ~c.permitted) || (c.permitted & ~c.bounding))
		abort();
}

/* Read once, and kept: the process ends with it. */
static const struct policydb *policy(void)
{
	static struct policydb *db;
	static uint8_t data[1u << 16];
	struct policy_error err;
	if (db)
		return db;
	FILE *f = fopen(POLICY_CORPUS "/features.33", "rb");
	if (!f)
		abort();
	size_t len = fread(data, 1, sizeof(data), f);
	(void)fclose(f);
	if (policydb_load(&policy_hosted_mem, data, len, &db, &err) != POLICY_OK)
		abort();
	return db;
}

static void context(struct arena *a, const char *text, size_t len)
{
	struct context c, again;
	struct text t;
	char buf[CONTEXT_TEXT_MAX];
	if (context_parse(policy(), a, text, len, &c, NULL) != POLICY_OK)
		return;
	text_init(&t, buf, sizeof(buf));
	context_print(policy(), &c, &t);
	if (t.cut || context_parse(policy(), a, buf, t.len, &again, NULL) != POLICY_OK ||
	    !context_equal(&c, &again) || context_hash(&c) != context_hash(&again))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a;
	if (size == 0)
		return 0;
	char *text = malloc(size); /* of the exact size, for the sanitizers */
	if (!text)
		abort();
	memcpy(text, data + 1, size - 1);
	arena_init(&a, &policy_hosted_mem, 64 * size + 65536);
	if (data[0] == 'l')
		list(&a, text, size - 1);
	else if (data[0] == 'c')
		capabilities(&a, text, size - 1);
	else
		context(&a, text, size - 1);
	arena_fini(&a);
	free(text);
	return 0;
}
