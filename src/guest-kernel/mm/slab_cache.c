/* Slab caches: their geometry, life and figures. */
#include "guest-kernel/mm/mm_priv.h"

#define HEADER_ON_SLAB_MAX 512u         /* larger objects have their slab's head elsewhere */
#define OBJECTS_WANTED     16u          /* a slab */
#define SLAB_PAGES_WANTED  8u           /* at most, unless an object needs more */
#define KEEP_BYTES         (32u << 10)  /* of empty slabs */
#define DEPOT_BYTES        (128u << 10) /* of objects */
#define DEPOT_MAX          32u
#define MAGAZINE_BYTES     (32u << 10) /* of objects, about */

static bool range_ok(const struct slab_opts *o)
{
	size_t align = o->align_bytes;
	return o->size_bytes > 0 && o->size_bytes <= SLAB_OBJECT_MAX && align <= SLAB_ALIGN_MAX &&
	       (align & (align - 1)) == 0;
}

/* How many objects fit, with their head if it is on the slab. */
static uint32_t fit(struct slab_cache *c, size_t bytes)
{
	size_t n = bytes / c->stride;
	c->header_bytes = 0;
	if (c->stride >= HEADER_ON_SLAB_MAX)
		return (uint32_t)n;
	size_t most = SLAB_WORDS_MAX * 64u;
	for (n = n < most ? n : most; n > 0; n--) {
		size_t words = (n + 63) / 64;
		size_t head = sizeof(struct slab) + words * sizeof(uint64_t);
		c->header_bytes = (uint32_t)round_up(head, c->align);
		if (c->header_bytes + n * c->stride <= bytes)
			break;
	}
	return (uint32_t)n;
}

/* The smallest slab that holds enough objects and wastes at most an eighth. */
static void choose_pages(struct slab_cache *c)
{
	size_t bytes;
	c->slab_pages = (uint32_t)1 << order_of((c->stride + PAGE - 1) / PAGE);
	for (;; c->slab_pages *= 2) {
		bytes = c->slab_pages * PAGE;
		c->per_slab = fit(c, bytes);
		size_t used = (size_t)c->per_slab * c->stride + c->header_bytes;
		if (c->slab_pages >= SLAB_PAGES_WANTED ||
		    (bytes - used <= bytes / 8 && c->per_slab >= OBJECTS_WANTED))
			break;
	}
	c->colour_max = (uint32_t)(bytes - (size_t)c->per_slab * c->stride - c->header_bytes);
}

static uint32_t clamp(size_t n, uint32_t low, uint32_t high)
{
	return n < low ? low : n > high ? high : (uint32_t)n;
}

static void choose_limits(struct slab_cache *c)
{
	c->rounds = c->debugged ? 0 : clamp(MAGAZINE_BYTES / c->stride, 4, MAGAZINE_ROUNDS);
	c->empty_max = clamp(KEEP_BYTES / (c->slab_pages * PAGE), 1, 16);
	c->depot_max = clamp(DEPOT_BYTES / ((size_t)c->stride * (c->rounds + 1)), 2, DEPOT_MAX);
}

bool slab_cache_setup(struct slab_cache *c, struct mm *mm, const struct slab_opts *o)
{
	if (!range_ok(o))
		return false;
	c->mm = mm;
	mm_copy_name(c->name, o->name, sizeof(c->name));
	c->align = (uint32_t)(o->align_bytes ? o->align_bytes : SLAB_ALIGN_DEFAULT);
	c->align = c->align < SLAB_ALIGN_DEFAULT ? SLAB_ALIGN_DEFAULT : c->align;
	c->ctor = o->ctor;
	c->ctor_ctx = o->ctor_ctx;
	c->owner = o->owner;
	c->debugged = o->debug;
	c->debug = (struct debug_layout){
	        .name = c->name,
	        .object_bytes = (uint32_t)o->size_bytes,
	        .ctor = o->ctor,
	        .ctor_ctx = o->ctor_ctx,
	};
	c->stride = (uint32_t)round_up(o->size_bytes, c->align);
	if (c->debugged) {
		debug_layout_set(&c->debug, o->size_bytes, c->align);
		c->stride = c->debug.stride;
		c->align = c->debug.front_bytes;
	}
	c->reciprocal = ((1ull << 40) + c->stride - 1) / c->stride;
	choose_pages(c);
	choose_limits(c);
	return true;
}

