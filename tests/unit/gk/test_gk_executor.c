/* Work queues and the executor: by themselves, and woken by a device's interrupts. */
#include <pthread.h>
#include <unistd.h>

#include "gk_rig.h"
#include "guest-kernel/core/executor.h"

/* ---- work queue ---- */

#define WORKS 50u
#define AGAIN 120u /* times that a running work adds itself */

static struct workq works_queue;
static struct work works[WORKS];
static unsigned worked, again;

static void do_work(struct work *w)
{
	ck_assert_ptr_eq(w, &works[worked % WORKS]);
	worked++;
	if (again > 0) {
		again--;
		ck_assert(workq_add(&works_queue, w));
		ck_assert(!workq_add(&works_queue, w));
	}
}

static void work_body(void *arg)
{
	(void)arg;
	struct workq *q = &works_queue;
	again = AGAIN;
	ck_assert(workq_start(q, "test", 5));
	for (unsigned i = 0; i < WORKS; i++) {
		work_init(&works[i], do_work);
		ck_assert(workq_add(q, &works[i]));
	}
	ck_assert(!workq_add(q, &works[WORKS - 1]));
	workq_stop(q);
	ck_assert_uint_eq(again, 0);
	ck_assert_uint_eq(worked, WORKS + AGAIN);
	ck_assert_uint_eq(q->done, WORKS + AGAIN);
}

/* In turn, those that add themselves while they run as well: at the end, not at once. */
START_TEST(work_is_done_in_order)
{
	rig_run(work_body, NULL);
}
END_TEST

/* ---- work queue and executor, with a device ---- */

#define CHANNELS      200u
#define ANSWERS       8u /* that each channel asks for */
#define DEVICE_GSI    5u
#define DEVICE_MAX_NS (40 * NS_PER_US)
#define PATIENCE_NS   NS_PER_S

/*
 * A device of many channels with one interrupt line: it answers each request after a time of its
 * own. A thread of the host or a timer of the kernel plays it, and raises the line.
 */
static struct device {
	struct hosted *machine;
	uint64_t asked[CHANNELS / 64 + 1], answered[CHANNELS / 64 + 1]; /* bits, atomic */
	uint64_t interrupts, seed;
	struct timer timer;
	struct work work; /* of the interrupt, where a work queue takes the answers */
	bool by_work, by_thread;
	bool over; /* atomic: the thread may end */
} device;

static struct channel {
	struct job job;
	unsigned asked, answers;
	bool pending; /* a request is under way */
	bool ready;   /* its answer is there, atomic */
} channels[CHANNELS];
static unsigned channels_done;
static void *channel_stack; /* of the only worker, where there is one */

/* What has been asked for is answered, or half of it; then the line is raised. */
static void device_runs(uint64_t *seed)
{
	bool any = false;
	for (unsigned i = 0; i <= CHANNELS / 64; i++) {
		uint64_t bits = __atomic_load_n(&device.asked[i], __ATOMIC_ACQUIRE);
		if (rig_random(seed) % 2)
			bits &= rig_random(seed);
		(void)__atomic_fetch_and(&device.asked[i], ~bits, __ATOMIC_ACQ_REL);
		(void)__atomic_fetch_or(&device.answered[i], bits, __ATOMIC_RELEASE);
		any = any || bits;
	}
	if (any)
		hosted_raise(device.machine, DEVICE_GSI);
}

static uint64_t device_timer(struct timer *t)
{
	ck_assert_msg(arch_now_ns() < PATIENCE_NS, "a wake-up is lost");
	device_runs(&device.seed);
	return t->node.key + 1 + rig_random(&device.seed) % DEVICE_MAX_NS;
}

static void *device_thread(void *arg)
{
	uint64_t seed = 362436069362436069ull;
	(void)arg;
	while (!__atomic_load_n(&device.over, __ATOMIC_ACQUIRE)) {
		device_runs(&seed);
		(void)usleep((useconds_t)(rig_random(&seed) % 50));
	}
	return NULL;
}

/* As a driver does: takes all answers and wakes those that wait for them. */
static void take_answers(void)
{
	for (unsigned i = 0; i <= CHANNELS / 64; i++) {
		uint64_t bits = __atomic_exchange_n(&device.answered[i], 0, __ATOMIC_ACQ_REL);
		for (; bits; bits &= bits - 1) {
			struct channel *c = &channels[64 * i + (unsigned)__builtin_ctzll(bits)];
			/* Not one that nobody has asked for, and not twice. */
			ck_assert(!__atomic_exchange_n(&c->ready, true, __ATOMIC_ACQ_REL));
			job_wake(&c->job);
		}
	}
}

static void device_work(struct work *w)
{
	(void)w;
	take_answers();
}

static void device_interrupt(void *ctx)
{
	(void)ctx;
	(void)__atomic_add_fetch(&device.interrupts, 1, __ATOMIC_RELAXED);
	if (device.by_work)
		(void)workq_add(&kernel_of_cpu()->workq, &device.work);
	else
		take_answers();
}

