/* Work queues. See workq.h. */
#include "guest-kernel/core/workq.h"

static struct work *next_work(struct workq *q, bool *stop)
{
	unsigned long flags = spin_lock_irqsave(&q->lock);
	struct list *e = list_pop(&q->queue);
	struct work *w = e ? LIST_OF(e, struct work, link) : NULL;
	if (w)
		w->queued = false;
	*stop = !w && q->stopping;
	q->done += w != NULL;
	spin_unlock_irqrestore(&q->lock, flags);
	return w;
}

static void worker(void *arg)
{
	struct workq *q = arg;
	bool stop = false;
	while (!stop) {
		struct work *w = next_work(q, &stop);
		if (w)
			w->fn(w);
		else if (!stop)
			(void)task_park(FOREVER);
	}
}

bool workq_start(struct workq *q, const char *name, unsigned prio)
{
	*q = (struct workq){0};
	spin_init_named(&q->lock, "workq");
	list_init(&q->queue);
	q->worker = task_start(name, prio, worker, q);
	return q->worker != NULL;
}

void workq_stop(struct workq *q)
{
	unsigned long flags = spin_lock_irqsave(&q->lock);
	q->stopping = true;
	spin_unlock_irqrestore(&q->lock, flags);
	task_wake(q->worker);
	task_join(q->worker);
	q->worker = NULL;
}

void work_init(struct work *w, work_fn fn)
{
	*w = (struct work){.fn = fn};
	list_init(&w->link);
}

bool workq_add(struct workq *q, struct work *w)
{
	unsigned long flags = spin_lock_irqsave(&q->lock);
	bool fresh = !w->queued;
	if (fresh) {
		w->queued = true;
		list_append(&q->queue, &w->link);
	}
	spin_unlock_irqrestore(&q->lock, flags);
	if (fresh)
		task_wake(q->worker);
	return fresh;
}
