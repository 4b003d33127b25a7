/*
 * Free blocks, by order and colour. A block is in the list of its order and of the group of colours
 * that its pages cover; from the order on at which a block covers all colours there is one list.
 *
 * A frame in a list is always filled in, and so is its buddy's: both were written when the block
 * that they make up was split, or it is the largest there is. So a region's frames need not be
 * filled in before memory is wanted: it is done for one largest block after another, from the
 * region's start, and what lies beyond counts as free.
 */
#include "guest-kernel/mm/mm_priv.h"

static unsigned groups(const struct mm *mm, unsigned order)
{
	return order < mm->colour_bits ? 1u << (mm->colour_bits - order) : 1;
}

static struct frame *list_at(struct mm *mm, unsigned order, uint64_t pfn)
{
	return &mm->lists[mm->list_base[order] + ((pfn >> order) & (groups(mm, order) - 1))];
}

void buddy_init(struct mm *mm, unsigned colours)
{
	mm->colour_bits = log2_floor(colours);
	unsigned lists = 0;
	for (unsigned order = 0; order < ORDERS; order++) {
		mm->list_base[order] = (uint16_t)lists;
		lists += groups(mm, order);
	}
	for (unsigned i = 0; i < lists; i++)
		mm->lists[i].next = mm->lists[i].prev = &mm->lists[i];
}

static void insert(struct mm *mm, const struct region *r, size_t index, unsigned order)
{
	struct frame *f = &r->frames[index];
	struct frame *head = list_at(mm, order, r->first_pfn + index);
	frame_set_state(f, FRAME_FREE);
	f->order = (uint8_t)order;
	/* Last in, last out: until its turn comes, its buddy may be freed and the two merge. */
	f->prev = head->prev;
	f->next = head;
	head->prev->next = f;
	head->prev = f;
	mm->filled[order] |= 1ull << (head - &mm->lists[mm->list_base[order]]);
	mm->blocks[order]++;
}

static void unlink(struct mm *mm, struct frame *f)
{
	unsigned order = f->order;
	struct frame *next = f->next;
	f->prev->next = next;
	next->prev = f->prev;
	if (next == f->prev) /* only a head is its own neighbour */
		mm->filled[order] &= ~(1ull << (next - &mm->lists[mm->list_base[order]]));
	frame_set_state(f, FRAME_NONE);
	mm->blocks[order]--;
}

/* A block goes back and becomes as large as it can. */
static void give(struct mm *mm, struct region *r, size_t index, unsigned order)
{
	size_t touched = atomic_load_explicit(&r->touched_bytes, memory_order_relaxed) / PAGE;
	uint64_t pfn = r->first_pfn + index;
	mm->free_pages += (size_t)1 << order;
	while (order < FRAMES_ORDER_MAX) {
		uint64_t buddy = (pfn ^ (1ull << order)) - r->first_pfn;
		if (buddy >= touched) /* or it lies below the region, and wrapped */
			break;
		struct frame *b = &r->frames[buddy];
		if (frame_state(b) != FRAME_FREE || b->order != order)
			break;
		unlink(mm, b);
		pfn &= ~(1ull << order);
		order++;
	}
	insert(mm, r, pfn - r->first_pfn, order);
}

/* COUNT pages from INDEX on, which need not be a block. */
static void give_span(struct mm *mm, struct region *r, size_t index, size_t count)
{
	while (count > 0) {
		uint64_t pfn = r->first_pfn + index;
		unsigned order = pfn ? (unsigned)__builtin_ctzl(pfn) : FRAMES_ORDER_MAX;
		unsigned most = log2_floor(count);
		order = order < most ? order : most;
		order = order < FRAMES_ORDER_MAX ? order : FRAMES_ORDER_MAX;
		give(mm, r, index, order);
		index += (size_t)1 << order;
		count -= (size_t)1 << order;
	}
}

