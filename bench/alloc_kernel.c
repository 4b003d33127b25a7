/* The guest kernel's allocators, in the hosted build. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "alloc.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/mm/mm.h"
#include "guest-kernel/mm/pool.h"
#include "guest-kernel/mm/report.h"
#include "guest-kernel/mm/slab.h"

#define MEMORY   (1ull << 30)
#define CAPACITY 16384u

static struct {
	struct mm *mm;
	struct slab_cache *cache;
	struct pool *pool;
} k;

static bool open_kernel(size_t size)
{
	const char *why;
	(void)size;
	void *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return false;
	const struct mm_range range = {0, MEMORY};
	const struct mm_opts o = {
	        .ranges = &range,
	        .range_count = 1,
	        .direct_map = (uintptr_t)memory,
	        .cpus = ALLOC_CPUS,
	};
	k.mm = mm_create(&o, &why);
	return k.mm != NULL;
}

static bool open_slab(size_t size)
{
	const struct slab_opts o = {.name = "bench", .size_bytes = size, .align_bytes = 16};
	return size && open_kernel(size) && (k.cache = slab_cache_create(k.mm, &o));
}

static bool open_pool(size_t size)
{
	const struct pool_opts o = {
	        .name = "bench", .size_bytes = size, .align_bytes = 16, .capacity = CAPACITY};
	return size && open_kernel(size) && (k.pool = pool_create(k.mm, &o));
}

static void *kernel_alloc(size_t size)
{
	return kmalloc(k.mm, size);
}

static void kernel_free(void *p)
{
	kfree(k.mm, p);
}

static void *cache_alloc(size_t size)
{
	(void)size;
	return slab_alloc(k.cache);
}

static void cache_free(void *p)
{
	slab_free(k.cache, p);
}

static void *pooled_alloc(size_t size)
{
	(void)size;
	return pool_alloc(k.pool);
}

static void pooled_free(void *p)
{
	pool_free(k.pool, p);
}

size_t alloc_kernel_pages(void)
{
	struct mm_stats s;
	if (!k.mm)
		return 0;
	mm_stats(k.mm, &s);
	return s.pages - s.free_pages - s.untouched_pages - s.cached_pages +
	       (s.pages - s.untouched_pages) * 24 / 4096;
}

const struct allocator alloc_pool = {"pool", open_pool, pooled_alloc, pooled_free};
const struct allocator alloc_slab = {"slab cache", open_slab, cache_alloc, cache_free};
const struct allocator alloc_kernel = {"kmalloc", open_kernel, kernel_alloc, kernel_free};
