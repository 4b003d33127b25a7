/*
 * Caches of objects of one size. Each CPU has two magazines (stacks of free objects): an allocation
 * or a free is a pop or a push with interrupts off. Whole magazines go to and come from the cache's
 * depot; behind it are slabs: blocks of pages with a bit per free object.
 *
 * A constructor runs when a slab is made, not at every allocation: objects are freed in the state
 * that it left, and are handed out in it. In debug it runs again before each allocation.
 *
 * Without debugging a double free or a stray pointer is found only when it comes back from a
 * magazine to the slabs, perhaps after it was handed out again.
 *
 * A debug cache has no magazines. Every object has a redzone before and after it, is poisoned while
 * free, and remembers who allocated and who freed it; freed objects are used again as late as
 * possible.
 */
#ifndef GK_MM_SLAB_H
#define GK_MM_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLAB_NAME_MAX      24u
#define SLAB_OBJECT_MAX    65536u
#define SLAB_ALIGN_MAX     4096u
#define SLAB_HWCACHE_ALIGN 64u
#define SLAB_ALIGN_DEFAULT 8u

struct mm;
struct mm_owner;
struct slab_cache;

struct slab_opts {
	const char *name;   /* copied, cut at SLAB_NAME_MAX - 1 */
	size_t size_bytes;  /* 1 to SLAB_OBJECT_MAX */
	size_t align_bytes; /* a power of two up to SLAB_ALIGN_MAX; 0: SLAB_ALIGN_DEFAULT */
	void (*ctor)(void *obj, void *ctx); /* or NULL. Must not allocate or free */
	void *ctor_ctx;
	struct mm_owner *owner; /* pays for the slabs; NULL: the kernel */
	bool debug;             /* even if mm_opts.debug is off */
};

struct slab_stats {
	size_t object_bytes, stride_bytes; /* as asked for; from one to the next */
	size_t slab_pages;
	size_t slabs, slabs_partial, slabs_empty;
	size_t objects;     /* in all slabs */
	size_t active;      /* of them not free: in use or in a magazine */
	size_t depot;       /* objects in full magazines of the depot */
	uint64_t exchanges; /* magazines taken from or given to the depot */
};

/* Task context. NULL: OPTS is out of range, or no memory. */
struct slab_cache *slab_cache_create(struct mm *mm, const struct slab_opts *opts);

/*
 * Frees the cache. Task context; nobody may use CACHE any more, on any CPU. The number of objects
 * that were never freed: if not 0 the cache stays, and is listed by mm_leaks.
 */
size_t slab_cache_destroy(struct slab_cache *cache);

/* An object, or NULL: no memory, or the owner is at its limit. */
void *slab_alloc(struct slab_cache *cache);
/* OBJ must be of CACHE. NULL is nothing. */
void slab_free(struct slab_cache *cache, void *obj);

/* As many of N objects as there is memory for; how many. */
size_t slab_alloc_batch(struct slab_cache *cache, void **objs, size_t n);
void slab_free_batch(struct slab_cache *cache, void **objs, size_t n);

/*
 * Gives back what no one uses: this CPU's magazines, the depot, empty slabs. Pages that became
 * free. Other CPUs' magazines are theirs (mm_drain_local).
 */
size_t slab_shrink(struct slab_cache *cache);

/* A snapshot; counts may be a little apart from each other. */
void slab_stats(struct slab_cache *cache, struct slab_stats *out);

/* Debug: looks at every object's redzones and poison now. How many faults it reported. */
size_t slab_check(struct slab_cache *cache);

#endif
