/*
 * Random operations on every part of mm, by several CPUs at once, against a model: each allocation
 * is filled with a pattern of its own, which must be there when it is freed, here or by another
 * CPU. In the end nothing may be left. The seed is fixed; GK_MM_SEED in the environment changes it.
 */
#include <pthread.h>
#include <string.h>

#include "gk_mm_rig.h"

#define CPUS       4u
#define SLOTS      128u
#define OPERATIONS 10000u
#define SHARED     64u
#define POOL_SIZE  96u
#define POOL_OBJS  200u
#define SLAB_SIZE  72u

enum kind { NONE, HEAP, OWNED, SLAB, POOL, FRAMES, COLOURED, KINDS };

/* What the model knows of an allocation. */
struct slot {
	enum kind kind;
	unsigned char *p;
	size_t bytes;
	uint8_t pattern;
};

struct world {
	struct rig rig;
	struct mm_owner *owner;
	struct heap *heap;
	struct slab_cache *cache;
	struct pool *pool;
	pthread_mutex_t lock;
	struct slot shared[SHARED]; /* what one CPU leaves for another to free */
	unsigned pooled;            /* objects of the pool in use, under lock */
};

struct cpu {
	struct world *w;
	unsigned index;
	uint64_t random;
	struct slot slots[SLOTS];
	unsigned refused;
};

static struct world world;

/* xorshift64* */
static uint64_t draw(struct cpu *c)
{
	c->random ^= c->random >> 12;
	c->random ^= c->random << 25;
	c->random ^= c->random >> 27;
	return c->random * 0x2545f4914f6cdd1dull;
}

static size_t draw_size(struct cpu *c)
{
	uint64_t d = draw(c);
	size_t below = (size_t)16 << (d % 11);
	return (d >> 8) % 50 == 0 ? (d >> 16) % (1u << 17) : (d >> 16) % below + 1;
}

/* A pool's user may hold its capacity at most; then the pool must not fail. */
static void *alloc_pooled(struct world *w)
{
	pthread_mutex_lock(&w->lock);
	bool may = w->pooled < POOL_OBJS;
	w->pooled += may;
	pthread_mutex_unlock(&w->lock);
	if (!may)
		return NULL;
	void *p = pool_alloc(w->pool);
	ck_assert_ptr_nonnull(p);
	return p;
}

static void free_pooled(struct world *w, void *p)
{
	pool_free(w->pool, p);
	pthread_mutex_lock(&w->lock);
	w->pooled--;
	pthread_mutex_unlock(&w->lock);
}

static void *alloc_as(struct cpu *c, struct slot *s)
{
	struct mm *mm = c->w->rig.mm;
	switch (s->kind) {
	case HEAP:
		return kmalloc(mm, s->bytes = draw_size(c));
	case OWNED:
		return heap_alloc(c->w->heap, s->bytes = draw_size(c));
	case SLAB:
		s->bytes = SLAB_SIZE;
		return slab_alloc(c->w->cache);
	case POOL:
		s->bytes = POOL_SIZE;
		return alloc_pooled(c->w);
	case FRAMES:
		s->bytes = (draw(c) % 9 + 1) * PAGE;
		return frames_alloc_pages(mm, s->bytes / PAGE, draw(c) % 2 ? c->w->owner : NULL);
	default:
		s->bytes = PAGE;
		return frames_alloc_colour(mm, (unsigned)draw(c), NULL);
	}
}

static void allocate(struct cpu *c, struct slot *s)
{
	s->kind = (enum kind)(draw(c) % (KINDS - 1) + 1);
	s->pattern = (uint8_t)draw(c);
	s->p = alloc_as(c, s);
	if (!s->p) {
		s->kind = NONE;
		c->refused++;
		return;
	}
	memset(s->p, s->pattern, s->bytes);
}

static void check(const struct slot *s)
{
	ck_assert_uint_eq(debug_scan(s->p, s->pattern, s->bytes), s->bytes);
}

static void release(struct cpu *c, struct slot *s)
{
	struct mm *mm = c->w->rig.mm;
	check(s);
	switch (s->kind) {
	case HEAP:
	case OWNED:
		kfree(mm, s->p);
		break;
	case SLAB:
		slab_free(c->w->cache, s->p);
		break;
	case POOL:
		free_pooled(c->w, s->p);
		break;
	default:
		frames_free(mm, s->p);
	}
	s->kind = NONE;
}

