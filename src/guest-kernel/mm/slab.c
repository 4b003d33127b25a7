/*
 * Slab caches as their users see them: the executing CPU's magazines, and behind them the depot.
 * Bonwick and Adams, "Magazines and Vmem" (USENIX 2001), section 3.
 *
 * A CPU's loaded magazine is between empty and full; the other one is empty or full. A pop that
 * finds the loaded one empty, or a push that finds it full, exchanges the two if that helps, else
 * the other one against one of the depot: so at least a whole magazine of operations goes by
 * between two turns at the lock.
 */
#include "guest-kernel/mm/mm_priv.h"

static void load(struct slab_cache *c, struct slab_cpu *cpu, struct magazine *m)
{
	cpu->loaded = m;
	cpu->base = m->objs;
	cpu->limit = m->objs + c->rounds;
	cpu->top = m->objs + m->count;
}

static void unload(struct slab_cpu *cpu)
{
	cpu->loaded->count = (uint32_t)(cpu->top - cpu->base);
}

static void swap(struct slab_cache *c, struct slab_cpu *cpu)
{
	struct magazine *m = cpu->other;
	unload(cpu);
	cpu->other = cpu->loaded;
	load(c, cpu, m);
}

static struct magazine *magazine_new(struct slab_cache *c)
{
	struct magazine *m = slab_alloc_bare(c->mm->magazine_cache);
	if (m)
		m->count = 0;
	return m;
}

/* The first use of C on this CPU. False: no memory for a magazine, do without. */
static bool first_use(struct slab_cache *c, struct slab_cpu *cpu)
{
	if (c->rounds == 0)
		return false;
	struct magazine *m = magazine_new(c);
	if (m)
		load(c, cpu, m);
	return m != NULL;
}

void *slab_alloc_bare(struct slab_cache *c)
{
	void *obj = NULL;
	spin_lock(&c->lock);
	if (slab_take(c, &obj, 1) && c->debugged)
		debug_allocated(c->mm, &c->debug, obj);
	spin_unlock(&c->lock);
	if (obj && !c->debugged)
		sanitize_used(obj, c->debug.object_bytes);
	return obj;
}

void slab_free_bare(struct slab_cache *c, void *obj)
{
	spin_lock(&c->lock);
	slab_give(c, &obj, 1);
	spin_unlock(&c->lock);
}

/* The loaded magazine is empty and the other one is no help: fill it, from the depot or the slabs.
 */
static void refill(struct slab_cache *c, struct slab_cpu *cpu)
{
	spin_lock(&c->lock);
	struct magazine *m = c->full;
	if (m) {
		c->full = m->next;
		c->full_count--;
		c->exchanges++;
		unload(cpu);
		cpu->loaded->next = c->empty;
		c->empty = cpu->loaded;
		load(c, cpu, m);
	} else {
		/* Half, so that both kinds of operation can go on for a while. */
		cpu->top += slab_take(c, cpu->base, c->rounds / 2);
	}
	spin_unlock(&c->lock);
}

static void *alloc_slow(struct slab_cache *c, struct slab_cpu *cpu)
{
	if (!cpu->loaded && !first_use(c, cpu))
		return slab_alloc_bare(c);
	if (cpu->top == cpu->base && cpu->other && cpu->other->count)
		swap(c, cpu);
	if (cpu->top == cpu->base)
		refill(c, cpu);
	return cpu->top == cpu->base ? NULL : *--cpu->top;
}

/* What C's owner has unused goes back first; if it is not the owner's limit, what all have. */
static void *alloc_reclaim(struct slab_cache *c, struct slab_cpu *cpu)
{
	void *obj = NULL;
	if (mm_reclaim_of(c->mm, c->owner))
		obj = alloc_slow(c, cpu);
	if (!obj && c->owner && owner_room(c->owner) >= c->slab_pages && mm_reclaim_of(c->mm, NULL))
		obj = alloc_slow(c, cpu);
	return obj;
}

