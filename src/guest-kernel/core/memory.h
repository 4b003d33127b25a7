/*
 * The kernel's memory: mm, for whoever runs in a kernel and has no mm at hand. Any context; NULL or
 * 0 when there is none. Subsystems that want caches, pools or limits of their own use memory_mm().
 */
#ifndef GK_CORE_MEMORY_H
#define GK_CORE_MEMORY_H

#include "guest-kernel/mm/frames.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/mm/mm.h"
#include "guest-kernel/mm/report.h"

struct memory {
	struct mm *mm;
	uint64_t ram_bytes;
	/* Blocks given out and not come back, for the tests' sake: by CPU, the sum counts. */
	int64_t blocks[ARCH_CPUS_MAX];
};

/* False: *WHY says what is missing. */
bool memory_init(struct memory *m, const struct arch_boot *boot, bool debug, const char **why);
struct mm *memory_mm(void);
uint64_t memory_in_use(const struct memory *m);
/* Free memory that a balloon may take, about. */
uint64_t memory_free_bytes(void);

/* One frame, not cleared; its physical address. */
uint64_t frame_get(void);
void frame_put(uint64_t phys);
void *mem_alloc(size_t bytes);     /* zeroed, 16-byte aligned; at most HEAP_MAX */
void *mem_alloc_raw(size_t bytes); /* the same, not cleared */
void mem_free(void *p);
/* COUNT contiguous pages, not cleared. */
void *mem_pages(size_t count);
void mem_pages_free(void *p);

#endif
