/* Slab caches: magazines, depot, slabs, constructors, limits; and what debugging finds. */
#include <string.h>

#include "gk_mm_rig.h"

#define MANY 3000u

static struct rig r;

static struct slab_cache *make(size_t size, size_t align, bool debug)
{
	const struct slab_opts o = {
	        .name = "test", .size_bytes = size, .align_bytes = align, .debug = debug};
	struct slab_cache *c = slab_cache_create(r.mm, &o);
	ck_assert_ptr_nonnull(c);
	return c;
}

/* MANY objects of every shape, none over another. */
START_TEST(objects_are_aligned_and_apart)
{
	static const struct {
		size_t size, align;
	} shapes[] = {{1, 0},     {8, 8},    {24, 8},       {64, 64},     {100, 4},   {256, 256},
	              {511, 0},   {512, 0},  {700, 128},    {2048, 2048}, {4096, 16}, {40, 4096},
	              {5000, 64}, {9000, 0}, {65536, 4096}, {33000, 8}};
	static unsigned char *objs[MANY];
	for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct slab_cache *c = make(shapes[i].size, shapes[i].align, false);
		size_t size = shapes[i].size, align = shapes[i].align ? shapes[i].align : 8;
		size_t n = size < 4096 ? MANY / 2 : 60, k;
		for (k = 0; k < n; k++) {
			objs[k] = slab_alloc(c);
			ck_assert_ptr_nonnull(objs[k]);
			ck_assert_uint_eq((uintptr_t)objs[k] % align, 0);
			memset(objs[k], (int)(k % 251), size);
		}
		for (k = 0; k < n; k++) {
			ck_assert_uint_eq(debug_scan(objs[k], (uint8_t)(k % 251), size), size);
			slab_free(c, objs[k]);
		}
		ck_assert_uint_eq(slab_cache_destroy(c), 0);
	}
}
END_TEST

START_TEST(what_was_freed_last_is_used_first)
{
	struct slab_cache *c = make(64, 64, false);
	void *a = slab_alloc(c), *b = slab_alloc(c);
	slab_free(c, a);
	slab_free(c, b);
	ck_assert_ptr_eq(slab_alloc(c), b);
	ck_assert_ptr_eq(slab_alloc(c), a);
	slab_free(c, NULL);
	ck_assert_uint_eq(slab_cache_destroy(c), 2);
	slab_free(c, a);
	slab_free(c, b);
	ck_assert_uint_eq(slab_cache_destroy(c), 0);
}
END_TEST

static unsigned constructed;

static void construct(void *obj, void *ctx)
{
	memset(obj, 0x33, 48);
	(*(unsigned *)ctx)++;
}

static void constructed_once(bool debug)
{
	const struct slab_opts o = {.name = "ctor",
	                            .size_bytes = 48,
	                            .ctor = construct,
	                            .ctor_ctx = &constructed,
	                            .debug = debug};
	struct slab_cache *c = slab_cache_create(r.mm, &o);
	constructed = 0;
	for (unsigned i = 0; i < 1000; i++) {
		void *p = slab_alloc(c);
		ck_assert_uint_eq(debug_scan(p, 0x33, 48), 48);
		slab_free(c, p);
	}
	if (debug)
		ck_assert_uint_eq(constructed, 1000);
	else
		ck_assert_uint_lt(constructed, 100);
	ck_assert_uint_eq(slab_cache_destroy(c), 0);
}

START_TEST(constructors_run_once_and_last)
{
	constructed_once(false);
	constructed_once(true);
}
END_TEST

START_TEST(a_batch_is_as_good_as_singles)
{
	static void *objs[MANY];
	struct slab_cache *c = make(128, 0, false);
	struct slab_stats s;
	ck_assert_uint_eq(slab_alloc_batch(c, objs, MANY), MANY);
	slab_stats(c, &s);
	ck_assert_uint_ge(s.active, MANY);
	ck_assert_uint_ge(s.objects, s.active);
	slab_free_batch(c, objs, MANY);
	slab_stats(c, &s);
	ck_assert_uint_gt(s.depot, 0);
	ck_assert_uint_gt(s.exchanges, 0);
	ck_assert_uint_gt(slab_shrink(c), 0);
	slab_stats(c, &s);
	ck_assert_uint_eq(s.slabs, 0);
	ck_assert_uint_eq(s.active, 0);
	ck_assert_uint_eq(slab_cache_destroy(c), 0);
}
END_TEST

