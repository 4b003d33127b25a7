/*
 * The policy engine against libsepol, decision by decision: both read the same binary policy, and
 * every answer must be the same.
 *
 *   oracle_compare POLICY [QUERIES [SEED [MIN-NONZERO-PERCENT]]]
 *
 * Queries: one for each rule of the policy (through random members of the attributes that it
 * names), then QUERIES random ones, half of them near a rule. Booleans are set at random now and
 * then. Also compared: which contexts are valid and how they are printed, new contexts (transition,
 * member, change), validatetrans, and the contexts of ports, nodes, interfaces and file systems.
 * Exit status: 0 no difference, 1 a difference, or fewer decisions that allow something than asked.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <sepol/debug.h>
#include <sepol/policydb/conditional.h>
#include <sepol/policydb/policydb.h>
#include <sepol/policydb/services.h>
#include <sepol/policydb/sidtab.h>

/* The engine's header has the same names for the format's constants. */
#undef AVTAB_ALLOWED
#undef AVTAB_AUDITALLOW
#undef AVTAB_AUDITDENY
#undef AVTAB_TRANSITION
#undef AVTAB_MEMBER
#undef AVTAB_CHANGE
#undef AVTAB_AV
#undef AVTAB_TYPE
#undef AVTAB_XPERMS
#include "ours.h"

struct pair { /* one context, in both */
	sepol_security_id_t sid;
	const struct our_context *ctx;
};

struct members { /* of an attribute, when they were asked for */
	uint32_t *at;
	uint32_t count;
};

struct state {
	policydb_t theirs;
	sidtab_t sids;
	struct our *ours;
	uint64_t seed;
	uint32_t *bounds;        /* [types + 1] the parent of each type, or 0 */
	struct pair *by_type;    /* [types + 1] */
	struct members *members; /* [types + 1] */
	struct pair *pool;
	unsigned pool_count;
	unsigned long queries, nonzero, differences;
	unsigned long misprints; /* by libsepol: see same_text */
};

static uint32_t rnd(struct state *s, uint32_t below)
{
	s->seed ^= s->seed << 13;
	s->seed ^= s->seed >> 7;
	s->seed ^= s->seed << 17;
	return below ? (uint32_t)((s->seed >> 11) % below) : 0;
}

static void differ(struct state *s, const char *what, const char *a, const char *b)
{
	if (s->differences++ < 20)
		(void)printf("DIFFERS %s: libsepol %s, ours %s\n", what, a, b);
}

/* -- contexts -- */

/*
 * OURS is how SID is written. libsepol 3.4 misprints some sets of categories (mls_sid_to_context: a
 * run that ends with a word of its bit map, before a word that is absent, gets the wrong end; Linux
 * does not). So a text that differs from libsepol's must mean the same context to libsepol itself,
 * and libsepol's own text must not.
 */
static void same_text(struct state *s, const char *what, sepol_security_id_t sid, const char *ours)
{
	char *theirs = NULL;
	size_t len;
	sepol_security_id_t again = 0, misread = 0;
	if (sepol_sid_to_context(sid, &theirs, &len) < 0 || strcmp(theirs, ours) == 0) {
		free(theirs);
		return;
	}
	if (sepol_context_to_sid(ours, strlen(ours) + 1, &again) == 0 && again == sid &&
	    (sepol_context_to_sid(theirs, strlen(theirs) + 1, &misread) < 0 || misread != sid))
		s->misprints++;
	else
		differ(s, what, theirs, ours);
	free(theirs);
}

/* The same text to both; true if both take it. */
static bool add_context(struct state *s, const char *text, struct pair *p)
{
	char printed[8192];
	bool theirs = sepol_context_to_sid(text, strlen(text) + 1, &p->sid) == 0;
	p->ctx = our_context(s->ours, text);
	if (theirs != (p->ctx != NULL)) {
		differ(s, text, theirs ? "valid" : "invalid", p->ctx ? "valid" : "invalid");
		return false;
	}
	if (!theirs)
		return false;
	our_print(s->ours, p->ctx, printed, sizeof(printed));
	same_text(s, "printed context", p->sid, printed);
	return true;
}