/* Asks, and is polled again when the answer has come; nobody else wakes it. */
static enum poll_result channel_poll(struct job *j)
{
	struct channel *c = LIST_OF(j, struct channel, job);
	unsigned index = (unsigned)(c - channels);
	if (channel_stack)
		ck_assert_ptr_eq((void *)task_current()->context.stack_low, channel_stack);
	if (c->pending) {
		ck_assert(__atomic_exchange_n(&c->ready, false, __ATOMIC_ACQ_REL));
		c->pending = false;
		c->answers++;
	}
	if (c->asked == ANSWERS) {
		(void)__atomic_add_fetch(&channels_done, 1, __ATOMIC_RELAXED);
		return POLL_DONE;
	}
	c->asked++;
	c->pending = true;
	(void)__atomic_fetch_or(&device.asked[index / 64], 1ull << index % 64, __ATOMIC_RELEASE);
	return POLL_PENDING;
}

static void device_body(void *arg)
{
	static struct executor ex;
	unsigned workers = (unsigned)(uintptr_t)arg;
	device.machine = hosted_self();
	device.seed = 88172645463325252ull;
	work_init(&device.work, device_work);
	ck_assert(arch_irq_attach(DEVICE_GSI, false, device_interrupt, NULL));
	ck_assert(executor_start(&ex, "exec", workers, 3));
	channel_stack = workers == 1 ? (void *)ex.workers[0]->context.stack_low : NULL;
	for (unsigned i = 0; i < CHANNELS; i++)
		executor_spawn(&ex, &channels[i].job, channel_poll);
	pthread_t thread;
	timer_init(&device.timer, device_timer);
	if (device.by_thread)
		ck_assert_int_eq(pthread_create(&thread, NULL, device_thread, NULL), 0);
	else
		timer_start(&device.timer, arch_now_ns() + NS_PER_US);
	executor_stop(&ex);
	(void)timer_stop(&device.timer);
	__atomic_store_n(&device.over, true, __ATOMIC_RELEASE);
	if (device.by_thread)
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(channels_done, CHANNELS);
	/* One poll to begin with, and one for each answer: no wake-up was lost, none came twice. */
	ck_assert_uint_eq(ex.polls, CHANNELS * (ANSWERS + 1));
	for (unsigned i = 0; i < CHANNELS; i++)
		ck_assert_uint_eq(channels[i].answers, ANSWERS);
	ck_assert_uint_ge(device.interrupts, ANSWERS);
}

START_TEST(interrupts_wake_jobs)
{
	rig_run(device_body, (void *)1);
}
END_TEST

START_TEST(interrupts_wake_jobs_by_a_work_queue)
{
	device.by_work = true;
	rig_run(device_body, (void *)1);
}
END_TEST

/* Interrupts come at any time, from a thread that is no CPU. */
START_TEST(interrupts_wake_jobs_smp)
{
	device.by_thread = true;
	rig_run_smp(3, device_body, (void *)1);
}
END_TEST

START_TEST(interrupts_wake_jobs_of_many_workers)
{
	device.by_thread = true;
	rig_run_smp(3, device_body, (void *)3);
}
END_TEST

/* ---- executor ---- */

#define JOBS 300u

static struct test_job {
	struct job job;
	unsigned steps;
	bool running;
} jobs[JOBS];
static unsigned jobs_done;

static enum poll_result step(struct job *j)
{
	struct test_job *t = LIST_OF(j, struct test_job, job);
	ck_assert(!__atomic_exchange_n(&t->running, true, __ATOMIC_ACQ_REL));
	unsigned n = t->steps++;
	if (n % 2 == 0 && n < 6) {
		job_wake(j); /* while it runs: it must run again, but not on two stacks at once */
		for (unsigned i = 0; i < 200; i++)
			arch_cpu_relax();
	}
	__atomic_store_n(&t->running, false, __ATOMIC_RELEASE);
	if (n == 6) {
		(void)__atomic_add_fetch(&jobs_done, 1, __ATOMIC_RELAXED);
		return POLL_DONE;
	}
	if (n % 2)
		job_wake_at(j, arch_now_ns() + 1000 * (n + 1));
	return POLL_PENDING;
}

static void executor_body(void *arg)
{
	static struct executor ex;
	ck_assert(executor_start(&ex, "exec", (unsigned)(uintptr_t)arg, 3));
	for (unsigned i = 0; i < JOBS; i++)
		executor_spawn(&ex, &jobs[i].job, step);
	executor_stop(&ex);
	ck_assert_uint_eq(jobs_done, JOBS);
	ck_assert_uint_eq(ex.polls, JOBS * 7);
	for (unsigned i = 0; i < JOBS; i++)
		ck_assert_uint_eq(jobs[i].steps, 7);
}

START_TEST(jobs_run_to_their_end)
{
	rig_run(executor_body, (void *)1);
}
END_TEST

START_TEST(jobs_run_to_their_end_smp)
{
	rig_run_smp(4, executor_body, (void *)4);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("executor");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, work_is_done_in_order);
	tcase_add_test(tc, interrupts_wake_jobs);
	tcase_add_test(tc, interrupts_wake_jobs_by_a_work_queue);
	tcase_add_test(tc, interrupts_wake_jobs_smp);
	tcase_add_test(tc, interrupts_wake_jobs_of_many_workers);
	tcase_add_test(tc, jobs_run_to_their_end);
	tcase_add_test(tc, jobs_run_to_their_end_smp);
	return suite_run("gk_executor", tc);
}
