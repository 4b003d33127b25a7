/* Tasks: their life, sleep and waking. See task.h. */
#include <string.h>

#include "guest-kernel/core/kernel.h"
#include "guest-kernel/core/panic.h"
#include "guest-kernel/security/security.h"
#include "task_priv.h"

struct joiner {
	struct list link;
	struct task *task;
	bool done;
};

struct task *task_current(void)
{
	return arch_current();
}

static uint64_t table_frame(void *ctx)
{
	(void)ctx;
	return frame_get();
}

static void *map_new_stack(unsigned slot)
{
	static const struct arch_frames tables = {table_frame, NULL};
	uint64_t frames[ARCH_STACK_PAGES];
	unsigned n = 0;
	for (; n < ARCH_STACK_PAGES; n++) {
		frames[n] = frame_get();
		if (!frames[n])
			break;
	}
	void *low = n == ARCH_STACK_PAGES ? arch_stack_map(slot, frames, &tables) : NULL;
	for (; !low && n > 0; n--)
		frame_put(frames[n - 1]);
	return low;
}

/* The stack of a task that has ended, or a new one. */
static void *take_stack(struct sched *s, uint32_t *slot)
{
	unsigned long flags = spin_lock_irqsave(&s->lock);
	bool fresh = s->free_slot_count == 0;
	bool good = !fresh || s->slots_made < ARCH_STACKS_MAX;
	if (good)
		*slot = fresh ? s->slots_made++ : s->free_slots[--s->free_slot_count];
	spin_unlock_irqrestore(&s->lock, flags);
	if (!good)
		return NULL;
	return fresh ? map_new_stack(*slot) : arch_stack_at(*slot);
}

void *task_take_stack(struct kernel *k)
{
	uint32_t slot;
	return take_stack(&k->sched, &slot);
}

static void task_main(void *arg)
{
	struct task *t = arg;
	sched_finish_switch();
	arch_irq_on();
	t->fn(t->arg);
	task_exit();
}

static uint64_t on_timeout(struct timer *timer)
{
	task_wake(LIST_OF(timer, struct task, timeout));
	return 0;
}

static struct task *make_task(const char *name, unsigned prio, task_fn fn, void *arg)
{
	struct kernel *k = kernel_of_cpu();
	struct task *t = mem_alloc(sizeof(*t));
	if (!t)
		return NULL;
	t->kernel = k;
	t->fn = fn;
	t->arg = arg;
	t->prio = (uint8_t)(prio < TASK_PRIORITIES ? prio : TASK_PRIORITIES - 1);
	t->own_prio = t->prio;
	t->refs = 2;
	timer_init(&t->timeout, on_timeout);
	list_init(&t->joiners);
	(void)fmt(t->name, sizeof(t->name), "%s", name);
	void *stack = take_stack(&k->sched, &t->slot);
	if (!stack) {
		mem_free(t);
		return NULL;
	}
	arch_context_init(&t->context, stack, ARCH_STACK_BYTES, task_main, t);
	return t;
}

/* One that never ran: nobody else knows it. */
static void unmake_task(struct task *t)
{
	struct sched *s = &t->kernel->sched;
	arch_context_fini(&t->context);
	unsigned long flags = spin_lock_irqsave(&s->lock);
	s->free_slots[s->free_slot_count++] = t->slot;
	spin_unlock_irqrestore(&s->lock, flags);
	mem_free(t);
}

struct task *task_start(const char *name, unsigned prio, task_fn fn, void *arg)
{
	return task_start_as(name, prio, fn, arg, NULL);
}

struct task *task_start_as(const char *name, unsigned prio, task_fn fn, void *arg,
                           const struct policy_subject *as)
{
	struct task *t = make_task(name, prio, fn, arg);
	if (!t)
		return NULL;
	if (!sec_task_start(t, as)) {
		unmake_task(t);
		return NULL;
	}
	struct kernel *k = t->kernel;
	bool was_off = arch_irq_off();
	unsigned long flags = arch_irq_save();
	spin_lock(&k->sched.lock);
	t->id = k->sched.next_id++;
	t->subject.id = t->id;
	t->cpu = this_cpu()->index;
	list_append(&k->sched.all, &t->all);
	(void)__atomic_add_fetch(&k->sched.task_count, 1, __ATOMIC_RELAXED);
	sched_make_first_ready(k, t);
	spin_unlock(&k->sched.lock);
	sched_preempt(flags, was_off);
	return t;
}

