/*
 * Memory of any size. Up to HEAP_SLAB_MAX bytes come from caches of some thirty sizes, at most a
 * quarter apart; more comes in whole pages from the frames, 4 MiB at most.
 *
 * The kernel has one heap (kmalloc). A subsystem whose use is to be counted or limited makes its
 * own; kfree and krealloc find out by themselves where a pointer came from.
 *
 * Every pointer is aligned to HEAP_ALIGN; blocks of a page and more are aligned to pages.
 */
#ifndef GK_MM_HEAP_H
#define GK_MM_HEAP_H

#include <stddef.h>

#define HEAP_ALIGN    16u
#define HEAP_SLAB_MAX 8192u
#define HEAP_MAX      (4u << 20)

struct mm;
struct mm_owner;
struct heap;

/* NULL: no memory, or SIZE is above HEAP_MAX. SIZE 0 is one byte. Contents are undefined. */
void *kmalloc(struct mm *mm, size_t size);
/* All zero. */
void *kzalloc(struct mm *mm, size_t size);
/* N elements of SIZE, all zero; NULL if the product overflows. */
void *kcalloc(struct mm *mm, size_t n, size_t size);
/*
 * Moves or resizes PTR, in the heap that it came from; NULL: PTR stays as it was. PTR NULL:
 * kmalloc. SIZE 0: as 1, PTR is not freed.
 */
void *krealloc(struct mm *mm, void *ptr, size_t size);
/* PTR from any heap of MM; NULL is nothing. */
void kfree(struct mm *mm, void *ptr);
/* Bytes that may be used at PTR, at least what was asked for; 0: it is not in use. */
size_t kmalloc_usable(struct mm *mm, const void *ptr);

/* A heap that OWNER pays for. NAME appears in slabinfo. Task context. */
struct heap *heap_create(struct mm *mm, const char *name, struct mm_owner *owner);
/* Allocations that were never freed: if not 0 the heap stays. Task context. */
size_t heap_destroy(struct heap *heap);
void *heap_alloc(struct heap *heap, size_t size);
void *heap_zalloc(struct heap *heap, size_t size);

#endif
