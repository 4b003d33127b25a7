/*
 * Memory of any size: up to HEAP_SLAB_MAX from a cache of the size's class, above in whole pages.
 * Classes are 16 bytes apart up to 128, then four to every doubling.
 */
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/mm/mm_priv.h"

#define STEP      16u
#define FINE_MAX  128u /* the largest of the classes that are STEP apart */
#define FINE_LOG2 7u
#define FINE      (FINE_MAX / STEP)

_Static_assert(FINE + 4 * (13 - FINE_LOG2) == HEAP_CLASSES && HEAP_SLAB_MAX == 1u << 13, "classes");
_Static_assert(HEAP_MAX == BLOCK_PAGES * PAGE, "the largest block of frames");

/* SIZE is 1 to HEAP_SLAB_MAX. */
static inline unsigned class_of(size_t size)
{
	if (size <= FINE_MAX)
		return (unsigned)(size - 1) / STEP;
	unsigned log2 = log2_floor(size - 1);
	return FINE + (log2 - FINE_LOG2) * 4 + ((unsigned)((size - 1) >> (log2 - 2)) & 3);
}

static size_t class_bytes(unsigned class)
{
	if (class < FINE)
		return (class + 1) * (size_t)STEP;
	unsigned log2 = FINE_LOG2 + (class - FINE) / 4;
	return ((size_t)1 << log2) + ((class - FINE) % 4 + 1) * ((size_t)1 << (log2 - 2));
}

void heap_init(struct heap *h, struct mm *mm, const char *name, struct mm_owner *owner)
{
	h->mm = mm;
	h->owner = owner;
	mm_copy_name(h->name, name, sizeof(h->name));
}

/* "name-size" */
static void class_name(char out[static SLAB_NAME_MAX], const struct heap *h, size_t size)
{
	char digits[8];
	unsigned n = 0, at = 0;
	for (; size; size /= 10)
		digits[n++] = (char)('0' + size % 10);
	while (at < SLAB_NAME_MAX - 2 - n && h->name[at]) {
		out[at] = h->name[at];
		at++;
	}
	out[at++] = '-';
	while (n > 0)
		out[at++] = digits[--n];
	out[at] = '\0';
}

/* The first allocation of its class. Two CPUs may come at once. */
static __attribute__((noinline)) struct slab_cache *make_class(struct heap *h, unsigned class)
{
	char name[SLAB_NAME_MAX];
	size_t size = class_bytes(class);
	size_t align = size & -size;
	class_name(name, h, size);
	struct slab_opts o = {
	        .name = name,
	        .size_bytes = size,
	        .align_bytes = align < SLAB_HWCACHE_ALIGN ? align : SLAB_HWCACHE_ALIGN,
	        .owner = h->owner,
	};
	struct slab_cache *c = slab_cache_create(h->mm, &o), *mine = c;
	if (!c)
		return NULL;
	c->heap = h;
	unsigned long flags = spin_lock_irqsave(&h->lock);
	struct slab_cache *first = atomic_load_explicit(&h->caches[class], memory_order_relaxed);
	if (first)
		c = first;
	else /* pairs with the acquire in cache_of */
		atomic_store_explicit(&h->caches[class], c, memory_order_release);
	spin_unlock_irqrestore(&h->lock, flags);
	if (c != mine)
		(void)slab_cache_destroy(mine);
	return c;
}

/* For heap_destroy: the kernel's own heap stays, and need not count. */
static void count_large(struct heap *h, size_t change)
{
	if (h != &h->mm->heap)
		atomic_fetch_add_explicit(&h->large, change, memory_order_relaxed);
}

static __attribute__((noinline)) void *alloc_large(struct heap *h, size_t size)
{
	if (size > HEAP_MAX)
		return NULL;
	void *p = frames_alloc_pages(h->mm, (size + PAGE - 1) / PAGE, h->owner);
	if (p) {
		frame_of(h->mm, p)->heap = h;
		count_large(h, 1);
	}
	return p;
}

