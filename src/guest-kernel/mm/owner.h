/*
 * Accounting. An owner is whoever pays for pages: the network stack, a task, a service. Pages are
 * charged when they leave the frames; caches, pools and heaps charge theirs to the owner they were
 * made for. The kernel itself (owner NULL) pays for the rest, without a limit and at no cost.
 */
#ifndef GK_MM_OWNER_H
#define GK_MM_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MM_OWNERS_MAX     64u
#define MM_OWNER_NAME_MAX 24u

struct mm;
struct mm_owner;

struct mm_owner_stats {
	size_t pages;       /* held */
	size_t peak_pages;  /* the most ever held */
	size_t limit_pages; /* 0: none */
	uint64_t refusals;  /* allocations that the limit refused */
};

/* NAME is copied, cut at MM_OWNER_NAME_MAX - 1. LIMIT_PAGES 0: none. NULL: too many owners. */
struct mm_owner *mm_owner_create(struct mm *mm, const char *name, size_t limit_pages);

/* False, and nothing happens, while OWNER still holds pages. */
bool mm_owner_destroy(struct mm *mm, struct mm_owner *owner);

/* A limit below what is held refuses everything more, and takes nothing away. */
void mm_owner_limit(struct mm_owner *owner, size_t limit_pages);

void mm_owner_stats(const struct mm_owner *owner, struct mm_owner_stats *out);

#endif
