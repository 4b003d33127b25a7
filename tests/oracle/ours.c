/* See ours.h. */
#include "ours.h"

#include <string.h>

#include "guest-kernel/policy/hosted.h"
#include "guest-kernel/policy/label.h"
#include "guest-kernel/policy/te.h"

struct our {
	struct policydb *db;
	struct arena sets;   /* and contexts */
	struct context made; /* by our_create: one at a time */
};

static const struct context *in(const struct our_context *c)
{
	return (const struct context *)(const void *)c;
}

static const struct our_context *out(const struct context *c)
{
	return (const struct our_context *)(const void *)c;
}

struct our *our_load(const void *data, size_t len, char *why, size_t size)
{
	struct policy_error err = {0};
	struct our *o = calloc(1, sizeof(*o));
	if (!o)
		abort();
	arena_init(&o->sets, &policy_hosted_mem, SIZE_MAX);
	if (policydb_load(&policy_hosted_mem, data, len, &o->db, &err) != POLICY_OK) {
		struct text t;
		text_init(&t, why, size);
		text_add(&t, err.text);
		free(o);
		return NULL;
	}
	return o;
}

void our_free(struct our *o)
{
	policydb_free(o->db);
	arena_fini(&o->sets);
	free(o);
}

const struct our_context *our_context(struct our *o, const char *text)
{
	struct context *c = arena_alloc(&o->sets, sizeof(*c));
	if (!c)
		abort();
	return context_parse(o->db, &o->sets, text, strlen(text), c, NULL) ? NULL : out(c);
}

void our_print(const struct our *o, const struct our_context *c, char *buf, size_t size)
{
	struct text t;
	text_init(&t, buf, size);
	context_print(o->db, in(c), &t);
}

void our_compute_av(const struct our *o, const struct our_context *a, const struct our_context *b,
                    uint32_t tclass, struct our_decision *d)
{
	struct av_decision avd;
	te_compute_av(o->db, in(a), in(b), tclass, &avd);
	*d = (struct our_decision){avd.allowed, avd.auditallow, avd.auditdeny};
}

const struct our_context *our_create(struct our *o, const struct our_context *a,
                                     const struct our_context *b, uint32_t tclass, char kind)
{
	uint32_t k = kind == 'T' ? AVTAB_TRANSITION : kind == 'M' ? AVTAB_MEMBER : AVTAB_CHANGE;
	return te_compute_create(o->db, &o->sets, in(a), in(b), tclass, k, NULL, &o->made, NULL)
	               ? NULL
	               : out(&o->made);
}

bool our_validatetrans(const struct our *o, const struct our_context *a,
                       const struct our_context *b, const struct our_context *task, uint32_t tclass)
{
	return te_validate_transition(o->db, in(a), in(b), in(task), tclass) == NULL;
}

void our_bool(struct our *o, uint32_t number, bool value)
{
	policydb_bool_set(o->db, number, value);
}

const struct our_context *our_port(const struct our *o, uint8_t protocol, uint16_t port)
{
	return out(label_port(o->db, protocol, port));
}

const struct our_context *our_node(const struct our *o, const uint8_t *addr, size_t len)
{
	return out(label_node(o->db, addr, len));
}

const struct our_context *our_netif(const struct our *o, const char *name)
{
	return out(label_netif(o->db, name));
}

const struct our_context *our_genfs(const struct our *o, const char *fstype, const char *path,
                                    uint32_t tclass)
{
	return out(label_genfs(o->db, fstype, path, tclass));
}

const struct our_context *our_fs_use(const struct our *o, const char *fstype, unsigned *behavior)
{
	uint32_t b;
	const struct context *c = label_fs_use(o->db, fstype, &b);
	*behavior = b;
	return out(c);
}

size_t our_bytes(const struct our *o)
{
	return policydb_bytes(o->db);
}
