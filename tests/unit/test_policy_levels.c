/*
 * The multilevel example, step by random step: whatever workers read, write, make, send and
 * relabel, as far as the policy allows it, no information comes to a level that does not dominate
 * the one it came from (Bell and LaPadula). Information is followed by a level of its own, which
 * the policy does not see.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "policy_rig.h"
#include "suite.h"

struct lvl {
	unsigned sens, cats;
};

struct thing {
	policy_sid_t sid;
	policy_label_t label;
	struct lvl level; /* of its context */
	struct lvl holds; /* the highest that flowed into it */
};

#define WORKERS 12
#define PAPERS  24
#define STEPS   40000

static struct rig_mem mem;
static struct rig_audit audit;
static struct policy *policy;
static struct policy_subject worker[WORKERS];
static struct thing mind[WORKERS]; /* what each worker knows */
static struct thing paper[PAPERS];
static uint64_t seed = 88172645463325252u;

static unsigned rnd(unsigned below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 11) % below;
}

static struct lvl random_level(void)
{
	struct lvl l = {.sens = rnd(4)};
	l.cats = l.sens ? rnd(16) : 0;
	return l;
}

static bool dominates(struct lvl a, struct lvl b)
{
	return a.sens >= b.sens && !(b.cats & ~a.cats);
}

static void flow(struct lvl *to, struct lvl from)
{
	to->sens = from.sens > to->sens ? from.sens : to->sens;
	to->cats |= from.cats;
}

static void print_context(char *out, size_t size, const char *role, const char *type, struct lvl l)
{
	static const char *const sens[] = {"public", "internal", "confidential", "secret"};
	static const char *const cats[] = {"finance", "staff", "research", "operations"};
	int n = snprintf(out, size, "system_u:%s:%s:%s", role, type, sens[l.sens]);
	char sign = ':';
	for (unsigned c = 0; c < 4; c++)
		if (l.cats >> c & 1) {
			n += snprintf(out + n, size - (size_t)n, "%c%s", sign, cats[c]);
			sign = ',';
		}
}

static struct thing make(const char *role, const char *type, struct lvl l, const char *name)
{
	char text[128];
	struct thing t = {.level = l};
	print_context(text, sizeof(text), role, type, l);
	t.label = rig_label(policy, text, name);
	t.sid = policy_label_sid(policy, t.label);
	return t;
}

static void begin(const char *type)
{
	rig_mem_init(&mem);
	policy = rig_policy(&mem, &audit, "multilevel.policy");
	for (unsigned i = 0; i < WORKERS; i++) {
		mind[i] = make("system_r", type, random_level(), "worker");
		mind[i].holds = mind[i].level;
		policy_subject_init(policy, &worker[i], mind[i].label, i);
	}
	for (unsigned i = 0; i < PAPERS; i++) {
		paper[i] = make("object_r", "paper_t", random_level(), "paper");
		paper[i].holds = paper[i].level;
	}
}

static void end(void)
{
	policy_destroy(policy);
	ck_assert_uint_eq(mem.now, 0);
}

static bool may(unsigned w, policy_label_t object, enum policy_class c, uint32_t perms)
{
	return policy_allows(policy, &worker[w], object, c, perms) == POLICY_OK;
}

static void use_paper(unsigned w, struct thing *p, unsigned *read, unsigned *written)
{
	if (may(w, p->label, POLICY_CLASS_FILE, FILE_READ | FILE_OPEN)) {
		flow(&mind[w].holds, p->holds);
		++*read;
	}
	if (may(w, p->label, POLICY_CLASS_FILE, FILE_WRITE)) {
		flow(&p->holds, mind[w].holds);
		++*written;
	}
}

/* A message, or memory that is shared: its queue has the level of the receiver. */
static void send(unsigned from, unsigned to, enum policy_class c, uint32_t write, uint32_t read)
{
	if (may(from, mind[to].label, c, write) && may(to, mind[to].label, c, read))
		flow(&mind[to].holds, mind[from].holds);
	/* And the other way: a queue at the sender's level that the receiver reads. */
	if (may(from, mind[from].label, c, write) && may(to, mind[from].label, c, read))
		flow(&mind[to].holds, mind[from].holds);
}

