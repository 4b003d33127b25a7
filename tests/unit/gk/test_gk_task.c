/* Tasks, the scheduler and timers. */
#include "gk_rig.h"

#define MARKS_MAX 64u

static char marks[MARKS_MAX];
static unsigned mark_count;

static void mark(char c)
{
	ck_assert_uint_lt(mark_count + 1, MARKS_MAX);
	marks[mark_count++] = c;
	marks[mark_count] = '\0';
}

static void mark_arg(void *arg)
{
	mark((char)(uintptr_t)arg);
}

static struct task *start(const char *name, unsigned prio, task_fn fn, void *arg)
{
	struct task *t = task_start(name, prio, fn, arg);
	ck_assert_ptr_nonnull(t);
	return t;
}

static void order_body(void *arg)
{
	(void)arg;
	struct task *t[4] = {
	        start("low", 6, mark_arg, (void *)'l'),
	        start("same", PRIO_DEFAULT, mark_arg, (void *)'s'),
	        start("high", 1, mark_arg, (void *)'h'),
	        start("higher", 0, mark_arg, (void *)'H'),
	};
	mark('m');
	for (unsigned i = 0; i < 4; i++)
		task_join(t[i]);
}

/* The more urgent preempt at once; of the same priority, 'same' is new and comes behind this task.
 */
START_TEST(the_most_urgent_task_runs)
{
	rig_run(order_body, NULL);
	ck_assert_str_eq(marks, "hHmsl");
}
END_TEST

struct spinner {
	uint64_t until_ns, ran_ns;
};

static void spin(void *arg)
{
	struct spinner *s = arg;
	while (arch_now_ns() < s->until_ns)
		arch_irq_restore(arch_irq_save());
	s->ran_ns = task_current()->ran_ns;
}

static void fair_body(void *arg)
{
	(void)arg;
	static struct spinner s[3];
	struct task *t[3];
	for (unsigned i = 0; i < 3; i++) {
		s[i].until_ns = arch_now_ns() + 600 * NS_PER_MS;
		t[i] = start("spin", PRIO_DEFAULT, spin, &s[i]);
	}
	for (unsigned i = 0; i < 3; i++)
		task_join(t[i]);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_gt(s[i].ran_ns, 190 * NS_PER_MS);
		ck_assert_uint_lt(s[i].ran_ns, 210 * NS_PER_MS);
	}
}

START_TEST(time_is_shared_fairly)
{
	rig_run(fair_body, NULL);
}
END_TEST

static void sleeper(void *arg)
{
	char c = (char)(uintptr_t)arg;
	uint64_t began = arch_now_ns();
	task_sleep((uint64_t)(c - 'a' + 1) * 10 * NS_PER_MS);
	ck_assert_uint_ge(arch_now_ns() - began, (uint64_t)(c - 'a' + 1) * 10 * NS_PER_MS);
	mark(c);
}

static void sleep_body(void *arg)
{
	(void)arg;
	struct task *t[4];
	static const char order[] = "cadb";
	for (unsigned i = 0; i < 4; i++)
		t[i] = start("sleep", PRIO_DEFAULT, sleeper, (void *)(uintptr_t)order[i]);
	for (unsigned i = 0; i < 4; i++)
		task_join(t[i]);
}

START_TEST(sleepers_wake_in_time)
{
	rig_run(sleep_body, NULL);
	ck_assert_str_eq(marks, "abcd");
}
END_TEST

static void preempted(void *arg)
{
	volatile bool *flag = arg;
	mark('w');
	while (!*flag)
		arch_irq_restore(arch_irq_save());
	mark('x');
}

static uint64_t wake_main(struct timer *t);

static struct {
	struct timer timer;
	struct task *task;
} waker;

static uint64_t wake_main(struct timer *t)
{
	(void)t;
	task_wake(waker.task);
	return 0;
}

/* A task that never gives way is preempted by a more urgent one that a timer wakes. */
static void preempt_body(void *arg)
{
	(void)arg;
	static volatile bool flag;
	task_set_prio(task_current(), 2);
	struct task *t = start("hog", 5, preempted, (void *)&flag);
	waker.task = task_current();
	timer_init(&waker.timer, wake_main);
	timer_start(&waker.timer, arch_now_ns() + 20 * NS_PER_MS);
	ck_assert(task_park(FOREVER));
	mark('m');
	flag = true;
	task_join(t);
	task_set_prio(task_current(), PRIO_DEFAULT);
}