static void random_level(struct state *s, char *out, size_t size, const char *sens)
{
	size_t at = (size_t)snprintf(out, size, "%s", sens);
	uint32_t cats = s->theirs.p_cats.nprim;
	for (uint32_t i = rnd(s, 4), n = 0; cats && i > 0; i--, n++) {
		uint32_t a = rnd(s, cats), b = a + rnd(s, 3);
		if (b >= cats)
			b = a;
		at += (size_t)snprintf(out + at, size - at, "%c%s%s%s", n ? ',' : ':',
		                       s->theirs.p_cat_val_to_name[a], a == b ? "" : ".",
		                       a == b ? "" : s->theirs.p_cat_val_to_name[b]);
	}
}

/* Any user, role and range; TYPE, or any. Often not valid. */
static void random_context(struct state *s, char *out, size_t size, const char *type)
{
	const policydb_t *p = &s->theirs;
	const char *user = p->p_user_val_to_name[rnd(s, p->p_users.nprim)];
	const char *role = rnd(s, 2) ? "object_r" : p->p_role_val_to_name[rnd(s, p->p_roles.nprim)];
	char low[1024] = "", high[1024] = "";
	while (!type)
		type = p->p_type_val_to_name[rnd(s, p->p_types.nprim)];
	if (!p->mls) {
		(void)snprintf(out, size, "%s:%s:%s", user, role, type);
		return;
	}
	random_level(s, low, sizeof(low), p->p_sens_val_to_name[rnd(s, p->p_levels.nprim)]);
	random_level(s, high, sizeof(high), p->p_sens_val_to_name[rnd(s, p->p_levels.nprim)]);
	if (rnd(s, 8) == 0 && p->p_cats.nprim > 1)
		(void)snprintf(high, sizeof(high), "%s:%s.%s",
		               p->p_sens_val_to_name[p->p_levels.nprim - 1],
		               p->p_cat_val_to_name[0], p->p_cat_val_to_name[p->p_cats.nprim - 1]);
	(void)snprintf(out, size, "%s:%s:%s:%s%s%s", user, role, type, low, rnd(s, 3) ? "-" : "",
	               high);
	if (out[strlen(out) - strlen(high) - 1] != '-' && strlen(high))
		out[strlen(out) - strlen(high)] = '\0';
}

static bool is_type(const policydb_t *p, uint32_t value)
{
	return p->type_val_to_struct[value - 1] &&
	       p->type_val_to_struct[value - 1]->flavor != TYPE_ATTRIB;
}

/* A role that may have the type, so that the roles' rules are met as well. */
static void domain_context(struct state *s, uint32_t type, struct pair *to)
{
	const policydb_t *p = &s->theirs;
	char text[4096];
	for (uint32_t tries = 0; tries < 40; tries++) {
		uint32_t r = rnd(s, p->p_roles.nprim), u = rnd(s, p->p_users.nprim);
		if (r == 0 || !p->role_val_to_struct[r] || !p->user_val_to_struct[u] ||
		    !ebitmap_get_bit(&p->role_val_to_struct[r]->types.types, type - 1) ||
		    !ebitmap_get_bit(&p->user_val_to_struct[u]->roles.roles, r))
			continue;
		(void)snprintf(text, sizeof(text), "%s:%s:%s%s%s", p->p_user_val_to_name[u],
		               p->p_role_val_to_name[r], p->p_type_val_to_name[type - 1],
		               p->mls ? ":" : "", p->mls ? p->p_sens_val_to_name[0] : "");
		if (add_context(s, text, to))
			return;
	}
}

