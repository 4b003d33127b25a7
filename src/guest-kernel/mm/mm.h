/*
 * The memory manager of the guest kernel, from the bottom:
 *
 *   frames.h  page frames: buddy, page colours, per-CPU caches of small blocks
 *   slab.h    caches of objects of one size, with per-CPU magazines
 *   pool.h    a fixed number of objects of one size that is always there
 *   heap.h    kmalloc and what goes with it
 *   owner.h   who holds how much, and how much at most
 *   report.h  what a user may see, and what debugging finds
 *
 * All state hangs off a struct mm; a process may have many. Everything may be called on any CPU, in
 * interrupt context too, unless it says otherwise: locks are held with interrupts off and for a
 * bounded time. Lock order: mm's list of caches, a cache, the frames; an owner has no lock.
 *
 * Memory runs out by NULL, never by a panic. Misuse (a double free, a stray pointer) is told to
 * mm_opts.report and then ignored as far as that is safe.
 *
 * Creation touches the metadata of no frame: 4 MiB worth of it at a time is filled in when memory
 * is first wanted, so a boot costs the same with 16 MiB and with gigabytes.
 */
#ifndef GK_MM_MM_H
#define GK_MM_MM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest-kernel/arch/arch.h"

/* More ranges than that, or ranges of less than MM_RANGE_MIN_BYTES, are left out. */
#define MM_RANGES_MAX      8u
#define MM_RANGE_MIN_BYTES 65536u
/* The least that mm_create takes in one range. */
#define MM_MIN_BYTES (256u << 10)

struct mm;
struct mm_fault;

struct mm_range {
	uint64_t base, len_bytes; /* physical; what is not whole pages at the ends is left out */
};

/* Called on the CPU that found it, interrupts off, mm's locks perhaps held: must not call mm. */
typedef void (*mm_report_fn)(void *ctx, const struct mm_fault *fault);

struct mm_opts {
	const struct mm_range *ranges; /* free memory; must not overlap; ours from now on */
	unsigned range_count;
	uintptr_t direct_map;         /* virtual address - physical address, modulo 2^64 */
	unsigned cpus;                /* 1 to ARCH_CPUS_MAX; arch_cpu() stays below it */
	const struct arch_cache *llc; /* NULL: ask arch_cache_llc */
	bool no_colouring;
	bool debug;          /* redzones, poison, owners: every cache and pool, every page */
	mm_report_fn report; /* NULL: faults are only counted */
	void *report_ctx;
};

/*
 * Makes the memory manager; its own state lies in the largest range. One CPU, once. NULL: there is
 * too little memory or OPTS is wrong; *WHY says so in a sentence (a constant string).
 */
struct mm *mm_create(const struct mm_opts *opts, const char **why);

/* Physical address of memory that mm gave out, and back. */
uint64_t mm_phys(const struct mm *mm, const void *p);
void *mm_virt(const struct mm *mm, uint64_t phys);

/*
 * Gives back what the executing CPU keeps in its magazines and page cache. For a CPU that goes idle
 * for long, or for all of them (one after the other, each for itself) when memory is short.
 */
void mm_drain_local(struct mm *mm);

/* Shrinks every cache and drains this CPU. Pages that became free. Allocations do it by themselves
 * before they fail. */
size_t mm_reclaim(struct mm *mm);

#endif
