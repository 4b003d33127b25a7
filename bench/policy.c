/*
 * What the policy engine costs, beside libsepol where that is at hand: loading a policy, a decision
 * that is computed, a decision from the cache.
 *
 *   bench_policy POLICY [ROUNDS]
 *
 * POLICY is a bare binary policy (tests/oracle/reference --policy-only makes Debian's). Decisions
 * are asked for in two mixes: pairs of random types, and pairs that a rule speaks of. Both sides
 * get the same questions in turn, and must give the same answers.
 */
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "figures.h"
#include "guest-kernel/policy/hosted.h"
#include "guest-kernel/policy/policy.h"
#include "guest-kernel/policy/te.h"
#include "policy_sepol.h"

#define PAIRS 256u

struct count {
	size_t now, peak;
};

static void *count_alloc(void *ctx, size_t bytes)
{
	struct count *c = ctx;
	c->now += bytes;
	c->peak = c->now > c->peak ? c->now : c->peak;
	return malloc(bytes);
}

static void count_free(void *ctx, void *p, size_t bytes)
{
	((struct count *)ctx)->now -= bytes;
	free(p);
}

struct pair {
	struct context source, target;
	char source_text[256], target_text[256];
	uint32_t tclass;
	unsigned sids[2]; /* libsepol's */
	uint32_t allowed;
};

static struct policydb *db;
static struct arena sets;
static struct pair pairs[PAIRS];
static uint64_t seed = 88172645463325252u;

static uint32_t rnd(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed >> 11) % below);
}

static _Noreturn void fail(const char *what)
{
	(void)fprintf(stderr, "bench_policy: %s\n", what);
	exit(EXIT_FAILURE);
}

static uint8_t *slurp(const char *path, size_t *len)
{
	FILE *f = fopen(path, "rb");
	if (!f || fseek(f, 0, SEEK_END) != 0)
		fail("cannot read the policy");
	*len = (size_t)ftell(f);
	rewind(f);
	uint8_t *data = malloc(*len);
	if (!data || fread(data, 1, *len, f) != *len)
		fail("cannot read the policy");
	(void)fclose(f);
	return data;
}

static void print_row(const char *name, uint64_t *ours, uint64_t *theirs, unsigned rounds,
                      double unit)
{
	figures_sort(ours, rounds);
	(void)printf("%-34s %10.2f %10.2f", name, (double)ours[0] / unit,
	             (double)ours[rounds / 2] / unit);
	if (theirs) {
		figures_sort(theirs, rounds);
		(void)printf(" %10.2f %10.2f %8.1f", (double)theirs[0] / unit,
		             (double)theirs[rounds / 2] / unit,
		             (double)theirs[rounds / 2] / (double)ours[rounds / 2]);
	}
	(void)printf("\n");
}

/* -- loading -- */

static void bench_load(const uint8_t *data, size_t len, unsigned rounds)
{
	uint64_t *ours = calloc(rounds, sizeof(*ours)), *theirs = calloc(rounds, sizeof(*theirs));
	struct count count = {0};
	const struct policy_mem mem = {count_alloc, count_free, &count};
	size_t resident = 0;
	if (!ours || !theirs)
		fail("no memory");
	for (unsigned r = 0; r < rounds; r++) {
		uint64_t begin = figures_cpu_ns();
		if (policydb_load(&mem, data, len, &db, NULL) != POLICY_OK)
			fail("the policy is not read");
		ours[r] = figures_cpu_ns() - begin;
		resident = count.now;
		policydb_free(db);
		theirs[r] = policy_sepol_load_ns(data, len);
	}
	print_row("load, ms of CPU", ours, policy_sepol_present() ? theirs : NULL, rounds, 1e6);
	(void)printf("%-34s %10.2f\n%-34s %10.2f\n", "memory held : file",
	             (double)resident / (double)len, "memory at most, loading : file",
	             (double)count.peak / (double)len);
	free(ours);
	free(theirs);
}

/* -- questions -- */

static bool has_attribute(uint32_t type, uint32_t attr)
{
	for (uint32_t i = db->attr_first[type]; i < db->attr_first[type + 1]; i++)
		if (db->attr[i] == attr)
			return true;
	return false;
}

static uint32_t random_type(uint32_t attr)
{
	for (unsigned tries = 0; tries < 20000; tries++) {
		uint32_t t = 1 + rnd(db->types.nprim);
		if (db->types.name[t] && !db->type_datum[t].attribute &&
		    (!attr || has_attribute(t, attr)))
			return t;
	}
	return 0;
}

static void set_context(struct context *c, char *text, size_t size, uint32_t type)
{
	(void)snprintf(text, size, "%s:object_r:%s%s%s", symtab_name(&db->users, 1),
	               symtab_name(&db->types, type), db->mls ? ":" : "",
	               db->mls ? symtab_name(&db->levels, 1) : "");
	if (context_parse(db, &sets, text, strlen(text), c, NULL) != POLICY_OK)
		fail("no context for a type");
}

static void random_question(uint32_t *s, uint32_t *t, uint32_t *tclass)
{
	*s = random_type(0);
	*t = random_type(0);
	do
		*tclass = 1 + rnd(db->classes.nprim);
	while (!db->classes.name[*tclass]);
}

static void question_of_a_rule(uint32_t *s, uint32_t *t, uint32_t *tclass)
{
	do {
		uint32_t source = 1 + rnd(db->types.nprim);
		uint32_t groups = db->te.source[source + 1] - db->te.source[source];
		*s = *t = 0;
		if (!groups)
			continue;
		const struct te_group *g = &db->te.group[db->te.source[source] + rnd(groups)];
		const struct te_rule *r = &db->te.rule[g->first + rnd(g[1].first - g->first)];
		*tclass = g->tclass;
		*s = random_type(source);
		*t = random_type(r->target);
	} while (!*s || !*t);
}

