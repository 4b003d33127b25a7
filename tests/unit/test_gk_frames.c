/* Page frames: blocks, merging, colours, laziness, owners, misuse. */
#include <string.h>

#include "gk_mm_rig.h"

static struct rig r;

static void setup(void)
{
	rig_start(&r, 16 * MIB, 2, false);
}

static void teardown(void)
{
	rig_end(&r);
}

START_TEST(blocks_are_aligned_and_apart)
{
	void *blocks[ORDERS];
	for (unsigned order = 0; order < ORDERS; order++) {
		size_t bytes = PAGE << order;
		blocks[order] = frames_alloc(r.mm, order, NULL);
		ck_assert_ptr_nonnull(blocks[order]);
		ck_assert_uint_eq(mm_phys(r.mm, blocks[order]) % bytes, 0);
		ck_assert_ptr_eq(mm_virt(r.mm, mm_phys(r.mm, blocks[order])), blocks[order]);
		ck_assert_uint_eq(frames_size_pages(r.mm, blocks[order]), 1u << order);
		memset(blocks[order], (int)order, bytes);
	}
	for (unsigned order = 0; order < ORDERS; order++) {
		ck_assert_uint_eq(debug_scan(blocks[order], (uint8_t)order, PAGE << order),
		                  PAGE << order);
		frames_free(r.mm, blocks[order]);
	}
	ck_assert_ptr_null(frames_alloc(r.mm, ORDERS, NULL));
}
END_TEST

START_TEST(all_memory_can_be_taken_and_merges_again)
{
	size_t all = rig_free_pages(&r), n = 0;
	void **first = NULL, **page;
	while ((page = frames_alloc(r.mm, 0, NULL))) {
		*page = first;
		first = page;
		n++;
	}
	ck_assert_uint_eq(n, all);
	ck_assert_uint_eq(r.mm->failures, 1);
	for (; first; first = page) {
		page = *first;
		frames_free(r.mm, first);
	}
	ck_assert_uint_eq(rig_free_pages(&r), all);
	/* 16 MiB less metadata: three blocks of 4 MiB, and at most one of each size below. */
	ck_assert_uint_eq(r.mm->blocks[FRAMES_ORDER_MAX], 3);
	for (unsigned order = 0; order < FRAMES_ORDER_MAX; order++)
		ck_assert_uint_le(r.mm->blocks[order], 1);
}
END_TEST

START_TEST(odd_counts_waste_nothing)
{
	const size_t counts[] = {3, 5, 7, 100, 513, 1000, 1023, 1024};
	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		size_t before = rig_free_pages(&r);
		void *p = frames_alloc_pages(r.mm, counts[i], NULL);
		ck_assert_ptr_nonnull(p);
		memset(p, 1, counts[i] * PAGE);
		ck_assert_uint_eq(rig_free_pages(&r), before - counts[i]);
		frames_free(r.mm, p);
		ck_assert_uint_eq(rig_free_pages(&r), before);
	}
	ck_assert_ptr_null(frames_alloc_pages(r.mm, 0, NULL));
	ck_assert_ptr_null(frames_alloc_pages(r.mm, 1025, NULL));
	ck_assert_ptr_null(frames_alloc_pages(r.mm, SIZE_MAX, NULL));
}
END_TEST

START_TEST(misuse_is_told_and_ignored)
{
	char *p = frames_alloc(r.mm, 2, NULL), *q = frames_alloc(r.mm, 0, NULL);
	size_t before = rig_free_pages(&r);
	char here;
	frames_free(r.mm, p + PAGE);
	rig_expect(&r, MM_FAULT_BAD_POINTER);
	frames_free(r.mm, p + 8);
	rig_expect(&r, MM_FAULT_BAD_POINTER);
	frames_free(r.mm, &here);
	rig_expect(&r, MM_FAULT_BAD_POINTER);
	frames_free(r.mm, r.mm);
	rig_expect(&r, MM_FAULT_BAD_POINTER);
	frames_free(r.mm, NULL);
	ck_assert_uint_eq(rig_free_pages(&r), before);
	frames_free(r.mm, q);
	frames_free(r.mm, q);
	rig_expect(&r, MM_FAULT_DOUBLE_FREE);
	frames_free(r.mm, p);
	ck_assert_uint_eq(rig_free_pages(&r), before + 5);
	frames_free(r.mm, p + PAGE);
	ck_assert_uint_eq(r.faults, 1);
	r.faults = 0;
}
END_TEST