START_TEST(a_woken_task_preempts)
{
	rig_run(preempt_body, NULL);
	ck_assert_str_eq(marks, "wmx");
}
END_TEST

static void park_body(void *arg)
{
	(void)arg;
	/* A wake-up from before is not lost, and counts once. */
	task_wake(task_current());
	ck_assert(task_park(FOREVER));
	uint64_t began = arch_now_ns();
	ck_assert(!task_park(began + NS_PER_MS));
	ck_assert_uint_ge(arch_now_ns(), began + NS_PER_MS);
}

START_TEST(parking_times_out)
{
	rig_run(park_body, NULL);
}
END_TEST

static unsigned ticks;

static uint64_t tick(struct timer *t)
{
	ticks++;
	return t->node.key + NS_PER_MS;
}

static uint64_t once(struct timer *t)
{
	(void)t;
	mark('o');
	return 0;
}

static void timer_body(void *arg)
{
	(void)arg;
	static struct timer periodic, single, stopped;
	timer_init(&periodic, tick);
	timer_init(&single, once);
	timer_init(&stopped, once);
	uint64_t now = arch_now_ns();
	timer_start(&periodic, now + NS_PER_MS);
	timer_start(&single, now + 5 * NS_PER_MS);
	timer_start(&single, now + 7 * NS_PER_MS); /* moved, not doubled */
	timer_start(&stopped, now + 6 * NS_PER_MS);
	ck_assert(timer_stop(&stopped));
	ck_assert(!timer_stop(&stopped));
	task_sleep_until(now + 20 * NS_PER_MS + NS_PER_MS / 2);
	ck_assert(timer_stop(&periodic));
	ck_assert(!timer_stop(&single));
	unsigned seen = ticks;
	ck_assert_uint_eq(seen, 20);
	task_sleep(5 * NS_PER_MS);
	ck_assert_uint_eq(ticks, seen);
}

START_TEST(timers_fire_move_and_stop)
{
	rig_run(timer_body, NULL);
	ck_assert_str_eq(marks, "o");
}
END_TEST

static void nothing(void *arg)
{
	(void)arg;
}

static void churn_body(void *arg)
{
	(void)arg;
	struct kernel *k = kernel_of_cpu();
	for (unsigned round = 0; round < 200; round++) {
		struct task *t[8];
		for (unsigned i = 0; i < 8; i++)
			t[i] = start("brief", i, nothing, NULL);
		for (unsigned i = 0; i < 8; i++)
			task_join(t[i]);
	}
	ck_assert_uint_lt(k->sched.slots_made, 32);
}

START_TEST(stacks_and_tasks_are_used_again)
{
	rig_run(churn_body, NULL);
}
END_TEST

START_TEST(stacks_and_tasks_are_used_again_smp)
{
	rig_run_smp(4, churn_body, NULL);
}
END_TEST

static void deadlock_body(void *arg)
{
	(void)arg;
	(void)task_park(FOREVER);
}

START_TEST(a_deadlock_is_told)
{
	rig_run_to(HOSTED_DEADLOCK, deadlock_body, NULL);
}
END_TEST

static void panic_body(void *arg)
{
	(void)arg;
	panic("as %s", "asked");
}

START_TEST(a_panic_ends_with_its_status)
{
	rig_run_to(GK_STATUS_PANIC, panic_body, NULL);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("task");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, the_most_urgent_task_runs);
	tcase_add_test(tc, time_is_shared_fairly);
	tcase_add_test(tc, sleepers_wake_in_time);
	tcase_add_test(tc, a_woken_task_preempts);
	tcase_add_test(tc, parking_times_out);
	tcase_add_test(tc, timers_fire_move_and_stop);
	tcase_add_test(tc, stacks_and_tasks_are_used_again);
	tcase_add_test(tc, stacks_and_tasks_are_used_again_smp);
	tcase_add_test(tc, a_deadlock_is_told);
	tcase_add_test(tc, a_panic_ends_with_its_status);
	return suite_run("gk_task", tc);
}
