/* Between sched.c and task.c. The scheduler's lock is held unless it says otherwise. */
#ifndef GK_CORE_TASK_PRIV_H
#define GK_CORE_TASK_PRIV_H

#include "guest-kernel/core/task.h"

/* Puts T, which waited, into its queue and sees to it that a CPU takes it. */
void sched_make_ready(struct kernel *k, struct task *t);
/* The same for one that is new: it owes TASK_DEBT_NS, or a stream of new tasks would keep the CPU
 * from those that are there. */
void sched_make_first_ready(struct kernel *k, struct task *t);
/* In any state: T's own priority, and the one it has now. What it is ahead of others by, it stays.
 */
void sched_change_prio(struct kernel *k, struct task *t, unsigned own, unsigned now);
/* To the next task; returns when the one that runs now is resumed, with the lock held. */
void sched_switch(struct kernel *k);
/* What every context does first when it comes up: lets the lock go. */
void sched_finish_switch(void);
void sched_yield_locked(struct kernel *k);
/* Without the lock: gives way if another task ought to run; then restores FLAGS. */
void sched_preempt(unsigned long flags, bool was_off);
/* Without the lock: T has left its stack for the last time. */
void task_reap(struct task *t);

#endif
