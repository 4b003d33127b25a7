/*
 * Slabs: blocks of pages cut into objects, a bit for each that is free. Everything here runs under
 * the cache's lock. Frames come without reclaiming: the caller does that, with the lock open.
 */
#include "guest-kernel/mm/mm_priv.h"

static void list_add(struct slab_cache *c, struct slab *s, enum slab_list list)
{
	struct slab **head = &c->lists[list];
	s->list = (uint8_t)list;
	s->prev = NULL;
	s->next = *head;
	if (*head)
		(*head)->prev = s;
	*head = s;
	c->slabs[list]++;
}

static void list_remove(struct slab_cache *c, struct slab *s)
{
	if (s->prev)
		s->prev->next = s->next;
	else
		c->lists[s->list] = s->next;
	if (s->next)
		s->next->prev = s->prev;
	c->slabs[s->list]--;
}

static void list_update(struct slab_cache *c, struct slab *s)
{
	enum slab_list list = s->free == 0          ? SLAB_FULL
	                      : s->free == s->total ? SLAB_EMPTY
	                                            : SLAB_PARTIAL;
	if (list != s->list) {
		list_remove(c, s);
		list_add(c, s, list);
	}
}

static void set_frames(struct slab_cache *c, struct slab *s, enum frame_state state)
{
	struct frame *f = frame_of(c->mm, s->pages);
	for (uint32_t i = 0; i < c->slab_pages; i++) {
		f[i].cache = c;
		f[i].slab = s;
		frame_set_state(&f[i], state);
	}
}

/* Slabs of a cache begin at different offsets, so that the first objects do not share cache sets.
 */
static char *first_object(struct slab_cache *c, char *pages)
{
	uint32_t offset = c->colour_next;
	c->colour_next = offset + c->align > c->colour_max ? 0 : offset + c->align;
	return pages + c->header_bytes + offset + c->debug.front_bytes;
}

static void make_objects(struct slab_cache *c, struct slab *s)
{
	for (uint32_t i = 0; i < s->total; i++) {
		s->bits[i / 64] |= 1ull << i % 64;
		void *obj = s->objs + (size_t)i * c->stride;
		if (c->debugged)
			debug_init(&c->debug, obj);
		else if (c->ctor)
			c->ctor(obj, c->ctor_ctx);
		if (!c->debugged)
			sanitize_free(obj, c->debug.object_bytes);
	}
}

static struct slab *grow(struct slab_cache *c)
{
	char *pages = frames_take(c->mm, c->slab_pages, COLOUR_ANY, c->owner);
	if (!pages)
		return NULL;
	struct slab *s = (struct slab *)(void *)pages;
	if (c->header_bytes == 0) {
		s = slab_alloc_bare(c->mm->header_cache);
		if (!s) {
			frames_give(c->mm, pages);
			return NULL;
		}
	}
	size_t words = (c->per_slab + 63) / 64;
	*s = (struct slab){
	        .objs = first_object(c, pages),
	        .pages = pages,
	        .total = (uint16_t)c->per_slab,
	        .free = (uint16_t)c->per_slab,
	        .off_slab = c->header_bytes == 0,
	};
	for (size_t i = 0; i < words; i++)
		s->bits[i] = 0;
	make_objects(c, s);
	set_frames(c, s, FRAME_SLAB);
	list_add(c, s, SLAB_EMPTY);
	c->free_objects += s->total;
	return s;
}

static void release(struct slab_cache *c, struct slab *s)
{
	list_remove(c, s);
	c->free_objects -= s->total;
	if (c->debugged)
		for (uint32_t i = 0; i < s->total; i++)
			(void)debug_check(c->mm, &c->debug, s->objs + (size_t)i * c->stride);
	void *pages = s->pages;
	sanitize_used(pages, c->slab_pages * PAGE);
	set_frames(c, s, FRAME_NONE);
	struct frame *f = frame_of(c->mm, pages);
	f->heap = NULL;
	frame_set_state(f, FRAME_USED);
	if (s->off_slab)
		slab_free_bare(c->mm->header_cache, s);
	frames_give(c->mm, pages);
}