static void relabel(unsigned w, struct thing *p, unsigned *done)
{
	struct thing other = make("object_r", "paper_t", random_level(), "paper");
	if (may(w, p->label, POLICY_CLASS_FILE, FILE_SETATTR) &&
	    policy_validate_transition(policy, p->sid, other.sid, mind[w].sid, POLICY_CLASS_FILE,
	                               NULL) == POLICY_OK) {
		policy_label_put(policy, p->label);
		other.holds = p->holds;
		*p = other;
		++*done;
	} else {
		policy_label_put(policy, other.label);
	}
}

/* Papers only rise when they are relabelled: new ones, low ones among them, take their places. */
static void replace(struct thing *p)
{
	policy_label_put(policy, p->label);
	*p = make("object_r", "paper_t", random_level(), "paper");
	p->holds = p->level;
}

/* Bytes go both ways over a connection, so both must be allowed to connect. */
static void connect_workers(unsigned a, unsigned b, unsigned *done)
{
	const uint32_t both = SOCKET_READ | SOCKET_WRITE;
	if (may(a, mind[b].label, POLICY_CLASS_TCP_SOCKET, both) &&
	    may(b, mind[a].label, POLICY_CLASS_TCP_SOCKET, both)) {
		flow(&mind[a].holds, mind[b].holds);
		flow(&mind[b].holds, mind[a].holds);
		++*done;
	}
}

static unsigned violations(void)
{
	unsigned found = 0;
	for (unsigned i = 0; i < WORKERS; i++)
		found += !dominates(mind[i].level, mind[i].holds);
	for (unsigned i = 0; i < PAPERS; i++)
		found += !dominates(paper[i].level, paper[i].holds);
	return found;
}

struct done {
	unsigned read, written, relabelled, connected;
};

static void steps(unsigned count, struct done *d, bool stop)
{
	for (unsigned i = 0; i < count; i++) {
		unsigned w = rnd(WORKERS), v = rnd(WORKERS);
		use_paper(w, &paper[rnd(PAPERS)], &d->read, &d->written);
		send(w, v, POLICY_CLASS_MSGQ, IPC_WRITE, IPC_READ);
		send(w, v, POLICY_CLASS_SHM, IPC_WRITE, IPC_READ);
		connect_workers(w, v, &d->connected);
		if (i % 16 == 0)
			replace(&paper[rnd(PAPERS)]);
		if (i % 32 == 8)
			relabel(w, &paper[rnd(PAPERS)], &d->relabelled);
		if (stop)
			ck_assert_uint_eq(violations(), 0);
	}
}

START_TEST(nothing_flows_down)
{
	struct done d = {0};
	begin("worker_t");
	steps(STEPS, &d, true);
	/* The steps were not all denied. */
	ck_assert_uint_gt(d.read, STEPS / 20);
	ck_assert_uint_gt(d.written, STEPS / 20);
	ck_assert_uint_gt(d.relabelled, 100);
	ck_assert_uint_gt(d.connected, STEPS / 100);
	end();
}
END_TEST

/* The same steps by trusted subjects do move information down: the test would see it. */
START_TEST(trusted_subjects_may_take_it_down)
{
	struct done d = {0};
	begin("guard_t");
	steps(2000, &d, false);
	ck_assert_uint_gt(violations(), 0);
	end();
}
END_TEST

START_TEST(all_pairs_of_levels)
{
	unsigned checked = 0;
	begin("worker_t");
	for (unsigned a = 0; a < 64; a++)
		for (unsigned b = 0; b < 64; b++) {
			struct lvl x = {a / 16, a % 16}, y = {b / 16, b % 16};
			if ((!x.sens && x.cats) || (!y.sens && y.cats))
				continue;
			struct thing s = make("system_r", "worker_t", x, "worker");
			struct thing o = make("object_r", "paper_t", y, "paper");
			struct policy_subject subject;
			policy_subject_init(policy, &subject, s.label, 1);
			bool read = policy_allows(policy, &subject, o.label, POLICY_CLASS_FILE,
			                          FILE_READ) == POLICY_OK;
			bool write = policy_allows(policy, &subject, o.label, POLICY_CLASS_FILE,
			                           FILE_WRITE) == POLICY_OK;
			ck_assert_int_eq(read, dominates(x, y));
			ck_assert_int_eq(write, dominates(y, x));
			policy_label_put(policy, s.label);
			policy_label_put(policy, o.label);
			checked++;
		}
	ck_assert_uint_eq(checked, 49 * 49);
	end();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("levels");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, nothing_flows_down);
	tcase_add_test(tc, trusted_subjects_may_take_it_down);
	tcase_add_test(tc, all_pairs_of_levels);
	return suite_run("levels", tc);
}
