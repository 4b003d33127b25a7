/* Memory for core and what stands on it. Any context; NULL or 0 when there is none. */
#ifndef GK_CORE_MEMORY_H
#define GK_CORE_MEMORY_H

#include "guest-kernel/core/spinlock.h"

struct memory {
	struct spinlock lock;
	struct arch_range free[ARCH_RANGES_MAX];
	unsigned free_count;
	uint64_t total_bytes, used_bytes, in_use;
	void *lists[16]; /* freed blocks of 32 << i bytes */
};

bool memory_init(struct memory *m, const struct arch_boot *boot);
/* What has been given out and not come back, without stacks and page tables. */
uint64_t memory_in_use(struct memory *m);
/* What frame_get can still give, about. */
uint64_t memory_free_bytes(void);
uint64_t frame_get(void); /* one frame, not cleared */
void frame_put(uint64_t phys);
void *mem_alloc(size_t bytes); /* zeroed, 16-byte aligned */
void mem_free(void *p);
/* COUNT contiguous pages, not cleared. */
void *mem_pages(size_t count);
void mem_pages_free(void *p);

/* What a user may see of it, in pieces. */
void memory_report(struct memory *m, void (*write)(void *ctx, const char *text, size_t len),
                   void *ctx);

#endif