static void unref(struct task *t)
{
	if (__atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	sec_task_end(t);
	mem_free(t);
}

struct task *task_find(struct kernel *k, uint32_t id)
{
	struct task *found = NULL;
	unsigned long flags = spin_lock_irqsave(&k->sched.lock);
	for (struct list *e = k->sched.all.next; e != &k->sched.all && !found; e = e->next) {
		struct task *t = LIST_OF(e, struct task, all);
		if (t->id == id)
			found = t;
	}
	if (found)
		(void)__atomic_add_fetch(&found->refs, 1, __ATOMIC_RELAXED);
	spin_unlock_irqrestore(&k->sched.lock, flags);
	return found;
}

bool task_cancel(struct task *t)
{
	if (!sec_task(t, PROCESS_SIGNAL))
		return false;
	__atomic_store_n(&t->cancelled, true, __ATOMIC_RELEASE);
	task_wake(t);
	return true;
}

bool task_cancelled(void)
{
	return __atomic_load_n(&task_current()->cancelled, __ATOMIC_ACQUIRE);
}

void task_detach(struct task *t)
{
	unref(t);
}

void task_reap(struct task *t)
{
	struct sched *s = &t->kernel->sched;
	arch_context_fini(&t->context);
	spin_lock(&s->lock);
	s->free_slots[s->free_slot_count++] = t->slot;
	spin_unlock(&s->lock);
	unref(t);
}

_Noreturn void task_exit(void)
{
	struct task *t = task_current();
	struct kernel *k = t->kernel;
	(void)timer_stop(&t->timeout);
	(void)arch_irq_save();
	spin_lock(&k->sched.lock);
	list_remove(&t->all);
	(void)__atomic_sub_fetch(&k->sched.task_count, 1, __ATOMIC_RELAXED);
	t->state = TASK_DEAD;
	struct list *e;
	while ((e = list_pop(&t->joiners))) {
		struct joiner *j = LIST_OF(e, struct joiner, link);
		struct task *waiter = j->task;
		/* J is on the waiter's stack, and gone once DONE is seen. */
		__atomic_store_n(&j->done, true, __ATOMIC_RELEASE);
		if (waiter->state == TASK_BLOCKED)
			sched_make_ready(k, waiter);
		else
			waiter->token = true;
	}
	sched_switch(k);
	panic("a task that has ended runs");
}

void task_join(struct task *t)
{
	struct kernel *k = t->kernel;
	struct joiner j = {.task = task_current()};
	list_init(&j.link);
	unsigned long flags = spin_lock_irqsave(&k->sched.lock);
	if (t->state == TASK_DEAD)
		j.done = true;
	else
		list_append(&t->joiners, &j.link);
	spin_unlock_irqrestore(&k->sched.lock, flags);
	while (!__atomic_load_n(&j.done, __ATOMIC_ACQUIRE))
		(void)task_park(FOREVER);
	unref(t);
}

void task_yield(void)
{
	struct kernel *k = kernel_of_cpu();
	unsigned long flags = spin_lock_irqsave(&k->sched.lock);
	sched_yield_locked(k);
	sched_finish_switch();
	arch_irq_restore(flags);
}

bool task_park(uint64_t deadline_ns)
{
	struct task *t = task_current();
	struct sched *s = &t->kernel->sched;
	bool timed = deadline_ns != FOREVER;
	if (timed)
		timer_start(&t->timeout, deadline_ns);
	unsigned long flags = spin_lock_irqsave(&s->lock);
	if (!t->token) {
		t->state = TASK_BLOCKED;
		sched_switch(t->kernel);
	}
	t->token = false;
	sched_finish_switch();
	arch_irq_restore(flags);
	return !timed || timer_stop(&t->timeout);
}

void task_wake(struct task *t)
{
	struct kernel *k = t->kernel;
	bool was_off = arch_irq_off();
	unsigned long flags = arch_irq_save();
	spin_lock(&k->sched.lock);
	if (t->state == TASK_BLOCKED)
		sched_make_ready(k, t);
	else
		t->token = true;
	spin_unlock(&k->sched.lock);
	sched_preempt(flags, was_off);
}

void task_sleep_until(uint64_t deadline_ns)
{
	while (arch_now_ns() < deadline_ns && !task_cancelled())
		(void)task_park(deadline_ns);
}

void task_sleep(uint64_t ns)
{
	task_sleep_until(arch_now_ns() + ns);
}

enum prio_change { PRIO_SET, PRIO_LEND, PRIO_RETURN };

static void set_prio(struct task *t, unsigned prio, enum prio_change how)
{
	struct kernel *k = t->kernel;
	bool was_off = arch_irq_off();
	unsigned long flags = arch_irq_save();
	spin_lock(&k->sched.lock);
	bool lent = t->prio < t->own_prio;
	unsigned own = how == PRIO_SET ? prio : t->own_prio, now = own;
	/* What is lent stays so until it is returned. */
	if (how == PRIO_LEND)
		now = prio < t->prio ? prio : t->prio;
	else if (how == PRIO_SET && lent && t->prio < own)
		now = t->prio;
	sched_change_prio(k, t, own, now);
	spin_unlock(&k->sched.lock);
	sched_preempt(flags, was_off);
}

bool task_set_prio(struct task *t, unsigned prio)
{
	if (!sec_task(t, PROCESS_SETSCHED))
		return false;
	set_prio(t, prio < TASK_PRIORITIES ? prio : TASK_PRIORITIES - 1, PRIO_SET);
	return true;
}

void task_lend_prio(struct task *t, unsigned prio)
{
	set_prio(t, prio, PRIO_LEND);
}

void task_return_prio(struct task *t)
{
	if (t->prio != t->own_prio)
		set_prio(t, 0, PRIO_RETURN);
}

static void describe(const struct task *t, struct task_info *out)
{
	*out = (struct task_info){
	        .id = t->id,
	        .cpu = t->cpu,
	        .prio = t->prio,
	        .state = t->state,
	        .idle = t->idle,
	        .ran_ns = t->ran_ns,
	        .switches = t->switches,
	};
	memcpy(out->name, t->name, sizeof(out->name));
}

size_t task_list(struct kernel *k, struct task_info *out, size_t max)
{
	size_t n = 0;
	unsigned long flags = spin_lock_irqsave(&k->sched.lock);
	for (struct list *e = k->sched.all.next; e != &k->sched.all && n < max; e = e->next)
		describe(LIST_OF(e, struct task, all), &out[n++]);
	for (unsigned i = 0; i < ARCH_CPUS_MAX && n < max; i++) {
		if (k->cpus[i])
			describe(&k->cpus[i]->idle, &out[n++]);
	}
	spin_unlock_irqrestore(&k->sched.lock, flags);
	return n;
}
