/* The executor. See executor.h. */
#include "guest-kernel/core/executor.h"

#include "guest-kernel/core/kernel.h"

enum job_state { JOB_IDLE, JOB_QUEUED, JOB_RUNNING, JOB_AGAIN };

/* The executor's lock is held. */
static void enqueue(struct executor *ex, struct job *job)
{
	job->state = JOB_QUEUED;
	list_append(&ex->ready, &job->link);
	if (!ex->sleepers)
		return;
	unsigned worker = (unsigned)__builtin_ctz(ex->sleepers);
	ex->sleepers &= ~(1u << worker);
	task_wake(ex->workers[worker]);
}

void job_wake(struct job *job)
{
	struct executor *ex = job->executor;
	unsigned long flags = spin_lock_irqsave(&ex->lock);
	if (job->state == JOB_IDLE)
		enqueue(ex, job);
	else if (job->state == JOB_RUNNING)
		job->state = JOB_AGAIN;
	spin_unlock_irqrestore(&ex->lock, flags);
	task_preempt_point();
}

static uint64_t on_timer(struct timer *t)
{
	job_wake(LIST_OF(t, struct job, timer));
	return 0;
}

void job_wake_at(struct job *job, uint64_t deadline_ns)
{
	timer_start(&job->timer, deadline_ns);
}

void job_stop_timer(struct job *job)
{
	(void)timer_stop(&job->timer);
}

void executor_spawn(struct executor *ex, struct job *job, job_fn poll)
{
	*job = (struct job){.executor = ex, .poll = poll};
	list_init(&job->link);
	timer_init(&job->timer, on_timer);
	unsigned long flags = spin_lock_irqsave(&ex->lock);
	ex->jobs++;
	enqueue(ex, job);
	spin_unlock_irqrestore(&ex->lock, flags);
	task_preempt_point();
}

/* The next job, running; NULL: there is none, and WORKER counts as asleep. */
static struct job *take(struct executor *ex, unsigned worker, bool *over)
{
	unsigned long flags = spin_lock_irqsave(&ex->lock);
	struct list *e = list_pop(&ex->ready);
	struct job *job = e ? LIST_OF(e, struct job, link) : NULL;
	*over = !job && ex->stopping && ex->jobs == 0;
	if (job) {
		job->state = JOB_RUNNING;
		ex->polls++;
	} else if (!*over) {
		ex->sleepers |= 1u << worker;
	}
	spin_unlock_irqrestore(&ex->lock, flags);
	return job;
}

static void wake_all(struct executor *ex)
{
	ex->sleepers = 0;
	for (unsigned i = 0; i < ex->worker_count; i++)
		task_wake(ex->workers[i]);
}

static void polled(struct executor *ex, struct job *job, enum poll_result result)
{
	unsigned long flags = spin_lock_irqsave(&ex->lock);
	if (result == POLL_DONE) {
		ex->jobs--;
		if (ex->stopping && ex->jobs == 0)
			wake_all(ex);
	} else if (job->state == JOB_AGAIN) {
		enqueue(ex, job);
	} else {
		job->state = JOB_IDLE;
	}
	spin_unlock_irqrestore(&ex->lock, flags);
}

/* Which of the executor's workers the caller is: all of them are there before the lock is let go.
 */
static unsigned index_of(struct executor *ex)
{
	unsigned long flags = spin_lock_irqsave(&ex->lock);
	unsigned i = 0;
	while (i < ex->worker_count && ex->workers[i] != task_current())
		i++;
	spin_unlock_irqrestore(&ex->lock, flags);
	return i;
}

static void worker(void *arg)
{
	struct executor *ex = arg;
	unsigned index = index_of(ex);
	bool over = false;
	while (!over) {
		struct job *job = take(ex, index, &over);
		if (!job) {
			if (!over)
				(void)task_park(FOREVER);
			continue;
		}
		/* POLL_DONE: the job's memory may be gone. */
		polled(ex, job, job->poll(job));
	}
}

bool executor_start(struct executor *ex, const char *name, unsigned workers, unsigned prio)
{
	*ex = (struct executor){0};
	spin_init_named(&ex->lock, "executor");
	list_init(&ex->ready);
	workers = workers < EXECUTOR_WORKERS_MAX ? workers : EXECUTOR_WORKERS_MAX;
	/* A worker looks for itself only when the list is complete. */
	unsigned long flags = spin_lock_irqsave(&ex->lock);
	for (unsigned i = 0; i < workers; i++) {
		struct task *t = task_start(name, prio, worker, ex);
		if (!t)
			break;
		ex->workers[ex->worker_count++] = t;
	}
	bool good = ex->worker_count == workers;
	ex->stopping = !good;
	spin_unlock_irqrestore(&ex->lock, flags);
	if (!good)
		executor_stop(ex);
	return good;
}

void executor_stop(struct executor *ex)
{
	unsigned long flags = spin_lock_irqsave(&ex->lock);
	ex->stopping = true;
	wake_all(ex);
	spin_unlock_irqrestore(&ex->lock, flags);
	for (unsigned i = 0; i < ex->worker_count; i++)
		task_join(ex->workers[i]);
	ex->worker_count = 0;
}
