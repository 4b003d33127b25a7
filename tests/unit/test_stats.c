/* Buckets, summaries and the rank test. */
#include "stats/buckets.h"
#include "stats/rank.h"
#include "stats/summary.h"
#include "suite.h"

#define BITS 6u

START_TEST(small_values_have_a_bucket_each)
{
	for (uint64_t v = 0; v < 2u << BITS; v++) {
		ck_assert_uint_eq(bucket_of(v, BITS), v);
		ck_assert_uint_eq(bucket_low((uint32_t)v, BITS), v);
	}
}
END_TEST

START_TEST(buckets_follow_each_other)
{
	for (uint32_t i = 0; i + 1 < BUCKETS(BITS); i++) {
		uint64_t low = bucket_low(i, BITS), next = bucket_low(i + 1, BITS);
		ck_assert_uint_lt(low, next);
		ck_assert_uint_eq(bucket_of(low, BITS), i);
		ck_assert_uint_eq(bucket_of(next - 1, BITS), i);
		ck_assert_uint_le((next - low) << BITS, low < (2u << BITS) ? 1u << BITS : low);
	}
	ck_assert_uint_eq(bucket_of(UINT64_MAX, BITS), BUCKETS(BITS) - 1);
	ck_assert_uint_eq(bucket_of(UINT64_MAX, 3), BUCKETS(3) - 1);
}
END_TEST

START_TEST(percentiles_are_samples)
{
	uint64_t s[1000];
	for (unsigned i = 0; i < 1000; i++)
		s[i] = 1000 - i;
	samples_sort(s, 1000);
	struct summary r = summary_of(s, 1000);
	ck_assert_uint_eq(r.count, 1000);
	ck_assert_uint_eq(r.min, 1);
	ck_assert_uint_eq(r.median, 500);
	ck_assert_uint_eq(r.p90, 900);
	ck_assert_uint_eq(r.p99, 990);
	ck_assert_uint_eq(r.p999, 999);
	ck_assert_uint_eq(r.max, 1000);
	ck_assert_double_eq_tol(r.mean, 500.5, 1e-9);
	ck_assert_double_eq_tol(r.deviation, 288.8194, 1e-3);
}
END_TEST

START_TEST(one_sample_is_all_of_them)
{
	const uint64_t s[] = {42};
	struct summary r = summary_of(s, 1);
	ck_assert_uint_eq(r.min, 42);
	ck_assert_uint_eq(r.median, 42);
	ck_assert_uint_eq(r.p999, 42);
	ck_assert_double_eq(r.deviation, 0);
	ck_assert_uint_eq(summary_of(s, 0).count, 0);
}
END_TEST

START_TEST(large_close_values_keep_their_spread)
{
	const uint64_t base = 1ull << 60;
	const uint64_t s[] = {base, base + 1000, base + 2000};
	ck_assert_double_eq_tol(summary_of(s, 3).deviation, 1000, 1e-6);
}
END_TEST

START_TEST(weights_count_like_samples)
{
	uint64_t s[600];
	struct weighted w[] = {{5, 100}, {7, 0}, {9, 450}, {400, 50}};
	size_t n = 0;
	for (size_t i = 0; i < 4; i++)
		for (uint64_t k = 0; k < w[i].count; k++)
			s[n++] = w[i].value;
	struct summary a = summary_of(s, n), b = summary_of_weighted(w, 4);
	ck_assert_uint_eq(a.count, b.count);
	ck_assert_uint_eq(a.min, b.min);
	ck_assert_uint_eq(a.median, b.median);
	ck_assert_uint_eq(a.p90, b.p90);
	ck_assert_uint_eq(a.p99, b.p99);
	ck_assert_uint_eq(a.p999, b.p999);
	ck_assert_uint_eq(a.max, b.max);
	ck_assert_double_eq_tol(a.mean, b.mean, 1e-9);
	ck_assert_double_eq_tol(a.deviation, b.deviation, 1e-9);
}
END_TEST

