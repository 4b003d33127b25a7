/* kmalloc and its family, heaps of owners, pools, and what mm tells of itself. */
#include <string.h>

#include "gk_mm_rig.h"

static struct rig r;

START_TEST(every_size_is_given_and_wastes_a_quarter_at_most)
{
	for (size_t size = 0; size <= 3 * HEAP_SLAB_MAX; size += size < 1100 ? 1 : 31) {
		char *p = kmalloc(r.mm, size);
		size_t usable = kmalloc_usable(r.mm, p);
		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq((uintptr_t)p % HEAP_ALIGN, 0);
		ck_assert_uint_ge(usable, size);
		if (size > 64 && size <= HEAP_SLAB_MAX)
			ck_assert_uint_le(usable, size + size / 4);
		if (size > HEAP_SLAB_MAX)
			ck_assert_uint_lt(usable - size, PAGE);
		memset(p, 1, size);
		kfree(r.mm, p);
	}
}
END_TEST

START_TEST(sizes_that_cannot_be_are_refused)
{
	ck_assert_ptr_null(kmalloc(r.mm, HEAP_MAX + 1));
	ck_assert_ptr_null(kmalloc(r.mm, SIZE_MAX));
	ck_assert_ptr_null(kmalloc(r.mm, SIZE_MAX - PAGE + 1));
	ck_assert_ptr_null(kcalloc(r.mm, SIZE_MAX / 2 + 2, 2));
	ck_assert_ptr_null(kcalloc(r.mm, 1ull << 32, 1ull << 32));
	void *most = kmalloc(r.mm, HEAP_MAX);
	ck_assert_ptr_nonnull(most);
	kfree(r.mm, most);
	kfree(r.mm, NULL);
}
END_TEST

START_TEST(zeroed_memory_is_zero)
{
	for (size_t size = 1; size < 20000; size += 37) {
		char *p = kmalloc(r.mm, size);
		memset(p, 0xff, size);
		kfree(r.mm, p);
		p = size % 2 ? kzalloc(r.mm, size) : kcalloc(r.mm, size / 2, 2);
		ck_assert_uint_eq(debug_scan(p, 0, size), size);
		kfree(r.mm, p);
	}
}
END_TEST

static void resize(void)
{
	static const size_t sizes[] = {1,     30,   29,     500,  8192, 8193, 100000,
	                               60000, 4000, 400000, 4096, 3,    0};
	unsigned char *p = krealloc(r.mm, NULL, 10);
	size_t has = 10;
	memset(p, 0x77, has);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t size = sizes[i] ? sizes[i] : 1;
		p = krealloc(r.mm, p, sizes[i]);
		ck_assert_ptr_nonnull(p);
		size_t kept = has < size ? has : size;
		ck_assert_uint_eq(debug_scan(p, 0x77, kept), kept);
		memset(p, 0x77, size);
		has = size;
	}
	ck_assert_ptr_null(krealloc(r.mm, p, HEAP_MAX + 1));
	ck_assert_uint_eq(p[0], 0x77);
	kfree(r.mm, p);
}

START_TEST(realloc_keeps_what_was_there)
{
	resize();
}
END_TEST

START_TEST(strays_are_told)
{
	char here[64], *p = kmalloc(r.mm, 100000);
	kfree(r.mm, here);
	rig_expect(&r, MM_FAULT_BAD_POINTER);
	kfree(r.mm, p + PAGE);
	rig_expect(&r, MM_FAULT_BAD_POINTER);
	ck_assert_ptr_null(krealloc(r.mm, here, 10));
	rig_expect(&r, MM_FAULT_BAD_POINTER);
	ck_assert_uint_eq(kmalloc_usable(r.mm, here), 0);
	kfree(r.mm, p);
	kfree(r.mm, p);
	ck_assert_uint_eq(r.faults, 1);
	r.faults = 0;
}
END_TEST

