/* Allocators as bench_alloc sees them. */
#ifndef BENCH_ALLOC_H
#define BENCH_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

#define ALLOC_CPUS 2u

/* Each is opened in a process of its own. */
struct allocator {
	const char *name;
	/* Every object will have SIZE bytes; 0: any size. False: it cannot, or is not installed. */
	bool (*open)(size_t size);
	void *(*alloc)(size_t size);
	void (*free)(void *p);
};

extern const struct allocator alloc_pool, alloc_slab, alloc_kernel;
extern const struct allocator alloc_glibc, alloc_jemalloc, alloc_mimalloc;

/* Of the guest kernel's: pages in use, its own metadata included; 0 where it is not open. */
size_t alloc_kernel_pages(void);

#endif