void *heap_alloc(struct heap *h, size_t size)
{
	size += size == 0;
	if (unlikely(size > HEAP_SLAB_MAX))
		return alloc_large(h, size);
	unsigned class = class_of(size);
	struct slab_cache *c = atomic_load_explicit(&h->caches[class], memory_order_acquire);
	if (unlikely(!c)) {
		c = make_class(h, class);
		if (!c)
			return NULL;
	}
	return slab_pop(c, size);
}

void *heap_zalloc(struct heap *h, size_t size)
{
	void *p = heap_alloc(h, size);
	if (p)
		__builtin_memset(p, 0, size);
	return p;
}

void *kmalloc(struct mm *mm, size_t size)
{
	return heap_alloc(&mm->heap, size);
}

void *kzalloc(struct mm *mm, size_t size)
{
	return heap_zalloc(&mm->heap, size);
}

void *kcalloc(struct mm *mm, size_t n, size_t size)
{
	size_t bytes;
	return __builtin_mul_overflow(n, size, &bytes) ? NULL : heap_zalloc(&mm->heap, bytes);
}

static __attribute__((noinline)) void free_large(struct mm *mm, struct frame *f, void *p)
{
	struct heap *h =
	        f && frame_state(f) == FRAME_USED && (uintptr_t)p % PAGE == 0 ? f->heap : NULL;
	if (h)
		count_large(h, (size_t)-1);
	frames_free(mm, p);
}

void kfree(struct mm *mm, void *p)
{
	if (!p)
		return;
	struct frame *f = frame_of(mm, p);
	if (likely(f && frame_state(f) == FRAME_SLAB))
		slab_push(f->cache, p);
	else
		free_large(mm, f, p);
}

size_t kmalloc_usable(struct mm *mm, const void *p)
{
	const struct frame *f = frame_of(mm, p);
	if (!f || frame_state(f) != FRAME_SLAB)
		return frames_size_pages(mm, p) * PAGE;
	const struct slab_cache *c = f->cache;
	return c->debugged ? debug_size(&c->debug, p) : c->debug.object_bytes;
}

/* The heap that P came from: the kernel's if it is none of a heap. */
static struct heap *heap_of(struct mm *mm, const struct frame *f)
{
	struct heap *h = frame_state(f) == FRAME_SLAB ? f->cache->heap : f->heap;
	return h ? h : &mm->heap;
}

void *krealloc(struct mm *mm, void *p, size_t size)
{
	if (!p)
		return kmalloc(mm, size);
	size += size == 0;
	const struct frame *f = frame_of(mm, p);
	size_t usable = kmalloc_usable(mm, p);
	if (!f || usable == 0) {
		debug_stray(mm, MM_FAULT_BAD_POINTER, "heap", p);
		return NULL;
	}
	bool debugged = frame_state(f) == FRAME_SLAB && f->cache->debugged;
	if (!debugged && size <= usable && size >= usable / 2)
		return p;
	void *q = heap_alloc(heap_of(mm, f), size);
	if (!q)
		return NULL;
	__builtin_memcpy(q, p, size < usable ? size : usable);
	kfree(mm, p);
	return q;
}

struct heap *heap_create(struct mm *mm, const char *name, struct mm_owner *owner)
{
	struct heap *h = kzalloc(mm, sizeof(*h));
	if (h)
		heap_init(h, mm, name, owner);
	return h;
}

size_t heap_destroy(struct heap *h)
{
	size_t left = atomic_load_explicit(&h->large, memory_order_relaxed);
	for (unsigned i = 0; i < HEAP_CLASSES; i++) {
		struct slab_cache *c = atomic_load_explicit(&h->caches[i], memory_order_relaxed);
		size_t active = c ? slab_cache_destroy(c) : 0;
		left += active;
		if (active == 0)
			atomic_store_explicit(&h->caches[i], NULL, memory_order_relaxed);
	}
	if (left == 0)
		kfree(h->mm, h);
	return left;
}
