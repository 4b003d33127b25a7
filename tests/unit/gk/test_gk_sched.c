/*
 * The scheduler under random load, against a model of what it promises: each wake-up is taken once,
 * whoever is more urgent runs, and those of one priority share.
 */
#include "gk_rig.h"

#define DANCERS     12u
#define PARKS       100u /* of each dancer: as many wake-ups */
#define LATE_NS     (5 * NS_PER_US)
#define WORK_MAX_NS (6 * NS_PER_MS)
#define PATIENCE_NS (100 * NS_PER_S)

/*
 * A dancer's door: who waits opens it; who wakes it shuts it first, so that each opening has one
 * wake-up. In the low two bits; above is the number of the opening.
 */
enum door { DOOR_CLOSED, DOOR_OPEN, DOOR_GIVEN, DOOR_DELIVERED };

static struct dancer {
	struct task *task;
	uint32_t door;
	uint32_t given, taken;
	unsigned prio;
	uint64_t runnable_ns; /* since then, or from then on; FOREVER: it waits to be woken */
	uint64_t prio_ns;     /* when its priority was last changed */
	uint64_t seed;
} dancers[DANCERS];

static struct dance {
	unsigned done; /* dancers that have ended */
	bool ordered;  /* one CPU and its clock: the order of running is checked */
	uint64_t checks;
	struct timer timer;
	uint64_t timer_seed;
} dance;

static void set_door(struct dancer *d, uint32_t door)
{
	__atomic_store_n(&d->door, door, __ATOMIC_SEQ_CST);
}

static bool move_door(struct dancer *d, uint32_t from, uint32_t to)
{
	return __atomic_compare_exchange_n(&d->door, &from, to, false, __ATOMIC_SEQ_CST,
	                                   __ATOMIC_SEQ_CST);
}

static uint32_t door_of(const struct dancer *d)
{
	return __atomic_load_n(&d->door, __ATOMIC_SEQ_CST);
}

static void set_runnable(struct dancer *d, uint64_t since_ns)
{
	__atomic_store_n(&d->runnable_ns, since_ns, __ATOMIC_RELAXED);
}

/* Nothing comes between the model's step and the kernel's on one CPU: interrupts are off. */
static void give(struct dancer *d)
{
	unsigned long flags = arch_irq_save();
	uint32_t door = door_of(d);
	/* From the open door to the wake-up the dancer cannot end. */
	if (door % 4 == DOOR_OPEN && move_door(d, door, door + 1)) {
		(void)__atomic_add_fetch(&d->given, 1, __ATOMIC_RELAXED);
		if (dance.ordered && d->runnable_ns > arch_now_ns())
			set_runnable(d, arch_now_ns());
		task_wake(d->task);
		(void)move_door(d, door + 1, door + 2);
	}
	arch_irq_restore(flags);
	task_preempt_point();
}

static struct dancer *any(uint64_t *seed)
{
	return &dancers[rig_random(seed) % DANCERS];
}

static uint64_t later_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* ME runs: nobody who is more urgent may have been kept from it. */
static void check_order(const struct dancer *me)
{
	unsigned long flags = arch_irq_save();
	uint64_t now = arch_now_ns();
	for (unsigned i = 0; dance.ordered && i < DANCERS; i++) {
		const struct dancer *d = &dancers[i];
		uint64_t since = later_of(d->runnable_ns, later_of(d->prio_ns, me->prio_ns));
		if (d->prio >= me->prio)
			continue;
		dance.checks++;
		if (since >= now)
			continue;
		ck_assert_msg(now - since <= LATE_NS,
		              "dancer %u of priority %u has waited %lu ns for one of %u", i,
		              d->prio, (unsigned long)(now - since), me->prio);
	}
	arch_irq_restore(flags);
}

static void work(struct dancer *me)
{
	uint64_t until = arch_now_ns() + rig_random(&me->seed) % WORK_MAX_NS;
	unsigned steps = dance.ordered ? UINT32_MAX : 50;
	for (unsigned i = 0; i < steps && arch_now_ns() < until; i++) {
		for (unsigned n = 0; n < 16; n++)
			arch_irq_restore(arch_irq_save()); /* an interrupt may come */
		check_order(me);
	}
}

static void change_prio(struct dancer *d, unsigned prio)
{
	unsigned long flags = arch_irq_save();
	if (!d->task) {
		arch_irq_restore(flags); /* not on the floor yet */
		return;
	}
	d->prio = prio;
	d->prio_ns = arch_now_ns();
	ck_assert(task_set_prio(d->task, prio));
	arch_irq_restore(flags);
	task_preempt_point();
}

