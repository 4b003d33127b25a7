/*
 * The scheduler: who runs where. See task.h. The lock is held across a switch: the context that
 * comes up lets it go (finish_switch).
 */
#include "guest-kernel/core/kernel.h"
#include "guest-kernel/core/panic.h"
#include "task_priv.h"

void sched_init(struct sched *s)
{
	spin_init_named(&s->lock, "sched");
	list_init(&s->all);
	s->next_id = 1;
}

static struct task *task_of(struct pheap_node *n)
{
	return LIST_OF(n, struct task, ready);
}

/* How urgent the work of CPU is: lower is more so. */
static unsigned urgency(const struct cpu *cpu)
{
	return cpu->running->idle ? TASK_PRIORITIES : cpu->running->prio;
}

/* Asks CPU to look for another task as soon as it may. */
static void poke(struct cpu *cpu)
{
	struct cpu *self = this_cpu();
	cpu->kernel->sched.idle_mask &= ~(1u << cpu->index);
	if (cpu != self)
		arch_kick(cpu->index);
	else
		__atomic_store_n(&cpu->resched, true, __ATOMIC_RELAXED);
}

/* Finds a CPU for a task of PRIO that has just become ready: an idle one, or the least urgent. */
static void find_cpu(struct kernel *k, const struct task *t)
{
	struct cpu *self = this_cpu(), *worst = self;
	uint32_t idle = k->sched.idle_mask;
	if (idle & (1u << t->cpu)) {
		poke(k->cpus[t->cpu]);
		return;
	}
	if (idle) {
		poke(k->cpus[__builtin_ctz(idle)]);
		return;
	}
	for (uint32_t i = 0; i < ARCH_CPUS_MAX; i++) {
		if (k->cpus[i] && k->cpus[i]->running && urgency(k->cpus[i]) > urgency(worst))
			worst = k->cpus[i];
	}
	if (urgency(worst) > t->prio)
		poke(worst);
}

/* What T is sorted by in its queue. Where its priority is lent, it is nobody's turn but its own. */
static uint64_t turn_of(const struct sched *s, const struct task *t)
{
	return t->prio == t->own_prio ? t->vruntime_ns : s->floor_ns[t->prio];
}

static void enqueue(struct kernel *k, struct task *t, uint64_t turn_ns)
{
	struct sched *s = &k->sched;
	t->state = TASK_READY;
	pheap_insert(&s->ready[t->prio], &t->ready, turn_ns);
	s->ready_mask |= 1u << t->prio;
}

static void dequeue(struct kernel *k, struct task *t)
{
	struct sched *s = &k->sched;
	pheap_remove(&s->ready[t->prio], &t->ready);
	if (!pheap_first(&s->ready[t->prio]))
		s->ready_mask &= ~(1u << t->prio);
}

static void queue_up(struct kernel *k, struct task *t)
{
	enqueue(k, t, turn_of(&k->sched, t));
	find_cpu(k, t);
}

void sched_make_ready(struct kernel *k, struct task *t)
{
	uint64_t floor = k->sched.floor_ns[t->own_prio];
	if (t->vruntime_ns < floor)
		t->vruntime_ns = floor;
	queue_up(k, t);
}

void sched_make_first_ready(struct kernel *k, struct task *t)
{
	t->vruntime_ns = k->sched.floor_ns[t->own_prio] + TASK_DEBT_NS;
	queue_up(k, t);
}

void sched_change_prio(struct kernel *k, struct task *t, unsigned own, unsigned now)
{
	const uint64_t *floor = k->sched.floor_ns;
	bool ready = t->state == TASK_READY;
	if (t->own_prio == own && t->prio == now)
		return;
	if (ready)
		dequeue(k, t);
	if (t->own_prio != own) {
		uint64_t behind = floor[t->own_prio];
		uint64_t debt = t->vruntime_ns > behind ? t->vruntime_ns - behind : 0;
		t->vruntime_ns = floor[own] + debt;
	}
	t->own_prio = (uint8_t)own;
	t->prio = (uint8_t)now;
	if (ready)
		queue_up(k, t);
	else if (t->state == TASK_RUNNING)
		poke(k->cpus[t->cpu]);
}

static struct task *take_next(struct kernel *k, struct cpu *cpu)
{
	struct sched *s = &k->sched;
	if (!s->ready_mask) {
		s->idle_mask |= 1u << cpu->index;
		return &cpu->idle;
	}
	s->idle_mask &= ~(1u << cpu->index);
	struct task *t = task_of(pheap_first(&s->ready[__builtin_ctz(s->ready_mask)]));
	dequeue(k, t);
	if (t->prio == t->own_prio && s->floor_ns[t->prio] < t->vruntime_ns)
		s->floor_ns[t->prio] = t->vruntime_ns;
	if (t->cpu != cpu->index)
		counter_up(&s->steals);
	return t;
}

/* Where it was far longer than a slice, it was the host that had the CPU: that is not owed. */
static void account(struct task *t, uint64_t now)
{
	uint64_t ran = now > t->since_ns ? now - t->since_ns : 0;
	t->ran_ns += ran;
	t->vruntime_ns += ran < 2 * TASK_SLICE_NS ? ran : 2 * TASK_SLICE_NS;
	t->since_ns = now;
}

