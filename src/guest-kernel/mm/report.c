/* meminfo, slabinfo, leaks, faults. See report.h. */
#include "guest-kernel/mm/pool_priv.h"
#include "guest-kernel/mm/text.h"

#define KIB(pages) ((uint64_t)(pages) * (PAGE / 1024))

void mm_stats(struct mm *mm, struct mm_stats *out)
{
	*out = (struct mm_stats){
	        .left_out_bytes = mm->left_out_bytes,
	        .failures = atomic_load_explicit(&mm->failures, memory_order_relaxed),
	        .faults = atomic_load_explicit(&mm->faults, memory_order_relaxed),
	        .colours = frames_colours(mm),
	};
	unsigned long flags = spin_lock_irqsave(&mm->frames_lock);
	for (unsigned i = 0; i < mm->region_count; i++) {
		struct region *r = &mm->regions[i];
		out->pages += r->bytes / PAGE;
		out->metadata_pages += r->metadata_pages;
		out->untouched_pages +=
		        (r->bytes - atomic_load_explicit(&r->touched_bytes, memory_order_relaxed)) /
		        PAGE;
	}
	out->free_pages = mm->free_pages;
	for (unsigned i = 0; i < mm->cpus; i++)
		out->cached_pages += frames_cached(&mm->page_cache[i]);
	spin_unlock_irqrestore(&mm->frames_lock, flags);
}

static void print_blocks(struct mm *mm, const struct mm_sink *to)
{
	size_t blocks[ORDERS];
	unsigned long flags = spin_lock_irqsave(&mm->frames_lock);
	__builtin_memcpy(blocks, mm->blocks, sizeof(blocks));
	spin_unlock_irqrestore(&mm->frames_lock, flags);
	text_put(to, "free blocks, by size in KiB:\n");
	for (unsigned order = 0; order < ORDERS; order++) {
		text_number(to, KIB(1ull << order), 7);
		text_put(to, ": ");
		text_number(to, blocks[order], 0);
		text_put(to, order % 6 == 5 || order + 1 == ORDERS ? "\n" : "");
	}
}

static void print_owners(struct mm *mm, const struct mm_sink *to)
{
	text_put(to, "owner                      KiB     peak    limit refusals\n");
	for (unsigned i = 1; i < MM_OWNERS_MAX; i++) {
		struct mm_owner_stats s;
		char name[MM_OWNER_NAME_MAX] = "";
		unsigned long flags = spin_lock_irqsave(&mm->owners_lock);
		if (mm->owners[i].used)
			mm_copy_name(name, mm->owners[i].name, sizeof(name));
		spin_unlock_irqrestore(&mm->owners_lock, flags);
		if (!name[0])
			continue;
		mm_owner_stats(&mm->owners[i], &s);
		text_word(to, name, 21);
		text_number(to, KIB(s.pages), 9);
		text_number(to, KIB(s.peak_pages), 9);
		if (s.limit_pages)
			text_number(to, KIB(s.limit_pages), 9);
		else
			text_put(to, "        -");
		text_number(to, s.refusals, 9);
		text_put(to, "\n");
	}
}

void mm_meminfo(struct mm *mm, const struct mm_sink *to)
{
	struct mm_stats s;
	mm_stats(mm, &s);
	size_t free = s.free_pages + s.untouched_pages + s.cached_pages;
	text_line(to, "total:", KIB(s.pages), " KiB");
	text_line(to, "free:", KIB(free), " KiB");
	text_line(to, "  untouched:", KIB(s.untouched_pages), " KiB");
	text_line(to, "  CPUs' caches:", KIB(s.cached_pages), " KiB");
	text_line(to, "used:", KIB(free < s.pages ? s.pages - free : 0), " KiB");
	text_line(to, "metadata:", KIB(s.metadata_pages), " KiB");
	text_line(to, "left out:", s.left_out_bytes / 1024, " KiB");
	text_line(to, "colours:", s.colours,
	          s.colours > 1 ? "" : " (off: the cache is unknown, hashed, or has one)");
	text_line(to, "failures:", s.failures, "");
	text_line(to, "faults:", s.faults, mm->debug ? " (debug is on)" : "");
	print_blocks(mm, to);
	print_owners(mm, to);
}

/* A line of slabinfo, copied so that it can be written with no lock held. */
struct line {
	char name[SLAB_NAME_MAX];
	const char *notes;
	struct slab_stats s;
};

static void line_of_cache(struct slab_cache *c, struct line *l)
{
	slab_stats(c, &l->s);
	mm_copy_name(l->name, c->name, sizeof(l->name));
	l->notes = c->debugged ? " debug\n" : "\n";
}

static void line_of_pool(struct pool *p, struct line *l)
{
	struct pool_stats s;
	pool_stats(p, &s);
	l->s = (struct slab_stats){
	        .object_bytes = s.object_bytes,
	        .active = s.total - s.global,
	        .objects = s.total,
	        .slabs = 1,
	        .slab_pages = s.pages,
	};
	mm_copy_name(l->name, p->name, sizeof(l->name));
	l->notes = p->debugged ? " pool debug\n" : " pool\n";
}