/* A park without a time-out returns for a wake-up, and for nothing else. */
static void park(struct dancer *me, uint32_t round)
{
	set_runnable(me, FOREVER);
	set_door(me, round * 4 + DOOR_OPEN);
	if (rig_random(&me->seed) % 2)
		task_yield(); /* more often than not somebody wakes it before it parks */
	ck_assert(task_park(FOREVER));
	set_runnable(me, arch_now_ns());
	ck_assert_uint_ge(door_of(me) % 4, DOOR_GIVEN);
	ck_assert_uint_eq(door_of(me) / 4, round);
	set_door(me, round * 4 + DOOR_CLOSED);
	me->taken++;
}

/*
 * With a time-out: true means a wake-up. Where both came, the wake-up may still be under way, or be
 * one that nobody has waited for: then the next park takes it.
 */
static void park_timed(struct dancer *me, uint32_t round)
{
	uint64_t until = arch_now_ns() + rig_random(&me->seed) % (50 * NS_PER_US);
	uint32_t open = round * 4 + DOOR_OPEN;
	set_runnable(me, until);
	set_door(me, open);
	bool woken = task_park(until);
	set_runnable(me, arch_now_ns());
	ck_assert(!woken || door_of(me) > open);
	if (!woken && move_door(me, open, round * 4 + DOOR_CLOSED))
		return;
	me->taken++;
	if (woken)
		return;
	set_runnable(me, FOREVER);
	while (door_of(me) != round * 4 + DOOR_DELIVERED)
		task_sleep(NS_PER_US);
	(void)task_park(arch_now_ns());
	set_runnable(me, arch_now_ns());
}

static void nap(struct dancer *me)
{
	uint64_t until = arch_now_ns() + rig_random(&me->seed) % (20 * NS_PER_US);
	set_runnable(me, until);
	task_sleep_until(until);
	set_runnable(me, arch_now_ns());
}

static void step(struct dancer *me)
{
	switch (rig_random(&me->seed) % 8) {
	case 0:
	case 1:
		give(any(&me->seed));
		break;
	case 2:
		task_yield();
		break;
	case 3:
		nap(me);
		break;
	case 4:
		work(me);
		break;
	case 5:
		if (dance.ordered)
			change_prio(any(&me->seed), (unsigned)(rig_random(&me->seed) % 8));
		break;
	default:
		change_prio(me, (unsigned)(rig_random(&me->seed) % 8));
		break;
	}
	check_order(me);
}

static void dancer_main(void *arg)
{
	struct dancer *me = arg;
	/* It may be quicker than its creator. */
	me->task = task_current();
	set_runnable(me, arch_now_ns());
	for (uint32_t round = 1; round <= PARKS; round++) {
		for (uint64_t n = rig_random(&me->seed) % 6; n > 0; n--)
			step(me);
		if (rig_random(&me->seed) % 4 == 0)
			park_timed(me, round);
		else
			park(me, round);
	}
	set_runnable(me, FOREVER);
	(void)__atomic_add_fetch(&dance.done, 1, __ATOMIC_RELEASE);
}

/* Wakes from an interrupt. */
static uint64_t on_timer(struct timer *t)
{
	give(any(&dance.timer_seed));
	return t->node.key + 1000 + rig_random(&dance.timer_seed) % (30 * NS_PER_US);
}

/* Goes on giving until all have had what they wait for: it never waits without a time-out. */
static void give_until_done(void)
{
	uint64_t seed = 0x2545f4914f6cdd1dull, end = arch_now_ns() + PATIENCE_NS;
	while (__atomic_load_n(&dance.done, __ATOMIC_ACQUIRE) < DANCERS) {
		for (unsigned i = 0; i < 4; i++)
			give(any(&seed));
		ck_assert_msg(arch_now_ns() < end, "a wake-up is lost");
		task_sleep(rig_random(&seed) % (100 * NS_PER_US));
	}
}

static void dance_body(void *arg)
{
	struct task *t[DANCERS];
	dance = (struct dance){.ordered = arg != NULL, .timer_seed = 362436069362436069ull};
	for (unsigned i = 0; i < DANCERS; i++) {
		dancers[i] = (struct dancer){
		        .seed = 88172645463325252ull * (i + 1),
		        .prio = i % 8,
		        .runnable_ns = FOREVER,
		};
	}
	for (unsigned i = 0; i < DANCERS; i++) {
		t[i] = task_start("dancer", i % 8, dancer_main, &dancers[i]);
		ck_assert_ptr_nonnull(t[i]);
	}
	timer_init(&dance.timer, on_timer);
	timer_start(&dance.timer, arch_now_ns() + NS_PER_US);
	give_until_done();
	(void)timer_stop(&dance.timer);
	for (unsigned i = 0; i < DANCERS; i++) {
		task_join(t[i]);
		ck_assert_uint_eq(dancers[i].given, dancers[i].taken);
		ck_assert_uint_gt(dancers[i].taken, PARKS / 2);
	}
	ck_assert(!dance.ordered || dance.checks > 100000);
}