void *slab_alloc_slow(struct slab_cache *c, struct slab_cpu *cpu, size_t size)
{
	void *obj = alloc_slow(c, cpu);
	if (unlikely(!obj))
		obj = alloc_reclaim(c, cpu);
	if (unlikely(!obj))
		atomic_fetch_add_explicit(&c->mm->failures, 1, memory_order_relaxed);
	else if (unlikely(c->debugged) && size)
		debug_set_size(&c->debug, obj, size);
	return obj;
}

/* Both magazines are full: the other one goes to the depot, or its objects to the slabs. */
static void make_room(struct slab_cache *c, struct slab_cpu *cpu)
{
	spin_lock(&c->lock);
	if (c->full_count < c->depot_max && c->empty) {
		struct magazine *m = c->empty;
		c->empty = m->next;
		cpu->other->next = c->full;
		c->full = cpu->other;
		c->full_count++;
		c->exchanges++;
		cpu->other = m;
	} else {
		slab_give(c, cpu->other->objs, cpu->other->count);
		cpu->other->count = 0;
	}
	spin_unlock(&c->lock);
}

/* A second magazine, or a further one for the depot to hold, is made when there is use for it. */
static void add_magazine(struct slab_cache *c, struct slab_cpu *cpu)
{
	struct magazine *m = magazine_new(c);
	if (!m)
		return;
	if (!cpu->other) {
		cpu->other = m;
		return;
	}
	spin_lock(&c->lock);
	m->next = c->empty;
	c->empty = m;
	spin_unlock(&c->lock);
}

void slab_free_slow(struct slab_cache *c, struct slab_cpu *cpu, void *obj)
{
	if (!cpu->loaded && !first_use(c, cpu)) {
		slab_free_bare(c, obj);
		return;
	}
	if (cpu->top == cpu->limit) {
		if (!cpu->other || (cpu->other->count && c->full_count < c->depot_max && !c->empty))
			add_magazine(c, cpu);
		if (!cpu->other) {
			slab_free_bare(c, obj);
			return;
		}
		if (cpu->other->count)
			make_room(c, cpu);
		swap(c, cpu);
	}
	*cpu->top++ = obj;
}

/* The executing CPU's magazines, for good: they are made again when the CPU next uses C. */
void slab_drain_cpu(struct slab_cache *c)
{
	struct slab_cpu *cpu = &c->cpu[arch_cpu()];
	struct magazine *loaded = cpu->loaded, *other = cpu->other;
	if (!loaded)
		return;
	unload(cpu);
	spin_lock(&c->lock);
	slab_give(c, loaded->objs, loaded->count);
	if (other)
		slab_give(c, other->objs, other->count);
	spin_unlock(&c->lock);
	slab_free_bare(c->mm->magazine_cache, loaded);
	if (other)
		slab_free_bare(c->mm->magazine_cache, other);
	*cpu = (struct slab_cpu){0};
}

size_t slab_shrink_off(struct slab_cache *c)
{
	slab_drain_cpu(c);
	spin_lock(&c->lock);
	struct magazine *full = c->full, *empty = c->empty, *next;
	c->full = c->empty = NULL;
	c->full_count = 0;
	for (struct magazine *m = full; m; m = m->next)
		slab_give(c, m->objs, m->count);
	size_t pages = slab_release_empty(c, 0);
	spin_unlock(&c->lock);
	for (; full; full = next) {
		next = full->next;
		slab_free_bare(c->mm->magazine_cache, full);
	}
	for (; empty; empty = next) {
		next = empty->next;
		slab_free_bare(c->mm->magazine_cache, empty);
	}
	return pages;
}

size_t slab_shrink(struct slab_cache *c)
{
	unsigned long flags = arch_irq_save();
	size_t pages = slab_shrink_off(c);
	arch_irq_restore(flags);
	return pages;
}

void *slab_alloc(struct slab_cache *c)
{
	return slab_pop(c, 0);
}

void slab_free(struct slab_cache *c, void *obj)
{
	if (obj)
		slab_push(c, obj);
}

size_t slab_alloc_batch(struct slab_cache *c, void **objs, size_t n)
{
	size_t got = 0;
	for (; got < n; got++) {
		objs[got] = slab_pop(c, 0);
		if (!objs[got])
			break;
	}
	return got;
}

void slab_free_batch(struct slab_cache *c, void **objs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		slab_push(c, objs[i]);
}