START_TEST(a_heap_charges_its_owner)
{
	struct mm_owner *owner = mm_owner_create(r.mm, "policy", 64);
	struct heap *h = heap_create(r.mm, "policy", owner);
	struct mm_owner_stats s;
	char *small = heap_alloc(h, 10), *large = heap_zalloc(h, 30 * PAGE);
	ck_assert(small && large);
	mm_owner_stats(owner, &s);
	ck_assert_uint_eq(s.pages, 31);
	ck_assert_ptr_null(heap_alloc(h, 40 * PAGE));
	ck_assert_uint_eq(heap_destroy(h), 2);
	/* Resized, it stays with its owner. */
	small = krealloc(r.mm, small, 20 * PAGE);
	ck_assert_ptr_nonnull(small);
	mm_owner_stats(owner, &s);
	ck_assert_uint_ge(s.pages, 50);
	kfree(r.mm, small);
	kfree(r.mm, large);
	mm_slabinfo(r.mm, &r.sink);
	ck_assert_uint_eq(heap_destroy(h), 0);
	ck_assert(mm_owner_destroy(r.mm, owner));
}
END_TEST

/* Whichever CPU holds what, no allocation below the capacity fails. */
static void pool_holds(size_t size, size_t align, size_t capacity, bool debug)
{
	const struct pool_opts o = {.name = "test",
	                            .size_bytes = size,
	                            .align_bytes = align,
	                            .capacity = capacity,
	                            .debug = debug};
	struct pool *p = pool_create(r.mm, &o);
	static char *objs[1024];
	ck_assert_ptr_nonnull(p);
	for (unsigned round = 0; round < 4; round++) {
		for (size_t i = 0; i < capacity; i++) {
			arch_hosted_pin((unsigned)(i * 7 + round) % r.cpus);
			objs[i] = pool_alloc(p);
			ck_assert_ptr_nonnull(objs[i]);
			ck_assert_uint_eq((uintptr_t)objs[i] % (align ? align : 8), 0);
			memset(objs[i], (int)(i % 251), size);
		}
		for (size_t i = 0; i < capacity; i++) {
			arch_hosted_pin((unsigned)(i / 3 + round) % r.cpus);
			ck_assert_uint_eq(debug_scan(objs[i], (uint8_t)(i % 251), size), size);
			pool_free(p, objs[i]);
		}
	}
	arch_hosted_pin(0);
	size_t n = 0;
	for (void *obj; (obj = pool_alloc(p)) && n < 1024;)
		objs[n++] = obj;
	ck_assert_uint_ge(n, capacity);
	ck_assert_uint_le(n, pool_total(p));
	ck_assert_uint_eq(pool_destroy(p), n);
	while (n > 0)
		pool_free(p, objs[--n]);
	mm_slabinfo(r.mm, &r.sink);
	ck_assert_ptr_nonnull(strstr(rig_text(&r), "\ntest "));
	ck_assert_uint_eq(pool_destroy(p), 0);
}

START_TEST(a_pool_never_fails_below_its_capacity)
{
	pool_holds(1, 0, 1, false);
	pool_holds(64, 64, 3, false);
	pool_holds(100, 0, 500, false);
	pool_holds(1500, 4096, 300, false);
	pool_holds(65536, 0, 40, false);
	pool_holds(100, 0, 200, true);
	pool_holds(3000, 1024, 50, true);
}
END_TEST

START_TEST(a_pool_that_does_not_fit_leaves_nothing)
{
	static const struct pool_opts bad[] = {
	        {.name = "b", .size_bytes = 0, .capacity = 1},
	        {.name = "b", .size_bytes = 1, .capacity = 0},
	        {.name = "b", .size_bytes = 1, .capacity = POOL_CAPACITY_MAX + 1},
	        {.name = "b", .size_bytes = POOL_OBJECT_MAX + 1, .capacity = 1},
	        {.name = "b", .size_bytes = 1, .capacity = 1, .align_bytes = 24},
	        {.name = "b", .size_bytes = POOL_OBJECT_MAX, .capacity = POOL_CAPACITY_MAX},
	};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_ptr_null(pool_create(r.mm, &bad[i]));
}
END_TEST

