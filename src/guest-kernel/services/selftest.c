/* See selftest.h. A test returns NULL, or what is wrong. */
#include "guest-kernel/services/selftest.h"

#include <string.h>

#include "guest-kernel/core/msg.h"

#define BLOCKS       64u
#define ROUNDS       500u
#define STAMP_STEP   256u
#define HEAP_BYTES   20000u
#define TIMERS       16u
#define TIMER_SPREAD (20 * NS_PER_MS)
#define LATE         NS_PER_S
#define MESSAGES     500u
#define PATIENCE     (5 * NS_PER_S)

struct block {
	uint8_t *data;
	size_t len;
	uint8_t seed;
};

static uint32_t random32(struct system *s)
{
	uint32_t value;
	entropy_get(&s->devices.entropy, &value, sizeof(value));
	return value;
}

/* A block is stamped at its ends and every STAMP_STEP bytes between, not filled: a guest at CPL 0
 * of a pagetable-based host runs a few million instructions a second. */
static size_t next_stamp(const struct block *b, size_t i)
{
	return i + STAMP_STEP < b->len || i + 1 == b->len ? i + STAMP_STEP : b->len - 1;
}

static void fill(struct block *b)
{
	for (size_t i = 0; i < b->len; i = next_stamp(b, i))
		b->data[i] = (uint8_t)(i * 31 + b->seed);
}

static bool filled(const struct block *b)
{
	for (size_t i = 0; i < b->len; i = next_stamp(b, i)) {
		if (b->data[i] != (uint8_t)(i * 31 + b->seed))
			return false;
	}
	return true;
}

/* One step of random use: a block is taken, or checked and given back. */
static const char *step(struct system *s, struct block *b, bool pages)
{
	if (b->data) {
		bool good = filled(b);
		if (pages)
			mem_pages_free(b->data);
		else
			mem_free(b->data);
		b->data = NULL;
		return good ? NULL : "a block was written by somebody else";
	}
	uint32_t r = random32(s);
	b->len = pages ? (r % 16 + 1) * ARCH_PAGE_SIZE : r % HEAP_BYTES + 1;
	b->seed = (uint8_t)(r >> 24);
	b->data = pages ? mem_pages(b->len / ARCH_PAGE_SIZE) : mem_alloc_raw(b->len);
	if (!b->data)
		return "memory is out";
	fill(b);
	return NULL;
}

static const char *use_memory(struct system *s, bool pages)
{
	struct block *blocks = mem_alloc(BLOCKS * sizeof(*blocks));
	const char *wrong = blocks ? NULL : "memory is out";
	for (unsigned i = 0; !wrong && i < ROUNDS; i++)
		wrong = step(s, &blocks[random32(s) % BLOCKS], pages);
	for (unsigned i = 0; blocks && i < BLOCKS; i++) {
		const char *last = blocks[i].data ? step(s, &blocks[i], pages) : NULL;
		wrong = wrong ? wrong : last;
	}
	mem_free(blocks);
	return wrong;
}

static const char *test_frames(struct system *s)
{
	return use_memory(s, true);
}

static const char *test_heap(struct system *s)
{
	return use_memory(s, false);
}

/* ---- timers ---- */

struct alarm {
	struct timer timer;
	uint64_t due_ns, fired_ns;
	struct task *waiter;
};

static uint64_t on_alarm(struct timer *t)
{
	struct alarm *a = (struct alarm *)t;
	__atomic_store_n(&a->fired_ns, arch_now_ns(), __ATOMIC_RELEASE);
	task_wake(a->waiter);
	return 0;
}

static const char *wait_for(struct alarm *a)
{
	uint64_t until = a->due_ns + LATE;
	while (!__atomic_load_n(&a->fired_ns, __ATOMIC_ACQUIRE)) {
		if (!task_park(until) && arch_now_ns() >= until)
			return "one has not fired, a second after it was due";
	}
	return a->fired_ns < a->due_ns ? "one has fired before it was due" : NULL;
}

static const char *test_timers(struct system *s)
{
	struct alarm *alarms = mem_alloc(TIMERS * sizeof(*alarms));
	const char *wrong = alarms ? NULL : "memory is out";
	for (unsigned i = 0; alarms && i < TIMERS; i++) {
		struct alarm *a = &alarms[i];
		a->waiter = task_current();
		a->due_ns = arch_now_ns() + random32(s) % TIMER_SPREAD;
		timer_init(&a->timer, on_alarm);
		timer_start(&a->timer, a->due_ns);
	}
	for (unsigned i = 0; alarms && i < TIMERS; i++) {
		const char *w = wait_for(&alarms[i]);
		(void)timer_stop(&alarms[i].timer);
		wrong = wrong ? wrong : w;
	}
	mem_free(alarms);
	return wrong;
}