START_TEST(owners_pay_and_have_limits)
{
	struct mm_owner_stats s;
	struct mm_owner *o = mm_owner_create(r.mm, "a name that is much too long to keep", 8);
	char *p = frames_alloc_pages(r.mm, 5, o), *q = frames_alloc(r.mm, 0, o);
	ck_assert(p && q);
	ck_assert_ptr_null(frames_alloc(r.mm, 2, o));
	mm_owner_stats(o, &s);
	ck_assert_uint_eq(s.pages, 6);
	ck_assert_uint_ge(s.refusals, 1);
	ck_assert(!mm_owner_destroy(r.mm, o));
	mm_owner_limit(o, 1);
	ck_assert_ptr_null(frames_alloc(r.mm, 0, o));
	mm_owner_limit(o, 0);
	char *all = frames_alloc(r.mm, 4, o);
	ck_assert_ptr_nonnull(all);
	frames_free(r.mm, p);
	frames_free(r.mm, q);
	frames_free(r.mm, all);
	mm_owner_stats(o, &s);
	ck_assert_uint_eq(s.pages, 0);
	ck_assert_uint_eq(s.peak_pages, 22);
	ck_assert(mm_owner_destroy(r.mm, o));
}
END_TEST

START_TEST(owners_are_bounded)
{
	struct mm_owner *o[MM_OWNERS_MAX];
	unsigned n = 0;
	while (n < MM_OWNERS_MAX && (o[n] = mm_owner_create(r.mm, "o", 0)))
		n++;
	ck_assert_uint_eq(n, MM_OWNERS_MAX - 1);
	while (n > 0)
		ck_assert(mm_owner_destroy(r.mm, o[--n]));
	o[0] = mm_owner_create(r.mm, "again", 0);
	ck_assert_ptr_nonnull(o[0]);
	ck_assert(mm_owner_destroy(r.mm, o[0]));
}
END_TEST

static const struct arch_cache llc = {
        .size_bytes = MIB, .line_bytes = 64, .ways = 16, .sets = 1024, .known = true};

static void start_coloured(void)
{
	rig_start_at(&r, 3 * PAGE, 16 * MIB, (struct mm_opts){.cpus = 1, .llc = &llc});
}

START_TEST(colours_go_round)
{
	void *pages[64];
	unsigned per_colour[16] = {0};
	ck_assert_uint_eq(frames_colours(r.mm), 16);
	for (unsigned i = 0; i < 64; i++) {
		pages[i] = frames_alloc(r.mm, 0, NULL);
		per_colour[frames_colour(r.mm, pages[i])]++;
		ck_assert_uint_eq(frames_colour(r.mm, pages[i]),
		                  mm_phys(r.mm, pages[i]) / PAGE % 16);
	}
	for (unsigned c = 0; c < 16; c++)
		ck_assert_uint_eq(per_colour[c], 4);
	for (unsigned i = 0; i < 64; i++)
		frames_free(r.mm, pages[i]);
}
END_TEST

/* Every page of one colour can be had, and then others. */
START_TEST(a_preferred_colour_is_given)
{
	void **first = NULL, **page = frames_alloc_colour(r.mm, 16 + 5, NULL);
	size_t n = 0, all;
	for (; page && frames_colour(r.mm, page) == 5; n++) {
		*page = first;
		first = page;
		page = frames_alloc_colour(r.mm, 5, NULL);
	}
	ck_assert_ptr_nonnull(page);
	frames_free(r.mm, page);
	struct mm_stats s;
	mm_stats(r.mm, &s);
	ck_assert_uint_ge(n, s.pages / 16);
	ck_assert_uint_le(n, s.pages / 16 + 1);
	for (; first; first = page) {
		page = *first;
		frames_free(r.mm, first);
	}
	all = rig_free_pages(&r);
	ck_assert_uint_eq(all, s.pages);
	ck_assert_uint_eq(r.mm->blocks[FRAMES_ORDER_MAX], 3);
}
END_TEST