START_TEST(a_percentile_needs_samples_beyond_it)
{
	ck_assert(!summary_can_tell(100, 999));
	ck_assert(!summary_can_tell(999, 999));
	ck_assert(summary_can_tell(1000, 999));
	ck_assert(!summary_can_tell(1, 500));
	ck_assert(summary_can_tell(10, 900));
	ck_assert(!summary_can_tell(0, 500));
}
END_TEST

START_TEST(bucketing_loses_no_sample)
{
	uint64_t s[500];
	struct weighted w[500];
	for (unsigned i = 0; i < 500; i++)
		s[i] = i * i;
	size_t n = samples_to_buckets(s, 500, BITS, w, 500);
	uint64_t sum = 0;
	for (size_t i = 0; i < n; i++) {
		sum += w[i].count;
		if (i > 0)
			ck_assert_uint_gt(w[i].value, w[i - 1].value);
	}
	ck_assert_uint_eq(sum, 500);
	ck_assert_uint_eq(samples_to_buckets(s, 500, BITS, w, 3), 3);
	ck_assert_uint_eq(w[0].count + w[1].count + w[2].count, 500);
}
END_TEST

/* Against R: wilcox.test(c(1,2,3,4,5), c(6,7,8,9,10), exact=FALSE): p = 0.01219. */
START_TEST(apart)
{
	const struct weighted a[] = {{1, 1}, {2, 1}, {3, 1}, {4, 1}, {5, 1}};
	const struct weighted b[] = {{6, 1}, {7, 1}, {8, 1}, {9, 1}, {10, 1}};
	struct rank_test r = rank_test(a, 5, b, 5);
	ck_assert_double_eq(r.u, 0);
	ck_assert_double_eq_tol(r.p, 0.012186, 1e-5);
	ck_assert_double_lt(r.z, 0);
	r = rank_test(b, 5, a, 5);
	ck_assert_double_eq(r.u, 25);
	ck_assert_double_eq(r.larger, 1);
	ck_assert_double_eq_tol(r.p, 0.012186, 1e-5);
}
END_TEST

/* By hand: U = 7, ties of 4 and 3: variance 16 / 12 * (9 - 84 / 56) = 10, z = 0.5 / sqrt(10). */
START_TEST(ties)
{
	const struct weighted a[] = {{1, 2}, {2, 2}};
	const struct weighted b[] = {{1, 2}, {2, 1}, {3, 1}};
	struct rank_test r = rank_test(a, 2, b, 3);
	ck_assert_double_eq(r.u, 7);
	ck_assert_double_eq_tol(r.z, -0.158114, 1e-6);
	ck_assert_double_eq_tol(r.p, 0.874367, 1e-5);
}
END_TEST

START_TEST(nothing_to_tell)
{
	const struct weighted a[] = {{3, 1000}};
	struct rank_test r = rank_test(a, 1, a, 1);
	ck_assert_double_eq(r.p, 1);
	ck_assert_double_eq(r.z, 0);
	ck_assert_double_eq(r.larger, 0.5);
	ck_assert_double_eq(rank_test(a, 0, a, 1).p, 1);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("stats");
	tcase_add_test(tc, small_values_have_a_bucket_each);
	tcase_add_test(tc, buckets_follow_each_other);
	tcase_add_test(tc, percentiles_are_samples);
	tcase_add_test(tc, one_sample_is_all_of_them);
	tcase_add_test(tc, large_close_values_keep_their_spread);
	tcase_add_test(tc, weights_count_like_samples);
	tcase_add_test(tc, a_percentile_needs_samples_beyond_it);
	tcase_add_test(tc, bucketing_loses_no_sample);
	tcase_add_test(tc, apart);
	tcase_add_test(tc, ties);
	tcase_add_test(tc, nothing_to_tell);
	return suite_run("stats", tc);
}