START_TEST(a_debug_pool_finds_misuse)
{
	const struct pool_opts o = {.name = "dbg", .size_bytes = 40, .capacity = 4, .debug = true};
	struct pool *p = pool_create(r.mm, &o);
	char *obj = pool_alloc(p);
	ck_assert_uint_eq(mm_leaks(r.mm, &r.sink), 1);
	pool_free(p, obj + 1);
	rig_expect(&r, MM_FAULT_BAD_POINTER);
	obj[40] = 0;
	pool_free(p, obj);
	rig_expect(&r, MM_FAULT_REDZONE_AFTER);
	pool_free(p, obj);
	ck_assert(r.allocated.pcs[0] && r.freed.pcs[0]);
	rig_expect(&r, MM_FAULT_DOUBLE_FREE);
	obj[0] = 0;
	ck_assert_ptr_eq(pool_alloc(p), obj);
	rig_expect(&r, MM_FAULT_USE_AFTER_FREE);
	pool_free(p, obj);
	ck_assert_uint_eq(pool_destroy(p), 0);
}
END_TEST

START_TEST(figures_add_up)
{
	struct mm_owner *owner = mm_owner_create(r.mm, "stack", 100);
	void *p = frames_alloc_pages(r.mm, 25, owner), *q = kmalloc(r.mm, 100);
	mm_meminfo(r.mm, &r.sink);
	const char *text = rig_text(&r);
	unsigned long total = 0, free = 0, used = 0;
	ck_assert_int_eq(sscanf(strstr(text, "total:"), "total: %lu", &total), 1);
	ck_assert_int_eq(sscanf(strstr(text, "free:"), "free: %lu", &free), 1);
	ck_assert_int_eq(sscanf(strstr(text, "used:"), "used: %lu", &used), 1);
	ck_assert_uint_eq(total, free + used);
	ck_assert_ptr_nonnull(strstr(text, "stack                      100      100      400"));
	ck_assert_ptr_nonnull(strstr(text, "colours:                   1 (off"));
	mm_slabinfo(r.mm, &r.sink);
	ck_assert_ptr_nonnull(strstr(rig_text(&r), "kmalloc-112 "));
	frames_free(r.mm, p);
	kfree(r.mm, q);
	ck_assert(mm_owner_destroy(r.mm, owner));
}
END_TEST

/* The last byte that was asked for is the last that may be written, whatever the class. */
START_TEST(debug_guards_the_size_asked_for)
{
	rig_start(&r, 16 * MIB, 1, true);
	char *p = kmalloc(r.mm, 33);
	ck_assert_uint_eq(kmalloc_usable(r.mm, p), 33);
	p[33] = 0;
	kfree(r.mm, p);
	ck_assert_uint_eq(r.fault[0].offset, 33);
	rig_expect(&r, MM_FAULT_REDZONE_AFTER);
	mm_fault_print(&r.fault[0], &r.sink);
	const char *text = rig_text(&r);
	ck_assert_ptr_nonnull(strstr(text, "mm: write beyond the end: kmalloc-48 0x"));
	ck_assert_ptr_nonnull(strstr(text, "of 33 bytes, at offset 33: found 0x00\n"));
	ck_assert_ptr_nonnull(strstr(text, "  found on CPU 0: 0x"));
	resize();
	rig_end(&r);
}
END_TEST

static const char *refused(struct mm_opts o)
{
	const char *why = NULL;
	ck_assert_ptr_null(mm_create(&o, &why));
	ck_assert_ptr_nonnull(why);
	return why;
}

START_TEST(hopeless_options_are_refused)
{
	const struct mm_range small = {0, MM_MIN_BYTES - 1}, wraps = {UINT64_MAX - 9, 1 << 30},
	                      odd = {1, MM_MIN_BYTES}, good = {0, MM_MIN_BYTES};
	ck_assert_ptr_nonnull(strstr(refused((struct mm_opts){.cpus = 1}), "too little"));
	ck_assert_ptr_nonnull(strstr(
	        refused((struct mm_opts){.ranges = &small, .range_count = 1, .cpus = 1}), "256"));
	(void)refused((struct mm_opts){.ranges = &wraps, .range_count = 1, .cpus = 1});
	(void)refused((struct mm_opts){.ranges = &odd, .range_count = 1, .cpus = 1});
	ck_assert_ptr_nonnull(strstr(
	        refused((struct mm_opts){.ranges = &good, .range_count = 1, .cpus = 0}), "CPUs"));
	(void)refused((struct mm_opts){.ranges = &good, .range_count = 1, .cpus = 33});
}
END_TEST