/* What one CPU allocates and another frees comes back through the depot. */
START_TEST(objects_wander_between_cpus)
{
	void *objs[40];
	struct slab_cache *c = make(64, 0, false);
	struct slab_stats s;
	for (unsigned round = 0; round < 500; round++) {
		arch_hosted_pin(0);
		ck_assert_uint_eq(slab_alloc_batch(c, objs, 40), 40);
		arch_hosted_pin(1);
		slab_free_batch(c, objs, 40);
	}
	slab_stats(c, &s);
	ck_assert_uint_lt(s.objects, 1000);
	ck_assert_uint_eq(slab_cache_destroy(c), 0);
}
END_TEST

START_TEST(memory_runs_out_by_null_and_comes_back)
{
	struct slab_cache *c = make(1000, 0, false), *idle = make(3000, 0, false);
	static void *objs[20];
	void **first = NULL, **obj;
	size_t n = 0;
	ck_assert_uint_eq(slab_alloc_batch(idle, objs, 20), 20);
	slab_free_batch(idle, objs, 20);
	while ((obj = slab_alloc(c))) {
		*obj = first;
		first = obj;
		n++;
	}
	ck_assert_uint_gt(n, 3u * MIB / 1024);
	struct slab_stats s;
	slab_stats(idle, &s);
	ck_assert_uint_eq(s.slabs, 0); /* taken from it */
	ck_assert_uint_eq(r.mm->failures, 1);
	for (; first; first = obj) {
		obj = *first;
		slab_free(c, first);
	}
	ck_assert_uint_eq(slab_cache_destroy(c), 0);
	ck_assert_uint_eq(slab_cache_destroy(idle), 0);
}
END_TEST

START_TEST(an_owner_can_use_up_its_limit)
{
	struct mm_owner *owner = mm_owner_create(r.mm, "net", 16);
	const struct slab_opts o = {.name = "owned", .size_bytes = 512, .owner = owner};
	struct slab_cache *c = slab_cache_create(r.mm, &o);
	static void *objs[MANY];
	size_t n = slab_alloc_batch(c, objs, MANY);
	ck_assert_uint_eq(n, 16 * PAGE / 512);
	struct mm_owner_stats s;
	mm_owner_stats(owner, &s);
	ck_assert_uint_eq(s.pages, 16);
	slab_free_batch(c, objs, n);
	/* What the cache keeps is given back when its owner wants it elsewhere. */
	void *p = frames_alloc(r.mm, 4, owner);
	ck_assert_ptr_nonnull(p);
	frames_free(r.mm, p);
	ck_assert_uint_eq(slab_cache_destroy(c), 0);
	ck_assert(mm_owner_destroy(r.mm, owner));
}
END_TEST

START_TEST(options_out_of_range_are_refused)
{
	static const struct slab_opts bad[] = {
	        {.name = "b", .size_bytes = 0},
	        {.name = "b", .size_bytes = SLAB_OBJECT_MAX + 1},
	        {.name = "b", .size_bytes = SIZE_MAX},
	        {.name = "b", .size_bytes = 8, .align_bytes = 3},
	        {.name = "b", .size_bytes = 8, .align_bytes = 2 * SLAB_ALIGN_MAX},
	};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_ptr_null(slab_cache_create(r.mm, &bad[i]));
}
END_TEST

/* Even without debugging, what reaches the slabs is looked at. */
START_TEST(misuse_is_found_when_magazines_are_emptied)
{
	struct slab_cache *c = make(64, 0, false), *d = make(64, 0, false);
	char *p = slab_alloc(c), *q = slab_alloc(d);
	slab_free(c, p);
	slab_free(c, p);
	(void)slab_shrink(c);
	rig_expect(&r, MM_FAULT_DOUBLE_FREE);
	slab_free(c, q);
	(void)slab_shrink(c);
	rig_expect(&r, MM_FAULT_WRONG_CACHE);
	slab_free(d, q + 8);
	(void)slab_shrink(d);
	rig_expect(&r, MM_FAULT_BAD_POINTER);
	slab_free(d, q);
	ck_assert_uint_eq(slab_cache_destroy(c), 0);
	ck_assert_uint_eq(slab_cache_destroy(d), 0);
}
END_TEST