size_t slab_release_empty(struct slab_cache *c, size_t keep)
{
	size_t pages = 0;
	while (c->slabs[SLAB_EMPTY] > keep) {
		release(c, c->lists[SLAB_EMPTY]);
		pages += c->slab_pages;
	}
	return pages;
}

/* Debug caches go round, so that what was freed last is used last. */
static void *take_next(struct slab_cache *c, struct slab *s)
{
	uint32_t i = s->hint;
	while (!(s->bits[i / 64] >> i % 64 & 1))
		i = i + 1 < s->total ? i + 1 : 0;
	s->bits[i / 64] &= ~(1ull << i % 64);
	s->hint = (uint16_t)(i + 1 < s->total ? i + 1 : 0);
	return s->objs + (size_t)i * c->stride;
}

/* At most N free objects of S, lowest first. */
static unsigned take_some(struct slab_cache *c, struct slab *s, void **objs, unsigned n)
{
	unsigned got = 0;
	for (unsigned word = 0; got < n && got < s->free; word++) {
		uint64_t bits = s->bits[word];
		char *base = s->objs + (size_t)word * 64 * c->stride;
		for (; bits && got < n; bits &= bits - 1)
			objs[got++] = base + (size_t)(unsigned)__builtin_ctzll(bits) * c->stride;
		s->bits[word] = bits;
	}
	return got;
}

unsigned slab_take(struct slab_cache *c, void **objs, unsigned n)
{
	unsigned got = 0;
	while (got < n) {
		struct slab *s = c->lists[SLAB_PARTIAL];
		if (!s)
			s = c->lists[SLAB_EMPTY];
		if (!s)
			s = grow(c);
		if (!s)
			break;
		unsigned some = 1;
		if (c->debugged)
			objs[got] = take_next(c, s);
		else
			some = take_some(c, s, objs + got, n - got);
		s->free = (uint16_t)(s->free - some);
		got += some;
		list_update(c, s);
	}
	c->free_objects -= got;
	return got;
}

/* The slab of OBJ, if it is an object of C in use; else that is reported. */
static struct slab *slab_of(struct slab_cache *c, void *obj, uint32_t *index)
{
	struct mm *mm = c->mm;
	struct frame *f = frame_of(mm, obj);
	if (!f || frame_state(f) != FRAME_SLAB) {
		debug_stray(mm, MM_FAULT_BAD_POINTER, c->name, obj);
		return NULL;
	}
	if (f->cache != c) {
		debug_stray(mm, MM_FAULT_WRONG_CACHE, c->name, obj);
		return NULL;
	}
	struct slab *s = f->slab;
	uint64_t offset = (uintptr_t)obj - (uintptr_t)s->objs;
	uint64_t i = offset >> 32 ? s->total : (offset * c->reciprocal) >> 40;
	if (i >= s->total || i * c->stride != offset) {
		debug_stray(mm, MM_FAULT_BAD_POINTER, c->name, obj);
		return NULL;
	}
	*index = (uint32_t)i;
	return s;
}

static void give_one(struct slab_cache *c, void *obj)
{
	uint32_t i;
	struct slab *s = slab_of(c, obj, &i);
	if (!s || (c->debugged && !debug_freed(c->mm, &c->debug, obj)))
		return;
	if (s->bits[i / 64] >> i % 64 & 1) {
		debug_stray(c->mm, MM_FAULT_DOUBLE_FREE, c->name, obj);
		return;
	}
	s->bits[i / 64] |= 1ull << i % 64;
	s->free++;
	c->free_objects++;
	list_update(c, s);
}

void slab_give(struct slab_cache *c, void **objs, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		give_one(c, objs[i]);
	if (unlikely(c->slabs[SLAB_EMPTY] > c->empty_max))
		(void)slab_release_empty(c, c->empty_max);
}

void slab_each(struct slab_cache *c, void (*fn)(void *ctx, void *obj, bool free), void *ctx)
{
	for (unsigned list = 0; list < SLAB_LISTS; list++)
		for (struct slab *s = c->lists[list]; s; s = s->next)
			for (uint32_t i = 0; i < s->total; i++)
				fn(ctx, s->objs + (size_t)i * c->stride,
				   s->bits[i / 64] >> i % 64 & 1);
}
