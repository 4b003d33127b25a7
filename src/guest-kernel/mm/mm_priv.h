/* The memory manager's own structures. Only src/guest-kernel/mm includes this. */
#ifndef GK_MM_MM_PRIV_H
#define GK_MM_MM_PRIV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest-kernel/arch/arch.h"
#include "guest-kernel/core/spinlock.h"
#include "guest-kernel/mm/frames.h"
#include "guest-kernel/mm/mm.h"
#include "guest-kernel/mm/owner.h"
#include "guest-kernel/mm/report.h"
#include "guest-kernel/mm/slab_priv.h"

#define PAGE          ((size_t)ARCH_PAGE_SIZE)
#define BLOCK_PAGES   ((size_t)1 << FRAMES_ORDER_MAX) /* of the largest block */
#define ORDERS        (FRAMES_ORDER_MAX + 1u)
#define FRAME_LISTS   (2u * FRAMES_COLOURS_MAX + ORDERS) /* at least one a colour group and order */
#define COLOUR_ANY    UINT32_MAX
#define CACHED_ORDERS 4u /* small blocks are cached by the CPUs */
#define CACHED_MAX    48u
#define HEAP_CLASSES  32u

#define likely(x)     __builtin_expect(!!(x), 1)
#define unlikely(x)   __builtin_expect(!!(x), 0)

enum frame_state {
	FRAME_NONE,   /* never used, ours, or inside a block */
	FRAME_FREE,   /* the first of a block in a free list */
	FRAME_CACHED, /* in a CPU's page cache */
	FRAME_USED,   /* the first of a block in use */
	FRAME_SLAB,   /* a page of a slab */
};

/* One a page. Which members hold depends on the state. */
struct frame {
	union {
		struct {
			struct frame *next, *prev; /* FREE */
		};
		struct {
			struct slab_cache *cache; /* SLAB */
			struct slab *slab;
		};
		struct heap *heap; /* USED: the heap that it is a large block of, or NULL */
	};
	uint32_t pages; /* USED, and SLAB on the first page */
	_Atomic uint8_t state;
	uint8_t order; /* FREE */
	uint8_t owner; /* USED: index of who pays, 0 the kernel */
	bool poisoned; /* any state: all of the page is FRAME_POISON */
};

/* A range of memory. Written at creation only, but for touched_bytes. */
struct region {
	uintptr_t base;               /* of the first page that can be given out */
	_Atomic size_t touched_bytes; /* from base on; frames beyond are not filled in yet */
	size_t bytes;
	struct frame *frames;
	uint64_t first_pfn; /* of base, physical */
	size_t metadata_pages;
};

/*
 * A CPU's free blocks of one order, at most cached_max. Only that CPU touches it, with interrupts
 * off; others may read the count.
 */
struct block_stack {
	_Atomic uint32_t count;
	void *blocks[CACHED_MAX];
};

struct page_cache {
	struct block_stack stacks[CACHED_ORDERS];
} __attribute__((aligned(64)));

struct mm_owner {
	_Atomic size_t pages, peak, limit;
	_Atomic uint64_t refusals;
	bool used;
	char name[MM_OWNER_NAME_MAX];
};

struct heap {
	struct mm *mm;
	struct mm_owner *owner;
	struct slab_cache *_Atomic caches[HEAP_CLASSES]; /* each made when it is first wanted */
	struct spinlock lock;                            /* who makes one */
	_Atomic size_t large;                            /* blocks of whole pages in use */
	char name[SLAB_NAME_MAX];
};

struct mm {
	uintptr_t direct_map;
	unsigned cpus, region_count;
	struct region regions[MM_RANGES_MAX]; /* largest first */
	bool debug;
	mm_report_fn report;
	void *report_ctx;
	size_t left_out_bytes;
	_Atomic uint64_t failures, faults;

	struct spinlock frames_lock; /* what follows */
	unsigned colour_bits, next_colour;
	struct frame lists[FRAME_LISTS]; /* heads of rings */
	uint16_t list_base[ORDERS];      /* index of an order's first list */
	uint64_t filled[ORDERS];         /* a bit for each list that is not empty */
	size_t blocks[ORDERS], free_pages;

	struct spinlock owners_lock;
	struct mm_owner owners[MM_OWNERS_MAX]; /* the first is the kernel: never charged */

	struct spinlock caches_lock;
	struct slab_cache *caches;
	struct pool *pools;
	struct slab_cache *cache_cache, *header_cache, *magazine_cache; /* without magazines */

	struct heap heap;
	struct page_cache page_cache[];
};

static inline struct region *region_of(struct mm *mm, const void *p)
{
	for (unsigned i = 0; i < mm->region_count; i++) {
		struct region *r = &mm->regions[i];
		if ((uintptr_t)p - r->base <
		    atomic_load_explicit(&r->touched_bytes, memory_order_relaxed))
			return r;
	}
	return NULL;
}

/* The frame of the page that P is in; NULL if mm has never given out any such. */
static inline struct frame *frame_of(struct mm *mm, const void *p)
{
	struct region *r = region_of(mm, p);
	return r ? &r->frames[((uintptr_t)p - r->base) / PAGE] : NULL;
}

static inline enum frame_state frame_state(const struct frame *f)
{
	return (enum frame_state)atomic_load_explicit(&f->state, memory_order_relaxed);
}

static inline void frame_set_state(struct frame *f, enum frame_state s)
{
	atomic_store_explicit(&f->state, (uint8_t)s, memory_order_relaxed);
}

static inline uint32_t stack_count(const struct block_stack *s)
{
	return atomic_load_explicit(&s->count, memory_order_relaxed);
}

static inline void stack_set_count(struct block_stack *s, uint32_t n)
{
	atomic_store_explicit(&s->count, n, memory_order_relaxed);
}

static inline unsigned log2_floor(size_t n)
{
	return 63u - (unsigned)__builtin_clzl(n);
}

/* The least order whose block holds PAGES, at least one. */
static inline unsigned order_of(size_t pages)
{
	return pages > 1 ? log2_floor(pages - 1) + 1 : 0;
}

static inline size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) & ~(to - 1);
}

/* buddy.c: the free lists. Interrupts off. */
void buddy_init(struct mm *mm, unsigned colours);
void *buddy_take(struct mm *mm, unsigned order, uint32_t colour);
unsigned buddy_take_blocks(struct mm *mm, unsigned order, void **blocks, unsigned n);
/* COUNT pages from PAGE on; they came from one block. */
void buddy_give(struct mm *mm, void *page, size_t count);
void buddy_give_blocks(struct mm *mm, unsigned order, void **blocks, unsigned n);

/* frames.c: as in frames.h, but without a second try after reclaiming. Interrupts off. */
void *frames_take(struct mm *mm, size_t pages, uint32_t colour, struct mm_owner *owner);
void frames_give(struct mm *mm, void *block);
void frames_drain(struct mm *mm);
size_t frames_cached(const struct page_cache *pc);

/* owner.c */
bool owner_charge(struct mm_owner *owner, size_t pages);
void owner_refund(struct mm_owner *owner, size_t pages);
size_t owner_room(const struct mm_owner *owner);

/* heap.c */
void heap_init(struct heap *h, struct mm *mm, const char *name, struct mm_owner *owner);

/* mm.c: shrinks the caches that OWNER pays for; NULL: all. */
size_t mm_reclaim_of(struct mm *mm, const struct mm_owner *owner);
/* Counts and reports. */
void mm_fault(struct mm *mm, struct mm_fault *fault);
void mm_copy_name(char *to, const char *from, size_t size);

#endif