static void make_contexts(struct state *s, unsigned wanted)
{
	const policydb_t *p = &s->theirs;
	char text[4096];
	s->by_type = calloc(p->p_types.nprim + 1, sizeof(*s->by_type));
	s->pool = calloc(wanted, sizeof(*s->pool));
	for (uint32_t t = 1; t <= p->p_types.nprim; t++) {
		if (!is_type(p, t))
			continue;
		domain_context(s, t, &s->by_type[t]);
		for (int i = 0; i < 20 && !s->by_type[t].ctx; i++) {
			random_context(s, text, sizeof(text), p->p_type_val_to_name[t - 1]);
			(void)!add_context(s, text, &s->by_type[t]);
		}
	}
	for (unsigned tries = 0; tries < wanted * 20 && s->pool_count < wanted; tries++) {
		uint32_t t = 1 + rnd(s, p->p_types.nprim);
		if (!is_type(p, t))
			continue;
		random_context(s, text, sizeof(text), p->p_type_val_to_name[t - 1]);
		s->pool_count += add_context(s, text, &s->pool[s->pool_count]);
	}
	const char *const broken[] = {"", ":", "::", ":::", "a:b:c", "a:b:c:d", "user_u:object_r"};
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct pair none;
		(void)!add_context(s, broken[i], &none);
	}
}

/* -- decisions -- */

/*
 * libsepol 3.4 crashes where a type is bounded (type_attribute_bounds_av passes on a null pointer
 * that context_struct_compute_av writes through). So its own step is switched off, and done here
 * with its answers for the parents: what the parent may not, towards the target or its parent, is
 * masked.
 */
static int their_av(struct state *s, sepol_security_id_t a, sepol_security_id_t b, uint32_t tclass,
                    struct sepol_av_decision *avd)
{
	uint32_t allowed = UINT32_MAX;
	context_struct_t from = *sepol_sidtab_search(&s->sids, a);
	context_struct_t to = *sepol_sidtab_search(&s->sids, b);
	if (sepol_compute_av(a, b, (sepol_security_class_t)tclass, 0, avd) < 0)
		return -1;
	while (s->bounds[from.type]) {
		struct sepol_av_decision parent;
		from.type = s->bounds[from.type];
		to.type = s->bounds[to.type] ? s->bounds[to.type] : to.type;
		if (sepol_sidtab_context_to_sid(&s->sids, &from, &a) < 0 ||
		    sepol_sidtab_context_to_sid(&s->sids, &to, &b) < 0 ||
		    sepol_compute_av(a, b, (sepol_security_class_t)tclass, 0, &parent) < 0)
			return -1;
		allowed &= parent.allowed;
	}
	avd->allowed &= allowed;
	return 0;
}

static void query(struct state *s, const struct pair *a, const struct pair *b, uint32_t tclass)
{
	struct sepol_av_decision theirs;
	struct our_decision ours;
	if (!a->ctx || !b->ctx || !s->theirs.class_val_to_struct[tclass - 1])
		return;
	if (their_av(s, a->sid, b->sid, tclass, &theirs) < 0)
		return;
	our_compute_av(s->ours, a->ctx, b->ctx, tclass, &ours);
	s->queries++;
	s->nonzero += theirs.allowed != 0;
	if (theirs.allowed == ours.allowed && theirs.auditallow == ours.auditallow &&
	    theirs.auditdeny == ours.auditdeny)
		return;
	char x[4096], y[4096], line[9000], got[64], want[64];
	our_print(s->ours, a->ctx, x, sizeof(x));
	our_print(s->ours, b->ctx, y, sizeof(y));
	(void)snprintf(line, sizeof(line), "%s %s %s", x, y,
	               s->theirs.p_class_val_to_name[tclass - 1]);
	(void)snprintf(want, sizeof(want), "%08x/%08x/%08x", theirs.allowed, theirs.auditallow,
	               theirs.auditdeny);
	(void)snprintf(got, sizeof(got), "%08x/%08x/%08x", ours.allowed, ours.auditallow,
	               ours.auditdeny);
	differ(s, line, want, got);
}

