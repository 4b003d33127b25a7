/*
 * Object pools. See pool.h.
 *
 * Why pool_alloc cannot fail below the capacity: with N CPUs that keep at most M free objects each,
 * the pool has capacity + (N - 1) * M objects. If fewer than `capacity` are in use, more than
 * (N - 1) * M are free; the other CPUs cannot hold them all, so one is here or in the global stack.
 */
#include "guest-kernel/mm/pool_priv.h"
#include "guest-kernel/mm/heap.h"

#define CHUNK_PAGES_MAX BLOCK_PAGES

static bool range_ok(const struct pool_opts *o)
{
	size_t align = o->align_bytes;
	return o->size_bytes > 0 && o->size_bytes <= POOL_OBJECT_MAX && o->capacity > 0 &&
	       o->capacity <= POOL_CAPACITY_MAX && align <= PAGE && (align & (align - 1)) == 0;
}

static void set_geometry(struct pool *p, const struct pool_opts *o)
{
	size_t align = o->align_bytes > 8 ? o->align_bytes : 8;
	p->capacity = o->capacity;
	p->align = (uint32_t)align;
	p->stride = (uint32_t)round_up(o->size_bytes, align);
	p->debug = (struct debug_layout){
	        .name = p->name,
	        .object_bytes = (uint32_t)o->size_bytes,
	        .ctor = o->ctor,
	        .ctor_ctx = o->ctor_ctx,
	        .keep = o->ctor != NULL,
	};
	size_t fair = o->capacity / (2 * p->mm->cpus);
	p->per_cpu = (uint32_t)(fair < 1 ? 1 : fair < POOL_CPU_MAX ? fair : POOL_CPU_MAX);
	if (p->debugged) {
		debug_layout_set(&p->debug, o->size_bytes, align);
		p->stride = p->debug.stride;
		p->per_cpu = 0;
	}
	p->batch = (p->per_cpu + 1) / 2;
	p->total = o->capacity + (size_t)(p->mm->cpus - 1) * p->per_cpu;
}

/* Takes memory for up to WANTED objects; fewer where memory is in small pieces. */
static size_t add_chunk(struct pool *p, size_t wanted)
{
	struct pool_chunk *chunk = kzalloc(p->mm, sizeof(*chunk));
	if (!chunk)
		return 0;
	size_t front = p->debug.front_bytes, least = (front + p->stride + PAGE - 1) / PAGE;
	size_t pages = (front + wanted * p->stride + PAGE - 1) / PAGE;
	pages = pages < CHUNK_PAGES_MAX ? pages : CHUNK_PAGES_MAX;
	while (!(chunk->pages = frames_alloc_pages(p->mm, pages, p->owner))) {
		if (pages == least) {
			kfree(p->mm, chunk);
			return 0;
		}
		pages = pages / 2 > least ? pages / 2 : least;
	}
	size_t fits = (pages * PAGE - front) / p->stride;
	chunk->objects = (uint32_t)(fits < wanted ? fits : wanted);
	chunk->objs = chunk->pages + front;
	chunk->next = p->chunks;
	p->chunks = chunk;
	p->pages += pages;
	return chunk->objects;
}

static void make_object(struct pool *p, char *obj)
{
	if (p->debugged)
		debug_init(&p->debug, obj);
	else if (p->ctor)
		p->ctor(obj, p->ctor_ctx);
	if (!p->debugged)
		sanitize_free(obj, p->debug.object_bytes);
	p->free[p->count++] = obj;
}

static void free_memory(struct pool *p)
{
	struct mm *mm = p->mm;
	for (struct pool_chunk *c = p->chunks, *next; c; c = next) {
		next = c->next;
		sanitize_used(c->objs, (size_t)c->objects * p->stride);
		frames_free(mm, c->pages);
		kfree(mm, c);
	}
	frames_free(mm, p->free);
	frames_free(mm, p);
}

static bool fill(struct pool *p)
{
	p->free =
	        frames_alloc_pages(p->mm, (p->total * sizeof(void *) + PAGE - 1) / PAGE, p->owner);
	for (size_t made = 0, n; p->free && made < p->total; made += n)
		if ((n = add_chunk(p, p->total - made)) == 0)
			return false;
	for (struct pool_chunk *c = p->free ? p->chunks : NULL; c; c = c->next)
		for (uint32_t i = c->objects; i > 0; i--)
			make_object(p, c->objs + (size_t)(i - 1) * p->stride);
	for (unsigned i = 0; i < p->mm->cpus; i++) {
		struct pool_cpu *cpu = &p->cpu[i];
		cpu->top = cpu->base = cpu->objs;
		cpu->limit = cpu->base + p->per_cpu;
	}
	return p->free != NULL;
}