static void reap(struct cpu *cpu)
{
	struct task *t = cpu->reap;
	cpu->reap = NULL;
	if (t)
		task_reap(t);
}

void sched_finish_switch(void)
{
	struct cpu *cpu = this_cpu();
	spin_unlock(&cpu->kernel->sched.lock);
	reap(cpu);
}

static void switch_to(struct cpu *cpu, struct task *prev, struct task *next)
{
	uint64_t now = arch_now_ns();
	account(prev, now);
	next->since_ns = now;
	cpu->slice_end_ns = next->idle ? FOREVER : now + TASK_SLICE_NS;
	timers_arm(&cpu->timers, cpu->slice_end_ns);
	cpu->running = next;
	next->cpu = cpu->index;
	next->state = TASK_RUNNING;
	if (next == prev)
		return;
	next->switches++;
	counter_up(&cpu->kernel->sched.switches);
	if (prev->state == TASK_DEAD)
		cpu->reap = prev;
	arch_current_set(next);
	arch_context_switch(&prev->context, &next->context);
}

void sched_switch(struct kernel *k)
{
	struct cpu *cpu = this_cpu();
	struct task *prev = cpu->running;
	__atomic_store_n(&cpu->resched, false, __ATOMIC_RELAXED);
	/* What follows the switch may run on another CPU: CPU is not to be used any more. */
	switch_to(cpu, prev, take_next(k, cpu));
}

/* The running task makes room, if there is another that ought to run. */
static void resched(struct kernel *k)
{
	struct sched *s = &k->sched;
	spin_lock(&s->lock);
	struct cpu *cpu = this_cpu();
	struct task *t = cpu->running;
	uint64_t now = arch_now_ns();
	account(t, now);
	unsigned best = s->ready_mask ? (unsigned)__builtin_ctz(s->ready_mask) : TASK_PRIORITIES;
	if (!t->idle && (best > t->prio || (best == t->prio && now < cpu->slice_end_ns))) {
		__atomic_store_n(&cpu->resched, false, __ATOMIC_RELAXED);
		if (now >= cpu->slice_end_ns)
			cpu->slice_end_ns = now + TASK_SLICE_NS;
		timers_arm(&cpu->timers, cpu->slice_end_ns);
		spin_unlock(&s->lock);
		return;
	}
	if (!t->idle)
		enqueue(k, t, turn_of(s, t));
	sched_switch(k);
	sched_finish_switch();
}

void sched_yield_locked(struct kernel *k)
{
	struct task *t = this_cpu()->running;
	account(t, arch_now_ns());
	/* Behind those of its priority that are ready now. */
	const struct pheap_node *first = pheap_first(&k->sched.ready[t->prio]);
	uint64_t turn = turn_of(&k->sched, t);
	if (first && turn < first->key)
		turn = first->key;
	if (t->prio == t->own_prio)
		t->vruntime_ns = turn;
	enqueue(k, t, turn);
	sched_switch(k);
}

void sched_preempt(unsigned long flags, bool was_off)
{
	struct cpu *cpu = this_cpu();
	/* Where interrupts were off the caller, or the next interrupt, looks again. */
	if (!was_off && !cpu->in_irq && __atomic_load_n(&cpu->resched, __ATOMIC_RELAXED))
		resched(cpu->kernel);
	arch_irq_restore(flags);
}

void task_preempt_point(void)
{
	bool was_off = arch_irq_off();
	sched_preempt(arch_irq_save(), was_off);
}

void sched_enter(void)
{
	struct cpu *cpu = this_cpu();
	cpu->in_irq = true;
	counter_up(&cpu->interrupts);
}

void sched_timer(void)
{
	struct cpu *cpu = this_cpu();
	timers_expire(&cpu->timers);
	if (arch_now_ns() >= cpu->slice_end_ns)
		__atomic_store_n(&cpu->resched, true, __ATOMIC_RELAXED);
	else
		timers_arm(&cpu->timers, cpu->slice_end_ns);
}

void sched_kick(void)
{
	__atomic_store_n(&this_cpu()->resched, true, __ATOMIC_RELAXED);
}

void sched_leave(void)
{
	struct cpu *cpu = this_cpu();
	cpu->in_irq = false;
	if (__atomic_load_n(&cpu->resched, __ATOMIC_RELAXED))
		resched(cpu->kernel);
}

void sched_adopt_idle(struct cpu *cpu, struct task *idle)
{
	*idle = (struct task){
	        .kernel = cpu->kernel,
	        .idle = true,
	        .state = TASK_RUNNING,
	        .prio = TASK_PRIORITIES - 1,
	        .cpu = cpu->index,
	        .refs = 1,
	        .since_ns = arch_now_ns(),
	};
	(void)fmt(idle->name, sizeof(idle->name), "idle/%u", cpu->index);
	arch_context_adopt(&idle->context);
	cpu->running = idle;
	cpu->slice_end_ns = FOREVER;
	arch_current_set(idle);
}

_Noreturn void sched_idle_loop(void)
{
	struct kernel *k = kernel_of_cpu();
	(void)arch_irq_save();
	for (;;) {
		spin_lock(&k->sched.lock);
		sched_switch(k);
		sched_finish_switch();
		/* From here on an idle CPU is poked: the interrupt that does it ends the wait. */
		if (!__atomic_load_n(&this_cpu()->resched, __ATOMIC_RELAXED))
			arch_idle();
	}
}
