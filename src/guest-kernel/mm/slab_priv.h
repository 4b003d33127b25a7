/* Slab caches inside: slab.c (CPUs and depot), slab_pages.c (slabs), slab_cache.c (life). */
#ifndef GK_MM_SLAB_PRIV_H
#define GK_MM_SLAB_PRIV_H

#include "guest-kernel/core/spinlock.h"
#include "guest-kernel/mm/debug.h"
#include "guest-kernel/mm/sanitize.h"
#include "guest-kernel/mm/slab.h"

#define MAGAZINE_ROUNDS 62u /* a magazine is 512 bytes */
#define SLAB_WORDS_MAX  8u
#define SLAB_LISTS      3u

enum slab_list { SLAB_PARTIAL, SLAB_FULL, SLAB_EMPTY };

struct magazine {
	struct magazine *next;
	uint32_t count; /* valid while it is not loaded */
	uint32_t pad;
	void *objs[MAGAZINE_ROUNDS];
};

/*
 * A CPU's part of a cache; only that CPU touches it, with interrupts off. The loaded magazine is
 * [base, limit), filled up to top. The other one is full or empty, or not there.
 */
struct slab_cpu {
	void **top, **base, **limit;
	struct magazine *loaded, *other;
} __attribute__((aligned(64)));

/* Some pages with objects in them. The head lies in them too, or comes from header_cache. */
struct slab {
	struct slab *next, *prev;
	char *objs; /* the first object */
	void *pages;
	uint16_t free, total;
	uint16_t hint; /* debug: where to look for a free one first */
	uint8_t list;  /* enum slab_list */
	bool off_slab;
	uint64_t bits[]; /* a set bit: that object is free */
};

struct slab_cache {
	struct mm *mm;
	uint32_t stride, rounds; /* rounds: of its magazines, 0: none */
	uint64_t reciprocal;     /* of stride, times 2^40, rounded up */
	uint32_t header_bytes;   /* 0: off-slab */
	uint32_t slab_pages, per_slab, align;
	uint32_t colour_next, colour_max; /* offset of the next slab's objects, in bytes */
	uint32_t depot_max, empty_max;
	void (*ctor)(void *obj, void *ctx);
	void *ctor_ctx;
	struct mm_owner *owner;
	struct heap *heap; /* that it is a class of, or NULL */
	struct debug_layout debug;
	bool debugged;

	struct spinlock lock; /* what follows */
	struct slab *lists[SLAB_LISTS];
	size_t slabs[SLAB_LISTS], free_objects; /* free: in the slabs */
	struct magazine *full, *empty;          /* the depot */
	uint32_t full_count;
	uint64_t exchanges;

	struct slab_cache *next; /* mm->caches, under mm->caches_lock */
	char name[SLAB_NAME_MAX];
	struct slab_cpu cpu[];
};

/* slab.c. Interrupts off. */
void *slab_alloc_slow(struct slab_cache *c, struct slab_cpu *cpu, size_t size);
void slab_free_slow(struct slab_cache *c, struct slab_cpu *cpu, void *obj);
/* Straight from and to the slabs: for caches without magazines, and mm's own. */
void *slab_alloc_bare(struct slab_cache *c);
void slab_free_bare(struct slab_cache *c, void *obj);
void slab_drain_cpu(struct slab_cache *c);
size_t slab_shrink_off(struct slab_cache *c);

/* slab_pages.c. The cache's lock is held. */
unsigned slab_take(struct slab_cache *c, void **objs, unsigned n);
void slab_give(struct slab_cache *c, void **objs, unsigned n);
size_t slab_release_empty(struct slab_cache *c, size_t keep);
/* Calls FN for each object, free ones included. */
void slab_each(struct slab_cache *c, void (*fn)(void *ctx, void *obj, bool free), void *ctx);

/* slab_cache.c */
bool slab_cache_setup(struct slab_cache *c, struct mm *mm, const struct slab_opts *opts);

/* SIZE: what the user asked for, for the redzone of a debug cache; 0: a whole object. */
static inline void *slab_pop(struct slab_cache *c, size_t size)
{
	unsigned long flags = arch_irq_save();
	struct slab_cpu *cpu = &c->cpu[arch_cpu()];
	void **top = cpu->top, *obj;
	if (__builtin_expect(top != cpu->base, 1)) {
		obj = *--top;
		cpu->top = top;
	} else {
		obj = slab_alloc_slow(c, cpu, size);
	}
	arch_irq_restore(flags);
	if (obj && !c->debugged)
		sanitize_used(obj, c->debug.object_bytes);
	return obj;
}

static inline void slab_push(struct slab_cache *c, void *obj)
{
	if (!c->debugged)
		sanitize_free(obj, c->debug.object_bytes);
	unsigned long flags = arch_irq_save();
	struct slab_cpu *cpu = &c->cpu[arch_cpu()];
	void **top = cpu->top;
	if (__builtin_expect(top != cpu->limit, 1)) {
		*top = obj;
		cpu->top = top + 1;
	} else {
		slab_free_slow(c, cpu, obj);
	}
	arch_irq_restore(flags);
}

#endif