static void make_pairs(void (*question)(uint32_t *, uint32_t *, uint32_t *))
{
	for (unsigned i = 0; i < PAIRS; i++) {
		struct pair *p = &pairs[i];
		uint32_t s, t;
		question(&s, &t, &p->tclass);
		set_context(&p->source, p->source_text, sizeof(p->source_text), s);
		set_context(&p->target, p->target_text, sizeof(p->target_text), t);
		p->sids[0] = policy_sepol_sid(p->source_text);
		p->sids[1] = policy_sepol_sid(p->target_text);
	}
}

/* -- computed -- */

static uint64_t our_round(void)
{
	uint64_t begin = figures_now_ns();
	for (unsigned i = 0; i < PAIRS; i++) {
		struct av_decision avd;
		te_compute_av(db, &pairs[i].source, &pairs[i].target, pairs[i].tclass, &avd);
		pairs[i].allowed = avd.allowed;
	}
	return (figures_now_ns() - begin) * 1000 / PAIRS;
}

static uint64_t their_round(void)
{
	uint32_t allowed[PAIRS];
	uint64_t begin = figures_now_ns();
	for (unsigned i = 0; i < PAIRS; i++)
		allowed[i] = policy_sepol_av(pairs[i].sids[0], pairs[i].sids[1], pairs[i].tclass);
	uint64_t ps = (figures_now_ns() - begin) * 1000 / PAIRS;
	for (unsigned i = 0; i < PAIRS; i++)
		if (policy_sepol_present() && allowed[i] != pairs[i].allowed)
			fail("the two decide differently");
	return ps;
}

static void bench_computed(const char *name, unsigned rounds)
{
	uint64_t *ours = calloc(rounds, sizeof(*ours)), *theirs = calloc(rounds, sizeof(*theirs));
	if (!ours || !theirs)
		fail("no memory");
	for (unsigned r = 0; r < rounds; r++) {
		ours[r] = our_round();
		theirs[r] = their_round();
	}
	print_row(name, ours, policy_sepol_present() ? theirs : NULL, rounds, 1e3);
	free(ours);
	free(theirs);
}

/* -- from the cache -- */

#define CHECKS 200000u

static void bench_cached(const uint8_t *data, size_t len, unsigned rounds, unsigned different)
{
	const struct policy_config config = {.mem = &policy_hosted_mem};
	struct policy *p;
	struct policy_subject subject[PAIRS];
	policy_label_t object[PAIRS];
	char name[64];
	uint64_t *ns = calloc(rounds, sizeof(*ns));
	if (!ns || policy_create(&config, &p) != POLICY_OK ||
	    policy_load(p, data, len, NULL) != POLICY_OK)
		fail("the policy is not loaded");
	policy_set_mode(p, POLICY_ENFORCING);
	for (unsigned i = 0; i < different; i++) {
		policy_sid_t a, b;
		policy_label_t l;
		if (policy_sid(p, pairs[i].source_text, strlen(pairs[i].source_text), &a, NULL) ||
		    policy_sid(p, pairs[i].target_text, strlen(pairs[i].target_text), &b, NULL) ||
		    policy_label(p, a, "", &l) || policy_label(p, b, "", &object[i]))
			fail("no label");
		policy_subject_init(p, &subject[i], l, i);
	}
	/* A class that the policy lacks and allows, or a denial: what is measured is the way there.
	 */
	volatile unsigned allowed = 0;
	for (unsigned r = 0; r < rounds; r++) {
		uint64_t begin = figures_now_ns();
		for (unsigned i = 0; i < CHECKS; i++) {
			unsigned k = i & (different - 1);
			allowed += policy_allows(p, &subject[k], object[k], POLICY_CLASS_COMMAND,
			                         COMMAND_RUN) == POLICY_OK;
		}
		ns[r] = (figures_now_ns() - begin) * 1000 / CHECKS;
	}
	(void)snprintf(name, sizeof(name), "from the cache, %u pairs, ns", different);
	print_row(name, ns, NULL, rounds, 1e3);
	(void)allowed;
	policy_destroy(p);
	free(ns);
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 30;
	size_t len;
	/* Freed memory is kept: the host's page faults are not what is measured, on either side. */
	(void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
	(void)mallopt(M_MMAP_THRESHOLD, 1 << 30);
	if (argc < 2 || rounds == 0) {
		(void)fprintf(stderr, "usage: %s POLICY [ROUNDS]\n", argv[0]);
		return EXIT_FAILURE;
	}
	uint8_t *data = slurp(argv[1], &len);
	(void)printf("%-34s %10s %10s %10s %10s %8s\n", "", "ours", "median", "libsepol", "median",
	             "ratio");
	bench_load(data, len, rounds);
	if (policydb_load(&policy_hosted_mem, data, len, &db, NULL) != POLICY_OK)
		fail("the policy is not read");
	arena_init(&sets, &policy_hosted_mem, SIZE_MAX);
	(void)policy_sepol_load_ns(data, len);
	make_pairs(random_question);
	bench_computed("computed, random types, ns", rounds);
	make_pairs(question_of_a_rule);
	bench_computed("computed, with a rule, ns", rounds);
	bench_cached(data, len, rounds, 1);
	bench_cached(data, len, rounds, PAIRS);
	arena_fini(&sets);
	policydb_free(db);
	free(data);
	return EXIT_SUCCESS;
}
