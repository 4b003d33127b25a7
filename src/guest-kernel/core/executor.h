/*
 * Many cheap tasks on few stacks. A job is a state machine: its poll function does what it can and
 * returns POLL_PENDING after it has seen to it that somebody calls job_wake (an interrupt, a timer,
 * another job), or POLL_DONE. A wake-up while it runs makes it run again; none is lost.
 */
#ifndef GK_CORE_EXECUTOR_H
#define GK_CORE_EXECUTOR_H

#include "guest-kernel/core/task.h"

#define EXECUTOR_WORKERS_MAX 8u

enum poll_result { POLL_PENDING, POLL_DONE };

struct job;
/*
 * On a worker's stack; must not block for long. After POLL_DONE the job is not touched any more,
 * and nobody may wake it: a timer that it still has it stops itself (job_stop_timer).
 */
typedef enum poll_result (*job_fn)(struct job *job);

struct job {
	struct list link;
	struct executor *executor;
	job_fn poll;
	uint32_t state;
	struct timer timer;
};

struct executor {
	struct spinlock lock;
	struct list ready;
	uint32_t jobs; /* not done yet */
	uint32_t worker_count;
	uint32_t sleepers; /* bit of each worker that waits */
	bool stopping;
	struct task *workers[EXECUTOR_WORKERS_MAX];
	uint64_t polls;
};

/* WORKERS 1 to EXECUTOR_WORKERS_MAX. False: no memory; nothing runs then. */
bool executor_start(struct executor *ex, const char *name, unsigned workers, unsigned prio);
/* Returns when every job is done and the workers have ended. */
void executor_stop(struct executor *ex);
/* Any context. JOB is the caller's memory and lasts until it is done. */
void executor_spawn(struct executor *ex, struct job *job, job_fn poll);
/* Any context. JOB must not be done. */
void job_wake(struct job *job);
/* Wakes JOB at DEADLINE_NS; one at a time. From its poll function, which may then be pending. */
void job_wake_at(struct job *job, uint64_t deadline_ns);
void job_stop_timer(struct job *job);

#endif
