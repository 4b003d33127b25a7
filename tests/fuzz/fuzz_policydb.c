/*
 * Binary policies and packages of them: read, and if that works, used: every kind of decision, with
 * the first of what the policy has. Memory is bounded by what the reader promises.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest-kernel/policy/hosted.h"
#include "guest-kernel/policy/label.h"
#include "guest-kernel/policy/package.h"
#include "guest-kernel/policy/te.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct budget {
	size_t now, most;
	uint32_t allocs, refused; /* so many so far; the one that is refused, or 0 */
};

static void *count_alloc(void *ctx, size_t bytes)
{
	struct budget *b = ctx;
	if (++b->allocs == b->refused)
		return NULL;
	b->now += bytes;
	if (b->now > b->most)
		abort(); /* more than POLICYDB_BUDGET */
	return malloc(bytes);
}

static void count_free(void *ctx, void *p, size_t bytes)
{
	((struct budget *)ctx)->now -= bytes;
	free(p);
}

static void decide(const struct policydb *db, const struct context *s, const struct context *o)
{
	struct arena sets;
	struct av_decision avd;
	struct av_steps steps;
	struct xperm_decision xd;
	struct context made;
	char buf[512];
	arena_init(&sets, &policy_hosted_mem, 1u << 20);
	for (uint32_t c = 1; c <= db->classes.nprim && c < 40; c++) {
		if (!db->classes.name[c])
			continue;
		te_compute_av(db, s, o, c, &avd);
		te_explain_av(db, s, o, c, &steps);
		if ((steps.rules & ~(steps.constraints | steps.roles | steps.bounds)) !=
		    avd.allowed)
			abort();
		te_compute_xperm(db, s, o, c, 0x1234, &xd);
		(void)!te_compute_create(db, &sets, s, o, c, AVTAB_TRANSITION, "cache", &made,
		                         NULL);
		const struct constraint *k = te_validate_transition(db, s, o, s, c);
		struct text t;
		text_init(&t, buf, sizeof(buf));
		if (k)
			constraint_print(db, k, &t);
	}
	arena_fini(&sets);
}

/* Printed, and read again: as the same, unless names of the policy have ':' and the like in them.
 */
static void print_and_parse(const struct policydb *db, const struct context *c)
{
	struct arena sets;
	struct context again;
	static char buf[CONTEXT_TEXT_MAX];
	struct text t;
	arena_init(&sets, &policy_hosted_mem, 1u << 20);
	text_init(&t, buf, sizeof(buf));
	context_print(db, c, &t);
	(void)!context_parse(db, &sets, buf, t.len, &again, NULL);
	arena_fini(&sets);
}

static void names(const struct policydb *db)
{
	for (uint32_t c = 1; c <= db->classes.nprim && c < 40; c++)
		for (unsigned bit = 0; bit <= PERMS_MAX; bit++) {
			const char *name = policydb_perm_name(db, c, bit);
			if (name && (bit == PERMS_MAX || !policydb_perm(db, c, name)))
				abort();
		}
	if (policydb_perm(db, policydb_class(db, "no such class"), "no such permission"))
		abort();
}

static void sets(const struct context *c)
{
	const struct set *low = c->low.cat, *high = c->high.cat;
	if (low && high && set_subset(low, high) &&
	    (set_intersects(low, high) != (low->count > 0) ||
	     set_equal(low, high) != set_subset(high, low)))
		abort();
}

static void use(struct policydb *db)
{
	names(db);
	for (uint32_t i = 0; i < db->isid.count && i < 8; i++) {
		sets(&db->isid.at[i].context);
		print_and_parse(db, &db->isid.at[i].context);
		for (uint32_t j = 0; j < db->isid.count && j < 8; j++)
			decide(db, &db->isid.at[i].context, &db->isid.at[j].context);
	}
	for (uint32_t b = 1; b <= db->bools.nprim; b++)
		if (db->bools.name[b])
			policydb_bool_set(db, b, !policydb_bool_get(db, b));
	const uint8_t addr[16] = {127, 0, 0, 1};
	uint32_t behavior;
	(void)label_port(db, 6, 80);
	(void)label_node(db, addr, 4);
	(void)label_node(db, addr, 16);
	(void)label_netif(db, "eth0");
	(void)label_genfs(db, "http", "/metrics/x", 1);
	(void)label_fs_use(db, "ext4", &behavior);
}

/* Written and opened again: the same parts, within the bytes that were asked for. */
static void write_and_open(const struct package *p)
{
	struct package again;
	size_t size = package_size(p);
	uint8_t *out = malloc(size);
	if (!size || !out)
		abort();
	package_write(p, out);
	if (package_open(&again, out, size, NULL) != POLICY_OK)
		abort();
	for (unsigned kind = 0; kind < PACKAGE_KINDS; kind++)
		if (again.part[kind].len != p->part[kind].len ||
		    (p->part[kind].data &&
		     memcmp(again.part[kind].data, p->part[kind].data, p->part[kind].len) != 0))
			abort();
	free(out);
}

/* One of its ALLOCS allocations is refused, which one is by chance: an error, and nothing is left.
 */
static void load_starved(const uint8_t *data, size_t len, uint32_t allocs)
{
	struct policydb *db;
	struct policy_error err;
	struct budget budget = {.most = POLICYDB_BUDGET(len) + sizeof(*db),
	                        .refused = 1 + str_hash((const char *)data, len) % allocs};
	const struct policy_mem mem = {count_alloc, count_free, &budget};
	if (policydb_load(&mem, data, len, &db, &err) != POLICY_E_NOMEM || budget.now != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct package pkg;
	struct policydb *db;
	struct policy_error err;
	if (package_open(&pkg, data, size, &err) != POLICY_OK)
		return 0;
	write_and_open(&pkg);
	size_t len = pkg.part[PACKAGE_POLICYDB].len;
	struct budget budget = {.most = POLICYDB_BUDGET(len) + sizeof(*db)};
	const struct policy_mem mem = {count_alloc, count_free, &budget};
	if (policydb_load(&mem, pkg.part[PACKAGE_POLICYDB].data, len, &db, &err) == POLICY_OK) {
		if (policydb_bytes(db) > budget.now)
			abort();
		uint32_t allocs = budget.allocs;
		use(db);
		policydb_free(db);
		load_starved(pkg.part[PACKAGE_POLICYDB].data, len, allocs);
	}
	if (budget.now != 0)
		abort();
	return 0;
}