START_TEST(debug_finds_a_double_free)
{
	struct slab_cache *c = make(100, 0, true);
	void *p = slab_alloc(c);
	slab_free(c, p);
	slab_free(c, p);
	ck_assert_ptr_eq(r.fault[0].object, p);
	ck_assert_str_eq(r.fault[0].cache, "test");
	ck_assert(r.allocated.pcs[0] && r.freed.pcs[0]);
	rig_expect(&r, MM_FAULT_DOUBLE_FREE);
	slab_free(c, (char *)p + 1);
	rig_expect(&r, MM_FAULT_BAD_POINTER);
	ck_assert_uint_eq(slab_cache_destroy(c), 0);
}
END_TEST

START_TEST(debug_finds_a_use_after_free)
{
	struct slab_cache *c = make(100, 0, true);
	char *p = slab_alloc(c);
	ck_assert_uint_eq(debug_scan(p, DEBUG_POISON_NEW, 100), 100);
	slab_free(c, p);
	p[99] = 1;
	ck_assert_uint_eq(slab_check(c), 1);
	ck_assert_uint_eq(r.fault[0].offset, 99);
	ck_assert_uint_eq(r.fault[0].found, 1);
	ck_assert(r.allocated.pcs[0] && r.freed.pcs[0]);
	rig_expect(&r, MM_FAULT_USE_AFTER_FREE);
	ck_assert_uint_eq(slab_check(c), 0);
	p[0] = 2;
	ck_assert_uint_eq(slab_cache_destroy(c), 0);
	rig_expect(&r, MM_FAULT_USE_AFTER_FREE);
}
END_TEST

START_TEST(debug_finds_writes_outside)
{
	struct slab_cache *c = make(100, 0, true);
	char *p = slab_alloc(c);
	p[100] = 1;
	slab_free(c, p);
	ck_assert_uint_eq(r.fault[0].offset, 100);
	rig_expect(&r, MM_FAULT_REDZONE_AFTER);
	p = slab_alloc(c);
	p[-3] = 1;
	ck_assert_uint_eq(slab_check(c), 1);
	ck_assert_uint_eq(r.fault[0].offset, 3);
	rig_expect(&r, MM_FAULT_REDZONE_BEFORE);
	slab_free(c, p);
	ck_assert_uint_eq(slab_cache_destroy(c), 0);
}
END_TEST

START_TEST(debug_uses_again_as_late_as_possible)
{
	struct slab_cache *c = make(1000, 0, true);
	void *p = slab_alloc(c);
	slab_free(c, p);
	void *q = slab_alloc(c);
	ck_assert_ptr_ne(p, q);
	slab_free(c, q);
	ck_assert_uint_eq(slab_cache_destroy(c), 0);
}
END_TEST

START_TEST(leaks_are_listed)
{
	struct slab_cache *c = make(100, 0, true);
	void *p = slab_alloc(c), *q = slab_alloc(c);
	ck_assert_uint_eq(mm_leaks(r.mm, &r.sink), 2);
	const char *text = rig_text(&r);
	ck_assert_ptr_nonnull(strstr(text, "test: 100 bytes at 0x"));
	ck_assert_ptr_nonnull(strstr(text, "allocated on CPU 0: 0x"));
	slab_free(c, p);
	slab_free(c, q);
	ck_assert_uint_eq(mm_leaks(r.mm, &r.sink), 0);
	ck_assert_uint_eq(slab_cache_destroy(c), 0);
}
END_TEST

static void setup(void)
{
	rig_start(&r, 16 * MIB, 2, false);
}

static void teardown(void)
{
	rig_end(&r);
}

int main(void)
{
	TCase *tc = tcase_create("slab");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, objects_are_aligned_and_apart);
	tcase_add_test(tc, what_was_freed_last_is_used_first);
	tcase_add_test(tc, constructors_run_once_and_last);
	tcase_add_test(tc, a_batch_is_as_good_as_singles);
	tcase_add_test(tc, objects_wander_between_cpus);
	tcase_add_test(tc, memory_runs_out_by_null_and_comes_back);
	tcase_add_test(tc, an_owner_can_use_up_its_limit);
	tcase_add_test(tc, options_out_of_range_are_refused);
	tcase_add_test(tc, misuse_is_found_when_magazines_are_emptied);
	tcase_add_test(tc, debug_finds_a_double_free);
	tcase_add_test(tc, debug_finds_a_use_after_free);
	tcase_add_test(tc, debug_finds_writes_outside);
	tcase_add_test(tc, debug_uses_again_as_late_as_possible);
	tcase_add_test(tc, leaks_are_listed);
	return suite_run("gk_slab", tc);
}
