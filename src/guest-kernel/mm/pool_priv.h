/* A pool inside: pool.c and the reports. */
#ifndef GK_MM_POOL_PRIV_H
#define GK_MM_POOL_PRIV_H

#include "guest-kernel/mm/mm_priv.h"
#include "guest-kernel/mm/pool.h"

#define POOL_CPU_MAX 61u /* struct pool_cpu has 512 bytes */

/* Free objects; only that CPU touches it, with interrupts off. Filled up to top. */
struct pool_cpu {
	void **top, **base, **limit;
	void *objs[POOL_CPU_MAX];
} __attribute__((aligned(64)));

/* Memory for some of the objects. */
struct pool_chunk {
	struct pool_chunk *next;
	char *pages, *objs;
	uint32_t objects;
};

struct pool {
	struct mm *mm;
	struct debug_layout debug;
	bool debugged;
	uint32_t stride, align, per_cpu, batch;
	size_t capacity, total, pages;
	struct pool_chunk *chunks;
	void (*ctor)(void *obj, void *ctx);
	void *ctor_ctx;
	struct mm_owner *owner;
	struct pool *next; /* mm->pools, under mm->caches_lock */
	char name[POOL_NAME_MAX];

	struct spinlock lock; /* what follows */
	void **free;          /* a stack; `total` fit */
	size_t count;

	struct pool_cpu cpu[] __attribute__((aligned(64)));
};

#endif