/* The cache or pool that is INDEXth at the moment; false: there are not so many. */
static bool line_at(struct mm *mm, unsigned index, struct line *l)
{
	unsigned long flags = spin_lock_irqsave(&mm->caches_lock);
	struct slab_cache *c = mm->caches;
	struct pool *p = mm->pools;
	for (; c && index > 0; index--)
		c = c->next;
	for (; !c && p && index > 0; index--)
		p = p->next;
	if (c)
		line_of_cache(c, l);
	else if (p)
		line_of_pool(p, l);
	spin_unlock_irqrestore(&mm->caches_lock, flags);
	return c || p;
}

static void print_line(const struct line *l, const struct mm_sink *to)
{
	text_word(to, l->name, SLAB_NAME_MAX);
	text_number(to, l->s.object_bytes, 6);
	text_number(to, l->s.active, 9);
	text_number(to, l->s.objects, 9);
	text_number(to, l->s.depot, 7);
	text_number(to, KIB(l->s.slabs * l->s.slab_pages), 9);
	text_number(to, l->s.slabs_partial, 8);
	text_number(to, l->s.slabs_empty, 6);
	text_number(to, l->s.exchanges, 11);
	text_put(to, l->notes);
}

void mm_slabinfo(struct mm *mm, const struct mm_sink *to)
{
	struct slab_cache *own[] = {mm->cache_cache, mm->header_cache, mm->magazine_cache};
	struct line l;
	text_put(to, "name                     bytes   active  objects  depot      KiB partial"
	             " empty  exchanges\n");
	for (unsigned i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		line_of_cache(own[i], &l);
		print_line(&l, to);
	}
	for (unsigned i = 0; line_at(mm, i, &l); i++)
		print_line(&l, to);
}

static void print_stack(const struct mm_sink *to, const char *what, const struct mm_stack *s)
{
	if (!s)
		return;
	text_put(to, what);
	text_put(to, " on CPU ");
	text_number(to, s->cpu, 0);
	text_put(to, ":");
	for (unsigned i = 0; i < MM_STACK_DEPTH && s->pcs[i]; i++) {
		text_put(to, " ");
		text_put_hex(to, s->pcs[i]);
	}
	text_put(to, "\n");
}

struct leaks {
	const struct debug_layout *debug;
	const struct mm_sink *to;
	size_t count;
};

static void print_leak(void *ctx, void *obj, bool free)
{
	struct leaks *l = ctx;
	if (free || debug_is_free(l->debug, obj))
		return;
	l->count++;
	text_put(l->to, l->debug->name);
	text_put(l->to, ": ");
	text_number(l->to, debug_size(l->debug, obj), 0);
	text_put(l->to, " bytes at ");
	text_put_hex(l->to, (uintptr_t)obj);
	print_stack(l->to, ", allocated", debug_allocation(l->debug, obj));
}

size_t mm_leaks(struct mm *mm, const struct mm_sink *to)
{
	struct leaks l = {.to = to};
	for (struct slab_cache *c = mm->caches; c; c = c->next) {
		l.debug = &c->debug;
		if (c->debugged)
			slab_each(c, print_leak, &l);
	}
	for (struct pool *p = mm->pools; p; p = p->next) {
		l.debug = &p->debug;
		for (struct pool_chunk *k = p->debugged ? p->chunks : NULL; k; k = k->next)
			for (uint32_t i = 0; i < k->objects; i++)
				print_leak(&l, k->objs + (size_t)i * p->stride, false);
	}
	return l.count;
}

const char *mm_fault_name(enum mm_fault_kind kind)
{
	switch (kind) {
	case MM_FAULT_BAD_POINTER:
		return "free of a bad pointer";
	case MM_FAULT_DOUBLE_FREE:
		return "double free";
	case MM_FAULT_USE_AFTER_FREE:
		return "use after free";
	case MM_FAULT_REDZONE_BEFORE:
		return "write before the start";
	case MM_FAULT_REDZONE_AFTER:
		return "write beyond the end";
	case MM_FAULT_WRONG_CACHE:
		return "free to the wrong cache";
	}
	return "unknown fault";
}

static bool about_bytes(enum mm_fault_kind kind)
{
	return kind == MM_FAULT_USE_AFTER_FREE || kind == MM_FAULT_REDZONE_BEFORE ||
	       kind == MM_FAULT_REDZONE_AFTER;
}

void mm_fault_print(const struct mm_fault *f, const struct mm_sink *to)
{
	text_put(to, "mm: ");
	text_put(to, mm_fault_name(f->kind));
	text_put(to, ": ");
	text_put(to, f->cache);
	text_put(to, " ");
	text_put_hex(to, (uintptr_t)f->object);
	if (about_bytes(f->kind)) {
		text_put(to, " of ");
		text_number(to, f->object_bytes, 0);
		text_put(to, f->kind == MM_FAULT_REDZONE_BEFORE ? " bytes, at offset -"
		                                                : " bytes, at offset ");
		text_number(to, f->offset, 0);
		text_put(to, ": found ");
		text_put_hex(to, f->found);
	}
	text_put(to, "\n");
	print_stack(to, "  allocated", f->allocated);
	print_stack(to, "  freed", f->freed);
	print_stack(to, "  found", &f->here);
}
