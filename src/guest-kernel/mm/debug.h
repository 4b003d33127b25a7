/*
 * Debugged objects, of slab caches and of pools alike: a redzone before and after, poison while
 * free, and a record of the last allocation and the last free behind it.
 *
 *   | redzone | object ... | redzone | struct debug_track |
 *             ^ what users see; aligned            ^ track_offset from there
 */
#ifndef GK_MM_DEBUG_H
#define GK_MM_DEBUG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest-kernel/mm/report.h"

#define DEBUG_POISON_FREE 0x6b
#define DEBUG_POISON_NEW  0x5a
#define DEBUG_REDZONE     0xbb

struct debug_layout {
	const char *name;
	uint32_t object_bytes;
	uint32_t front_bytes; /* redzone before it; 0: the cache is not debugged */
	uint32_t track_offset, stride;
	void (*ctor)(void *obj, void *ctx);
	void *ctor_ctx;
	bool keep; /* never poison: what the constructor made must last */
};

/* Fills in all but the names and constructor. OBJECT_BYTES and ALIGN are in range. */
void debug_layout_set(struct debug_layout *d, size_t object_bytes, size_t align);

/* A new object, to be free from now on. */
void debug_init(const struct debug_layout *d, void *obj);
/* To be called before OBJ is handed out, and before it is taken back. */
void debug_allocated(struct mm *mm, const struct debug_layout *d, void *obj);
/* False: it was free already. Reported; leave it. */
bool debug_freed(struct mm *mm, const struct debug_layout *d, void *obj);
/* The user asked for SIZE bytes of the object: the redzone begins there. */
void debug_set_size(const struct debug_layout *d, void *obj, size_t size);
size_t debug_size(const struct debug_layout *d, const void *obj);
/* Looks without changing anything but what is wrong; how many faults. */
unsigned debug_check(struct mm *mm, const struct debug_layout *d, void *obj);
bool debug_is_free(const struct debug_layout *d, const void *obj);
const struct mm_stack *debug_allocation(const struct debug_layout *d, const void *obj);

/* A fault that has to do with no object, or with one that is not where it should be. */
void debug_stray(struct mm *mm, enum mm_fault_kind kind, const char *cache, const void *p);

/* The first byte of P .. P + LEN that is not BYTE; LEN: all are. */
size_t debug_scan(const void *p, uint8_t byte, size_t len);

#endif