START_TEST(wakeups_are_taken_once_and_the_urgent_run)
{
	rig_run(dance_body, (void *)1);
}
END_TEST

START_TEST(wakeups_are_taken_once_smp)
{
	rig_run_smp(4, dance_body, NULL);
}
END_TEST

/* ---- fairness ---- */

#define STEADY    4u
#define SLEEPERS  3u
#define STEERERS  4u
#define SHARE_FOR NS_PER_S

/*
 * Steady tasks never wait; sleepers of the same priority wait now and then; others, more urgent,
 * take the CPU at random. Each counts what it had of the CPU, in steps of equal length: the
 * scheduler's own accounts are not asked.
 */
static struct share {
	uint64_t until_ns;
	uint64_t steps[STEADY];
	uint64_t slice_steps; /* measured */
	uint64_t widest;      /* between steady tasks */
	unsigned wakings;
} share;

static void use_cpu(void)
{
	arch_irq_restore(arch_irq_save());
	(void)arch_now_ns();
}

static uint64_t least(const uint64_t steps[STEADY], const uint64_t since[STEADY])
{
	uint64_t min = UINT64_MAX;
	for (unsigned i = 0; i < STEADY; i++)
		min = steps[i] - since[i] < min ? steps[i] - since[i] : min;
	return min;
}

static uint64_t most(const uint64_t steps[STEADY], const uint64_t since[STEADY])
{
	uint64_t max = 0;
	for (unsigned i = 0; i < STEADY; i++)
		max = later_of(steps[i] - since[i], max);
	return max;
}

static void steady_main(void *arg)
{
	static const uint64_t start[STEADY];
	unsigned me = (unsigned)(uintptr_t)arg;
	while (arch_now_ns() < share.until_ns) {
		use_cpu();
		share.steps[me]++;
		uint64_t ahead = share.steps[me] - least(share.steps, start);
		share.widest = later_of(share.widest, ahead);
	}
}

/* From each waking on: no more than the steady ones, as though it had a credit, and no less. */
static void sleeper_main(void *arg)
{
	uint64_t seed = 0x9e3779b97f4a7c15ull * ((uintptr_t)arg + 1);
	const uint64_t slice = share.slice_steps;
	while (arch_now_ns() < share.until_ns) {
		uint64_t since[STEADY], mine = 0;
		task_sleep(rig_random(&seed) % (80 * NS_PER_MS));
		for (unsigned i = 0; i < STEADY; i++)
			since[i] = share.steps[i];
		uint64_t want = rig_random(&seed) % (4 * slice);
		for (; mine < want && arch_now_ns() < share.until_ns; mine++) {
			use_cpu();
			ck_assert_uint_le(mine, most(share.steps, since) + slice * 5 / 4);
			ck_assert_uint_le(least(share.steps, since), mine + slice * 9 / 4);
		}
		share.wakings++;
	}
}

static void steerer_main(void *arg)
{
	uint64_t seed = 88172645463325252ull * ((uintptr_t)arg + 1);
	while (arch_now_ns() < share.until_ns) {
		task_sleep(rig_random(&seed) % (20 * NS_PER_MS));
		uint64_t until = arch_now_ns() + rig_random(&seed) % (2 * NS_PER_MS);
		while (arch_now_ns() < until)
			use_cpu();
		ck_assert(task_set_prio(task_current(), (unsigned)(rig_random(&seed) % 4)));
	}
}

/* How many steps a slice has. */
static uint64_t measure_slice(void)
{
	uint64_t until = arch_now_ns() + TASK_SLICE_NS, n = 0;
	while (arch_now_ns() < until) {
		use_cpu();
		n++;
	}
	return n;
}

static void share_body(void *arg)
{
	(void)arg;
	struct task *t[STEADY + SLEEPERS + STEERERS];
	unsigned n = 0;
	ck_assert(task_set_prio(task_current(), 0));
	share = (struct share){.slice_steps = measure_slice()};
	share.until_ns = arch_now_ns() + SHARE_FOR;
	for (uintptr_t i = 0; i < STEADY; i++)
		t[n++] = task_start("steady", PRIO_DEFAULT, steady_main, (void *)i);
	for (uintptr_t i = 0; i < SLEEPERS; i++)
		t[n++] = task_start("sleeper", PRIO_DEFAULT, sleeper_main, (void *)i);
	for (uintptr_t i = 0; i < STEERERS; i++)
		t[n++] = task_start("steerer", (unsigned)i, steerer_main, (void *)i);
	for (unsigned i = 0; i < n; i++) {
		ck_assert_ptr_nonnull(t[i]);
		task_join(t[i]);
	}
	ck_assert(task_set_prio(task_current(), PRIO_DEFAULT));
	ck_assert_uint_gt(share.wakings, 20);
	/* Whoever is behind comes next, and then runs for one slice. */
	ck_assert_uint_le(share.widest, share.slice_steps * 5 / 4);
}

