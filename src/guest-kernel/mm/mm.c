/* How mm comes into being, and how it gets memory back. See mm.h. */
#include "guest-kernel/mm/mm_priv.h"
#include "guest-kernel/mm/pool_priv.h"

void mm_copy_name(char *to, const char *from, size_t size)
{
	size_t i = 0;
	for (; from && from[i] && i < size - 1; i++)
		to[i] = from[i];
	to[i] = '\0';
}

/* A range, cut to whole pages. */
struct span {
	uint64_t base;
	size_t pages;
};

/* False: it is too small to be of use, or it is no range of addresses. */
static bool span_of(const struct mm_range *r, struct span *out)
{
	uint64_t end;
	if (__builtin_add_overflow(r->base, r->len_bytes, &end) || r->base > UINT64_MAX - PAGE)
		return false;
	uint64_t base = round_up(r->base, PAGE);
	end &= ~(uint64_t)(PAGE - 1);
	if (end <= base || end - base < MM_RANGE_MIN_BYTES)
		return false;
	*out = (struct span){.base = base, .pages = (end - base) / PAGE};
	return true;
}

/* The largest MM_RANGES_MAX spans, largest first; how many. */
static unsigned choose_spans(const struct mm_opts *o, struct span spans[static MM_RANGES_MAX],
                             size_t *left_out)
{
	unsigned n = 0;
	*left_out = 0;
	for (unsigned i = 0; i < o->range_count; i++) {
		struct span s;
		if (!span_of(&o->ranges[i], &s)) {
			*left_out += o->ranges[i].len_bytes;
			continue;
		}
		unsigned at = n < MM_RANGES_MAX ? n++ : MM_RANGES_MAX;
		for (; at > 0 && s.pages > spans[at - 1].pages; at--)
			if (at < MM_RANGES_MAX)
				spans[at] = spans[at - 1];
			else
				*left_out += spans[at - 1].pages * PAGE;
		if (at < MM_RANGES_MAX)
			spans[at] = s;
		else
			*left_out += s.pages * PAGE;
	}
	return n;
}

/* The region's frames come first, behind FRONT bytes for mm itself. Frames are not touched. */
static void set_region(struct mm *mm, const struct span *s, size_t front)
{
	struct region *r = &mm->regions[mm->region_count++];
	uintptr_t virt = s->base + mm->direct_map;
	size_t left = s->pages * PAGE - front;
	size_t pages = left / (PAGE + sizeof(struct frame));
	size_t metadata = s->pages - pages;
	r->frames = (struct frame *)(virt + front);
	r->base = virt + metadata * PAGE;
	r->bytes = pages * PAGE;
	r->first_pfn = s->base / PAGE + metadata;
	r->metadata_pages = metadata;
}

/* Colours of pages: a way of the cache in pages, if that is a power of two. */
static unsigned count_colours(const struct mm_opts *o)
{
	struct arch_cache llc;
	if (o->llc)
		llc = *o->llc;
	else
		arch_cache_llc(&llc);
	if (o->no_colouring || !llc.known || llc.hashed)
		return 1;
	uint64_t way_pages = (uint64_t)llc.sets * llc.line_bytes / PAGE;
	if (way_pages == 0 || (way_pages & (way_pages - 1)) != 0)
		return 1;
	return way_pages < FRAMES_COLOURS_MAX ? (unsigned)way_pages : FRAMES_COLOURS_MAX;
}

/* Caches that mm itself needs have no magazines: those would need magazines. AT: memory for it. */
static struct slab_cache *own_cache(void *at, struct mm *mm, const char *name, size_t bytes,
                                    size_t align)
{
	const struct slab_opts o = {.name = name, .size_bytes = bytes, .align_bytes = align};
	struct slab_cache *c = at;
	(void)slab_cache_setup(c, mm, &o);
	c->rounds = 0;
	return c;
}

/* Bytes for mm, the page caches and then its own slab caches, each on lines of its own. */
struct layout {
	size_t caches, one_cache, bytes;
};

static struct layout layout_of(unsigned cpus)
{
	struct layout l;
	l.caches = sizeof(struct mm) + cpus * sizeof(struct page_cache);
	l.one_cache = round_up(sizeof(struct slab_cache), 64);
	l.bytes = l.caches + 3 * l.one_cache;
	return l;
}