static void resize(struct cpu *c, struct slot *s)
{
	size_t bytes = draw_size(c);
	unsigned char *p = krealloc(c->w->rig.mm, s->p, bytes);
	if (!p)
		return;
	size_t kept = bytes < s->bytes ? bytes : s->bytes;
	ck_assert_uint_eq(debug_scan(p, s->pattern, kept), kept);
	memset(p, s->pattern, bytes);
	s->p = p;
	s->bytes = bytes;
}

/* Changes one of ours against what another CPU left. */
static void hand_over(struct cpu *c, struct slot *s)
{
	pthread_mutex_lock(&c->w->lock);
	struct slot *there = &c->w->shared[draw(c) % SHARED], mine = *s;
	*s = *there;
	*there = mine;
	pthread_mutex_unlock(&c->w->lock);
}

static void operate(struct cpu *c)
{
	struct slot *s = &c->slots[draw(c) % SLOTS];
	uint64_t what = draw(c) % 1000;
	if (what == 0)
		mm_drain_local(c->w->rig.mm);
	else if (what == 1)
		(void)mm_reclaim(c->w->rig.mm);
	else if (what < 200)
		hand_over(c, s);
	else if (s->kind == NONE)
		allocate(c, s);
	else if ((s->kind == HEAP || s->kind == OWNED) && what < 400)
		resize(c, s);
	else
		release(c, s);
}

static void *run(void *arg)
{
	struct cpu *c = arg;
	arch_hosted_pin(c->index);
	for (unsigned i = 0; i < OPERATIONS; i++)
		operate(c);
	for (unsigned i = 0; i < SLOTS; i++)
		if (c->slots[i].kind != NONE)
			release(c, &c->slots[i]);
	return NULL;
}

static uint64_t seed(void)
{
	const char *text = getenv("GK_MM_SEED");
	return text ? strtoull(text, NULL, 0) : 1;
}

static void start(struct world *w, size_t bytes, bool debug)
{
	static const struct arch_cache llc = {
	        .line_bytes = 64, .ways = 16, .sets = 1024, .known = true};
	memset(w, 0, sizeof(*w));
	rig_start_at(&w->rig, 5 * MIB, bytes,
	             (struct mm_opts){.cpus = CPUS, .llc = &llc, .debug = debug});
	pthread_mutex_init(&w->lock, NULL);
	w->owner = mm_owner_create(w->rig.mm, "stress", 300);
	w->heap = heap_create(w->rig.mm, "stress", w->owner);
	w->cache = slab_cache_create(
	        w->rig.mm, &(struct slab_opts){.name = "stress", .size_bytes = SLAB_SIZE});
	w->pool = pool_create(w->rig.mm, &(struct pool_opts){.name = "stress",
	                                                     .size_bytes = POOL_SIZE,
	                                                     .capacity = POOL_OBJS});
	ck_assert(w->owner && w->heap && w->cache && w->pool);
}

static void stop(struct world *w)
{
	struct cpu last = {.w = w};
	for (unsigned i = 0; i < SHARED; i++)
		if (w->shared[i].kind != NONE)
			release(&last, &w->shared[i]);
	ck_assert_uint_eq(heap_destroy(w->heap), 0);
	ck_assert_uint_eq(slab_cache_destroy(w->cache), 0);
	ck_assert_uint_eq(pool_destroy(w->pool), 0);
	ck_assert(mm_owner_destroy(w->rig.mm, w->owner));
	pthread_mutex_destroy(&w->lock);
	rig_end(&w->rig);
}

/* How many allocations found no memory. */
static unsigned stress(size_t bytes, bool debug)
{
	static struct cpu cpus[CPUS];
	pthread_t threads[CPUS];
	unsigned refused = 0;
	start(&world, bytes, debug);
	for (unsigned i = 0; i < CPUS; i++) {
		cpus[i] = (struct cpu){.w = &world, .index = i, .random = seed() * CPUS + i + 1};
		ck_assert_int_eq(pthread_create(&threads[i], NULL, run, &cpus[i]), 0);
	}
	for (unsigned i = 0; i < CPUS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
		refused += cpus[i].refused;
	}
	stop(&world);
	return refused;
}

START_TEST(plenty_of_memory)
{
	(void)stress(64 * MIB, false);
}
END_TEST

START_TEST(too_little_memory)
{
	ck_assert_uint_gt(stress(3 * MIB, false), 0);
}
END_TEST

START_TEST(with_debugging)
{
	(void)stress(64 * MIB, true);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("stress");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, plenty_of_memory);
	tcase_add_test(tc, too_little_memory);
	tcase_add_test(tc, with_debugging);
	return suite_run("gk_mm_stress", tc);
}
