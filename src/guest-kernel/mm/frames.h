/*
 * Page frames. A block is 2^order pages (order 0 to FRAMES_ORDER_MAX), physically contiguous and
 * aligned to its size; its address is in the direct map. Contents are undefined.
 *
 * A page's colour is the part of the last-level cache that it falls into: the set index above the
 * page offset. Pages of different colours never evict each other. Where colouring is on, there is a
 * free list per colour; single pages are handed out colour after colour.
 */
#ifndef GK_MM_FRAMES_H
#define GK_MM_FRAMES_H

#include <stddef.h>
#include <stdint.h>

#define FRAMES_ORDER_MAX   10u
#define FRAMES_COLOURS_MAX 64u

struct mm;
struct mm_owner;

/* OWNER pays (NULL: the kernel, without a limit). NULL: no memory, or OWNER is at its limit. */
void *frames_alloc(struct mm *mm, unsigned order, struct mm_owner *owner);

/* PAGES contiguous pages, 1 to 1024, aligned to the next power of two; pays for PAGES only. */
void *frames_alloc_pages(struct mm *mm, size_t pages, struct mm_owner *owner);

/*
 * One page, of COLOUR (modulo frames_colours) if there is such a page, else of any. For a task that
 * wants its pages in its own part of the cache, or spread: colour, colour + 1, …
 */
void *frames_alloc_colour(struct mm *mm, unsigned colour, struct mm_owner *owner);

/* Frees what one of the above returned, whatever its size. NULL is nothing. */
void frames_free(struct mm *mm, void *block);

/* Number of pages of the block at BLOCK; 0 if no block in use starts there. */
size_t frames_size_pages(struct mm *mm, const void *block);

/* How many colours there are: a power of two, 1 where colouring is off. */
unsigned frames_colours(const struct mm *mm);
unsigned frames_colour(const struct mm *mm, const void *page);

#endif