START_TEST(the_least_memory_is_enough_for_the_most_cpus)
{
	rig_start(&r, MM_MIN_BYTES, ARCH_CPUS_MAX, false);
	void *p = kmalloc(r.mm, 1), *q = frames_alloc(r.mm, 0, NULL);
	ck_assert(p && q);
	kfree(r.mm, p);
	frames_free(r.mm, q);
	rig_end(&r);
}
END_TEST

/* More ranges than can be kept, in any order, at odd addresses: the largest are. */
START_TEST(many_ranges_are_used)
{
	struct mm_range ranges[MM_RANGES_MAX + 4];
	const unsigned n = sizeof(ranges) / sizeof(ranges[0]);
	for (unsigned i = 0; i < n; i++)
		ranges[i] = (struct mm_range){(uint64_t)i * 2 * MIB + 100 * i,
		                              MIB + (uint64_t)(i * 5 % n) * 64 * 1024};
	ranges[2].len_bytes = 4096;
	rig_start_at(&r, 0, 2 * MIB * (size_t)n,
	             (struct mm_opts){.ranges = ranges, .range_count = n, .cpus = 1});
	struct mm_stats s;
	mm_stats(r.mm, &s);
	ck_assert_uint_eq(r.mm->region_count, MM_RANGES_MAX);
	ck_assert_uint_gt(s.left_out_bytes, 3 * MIB);
	ck_assert_uint_gt(s.pages, 8 * MIB / PAGE);
	void **first = NULL, **page;
	size_t count = 0;
	for (; (page = frames_alloc(r.mm, 0, NULL)); count++) {
		bool inside = false;
		memset(page, 1, PAGE);
		for (unsigned i = 0; i < n; i++)
			inside |=
			        mm_phys(r.mm, page) >= ranges[i].base &&
			        mm_phys(r.mm, page) + PAGE <= ranges[i].base + ranges[i].len_bytes;
		ck_assert(inside);
		*page = first;
		first = page;
	}
	ck_assert_uint_eq(count, s.pages);
	for (; first; first = page) {
		page = *first;
		frames_free(r.mm, first);
	}
	rig_end(&r);
}
END_TEST

static void setup(void)
{
	rig_start(&r, 32 * MIB, 4, false);
}

static void teardown(void)
{
	rig_end(&r);
}

int main(void)
{
	TCase *tc = tcase_create("heap"), *own = tcase_create("own memory");
	tcase_set_timeout(tc, 60);
	tcase_set_timeout(own, 60);
	Suite *s = suite_create("gk_heap");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, every_size_is_given_and_wastes_a_quarter_at_most);
	tcase_add_test(tc, sizes_that_cannot_be_are_refused);
	tcase_add_test(tc, zeroed_memory_is_zero);
	tcase_add_test(tc, realloc_keeps_what_was_there);
	tcase_add_test(tc, strays_are_told);
	tcase_add_test(tc, a_heap_charges_its_owner);
	tcase_add_test(tc, a_pool_never_fails_below_its_capacity);
	tcase_add_test(tc, a_pool_that_does_not_fit_leaves_nothing);
	tcase_add_test(tc, a_debug_pool_finds_misuse);
	tcase_add_test(tc, figures_add_up);
	suite_add_tcase(s, tc);
	tcase_add_test(own, debug_guards_the_size_asked_for);
	tcase_add_test(own, hopeless_options_are_refused);
	tcase_add_test(own, the_least_memory_is_enough_for_the_most_cpus);
	tcase_add_test(own, many_ranges_are_used);
	suite_add_tcase(s, own);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
