/* Work that an interrupt leaves to a task: each function runs once, in the order of queueing. */
#ifndef GK_CORE_WORKQ_H
#define GK_CORE_WORKQ_H

#include "guest-kernel/core/task.h"

struct work;
typedef void (*work_fn)(struct work *w);

struct work {
	struct list link;
	work_fn fn;
	bool queued;
};

struct workq {
	struct spinlock lock;
	struct list queue;
	struct task *worker;
	bool stopping;
	uint64_t done;
};

/* False when there is no memory for the task. */
bool workq_start(struct workq *q, const char *name, unsigned prio);
/* What is queued is done first. */
void workq_stop(struct workq *q);
void work_init(struct work *w, work_fn fn);
/* Any context. False: it is queued already. FN may queue its work again, or free it. */
bool workq_add(struct workq *q, struct work *w);

#endif