struct pool *pool_create(struct mm *mm, const struct pool_opts *opts)
{
	if (!range_ok(opts))
		return NULL;
	size_t bytes = sizeof(struct pool) + mm->cpus * sizeof(struct pool_cpu);
	struct pool *p = frames_alloc_pages(mm, (bytes + PAGE - 1) / PAGE, opts->owner);
	if (!p)
		return NULL;
	__builtin_memset(p, 0, bytes);
	p->mm = mm;
	p->owner = opts->owner;
	p->ctor = opts->ctor;
	p->ctor_ctx = opts->ctor_ctx;
	p->debugged = opts->debug || mm->debug;
	mm_copy_name(p->name, opts->name, sizeof(p->name));
	set_geometry(p, opts);
	if (!fill(p)) {
		free_memory(p);
		return NULL;
	}
	unsigned long flags = spin_lock_irqsave(&mm->caches_lock);
	p->next = mm->pools;
	mm->pools = p;
	spin_unlock_irqrestore(&mm->caches_lock, flags);
	return p;
}

static void forget(struct pool *p)
{
	unsigned long flags = spin_lock_irqsave(&p->mm->caches_lock);
	struct pool **at = &p->mm->pools;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	spin_unlock_irqrestore(&p->mm->caches_lock, flags);
}

size_t pool_destroy(struct pool *p)
{
	size_t free = p->count;
	for (unsigned i = 0; i < p->mm->cpus; i++)
		free += (size_t)(p->cpu[i].top - p->cpu[i].base);
	if (free != p->total)
		return p->total - free;
	forget(p);
	free_memory(p);
	return 0;
}

/* Debug: is there an object at OBJ? */
static bool is_object(const struct pool *p, const void *obj)
{
	for (const struct pool_chunk *c = p->chunks; c; c = c->next) {
		size_t offset = (uintptr_t)obj - (uintptr_t)c->objs;
		if (offset < (size_t)c->objects * p->stride)
			return offset % p->stride == 0;
	}
	return false;
}

static void *alloc_debug(struct pool *p)
{
	spin_lock(&p->lock);
	void *obj = p->count ? p->free[--p->count] : NULL;
	if (obj)
		debug_allocated(p->mm, &p->debug, obj);
	spin_unlock(&p->lock);
	return obj;
}

static void free_debug(struct pool *p, void *obj)
{
	spin_lock(&p->lock);
	if (!is_object(p, obj))
		debug_stray(p->mm, MM_FAULT_BAD_POINTER, p->name, obj);
	else if (debug_freed(p->mm, &p->debug, obj))
		p->free[p->count++] = obj;
	spin_unlock(&p->lock);
}

static __attribute__((noinline)) void *alloc_slow(struct pool *p, struct pool_cpu *cpu)
{
	if (p->debugged)
		return alloc_debug(p);
	spin_lock(&p->lock);
	size_t n = p->count < p->batch ? p->count : p->batch;
	p->count -= n;
	for (size_t i = 0; i < n; i++)
		cpu->base[i] = p->free[p->count + i];
	spin_unlock(&p->lock);
	cpu->top = cpu->base + n;
	return n ? *--cpu->top : NULL;
}

static __attribute__((noinline)) void free_slow(struct pool *p, struct pool_cpu *cpu, void *obj)
{
	if (p->debugged) {
		free_debug(p, obj);
		return;
	}
	spin_lock(&p->lock);
	bool room = p->count + p->batch <= p->total;
	for (uint32_t i = 0; room && i < p->batch; i++)
		p->free[p->count++] = *--cpu->top;
	spin_unlock(&p->lock);
	if (room)
		*cpu->top++ = obj;
	else /* more came back than went out */
		debug_stray(p->mm, MM_FAULT_DOUBLE_FREE, p->name, obj);
}

void *pool_alloc(struct pool *p)
{
	unsigned long flags = arch_irq_save();
	struct pool_cpu *cpu = &p->cpu[arch_cpu()];
	void **top = cpu->top, *obj;
	if (likely(top != cpu->base)) {
		obj = *--top;
		cpu->top = top;
	} else {
		obj = alloc_slow(p, cpu);
	}
	arch_irq_restore(flags);
	if (obj)
		sanitize_used(obj, p->debug.object_bytes);
	return obj;
}

void pool_free(struct pool *p, void *obj)
{
	if (!obj)
		return;
	if (!p->debugged)
		sanitize_free(obj, p->debug.object_bytes);
	unsigned long flags = arch_irq_save();
	struct pool_cpu *cpu = &p->cpu[arch_cpu()];
	void **top = cpu->top;
	if (likely(top != cpu->limit)) {
		*top = obj;
		cpu->top = top + 1;
	} else {
		free_slow(p, cpu, obj);
	}
	arch_irq_restore(flags);
}

size_t pool_total(const struct pool *p)
{
	return p->total;
}

void pool_stats(struct pool *p, struct pool_stats *out)
{
	unsigned long flags = spin_lock_irqsave(&p->lock);
	*out = (struct pool_stats){
	        .object_bytes = p->debug.object_bytes,
	        .stride_bytes = p->stride,
	        .capacity = p->capacity,
	        .total = p->total,
	        .pages = p->pages,
	        .global = p->count,
	};
	spin_unlock_irqrestore(&p->lock, flags);
}