static void set_caches(struct mm *mm)
{
	const struct layout l = layout_of(mm->cpus);
	char *at = (char *)mm + l.caches;
	size_t cache_bytes = sizeof(struct slab_cache) + mm->cpus * sizeof(struct slab_cpu);
	mm->cache_cache = own_cache(at, mm, "mm-cache", cache_bytes, 64);
	mm->header_cache = own_cache(at + l.one_cache, mm, "mm-slab",
	                             sizeof(struct slab) + sizeof(uint64_t), 8);
	mm->magazine_cache =
	        own_cache(at + 2 * l.one_cache, mm, "mm-magazine", sizeof(struct magazine), 64);
	heap_init(&mm->heap, mm, "kmalloc", NULL);
}

static const char *check(const struct mm_opts *o, const struct span *spans, unsigned n)
{
	if (o->cpus == 0 || o->cpus > ARCH_CPUS_MAX)
		return "mm: the number of CPUs is out of range";
	if (n == 0 || spans[0].pages * PAGE < MM_MIN_BYTES)
		return "mm: too little memory: no free range has 256 KiB";
	return NULL;
}

struct mm *mm_create(const struct mm_opts *o, const char **why)
{
	struct span spans[MM_RANGES_MAX];
	size_t left_out;
	unsigned n = choose_spans(o, spans, &left_out);
	*why = check(o, spans, n);
	if (*why)
		return NULL;
	struct mm *mm = (struct mm *)(uintptr_t)(spans[0].base + o->direct_map);
	size_t bytes = layout_of(o->cpus).bytes;
	__builtin_memset(mm, 0, bytes);
	mm->direct_map = o->direct_map;
	mm->cpus = o->cpus;
	mm->debug = o->debug;
	mm->report = o->report;
	mm->report_ctx = o->report_ctx;
	mm->left_out_bytes = left_out;
	buddy_init(mm, count_colours(o));
	for (unsigned i = 0; i < n; i++)
		set_region(mm, &spans[i], i == 0 ? round_up(bytes, 64) : 0);
	set_caches(mm);
	return mm;
}

uint64_t mm_phys(const struct mm *mm, const void *p)
{
	return (uintptr_t)p - mm->direct_map;
}

void *mm_virt(const struct mm *mm, uint64_t phys)
{
	return (void *)(uintptr_t)(phys + mm->direct_map);
}

void mm_fault(struct mm *mm, struct mm_fault *fault)
{
	atomic_fetch_add_explicit(&mm->faults, 1, memory_order_relaxed);
	if (!mm->report)
		return;
	size_t n = arch_backtrace(fault->here.pcs, MM_STACK_DEPTH);
	for (; n < MM_STACK_DEPTH; n++)
		fault->here.pcs[n] = 0;
	fault->here.cpu = arch_cpu();
	mm->report(mm->report_ctx, fault);
}

size_t mm_reclaim_of(struct mm *mm, const struct mm_owner *owner)
{
	unsigned long flags = spin_lock_irqsave(&mm->caches_lock);
	size_t pages = 0;
	for (struct slab_cache *c = mm->caches; c; c = c->next)
		if (!owner || c->owner == owner)
			pages += slab_shrink_off(c);
	spin_unlock_irqrestore(&mm->caches_lock, flags);
	/* The slabs of the others have their heads in the last. */
	struct slab_cache *own[] = {mm->cache_cache, mm->magazine_cache, mm->header_cache};
	for (unsigned i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		flags = spin_lock_irqsave(&own[i]->lock);
		pages += slab_release_empty(own[i], 0);
		spin_unlock_irqrestore(&own[i]->lock, flags);
	}
	/* Blocks in this CPU's cache may be halves of larger ones. */
	flags = arch_irq_save();
	pages += frames_cached(&mm->page_cache[arch_cpu()]);
	frames_drain(mm);
	arch_irq_restore(flags);
	return pages;
}

size_t mm_reclaim(struct mm *mm)
{
	return mm_reclaim_of(mm, NULL);
}

void mm_drain_local(struct mm *mm)
{
	unsigned long flags = spin_lock_irqsave(&mm->caches_lock);
	for (struct slab_cache *c = mm->caches; c; c = c->next)
		slab_drain_cpu(c);
	frames_drain(mm);
	spin_unlock_irqrestore(&mm->caches_lock, flags);
}