/* Each geometry, and the colours that come of it. */
START_TEST(colouring_is_off_where_it_means_nothing)
{
	static const struct {
		struct arch_cache llc;
		unsigned colours;
	} cases[] = {
	        {{.known = false}, 1},
	        {{.line_bytes = 64, .ways = 16, .sets = 1024, .known = true, .hashed = true}, 1},
	        {{.line_bytes = 64, .ways = 12, .sets = 3 * 4096, .known = true}, 1},
	        {{.line_bytes = 64, .ways = 16, .sets = 64, .known = true}, 1},
	        {{.line_bytes = 0, .ways = 0, .sets = 0, .known = true}, 1},
	        {{.line_bytes = 64, .ways = 16, .sets = 128, .known = true}, 2},
	        {{.line_bytes = 64, .ways = 16, .sets = 1u << 20, .known = true}, 64},
	        {{.line_bytes = UINT32_MAX, .ways = 1, .sets = UINT32_MAX, .known = true}, 1},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rig_start_at(&r, 0, 4 * MIB, (struct mm_opts){.cpus = 1, .llc = &cases[i].llc});
		ck_assert_uint_eq(frames_colours(r.mm), cases[i].colours);
		void *p = frames_alloc(r.mm, 0, NULL);
		ck_assert_uint_lt(frames_colour(r.mm, p), cases[i].colours);
		frames_free(r.mm, p);
		rig_end(&r);
	}
}
END_TEST

/* The metadata of 8 GiB would be 48 MiB: nobody may have touched it. */
START_TEST(gigabytes_cost_nothing_before_use)
{
	struct mm_stats s;
	rig_start_at(&r, 1ull << 32, 1ull << 33, (struct mm_opts){.cpus = 1});
	mm_stats(r.mm, &s);
	ck_assert_uint_eq(s.untouched_pages, s.pages);
	void *p = frames_alloc(r.mm, 0, NULL), *q = frames_alloc(r.mm, FRAMES_ORDER_MAX, NULL);
	ck_assert(p && q);
	mm_stats(r.mm, &s);
	ck_assert_uint_le(s.pages - s.untouched_pages, 2 * BLOCK_PAGES);
	frames_free(r.mm, p);
	frames_free(r.mm, q);
	rig_end(&r);
}
END_TEST

START_TEST(debug_finds_writes_to_free_pages)
{
	rig_start(&r, 4 * MIB, 1, true);
	char *p = frames_alloc(r.mm, 1, NULL);
	memset(p, 1, 2 * PAGE);
	frames_free(r.mm, p);
	p[PAGE + 7] = 0x42;
	char *again = frames_alloc(r.mm, 1, NULL);
	ck_assert_ptr_eq(again, p);
	ck_assert_uint_eq(r.fault[0].offset, 7);
	ck_assert_uint_eq(r.fault[0].found, 0x42);
	rig_expect(&r, MM_FAULT_USE_AFTER_FREE);
	frames_free(r.mm, again);
	rig_end(&r);
}
END_TEST

int main(void)
{
	TCase *plain = tcase_create("frames"), *coloured = tcase_create("colours"),
	      *own = tcase_create("own memory");
	tcase_set_timeout(plain, 60);
	tcase_set_timeout(coloured, 60);
	tcase_set_timeout(own, 60);
	Suite *s = suite_create("gk_frames");
	tcase_add_checked_fixture(plain, setup, teardown);
	tcase_add_test(plain, blocks_are_aligned_and_apart);
	tcase_add_test(plain, all_memory_can_be_taken_and_merges_again);
	tcase_add_test(plain, odd_counts_waste_nothing);
	tcase_add_test(plain, misuse_is_told_and_ignored);
	tcase_add_test(plain, owners_pay_and_have_limits);
	tcase_add_test(plain, owners_are_bounded);
	suite_add_tcase(s, plain);
	tcase_add_checked_fixture(coloured, start_coloured, teardown);
	tcase_add_test(coloured, colours_go_round);
	tcase_add_test(coloured, a_preferred_colour_is_given);
	suite_add_tcase(s, coloured);
	tcase_add_test(own, colouring_is_off_where_it_means_nothing);
	tcase_add_test(own, gigabytes_cost_nothing_before_use);
	tcase_add_test(own, debug_finds_writes_to_free_pages);
	suite_add_tcase(s, own);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
