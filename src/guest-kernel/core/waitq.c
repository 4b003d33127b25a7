/* Wait queues and mutexes. See waitq.h. */
#include "guest-kernel/core/waitq.h"

#include "guest-kernel/core/panic.h"

struct waiter {
	struct list link;
	struct task *task;
	bool granted; /* of a mutex: it is yours */
};

void waitq_init(struct waitq *q)
{
	list_init(&q->waiters);
}

bool waitq_wait(struct waitq *q, struct spinlock *lock, bool (*ready)(void *ctx), void *ctx,
                uint64_t deadline_ns)
{
	struct waiter w = {.task = task_current()};
	list_init(&w.link);
	for (;;) {
		unsigned long flags = spin_lock_irqsave(lock);
		bool now = ready(ctx);
		bool late = !now && deadline_ns != FOREVER && arch_now_ns() >= deadline_ns;
		if (now || late)
			list_remove(&w.link);
		else if (list_empty(&w.link))
			list_append(&q->waiters, &w.link);
		spin_unlock_irqrestore(lock, flags);
		if (now || late) {
			task_preempt_point(); /* READY may have woken somebody */
			return now;
		}
		(void)task_park(deadline_ns);
	}
}

static void wake_first(struct waitq *q)
{
	struct waiter *w = LIST_OF(list_pop(&q->waiters), struct waiter, link);
	task_wake(w->task);
}

void waitq_wake_one(struct waitq *q)
{
	if (!list_empty(&q->waiters))
		wake_first(q);
}

void waitq_wake_all(struct waitq *q)
{
	while (!list_empty(&q->waiters))
		wake_first(q);
}

void mutex_init(struct mutex *m)
{
	spin_init_named(&m->lock, "mutex");
	list_init(&m->waiters);
	m->owner = NULL;
}

static void acquired(struct mutex *m, struct task *t)
{
	m->owner = t;
	t->mutexes++;
}

bool mutex_try(struct mutex *m)
{
	unsigned long flags = spin_lock_irqsave(&m->lock);
	bool mine = m->owner == NULL;
	if (mine)
		acquired(m, task_current());
	spin_unlock_irqrestore(&m->lock, flags);
	return mine;
}

/* Takes it or queues W; lends the holder the caller's priority. */
static bool enter(struct mutex *m, struct waiter *w)
{
	unsigned long flags = spin_lock_irqsave(&m->lock);
	gk_assert(m->owner != w->task);
	bool mine = m->owner == NULL;
	if (mine) {
		acquired(m, w->task);
	} else {
		list_append(&m->waiters, &w->link);
		task_lend_prio(m->owner, w->task->prio);
	}
	spin_unlock_irqrestore(&m->lock, flags);
	return mine;
}

/* Out of the queue, unless it has been granted meanwhile. */
static bool give_up(struct mutex *m, struct waiter *w)
{
	unsigned long flags = spin_lock_irqsave(&m->lock);
	if (!w->granted)
		list_remove(&w->link);
	bool granted = w->granted;
	spin_unlock_irqrestore(&m->lock, flags);
	return granted;
}

bool mutex_lock_until(struct mutex *m, uint64_t deadline_ns)
{
	struct waiter w = {.task = task_current()};
	list_init(&w.link);
	if (enter(m, &w))
		return true;
	/* Pairs with the release in mutex_unlock. */
	while (!__atomic_load_n(&w.granted, __ATOMIC_ACQUIRE)) {
		if (!task_park(deadline_ns) && arch_now_ns() >= deadline_ns)
			return give_up(m, &w);
	}
	/* W is off this stack only when mutex_unlock has let the lock go. */
	return give_up(m, &w);
}

void mutex_lock(struct mutex *m)
{
	(void)mutex_lock_until(m, FOREVER);
}

void mutex_unlock(struct mutex *m)
{
	struct task *t = task_current();
	unsigned long flags = spin_lock_irqsave(&m->lock);
	gk_assert(m->owner == t);
	struct list *e = list_pop(&m->waiters);
	struct waiter *w = e ? LIST_OF(e, struct waiter, link) : NULL;
	m->owner = NULL;
	if (w) {
		acquired(m, w->task);
		__atomic_store_n(&w->granted, true, __ATOMIC_RELEASE);
		task_wake(w->task);
	}
	spin_unlock_irqrestore(&m->lock, flags);
	if (--t->mutexes == 0)
		task_return_prio(t);
	task_preempt_point();
}