/* ---- tasks ---- */

struct crew {
	uint32_t all, seen; /* CPUs; seen is atomic */
	uint64_t until_ns;
};

static void work(void *arg)
{
	struct crew *c = arg;
	uint32_t seen = 0;
	while (seen != c->all && arch_now_ns() < c->until_ns) {
		uint32_t here = 1u << this_cpu()->index;
		seen = here | __atomic_fetch_or(&c->seen, here, __ATOMIC_RELAXED);
	}
}

/* As many tasks as CPUs, none of which sleeps: soon each CPU has one. */
static const char *test_cpus(struct system *s)
{
	unsigned cpus = __atomic_load_n(&s->kernel->cpus_online, __ATOMIC_RELAXED), started = 0;
	struct crew crew = {.until_ns = arch_now_ns() + PATIENCE};
	struct task *tasks[ARCH_CPUS_MAX];
	for (unsigned i = 0; i < ARCH_CPUS_MAX; i++)
		crew.all |= s->kernel->cpus[i] ? 1u << i : 0;
	for (; started < cpus; started++) {
		tasks[started] = task_start("selftest", PRIO_DEFAULT, work, &crew);
		if (!tasks[started])
			break;
	}
	for (unsigned i = 0; i < started; i++)
		task_join(tasks[i]);
	if (started < cpus)
		return "a task does not start";
	return crew.seen == crew.all ? NULL : "a CPU runs no task";
}

/* ---- messages ---- */

struct talk {
	struct mailbox *there, *back;
};

static void answer(void *arg)
{
	const struct talk *t = arg;
	struct msg m;
	while (msg_receive(t->there, MSG_ANYONE, &m, FOREVER)) {
		m.data[0]++;
		if (!msg_send(t->back, &m, FOREVER))
			return;
	}
}

static const char *talk(const struct talk *t)
{
	for (unsigned i = 0; i < MESSAGES; i++) {
		struct msg m = {.type = (uint16_t)i, .len_bytes = 1, .data = {(uint8_t)i}};
		uint64_t until = arch_now_ns() + PATIENCE;
		if (!msg_send(t->there, &m, until) || !msg_receive(t->back, MSG_ANYONE, &m, until))
			return "there is no answer";
		if (m.type != i || m.data[0] != (uint8_t)(i + 1))
			return "the answer is not to what was asked";
	}
	return NULL;
}

static const char *test_messages(struct system *s)
{
	(void)s;
	struct talk t = {mailbox_create(2), mailbox_create(2)};
	struct task *other =
	        t.there && t.back ? task_start("selftest", PRIO_DEFAULT, answer, &t) : NULL;
	const char *wrong = other ? talk(&t) : "memory is out, or the policy forbids it";
	if (t.there)
		mailbox_close(t.there);
	if (t.back)
		mailbox_close(t.back);
	if (other)
		task_join(other);
	if (t.there)
		mailbox_destroy(t.there);
	if (t.back)
		mailbox_destroy(t.back);
	return wrong;
}

/* ---- interrupts ---- */

static const char *test_interrupts(struct system *s)
{
	struct entropy *e = &s->devices.entropy;
	if (!e->device)
		return NULL; /* nothing here that interrupts at will */
	uint64_t before = counter_read(&e->dev.interrupts);
	entropy_reseed(e);
	return counter_read(&e->dev.interrupts) > before
	               ? NULL
	               : "the entropy source has answered without one";
}

/* ---- stacks ---- */

static const char *test_stacks(struct system *s)
{
	(void)s;
	return arch_stacks_guarded() ? NULL : "there is memory below a stack";
}

static const struct {
	const char *name;
	const char *(*run)(struct system *s);
} tests[] = {
        {"frames", test_frames}, {"heap", test_heap},         {"timers", test_timers},
        {"cpus", test_cpus},     {"messages", test_messages}, {"interrupts", test_interrupts},
        {"stacks", test_stacks},
};

unsigned selftest_run(struct system *s, void (*say)(void *ctx, const char *name, const char *wrong),
                      void *ctx)
{
	unsigned failed = 0;
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		const char *wrong = tests[i].run(s);
		say(ctx, tests[i].name, wrong);
		failed += wrong != NULL;
	}
	return failed;
}
