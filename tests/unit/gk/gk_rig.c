/* See gk_rig.h. */
#include "gk_rig.h"

#include <string.h>

#define SAID_BYTES 65536u

static char said[SAID_BYTES];
static size_t said_len;

struct rig {
	task_fn body;
	void *arg;
	unsigned cpus;
};

/* What there may be at the end of a run. */
static uint32_t tasks_kept;
static uint64_t blocks_kept;

static uint64_t in_use(void)
{
	return memory_in_use(&kernel_of_cpu()->memory);
}

void rig_keep(void)
{
	tasks_kept = __atomic_load_n(&kernel_of_cpu()->sched.task_count, __ATOMIC_RELAXED);
	blocks_kept = in_use();
}

void rig_lost(unsigned tasks, unsigned blocks)
{
	tasks_kept -= tasks;
	blocks_kept += blocks;
}

/* A task that has ended is gone only when its CPU has switched away from it. */
static bool alone(const struct sched *s, uint32_t tasks)
{
	for (unsigned i = 0; i < 1000 && __atomic_load_n(&s->task_count, __ATOMIC_RELAXED) != tasks;
	     i++)
		task_sleep(NS_PER_MS);
	return __atomic_load_n(&s->task_count, __ATOMIC_RELAXED) == tasks;
}

static void check_memory(uint64_t before)
{
	for (unsigned i = 0; i < 1000 && in_use() != before; i++)
		task_sleep(NS_PER_MS);
	ck_assert_uint_eq(in_use(), before);
}

static void checked_body(void *arg)
{
	struct rig *r = arg;
	struct kernel *k = kernel_of_cpu();
	if (r->cpus > 1)
		ck_assert_uint_eq(kernel_start_cpus(k, r->cpus), r->cpus);
	rig_keep();
	r->body(r->arg);
	ck_assert_msg(alone(&k->sched, tasks_kept), "%u tasks, not %u", k->sched.task_count,
	              tasks_kept);
	check_memory(blocks_kept);
	ck_assert_uint_eq(k->lockcheck.faults, 0);
}

void rig_console(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	(void)fwrite(text, 1, len, stderr);
	size_t room = sizeof(said) - 1 - said_len;
	size_t n = len < room ? len : room;
	memcpy(said + said_len, text, n);
	said_len += n;
	said[said_len] = 0;
}

unsigned rig_said(const char *text)
{
	unsigned n = 0;
	for (const char *at = said; (at = strstr(at, text)); at += strlen(text))
		n++;
	return n;
}

static int run(struct rig *r)
{
	struct hosted_opts opts = {
	        .cpus = r->cpus,
	        .virtual_clock = r->cpus == 1,
	        .console = rig_console,
	};
	return hosted_run(&opts, checked_body, r);
}

void rig_run(task_fn body, void *arg)
{
	struct rig r = {body, arg, 1};
	ck_assert_int_eq(run(&r), HOSTED_POWER_OFF);
}

void rig_run_smp(unsigned cpus, task_fn body, void *arg)
{
	struct rig r = {body, arg, cpus};
	ck_assert_int_eq(run(&r), HOSTED_POWER_OFF);
}

void rig_run_to(int status, task_fn body, void *arg)
{
	struct rig r = {body, arg, 1};
	ck_assert_int_eq(run(&r), status);
}

void rig_run_on(const struct hosted_opts *opts, task_fn body, void *arg)
{
	struct rig r = {body, arg, 1};
	ck_assert_int_eq(hosted_run(opts, checked_body, &r), HOSTED_POWER_OFF);
}