/* A type that has the attribute ATTR (or is it). */
static uint32_t member(struct state *s, uint32_t attr)
{
	struct members *m = &s->members[attr];
	const ebitmap_t *e = &s->theirs.attr_type_map[attr - 1];
	ebitmap_node_t *node;
	unsigned bit;
	if (!m->at) {
		m->at = calloc(ebitmap_cardinality((ebitmap_t *)e) + 1, sizeof(*m->at));
		ebitmap_for_each_positive_bit(e, node, bit) m->at[m->count++] = bit + 1;
	}
	return m->count ? m->at[rnd(s, m->count)] : 0;
}

struct keys {
	avtab_key_t *at;
	size_t count;
};

static int collect(avtab_key_t *k, avtab_datum_t *d, void *args)
{
	struct keys *keys = args;
	(void)d;
	keys->at[keys->count++] = *k;
	return 0;
}

static const struct pair *context_of(struct state *s, uint32_t type)
{
	return type ? &s->by_type[type] : &s->by_type[0];
}

static void near_rule(struct state *s, const avtab_key_t *k)
{
	query(s, context_of(s, member(s, k->source_type)), context_of(s, member(s, k->target_type)),
	      k->target_class);
}

static const struct pair *any(struct state *s)
{
	if (s->pool_count && rnd(s, 2))
		return &s->pool[rnd(s, s->pool_count)];
	return &s->by_type[1 + rnd(s, s->theirs.p_types.nprim)];
}

/* -- new contexts -- */

static void same_sid(struct state *s, const char *what, int rc, sepol_security_id_t sid,
                     const struct our_context *ctx)
{
	char ours[8192] = "none";
	if (ctx)
		our_print(s->ours, ctx, ours, sizeof(ours));
	s->queries++;
	if ((rc == 0) != (ctx != NULL))
		differ(s, what, rc == 0 ? "one" : "none", ours);
	else if (ctx)
		same_text(s, what, sid, ours);
}

static void create(struct state *s, const struct pair *a, const struct pair *b, uint32_t tclass)
{
	sepol_security_id_t sid = 0;
	sepol_security_class_t c = (sepol_security_class_t)tclass;
	if (!a->ctx || !b->ctx || !s->theirs.class_val_to_struct[tclass - 1])
		return;
	int rc = sepol_transition_sid(a->sid, b->sid, c, &sid);
	same_sid(s, "transition", rc, sid, our_create(s->ours, a->ctx, b->ctx, tclass, 'T'));
	rc = sepol_member_sid(a->sid, b->sid, c, &sid);
	same_sid(s, "member", rc, sid, our_create(s->ours, a->ctx, b->ctx, tclass, 'M'));
	rc = sepol_change_sid(a->sid, b->sid, c, &sid);
	same_sid(s, "change", rc, sid, our_create(s->ours, a->ctx, b->ctx, tclass, 'C'));
}

static void validatetrans(struct state *s, const struct pair *a, const struct pair *b,
                          const struct pair *c, uint32_t tclass)
{
	char *reason = NULL;
	if (!a->ctx || !b->ctx || !c->ctx || !s->theirs.class_val_to_struct[tclass - 1])
		return;
	int rc = sepol_validate_transition_reason_buffer(
	        a->sid, b->sid, c->sid, (sepol_security_class_t)tclass, &reason, 0);
	bool ours = our_validatetrans(s->ours, a->ctx, b->ctx, c->ctx, tclass);
	free(reason);
	s->queries++;
	if ((rc == 0) != ours)
		differ(s, "validatetrans", rc == 0 ? "yes" : "no", ours ? "yes" : "no");
}

/* -- objects without a context -- */

static void compare_ports(struct state *s)
{
	const uint8_t protocols[] = {6, 17, 33, 132};
	for (size_t i = 0; i < sizeof(protocols); i++)
		for (uint32_t port = 0; port < 65536; port += 1 + rnd(s, 7)) {
			sepol_security_id_t sid = 0;
			int rc = sepol_port_sid(AF_INET, SOCK_STREAM, protocols[i], (uint16_t)port,
			                        &sid);
			same_sid(s, "port", rc, sid,
			         our_port(s->ours, protocols[i], (uint16_t)port));
		}
}

