/* A policy as a whole, before it is put in force. See engine.h. */
#include "engine.h"

#include "package.h"

/* Up to this many names of what is missing fit into an error. */
static void name_missing(struct world *w, struct text *t, uint32_t *missing)
{
	for (unsigned c = 0; c < POLICY_CLASS_COUNT; c++) {
		const struct class_map *m = &policy_classes[c];
		if (!w->tclass[c]) {
			text_format(t, "%s%s", *missing ? ", " : "", m->name);
			++*missing;
			continue;
		}
		for (unsigned i = 0; i < 32 && m->perm[i]; i++)
			if (w->unknown[c] >> i & 1) {
				text_format(t, "%s%s.%s", *missing ? ", " : "", m->name,
				            m->perm[i]);
				++*missing;
			}
	}
}

static policy_status_t map_classes(struct world *w, struct policy_error *err)
{
	char names[160];
	struct text t;
	uint32_t missing = 0;
	for (unsigned c = 0; c < POLICY_CLASS_COUNT; c++) {
		const struct class_map *m = &policy_classes[c];
		w->tclass[c] = policydb_class(w->db, m->name);
		for (unsigned i = 0; i < 32 && m->perm[i]; i++) {
			w->perm[c][i] = policydb_perm(w->db, w->tclass[c], m->perm[i]);
			if (!w->perm[c][i])
				w->unknown[c] |= 1u << i;
		}
	}
	text_init(&t, names, sizeof(names));
	name_missing(w, &t, &missing);
	if (missing && (w->db->config & REJECT_UNKNOWN))
		return policy_fail(
		        err, POLICY_E_MISSING,
		        "the policy rejects what it does not know, and lacks %u classes or "
		        "permissions: %s%s",
		        missing, names, t.cut ? "..." : "");
	return POLICY_OK;
}

static policy_status_t parse_texts(struct world *w, const struct package *pkg,
                                   struct policy_error *err)
{
	policy_status_t status = POLICY_OK;
	const uint8_t *acl = pkg->part[PACKAGE_ACL].data;
	const uint8_t *caps = pkg->part[PACKAGE_CAPABILITIES].data;
	if (acl) {
		w->has_acl = true;
		status = acl_parse(&w->acl, &w->text, "acl", (const char *)acl,
		                   pkg->part[PACKAGE_ACL].len, err);
	}
	if (caps && !status) {
		w->has_caps = true;
		status = capability_table_parse(&w->caps, &w->text, "capabilities",
		                                (const char *)caps,
		                                pkg->part[PACKAGE_CAPABILITIES].len, err);
	}
	return status;
}

policy_status_t world_load(struct policy *p, const void *data, size_t len, struct world **out,
                           struct policy_error *err)
{
	const struct policy_mem *mem = p->config.mem;
	struct package pkg;
	policy_status_t status = package_open(&pkg, data, len, err);
	if (status)
		return status;
	struct world *w = mem->alloc(mem->ctx, sizeof(*w));
	if (!w)
		return policy_fail(err, POLICY_E_NOMEM, "no memory for a policy");
	__builtin_memset(w, 0, sizeof(*w));
	size_t texts = pkg.part[PACKAGE_ACL].len + pkg.part[PACKAGE_CAPABILITIES].len;
	arena_init(&w->text, mem, texts < SIZE_MAX / 64 ? 32 * texts + 65536 : 0);
	status = policydb_load(mem, pkg.part[PACKAGE_POLICYDB].data, pkg.part[PACKAGE_POLICYDB].len,
	                       &w->db, err);
	if (!status)
		status = map_classes(w, err);
	if (!status)
		status = parse_texts(w, &pkg, err);
	if (!status && sidtab_init(&w->sids, mem, w->db, p->config.sid_max) != POLICY_OK)
		status = policy_fail(err, POLICY_E_NOMEM, "no memory for security identifiers");
	if (status)
		world_free(p, w);
	else
		*out = w;
	return status;
}

void world_free(struct policy *p, struct world *w)
{
	if (!w)
		return;
	if (w->sids.chunk)
		sidtab_fini(&w->sids);
	policydb_free(w->db);
	arena_fini(&w->text);
	p->config.mem->free(p->config.mem->ctx, w, sizeof(*w));
}