/* Once in the list, C can be shrunk by any CPU that finds no memory. */
static void list(struct slab_cache *c)
{
	struct mm *mm = c->mm;
	spin_lock(&mm->caches_lock);
	c->next = mm->caches;
	mm->caches = c;
	spin_unlock(&mm->caches_lock);
}

static void unlist(struct slab_cache *c)
{
	struct mm *mm = c->mm;
	spin_lock(&mm->caches_lock);
	struct slab_cache **at = &mm->caches;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	spin_unlock(&mm->caches_lock);
}

struct slab_cache *slab_cache_create(struct mm *mm, const struct slab_opts *opts)
{
	struct slab_opts o = *opts;
	o.debug = o.debug || mm->debug;
	if (!range_ok(&o))
		return NULL;
	unsigned long flags = arch_irq_save();
	struct slab_cache *c = slab_alloc_bare(mm->cache_cache);
	if (!c && mm_reclaim_of(mm, NULL))
		c = slab_alloc_bare(mm->cache_cache);
	if (c) {
		__builtin_memset(c, 0, mm->cache_cache->debug.object_bytes);
		(void)slab_cache_setup(c, mm, &o);
		list(c);
	}
	arch_irq_restore(flags);
	return c;
}

/* With nobody else about and C in no list, the magazines of all CPUs are ours. */
static void drain_all(struct slab_cache *c)
{
	for (unsigned i = 0; i < c->mm->cpus; i++) {
		struct slab_cpu *cpu = &c->cpu[i];
		struct magazine *both[] = {cpu->loaded, cpu->other};
		if (cpu->loaded)
			cpu->loaded->count = (uint32_t)(cpu->top - cpu->base);
		for (unsigned k = 0; k < 2; k++) {
			if (!both[k])
				continue;
			spin_lock(&c->lock);
			slab_give(c, both[k]->objs, both[k]->count);
			spin_unlock(&c->lock);
			slab_free_bare(c->mm->magazine_cache, both[k]);
		}
		*cpu = (struct slab_cpu){0};
	}
}

size_t slab_cache_destroy(struct slab_cache *c)
{
	unsigned long flags = arch_irq_save();
	unlist(c);
	drain_all(c);
	(void)slab_shrink_off(c);
	struct slab_stats s;
	slab_stats(c, &s);
	if (s.active == 0)
		slab_free_bare(c->mm->cache_cache, c);
	else
		list(c);
	arch_irq_restore(flags);
	return s.active;
}

void slab_stats(struct slab_cache *c, struct slab_stats *out)
{
	unsigned long flags = spin_lock_irqsave(&c->lock);
	size_t slabs = 0;
	for (unsigned i = 0; i < SLAB_LISTS; i++)
		slabs += c->slabs[i];
	*out = (struct slab_stats){
	        .object_bytes = c->debug.object_bytes,
	        .stride_bytes = c->stride,
	        .slab_pages = c->slab_pages,
	        .slabs = slabs,
	        .slabs_partial = c->slabs[SLAB_PARTIAL],
	        .slabs_empty = c->slabs[SLAB_EMPTY],
	        .objects = slabs * c->per_slab,
	        .active = slabs * c->per_slab - c->free_objects,
	        .depot = (size_t)c->full_count * c->rounds,
	        .exchanges = c->exchanges,
	};
	out->active -= out->depot;
	spin_unlock_irqrestore(&c->lock, flags);
}

struct check {
	struct slab_cache *cache;
	size_t faults;
};

static void check_object(void *ctx, void *obj, bool free)
{
	struct check *k = ctx;
	(void)free;
	k->faults += debug_check(k->cache->mm, &k->cache->debug, obj);
}

size_t slab_check(struct slab_cache *c)
{
	struct check k = {.cache = c};
	if (!c->debugged)
		return 0;
	unsigned long flags = spin_lock_irqsave(&c->lock);
	slab_each(c, check_object, &k);
	spin_unlock_irqrestore(&c->lock, flags);
	return k.faults;
}
