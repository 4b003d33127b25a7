/*
 * A fixed number of objects of one size, all memory taken at creation. pool_alloc never fails while
 * fewer than `capacity` are in use, whatever the CPUs hold in their caches: the pool has as many
 * objects more as those can keep away from each other. So it may also hand out a few more than
 * `capacity`, at most pool_total(). Constant time; any context, interrupts included.
 */
#ifndef GK_MM_POOL_H
#define GK_MM_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POOL_NAME_MAX     24u
#define POOL_CAPACITY_MAX 65536u
#define POOL_OBJECT_MAX   65536u

struct mm;
struct mm_owner;
struct pool;

struct pool_opts {
	const char *name;                   /* copied, cut at POOL_NAME_MAX - 1 */
	size_t size_bytes;                  /* 1 to POOL_OBJECT_MAX */
	size_t align_bytes;                 /* a power of two up to ARCH_PAGE_SIZE; 0: 8 */
	size_t capacity;                    /* 1 to POOL_CAPACITY_MAX */
	void (*ctor)(void *obj, void *ctx); /* once for each object, at creation; or NULL */
	void *ctor_ctx;
	struct mm_owner *owner;
	bool debug; /* as in slab_opts; without poison where there is a constructor */
};

struct pool_stats {
	size_t object_bytes, stride_bytes, capacity, total, pages;
	size_t global; /* free objects outside the CPUs' caches */
};

/* Task context. NULL: OPTS is out of range, no memory, or the owner's limit. */
struct pool *pool_create(struct mm *mm, const struct pool_opts *opts);

/* Task context. Objects that were never freed: if not 0 the pool stays. */
size_t pool_destroy(struct pool *pool);

void *pool_alloc(struct pool *pool);
/* NULL is nothing. */
void pool_free(struct pool *pool, void *obj);

size_t pool_total(const struct pool *pool);
void pool_stats(struct pool *pool, struct pool_stats *out);

#endif
