/* See policy_rig.h. */
#include "policy_rig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *rig_alloc(void *ctx, size_t bytes)
{
	struct rig_mem *m = ctx;
	m->calls++;
	if (m->fail_at && m->calls >= m->fail_at)
		return NULL;
	m->now += bytes;
	m->peak = m->now > m->peak ? m->now : m->peak;
	return malloc(bytes);
}

static void rig_free(void *ctx, void *p, size_t bytes)
{
	struct rig_mem *m = ctx;
	m->now -= bytes;
	free(p);
}

void rig_mem_init(struct rig_mem *m)
{
	*m = (struct rig_mem){.mem = {.alloc = rig_alloc, .free = rig_free}};
	m->mem.ctx = m;
}

struct rig_file rig_file(const char *name)
{
	char path[4096];
	struct rig_file f = {0};
	(void)snprintf(path, sizeof(path), "%s/%s", POLICY_CORPUS, name);
	FILE *in = fopen(path, "rb");
	ck_assert_msg(in != NULL, "%s", path);
	ck_assert_int_eq(fseek(in, 0, SEEK_END), 0);
	f.len = (size_t)ftell(in);
	rewind(in);
	f.data = malloc(f.len);
	ck_assert_ptr_nonnull(f.data);
	ck_assert_uint_eq(fread(f.data, 1, f.len, in), f.len);
	(void)fclose(in);
	return f;
}

void rig_file_free(struct rig_file *f)
{
	free(f->data);
	f->data = NULL;
}

static void rig_record(void *ctx, const char *line, size_t len)
{
	struct rig_audit *a = ctx;
	a->records++;
	if (len + 1 < sizeof(a->text) - a->len) {
		memcpy(a->text + a->len, line, len);
		a->len += len;
		a->text[a->len++] = '\n';
		a->text[a->len] = '\0';
	}
}

static uint64_t rig_now(void *ctx)
{
	return ((struct rig_audit *)ctx)->now_ns;
}

struct policy *rig_policy(struct rig_mem *m, struct rig_audit *audit, const char *policy)
{
	*audit = (struct rig_audit){.now_ns = 1700000000123000000u};
	const struct policy_config config = {.mem = &m->mem,
	                                     .audit = rig_record,
	                                     .now_ns = rig_now,
	                                     .ctx = audit,
	                                     .avc_entries = 256,
	                                     .sid_max = 1024,
	                                     .label_max = 64,
	                                     .audit_per_second = 10};
	struct policy *p;
	struct policy_error err;
	ck_assert_int_eq(policy_create(&config, &p), POLICY_OK);
	if (!policy)
		return p;
	struct rig_file f = rig_file(policy);
	ck_assert_msg(policy_load(p, f.data, f.len, &err) == POLICY_OK, "%s", err.text);
	rig_file_free(&f);
	return p;
}

policy_label_t rig_label(struct policy *p, const char *context, const char *name)
{
	struct policy_error err;
	policy_sid_t sid;
	policy_label_t label;
	ck_assert_msg(policy_sid(p, context, strlen(context), &sid, &err) == POLICY_OK, "%s",
	              err.text);
	ck_assert_int_eq(policy_label(p, sid, name, &label), POLICY_OK);
	return label;
}

struct policy_subject rig_subject(struct policy *p, const char *context, const char *name)
{
	struct policy_subject s;
	policy_subject_init(p, &s, rig_label(p, context, name), 7);
	return s;
}
