/* Timers. See timer.h. */
#include "guest-kernel/core/timer.h"

#include "guest-kernel/core/kernel.h"
#include "guest-kernel/core/list.h"

void timers_init(struct cpu_timers *c)
{
	*c = (struct cpu_timers){.armed_ns = FOREVER};
	spin_init_named(&c->lock, "timers");
}

void timer_init(struct timer *t, timer_fn fn)
{
	*t = (struct timer){.fn = fn};
}

void timers_arm(struct cpu_timers *c, uint64_t at_ns)
{
	if (at_ns >= c->armed_ns)
		return;
	c->armed_ns = at_ns;
	arch_timer_set(at_ns);
}

void timer_start(struct timer *t, uint64_t deadline_ns)
{
	unsigned long flags = arch_irq_save();
	(void)timer_stop(t);
	struct cpu *cpu = arch_local();
	struct cpu_timers *c = &cpu->timers;
	spin_lock(&c->lock);
	__atomic_store_n(&t->cpu, cpu->index, __ATOMIC_RELAXED);
	pheap_insert(&c->heap, &t->node, deadline_ns);
	timers_arm(c, pheap_first(&c->heap)->key);
	spin_unlock(&c->lock);
	arch_irq_restore(flags);
}

bool timer_stop(struct timer *t)
{
	struct kernel *k = kernel_of_cpu();
	for (;;) {
		uint32_t owner = __atomic_load_n(&t->cpu, __ATOMIC_RELAXED);
		struct cpu_timers *c = &k->cpus[owner]->timers;
		unsigned long flags = spin_lock_irqsave(&c->lock);
		bool still = __atomic_load_n(&t->cpu, __ATOMIC_RELAXED) == owner;
		bool queued = still && t->node.queued;
		if (queued)
			pheap_remove(&c->heap, &t->node);
		spin_unlock_irqrestore(&c->lock, flags);
		if (still)
			return queued;
	}
}

void timers_expire(struct cpu_timers *c)
{
	spin_lock(&c->lock);
	c->armed_ns = FOREVER;
	struct pheap_node *n;
	uint64_t now = arch_now_ns();
	while ((n = pheap_first(&c->heap)) && n->key <= now) {
		pheap_remove(&c->heap, n);
		counter_up(&c->fired);
		struct timer *t = LIST_OF(n, struct timer, node);
		uint64_t again = t->fn(t);
		if (again)
			pheap_insert(&c->heap, n, again <= now ? now + 1 : again);
	}
	if (n)
		timers_arm(c, n->key);
	spin_unlock(&c->lock);
}
