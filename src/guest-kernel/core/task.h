/*
 * Tasks and their scheduler. Eight priorities, 0 the most urgent: on all CPUs together, what runs
 * is always the most urgent of what is ready. Within a priority the one that has run least comes
 * first; a task that was blocked starts level with the others, not with a credit, and a new one a
 * little behind. A slice is 4 ms.
 * One lock and one set of queues serve all CPUs (at most 32): that is what makes the order global.
 */
#ifndef GK_CORE_TASK_H
#define GK_CORE_TASK_H

#include "guest-kernel/core/list.h"
#include "guest-kernel/core/timer.h"
#include "guest-kernel/policy/policy.h"

#define TASK_PRIORITIES 8u
#define TASK_NAME_BYTES 16u
#define TASK_SLICE_NS   (4 * NS_PER_MS)
#define TASK_DEBT_NS    (TASK_SLICE_NS / 4) /* of a new task */

#define PRIO_DRIVER     1u
#define PRIO_SERVICE    3u
#define PRIO_DEFAULT    4u
#define PRIO_BACKGROUND 6u

struct kernel;

enum task_state { TASK_READY, TASK_RUNNING, TASK_BLOCKED, TASK_DEAD };

typedef void (*task_fn)(void *arg);

struct task {
	struct arch_context context;
	struct pheap_node ready; /* key: vruntime_ns */
	struct list all;
	struct kernel *kernel;
	task_fn fn;
	void *arg;
	char name[TASK_NAME_BYTES];
	uint32_t id;
	uint32_t refs;          /* the creator's and its own */
	uint32_t cpu;           /* runs there, or ran there last */
	uint32_t slot;          /* of its stack */
	uint32_t mutexes;       /* that it holds */
	uint8_t prio, own_prio; /* as it is now, perhaps lent; its own */
	uint8_t state;          /* enum task_state, under the scheduler's lock */
	bool token;             /* a wake-up that nobody has waited for yet */
	bool idle;
	bool cancelled;
	struct policy_subject subject; /* who it is, to the policy; its own to change */
	uint64_t vruntime_ns;          /* among those of its own priority */
	uint64_t ran_ns, since_ns, switches;
	struct timer timeout;
	struct list joiners;
};

struct sched {
	struct spinlock lock;
	struct pheap ready[TASK_PRIORITIES];
	uint32_t ready_mask;
	uint64_t floor_ns[TASK_PRIORITIES]; /* the most vruntime that one had when it was taken */
	struct list all;
	uint32_t task_count, next_id;
	uint32_t idle_mask; /* CPUs that wait for work */
	uint32_t free_slots[ARCH_STACKS_MAX];
	uint32_t free_slot_count, slots_made;
	uint64_t switches, steals;
};

void sched_init(struct sched *s);

/*
 * Makes a task and starts it. NULL when memory is out, or stacks are, or when the policy denies it
 * (process { fork }). The caller has a reference: task_join or task_detach gives it back.
 */
struct task *task_start(const char *name, unsigned prio, task_fn fn, void *arg);
/* The same, to be the subject AS (process { transition } as well); NULL: what the caller is. */
struct task *task_start_as(const char *name, unsigned prio, task_fn fn, void *arg,
                           const struct policy_subject *as);
/* The task with that number and a reference to it, or NULL. */
struct task *task_find(struct kernel *k, uint32_t id);
/*
 * Asks T to end: its sleep is over at once, and task_cancelled tells it. False: the policy denies
 * it (process { signal }).
 */
bool task_cancel(struct task *t);
/* Somebody asked the current task to end. */
bool task_cancelled(void);
/* Waits until T has ended; gives the reference back. */
void task_join(struct task *t);
void task_detach(struct task *t);
_Noreturn void task_exit(void);

struct task *task_current(void);
/* Lets others of the same priority run. */
void task_yield(void);
/* Until then, or until the task is asked to end. */
void task_sleep_until(uint64_t deadline_ns);
void task_sleep(uint64_t ns);
/* False: the policy denies it (process { setsched }; for itself a task may always). */
bool task_set_prio(struct task *t, unsigned prio);
/* For mutexes: T has at least PRIO until task_return_prio. */
void task_lend_prio(struct task *t, unsigned prio);
void task_return_prio(struct task *t);

/*
 * Waits for task_wake on the current task; one that came before returns at once. False if
 * DEADLINE_NS has come instead (FOREVER: never). May return early: the caller looks again at what
 * it waits for.
 */
bool task_park(uint64_t deadline_ns);
/*
 * Any context. T must be alive. If it is more urgent than the caller it runs at once; where the
 * caller has interrupts off (a spin lock is held), when it calls task_preempt_point or at the next
 * interrupt.
 */
void task_wake(struct task *t);
/* After a spin lock under which tasks were woken. Nothing where interrupts are off. */
void task_preempt_point(void);

/* ---- for the kernel's start and the interrupts ---- */

/* A stack for good. */
void *task_take_stack(struct kernel *k);

struct cpu;
/* Makes what runs now the idle task of CPU. */
void sched_adopt_idle(struct cpu *cpu, struct task *idle);
_Noreturn void sched_idle_loop(void);
void sched_enter(void);
void sched_timer(void);
void sched_kick(void);
void sched_leave(void);

/* A copy of what one wants to know of each task; how many were written. */
struct task_info {
	uint32_t id, cpu;
	uint8_t prio, state;
	bool idle;
	char name[TASK_NAME_BYTES];
	uint64_t ran_ns, switches;
};
size_t task_list(struct kernel *k, struct task_info *out, size_t max);

#endif
