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
};

static void *count_alloc(void *ctx, size_t bytes)
{
	struct budget *b = ctx;
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

static void use(struct policydb *db)
{
	for (uint32_t i = 0; i < db->isid.count && i < 8; i++) {
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct package pkg;
	struct policydb *db;
	struct policy_error err;
	if (package_open(&pkg, data, size, &err) != POLICY_OK)
		return 0;
	size_t len = pkg.part[PACKAGE_POLICYDB].len;
	struct budget budget = {.most = POLICYDB_BUDGET(len) + sizeof(*db)};
	const struct policy_mem mem = {count_alloc, count_free, &budget};
	if (policydb_load(&mem, pkg.part[PACKAGE_POLICYDB].data, len, &db, &err) == POLICY_OK) {
		use(db);
		policydb_free(db);
	}
	if (budget.now != 0)
		abort();
	return 0;
}