START_TEST(one_priority_shares_under_random_load)
{
	rig_run(share_body, NULL);
}
END_TEST

/*
 * A steady task beside one that leaves and comes back in some way: each is to have about a half.
 * Who leaves counts what it has, too.
 */
#define PART_SLICES 60u

static struct part {
	uint64_t slice_steps;
	uint64_t steady, other; /* steps */
	bool over;              /* atomic */
} part;

static void use_steps(uint64_t *count, uint64_t steps)
{
	for (uint64_t i = 0; i < steps; i++) {
		use_cpu();
		(*count)++;
	}
}

static void part_steady(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&part.over, __ATOMIC_RELAXED))
		use_steps(&part.steady, 1);
}

/* OTHER beside a steady task until the two have had PART_SLICES slices. */
static void share_with(task_fn other)
{
	ck_assert(task_set_prio(task_current(), 0));
	part = (struct part){.slice_steps = measure_slice()};
	struct task *steady = task_start("steady", PRIO_DEFAULT, part_steady, NULL);
	struct task *t = task_start("other", PRIO_DEFAULT, other, NULL);
	ck_assert_ptr_nonnull(steady);
	ck_assert_ptr_nonnull(t);
	while (part.steady + part.other < PART_SLICES * part.slice_steps)
		task_sleep(TASK_SLICE_NS);
	__atomic_store_n(&part.over, true, __ATOMIC_RELAXED);
	task_join(steady);
	task_join(t);
	ck_assert(task_set_prio(task_current(), PRIO_DEFAULT));
	uint64_t third = (part.steady + part.other) / 3;
	ck_assert_msg(part.steady >= third && part.other >= third,
	              "the steady task had %lu steps, the other %lu", (unsigned long)part.steady,
	              (unsigned long)part.other);
}

static void brief_main(void *arg)
{
	(void)arg;
	use_steps(&part.other, part.slice_steps / 4);
}

/* One brief task after the other, each a new one. */
static void starter_main(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&part.over, __ATOMIC_RELAXED)) {
		struct task *t = task_start("brief", PRIO_DEFAULT, brief_main, NULL);
		ck_assert_ptr_nonnull(t);
		task_join(t);
	}
}

static void new_tasks_body(void *arg)
{
	(void)arg;
	share_with(starter_main);
}

START_TEST(new_tasks_do_not_starve_those_that_are_there)
{
	rig_run(new_tasks_body, NULL);
}
END_TEST

/* Now and then it is lent a priority whose tasks have run for long already, and waits in its queue.
 */
static void borrower_main(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&part.over, __ATOMIC_RELAXED)) {
		task_lend_prio(task_current(), PRIO_SERVICE);
		task_yield();
		task_return_prio(task_current());
		use_steps(&part.other, part.slice_steps / 4);
	}
}

static void borrower_body(void *arg)
{
	(void)arg;
	ck_assert(task_set_prio(task_current(), PRIO_SERVICE));
	uint64_t steps = 0;
	use_steps(&steps, 2 * PART_SLICES * measure_slice());
	task_yield(); /* so far has this priority come */
	share_with(borrower_main);
}

START_TEST(a_lent_priority_costs_nothing_and_pays_nothing)
{
	rig_run(borrower_body, NULL);
}
END_TEST

/* For a time no other task could run: as where the host has taken the CPU away. */
static void stolen_main(void *arg)
{
	(void)arg;
	uint64_t lost = 0;
	unsigned long flags = arch_irq_save();
	use_steps(&lost, 2 * PART_SLICES * part.slice_steps);
	arch_irq_restore(flags);
	while (!__atomic_load_n(&part.over, __ATOMIC_RELAXED))
		use_steps(&part.other, 1);
}

static void stolen_body(void *arg)
{
	(void)arg;
	share_with(stolen_main);
}

START_TEST(time_that_the_host_took_is_not_owed)
{
	rig_run(stolen_body, NULL);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("sched");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, wakeups_are_taken_once_and_the_urgent_run);
	tcase_add_test(tc, wakeups_are_taken_once_smp);
	tcase_add_test(tc, one_priority_shares_under_random_load);
	tcase_add_test(tc, new_tasks_do_not_starve_those_that_are_there);
	tcase_add_test(tc, a_lent_priority_costs_nothing_and_pays_nothing);
	tcase_add_test(tc, time_that_the_host_took_is_not_owed);
	return suite_run("gk_sched", tc);
}