/* Fills in the frames of what is left of the next largest block. False: no region has any. */
static bool touch_more(struct mm *mm)
{
	for (unsigned i = 0; i < mm->region_count; i++) {
		struct region *r = &mm->regions[i];
		size_t from = atomic_load_explicit(&r->touched_bytes, memory_order_relaxed) / PAGE;
		size_t left = r->bytes / PAGE - from;
		if (left == 0)
			continue;
		size_t n = BLOCK_PAGES - ((r->first_pfn + from) & (BLOCK_PAGES - 1));
		n = n < left ? n : left;
		__builtin_memset(&r->frames[from], 0, n * sizeof(*r->frames));
		atomic_store_explicit(&r->touched_bytes, (from + n) * PAGE, memory_order_relaxed);
		give_span(mm, r, from, n);
		return true;
	}
	return false;
}

static struct region *region_of_frame(struct mm *mm, const struct frame *f)
{
	struct region *r = mm->regions;
	while ((uintptr_t)f - (uintptr_t)r->frames >= r->bytes / PAGE * sizeof(*f))
		r++;
	return r;
}

/* Takes F out of its list and gives back all of its block but 2^ORDER pages of COLOUR. */
static void *split(struct mm *mm, struct frame *f, unsigned order, uint32_t colour)
{
	struct region *r = region_of_frame(mm, f);
	size_t index = (size_t)(f - r->frames);
	unsigned has = f->order;
	unlink(mm, f);
	while (has > order) {
		has--;
		size_t half = (size_t)1 << has;
		bool upper = has < mm->colour_bits && (colour >> has & 1);
		insert(mm, r, upper ? index : index + half, has);
		index += upper ? half : 0;
	}
	mm->free_pages -= (size_t)1 << order;
	return (void *)(r->base + index * PAGE);
}

/* The smallest block of 2^ORDER pages or more that covers COLOUR. */
static struct frame *find_colour(struct mm *mm, unsigned order, uint32_t colour)
{
	for (; order < ORDERS; order++) {
		struct frame *head = list_at(mm, order, colour);
		if (head->next != head)
			return head->next;
	}
	return NULL;
}

static struct frame *find_any(struct mm *mm, unsigned order)
{
	for (; order < ORDERS; order++)
		if (mm->filled[order])
			return mm
			        ->lists[mm->list_base[order] +
			                (unsigned)__builtin_ctzll(mm->filled[order])]
			        .next;
	return NULL;
}

/* Each touch_more adds a block; a few may be too small, at the ends of regions. */
static void *take_locked(struct mm *mm, unsigned order, uint32_t colour)
{
	bool any = colour == COLOUR_ANY;
	struct frame *f;
	do
		f = any ? find_any(mm, order) : find_colour(mm, order, colour);
	while (!f && touch_more(mm));
	if (!f && !any)
		f = find_any(mm, order);
	return f ? split(mm, f, order, any ? 0 : colour) : NULL;
}

void *buddy_take(struct mm *mm, unsigned order, uint32_t colour)
{
	spin_lock(&mm->frames_lock);
	if (colour != COLOUR_ANY)
		colour &= (1u << mm->colour_bits) - 1;
	void *block = take_locked(mm, order, colour);
	spin_unlock(&mm->frames_lock);
	return block;
}

/* Single pages come colour after colour. */
unsigned buddy_take_blocks(struct mm *mm, unsigned order, void **blocks, unsigned n)
{
	unsigned got = 0;
	spin_lock(&mm->frames_lock);
	for (; got < n; got++) {
		uint32_t colour = mm->next_colour & ((1u << mm->colour_bits) - 1);
		blocks[got] = take_locked(mm, order, order == 0 ? colour : COLOUR_ANY);
		if (!blocks[got])
			break;
		mm->next_colour += order == 0;
	}
	spin_unlock(&mm->frames_lock);
	return got;
}

static void give_locked(struct mm *mm, void *page, size_t count)
{
	struct region *r = region_of(mm, page);
	give_span(mm, r, ((uintptr_t)page - r->base) / PAGE, count);
}

void buddy_give(struct mm *mm, void *page, size_t count)
{
	spin_lock(&mm->frames_lock);
	give_locked(mm, page, count);
	spin_unlock(&mm->frames_lock);
}

void buddy_give_blocks(struct mm *mm, unsigned order, void **blocks, unsigned n)
{
	spin_lock(&mm->frames_lock);
	for (unsigned i = 0; i < n; i++) {
		frame_set_state(frame_of(mm, blocks[i]), FRAME_NONE);
		give_locked(mm, blocks[i], (size_t)1 << order);
	}
	spin_unlock(&mm->frames_lock);
}
