/*
 * Blocks in use, and the CPUs' caches of small ones. A block of 1, 2, 4 or 8 pages is a pop from
 * the executing CPU's stack; everything else goes to the buddy lists.
 */
#include "guest-kernel/mm/mm_priv.h"

static const uint8_t cached_max[CACHED_ORDERS] = {CACHED_MAX, 12, 8, 4};
static const uint8_t cached_batch[CACHED_ORDERS] = {CACHED_MAX / 3, 4, 2, 1};

static void *take_cached(struct mm *mm, unsigned order)
{
	struct block_stack *s = &mm->page_cache[arch_cpu()].stacks[order];
	uint32_t n = stack_count(s);
	if (unlikely(n == 0)) {
		/* The first that is taken is to be the first that goes out. */
		void *blocks[CACHED_MAX];
		n = buddy_take_blocks(mm, order, blocks, cached_batch[order]);
		for (uint32_t i = 0; i < n; i++) {
			frame_set_state(frame_of(mm, blocks[i]), FRAME_CACHED);
			s->blocks[n - 1 - i] = blocks[i];
		}
		if (n == 0)
			return NULL;
	}
	stack_set_count(s, n - 1);
	return s->blocks[n - 1];
}

static void give_cached(struct mm *mm, struct frame *f, void *block, unsigned order)
{
	struct block_stack *s = &mm->page_cache[arch_cpu()].stacks[order];
	uint32_t n = stack_count(s), batch = cached_batch[order];
	if (unlikely(n == cached_max[order])) {
		/* The oldest go. */
		buddy_give_blocks(mm, order, s->blocks, batch);
		n -= batch;
		__builtin_memmove(s->blocks, s->blocks + batch, n * sizeof(s->blocks[0]));
	}
	frame_set_state(f, FRAME_CACHED);
	s->blocks[n] = block;
	stack_set_count(s, n + 1);
}

void frames_drain(struct mm *mm)
{
	for (unsigned order = 0; order < CACHED_ORDERS; order++) {
		struct block_stack *s = &mm->page_cache[arch_cpu()].stacks[order];
		buddy_give_blocks(mm, order, s->blocks, stack_count(s));
		stack_set_count(s, 0);
	}
}

size_t frames_cached(const struct page_cache *pc)
{
	size_t pages = 0;
	for (unsigned order = 0; order < CACHED_ORDERS; order++)
		pages += (size_t)stack_count(&pc->stacks[order]) << order;
	return pages;
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
	bool cached = order < CACHED_ORDERS && colour == COLOUR_ANY;
	void *block = cached ? take_cached(mm, order) : buddy_take(mm, order, colour);
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
	unsigned order = order_of(pages);
	if (order < CACHED_ORDERS && pages == (size_t)1 << order) {
		give_cached(mm, f, block, order);
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
