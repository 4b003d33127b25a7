/*
 * Blocks in use, and the CPUs' caches of single pages. A single page that nobody in particular pays
 * for is a pop from the executing CPU's cache; everything else goes to the buddy lists.
 */
#include "guest-kernel/mm/mm_priv.h"

static void *take_cached(struct mm *mm)
{
	struct page_cache *pc = &mm->page_cache[arch_cpu()];
	uint32_t n = page_cache_count(pc);
	if (unlikely(n == 0)) {
		/* The first that is taken is to be the first that goes out. */
		void *pages[PAGES_BATCH];
		n = buddy_take_pages(mm, pages, PAGES_BATCH);
		for (uint32_t i = 0; i < n; i++) {
			frame_set_state(frame_of(mm, pages[i]), FRAME_CACHED);
			pc->pages[n - 1 - i] = pages[i];
		}
		if (n == 0)
			return NULL;
	}
	page_cache_set_count(pc, n - 1);
	return pc->pages[n - 1];
}

static void give_cached(struct mm *mm, struct frame *f, void *page)
{
	struct page_cache *pc = &mm->page_cache[arch_cpu()];
	uint32_t n = page_cache_count(pc);
	if (unlikely(n == PAGES_MAX)) {
		/* The oldest go. */
		buddy_give_pages(mm, pc->pages, PAGES_BATCH);
		n -= PAGES_BATCH;
		__builtin_memmove(pc->pages, pc->pages + PAGES_BATCH, n * sizeof(pc->pages[0]));
	}
	frame_set_state(f, FRAME_CACHED);
	pc->pages[n] = page;
	page_cache_set_count(pc, n + 1);
}

void frames_drain(struct mm *mm)
{
	struct page_cache *pc = &mm->page_cache[arch_cpu()];
	buddy_give_pages(mm, pc->pages, page_cache_count(pc));
	page_cache_set_count(pc, 0);
}

/* Debug: pages are all poison while they are free. */
static void poison(struct frame *f, char *block, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		f[i].poisoned = true;
	__builtin_memset(block, DEBUG_POISON_FREE, pages * PAGE);
}

static void check_poison(struct mm *mm, struct frame *f, char *block, size_t pages)
{
	for (size_t i = 0; i < pages; i++) {
		if (!f[i].poisoned)
			continue;
		f[i].poisoned = false;
		size_t at = debug_scan(block + i * PAGE, DEBUG_POISON_FREE, PAGE);
		if (at == PAGE)
			continue;
		struct mm_fault fault = {
		        .kind = MM_FAULT_USE_AFTER_FREE,
		        .cache = "frames",
		        .object = block + i * PAGE,
		        .object_bytes = PAGE,
		        .offset = at,
		        .found = ((uint8_t *)block)[i * PAGE + at],
		};
		mm_fault(mm, &fault);
	}
}

void *frames_take(struct mm *mm, size_t pages, uint32_t colour, struct mm_owner *owner)
{
	if (unlikely(!owner_charge(owner, pages)))
		return NULL;
	unsigned order = order_of(pages);
	void *block = order == 0 && colour == COLOUR_ANY ? take_cached(mm)
	                                                 : buddy_take(mm, order, colour);
	if (unlikely(!block)) {
		owner_refund(owner, pages);
		return NULL;
	}
	struct frame *f = frame_of(mm, block);
	f->heap = NULL;
	f->pages = (uint32_t)pages;
	f->owner = owner ? (uint8_t)(owner - mm->owners) : 0;
	frame_set_state(f, FRAME_USED);
	size_t rest = ((size_t)1 << order) - pages;
	if (rest)
		buddy_give(mm, (char *)block + pages * PAGE, rest);
	if (unlikely(mm->debug))
		check_poison(mm, f, block, pages);
	return block;
}

/* The frame of a block in use that starts at P; else NULL, and it is reported. */
static struct frame *used(struct mm *mm, const void *p)
{
	struct frame *f = frame_of(mm, p);
	enum frame_state s = f ? frame_state(f) : FRAME_NONE;
	if (likely(s == FRAME_USED && (uintptr_t)p % PAGE == 0))
		return f;
	bool again = (s == FRAME_FREE || s == FRAME_CACHED) && (uintptr_t)p % PAGE == 0;
	debug_stray(mm, again ? MM_FAULT_DOUBLE_FREE : MM_FAULT_BAD_POINTER, "frames", p);
	return NULL;
}

void frames_give(struct mm *mm, void *block)
{
	struct frame *f = used(mm, block);
	if (!f)
		return;
	size_t pages = f->pages;
	owner_refund(f->owner ? &mm->owners[f->owner] : NULL, pages);
	if (unlikely(mm->debug))
		poison(f, block, pages);
	if (pages == 1) {
		give_cached(mm, f, block);
	} else {
		frame_set_state(f, FRAME_NONE);
		buddy_give(mm, block, pages);
	}
}

static void *take_or_reclaim(struct mm *mm, size_t pages, uint32_t colour, struct mm_owner *owner)
{
	unsigned long flags = arch_irq_save();
	void *block = frames_take(mm, pages, colour, owner);
	if (unlikely(!block)) {
		/* What OWNER's caches hold unused helps it in either case. */
		if (mm_reclaim_of(mm, owner))
			block = frames_take(mm, pages, colour, owner);
		if (!block && owner && owner_room(owner) >= pages && mm_reclaim_of(mm, NULL))
			block = frames_take(mm, pages, colour, owner);
		if (!block)
			atomic_fetch_add_explicit(&mm->failures, 1, memory_order_relaxed);
	}
	arch_irq_restore(flags);
	return block;
}

void *frames_alloc(struct mm *mm, unsigned order, struct mm_owner *owner)
{
	if (order > FRAMES_ORDER_MAX)
		return NULL;
	return take_or_reclaim(mm, (size_t)1 << order, COLOUR_ANY, owner);
}

void *frames_alloc_pages(struct mm *mm, size_t pages, struct mm_owner *owner)
{
	if (pages == 0 || pages > BLOCK_PAGES)
		return NULL;
	return take_or_reclaim(mm, pages, COLOUR_ANY, owner);
}

void *frames_alloc_colour(struct mm *mm, unsigned colour, struct mm_owner *owner)
{
	return take_or_reclaim(mm, 1, colour % frames_colours(mm), owner);
}

void frames_free(struct mm *mm, void *block)
{
	if (!block)
		return;
	unsigned long flags = arch_irq_save();
	frames_give(mm, block);
	arch_irq_restore(flags);
}

size_t frames_size_pages(struct mm *mm, const void *block)
{
	const struct frame *f = frame_of(mm, block);
	return f && frame_state(f) == FRAME_USED && (uintptr_t)block % PAGE == 0 ? f->pages : 0;
}

unsigned frames_colours(const struct mm *mm)
{
	return 1u << mm->colour_bits;
}

unsigned frames_colour(const struct mm *mm, const void *page)
{
	return (unsigned)(mm_phys(mm, page) / PAGE) & (frames_colours(mm) - 1);
}