static void compare_nodes(struct state *s)
{
	for (int i = 0; i < 20000; i++) {
		uint8_t addr[16];
		for (size_t j = 0; j < sizeof(addr); j++)
			addr[j] = (uint8_t)(rnd(s, 3) ? rnd(s, 256) : 0);
		if (rnd(s, 2) && s->theirs.ocontexts[OCON_NODE])
			memcpy(addr, &s->theirs.ocontexts[OCON_NODE]->u.node.addr, 4);
		if (rnd(s, 4) == 0 && s->theirs.ocontexts[OCON_NODE6])
			memcpy(addr, s->theirs.ocontexts[OCON_NODE6]->u.node6.addr, 16);
		sepol_security_id_t sid = 0;
		int rc = sepol_node_sid(AF_INET, addr, 4, &sid);
		same_sid(s, "node", rc, sid, our_node(s->ours, addr, 4));
		rc = sepol_node_sid(AF_INET6, addr, 16, &sid);
		same_sid(s, "node6", rc, sid, our_node(s->ours, addr, 16));
	}
}

static void compare_genfs(struct state *s)
{
	for (const genfs_t *g = s->theirs.genfs; g; g = g->next)
		for (const ocontext_t *c = g->head; c; c = c->next) {
			char path[4200];
			(void)snprintf(path, sizeof(path), "%s%s", c->u.name,
			               rnd(s, 2) ? "/below" : "");
			for (uint32_t tclass = 1; tclass <= s->theirs.p_classes.nprim;
			     tclass += 1 + rnd(s, 5)) {
				sepol_security_id_t sid = 0;
				int rc = sepol_genfs_sid(g->fstype, path,
				                         (sepol_security_class_t)tclass, &sid);
				same_sid(s, "genfs", rc, sid,
				         our_genfs(s->ours, g->fstype, path, tclass));
			}
		}
	for (const ocontext_t *c = s->theirs.ocontexts[OCON_FSUSE]; c; c = c->next) {
		unsigned behavior = 0, ours = 0;
		sepol_security_id_t sid = 0;
		int rc = sepol_fs_use(c->u.name, &behavior, &sid);
		same_sid(s, "fs_use", rc, sid, our_fs_use(s->ours, c->u.name, &ours));
		if (behavior != ours)
			differ(s, "fs_use behaviour", c->u.name, "another");
	}
	for (const ocontext_t *c = s->theirs.ocontexts[OCON_NETIF]; c; c = c->next) {
		sepol_security_id_t sid = 0, msg = 0;
		int rc = sepol_netif_sid(c->u.name, &sid, &msg);
		same_sid(s, "netif", rc, sid, our_netif(s->ours, c->u.name));
	}
}

/* -- booleans -- */

static void shuffle_booleans(struct state *s)
{
	policydb_t *p = &s->theirs;
	for (uint32_t i = 0; i < p->p_bools.nprim; i++)
		if (p->bool_val_to_struct[i] && rnd(s, 3) == 0) {
			bool on = rnd(s, 2);
			p->bool_val_to_struct[i]->state = on;
			our_bool(s->ours, i + 1, on);
		}
	if (evaluate_conds(p) < 0)
		exit(2);
}

/* -- the whole -- */

static void *slurp(const char *path, size_t *len)
{
	FILE *f = fopen(path, "rb");
	if (!f || fseek(f, 0, SEEK_END) != 0) {
		perror(path);
		exit(2);
	}
	*len = (size_t)ftell(f);
	rewind(f);
	void *data = malloc(*len + 1);
	if (!data || fread(data, 1, *len, f) != *len)
		exit(2);
	(void)fclose(f);
	return data;
}

