/*
 * What mm tells: figures for users, faults and leaks for who debugs. Text goes to a sink, in pieces
 * of any length. mm_meminfo and mm_slabinfo hold no lock while they write: their sink may allocate.
 * Where memory is used meanwhile, figures need not add up, and a cache may be missed or come twice.
 */
#ifndef GK_MM_REPORT_H
#define GK_MM_REPORT_H

#include <stddef.h>
#include <stdint.h>

#define MM_STACK_DEPTH 8u

struct mm;

struct mm_sink {
	void (*write)(void *ctx, const char *text, size_t len);
	void *ctx;
};

/* Memory, colours, blocks by order, owners. */
void mm_meminfo(struct mm *mm, const struct mm_sink *to);
/* A line for each cache and pool. */
void mm_slabinfo(struct mm *mm, const struct mm_sink *to);

/*
 * Every object in use of every debug cache and pool but those of mm itself, with the stack that
 * allocated it; how many. Nobody may allocate or free meanwhile, the sink neither.
 */
size_t mm_leaks(struct mm *mm, const struct mm_sink *to);

struct mm_stats {
	size_t pages; /* all that mm manages, its own metadata not counted */
	size_t metadata_pages;
	size_t free_pages;      /* in the buddy lists */
	size_t untouched_pages; /* free, never used */
	size_t cached_pages;    /* free, in the CPUs' page caches */
	size_t left_out_bytes;  /* of ranges that were too many or too small */
	uint64_t failures;      /* allocations of frames that found no memory */
	uint64_t faults;
	unsigned colours;
};
void mm_stats(struct mm *mm, struct mm_stats *out);

enum mm_fault_kind {
	MM_FAULT_BAD_POINTER, /* freed, but mm never gave it out */
	MM_FAULT_DOUBLE_FREE,
	MM_FAULT_USE_AFTER_FREE, /* written to while it was free */
	MM_FAULT_REDZONE_BEFORE, /* written below its start */
	MM_FAULT_REDZONE_AFTER,  /* written beyond its end */
	MM_FAULT_WRONG_CACHE,    /* freed to a cache it did not come from */
};

struct mm_stack {
	uintptr_t pcs[MM_STACK_DEPTH]; /* ends with the first 0 */
	uint32_t cpu;
};

struct mm_fault {
	enum mm_fault_kind kind;
	const char *cache; /* name of the cache or pool, or "frames" */
	const void *object;
	size_t object_bytes;
	size_t offset; /* of the first wrong byte from OBJECT (redzone before: below it) */
	uint8_t found; /* that byte */
	const struct mm_stack *allocated, *freed; /* NULL where it is not known */
	struct mm_stack here;
};

const char *mm_fault_name(enum mm_fault_kind kind);
/* The fault in a few lines. Code addresses are in hexadecimal. */
void mm_fault_print(const struct mm_fault *fault, const struct mm_sink *to);

#endif