static void load(struct state *s, const char *path)
{
	size_t len;
	char *data = slurp(path, &len);
	struct policy_file pf;
	policy_file_init(&pf);
	pf.type = PF_USE_MEMORY;
	pf.data = data;
	pf.len = len;
	sepol_debug(0);
	if (policydb_init(&s->theirs) || policydb_read(&s->theirs, &pf, 0) ||
	    sepol_set_policydb(&s->theirs) || sepol_set_sidtab(&s->sids) ||
	    policydb_load_isids(&s->theirs, &s->sids)) {
		(void)fprintf(stderr, "%s: libsepol does not read it\n", path);
		exit(2);
	}
	s->bounds = calloc(s->theirs.p_types.nprim + 1, sizeof(*s->bounds));
	for (uint32_t t = 0; t < s->theirs.p_types.nprim; t++)
		if (s->theirs.type_val_to_struct[t]) {
			s->bounds[t + 1] = s->theirs.type_val_to_struct[t]->bounds;
			s->theirs.type_val_to_struct[t]->bounds = 0;
		}
	s->members = calloc(s->theirs.p_types.nprim + 1, sizeof(*s->members));
	char why[256];
	s->ours = our_load(data, len, why, sizeof(why));
	if (!s->ours) {
		(void)printf("DIFFERS: libsepol reads %s, ours does not: %s\n", path, why);
		exit(1);
	}
	free(data);
}

static void unload(struct state *s)
{
	for (uint32_t t = 0; t <= s->theirs.p_types.nprim; t++)
		free(s->members[t].at);
	free(s->members);
	free(s->bounds);
	free(s->by_type);
	free(s->pool);
	our_free(s->ours);
	sepol_sidtab_destroy(&s->sids);
	policydb_destroy(&s->theirs);
}

#define CREATE_FIRST 500000ul

static void run(struct state *s, unsigned long queries)
{
	struct keys keys = {.at = calloc(s->theirs.te_avtab.nel + s->theirs.te_cond_avtab.nel + 1,
	                                 sizeof(*keys.at))};
	(void)avtab_map(&s->theirs.te_avtab, collect, &keys);
	(void)avtab_map(&s->theirs.te_cond_avtab, collect, &keys);
	uint32_t classes = s->theirs.p_classes.nprim;
	for (size_t i = 0; i < keys.count; i++) {
		near_rule(s, &keys.at[i]);
		if (keys.at[i].specified & 0x70)
			create(s, context_of(s, keys.at[i].source_type),
			       context_of(s, keys.at[i].target_type), keys.at[i].target_class);
	}
	for (unsigned long i = 0; i < queries; i++) {
		if (i % 100000 == 50000)
			shuffle_booleans(s);
		if (keys.count && i % 2)
			near_rule(s, &keys.at[rnd(s, (uint32_t)keys.count)]);
		else
			query(s, any(s), any(s), 1 + rnd(s, classes));
		/* libsepol looks for the SID of a new context among all others, one by one. */
		if (i % 50 == 0 && i < CREATE_FIRST)
			create(s, any(s), any(s), 1 + rnd(s, classes));
		if (i % 50 == 25)
			validatetrans(s, any(s), any(s), any(s), 1 + rnd(s, classes));
	}
	free(keys.at);
}

int main(int argc, char **argv)
{
	struct state s = {.seed = 88172645463325252u};
	if (argc < 2) {
		(void)fprintf(stderr, "usage: %s POLICY [QUERIES [SEED [MIN-NONZERO%%]]]\n",
		              argv[0]);
		return 2;
	}
	unsigned long queries = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000000;
	if (argc > 3)
		s.seed += strtoul(argv[3], NULL, 10) * 2654435761u;
	unsigned long least = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
	load(&s, argv[1]);
	make_contexts(&s, 1500);
	run(&s, queries);
	compare_ports(&s);
	compare_nodes(&s);
	compare_genfs(&s);
	unsigned long percent = s.queries ? s.nonzero * 100 / s.queries : 0;
	(void)printf("%s: %lu comparisons, %lu %% of them allow something, %lu differences "
	             "(%lu misprints of libsepol)\n",
	             argv[1], s.queries, percent, s.differences, s.misprints);
	bool bad = s.differences || percent < least || !s.queries;
	unload(&s);
	return bad;
}
