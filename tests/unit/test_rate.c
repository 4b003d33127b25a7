/* Token buckets and limits of rate, in a time of the test's own. */
#include <stdlib.h>
#include <string.h>

#include "devices/rate.h"
#include "suite.h"
#include "vmm/clock.h"

START_TEST(buckets_fill_at_their_rate)
{
	struct rate_bucket b;
	rate_bucket_init(&b, 1000, 5000, 0);
	ck_assert_uint_eq(rate_bucket_tokens(&b), 5000);
	rate_bucket_take(&b, 5000);
	rate_bucket_fill(&b, NS_PER_SECOND / 2000);
	ck_assert_uint_eq(rate_bucket_tokens(&b), 0); /* half a token */
	rate_bucket_fill(&b, NS_PER_SECOND / 1000);
	ck_assert_uint_eq(rate_bucket_tokens(&b), 1);
	rate_bucket_fill(&b, 2 * NS_PER_SECOND);
	ck_assert_uint_eq(rate_bucket_tokens(&b), 2000);
	rate_bucket_fill(&b, NS_PER_SECOND); /* a time that was */
	ck_assert_uint_eq(rate_bucket_tokens(&b), 2000);
	rate_bucket_fill(&b, 6 * NS_PER_SECOND); /* 4000 more do not fit */
	ck_assert_uint_eq(rate_bucket_tokens(&b), 5000);
	rate_bucket_fill(&b, UINT64_MAX);
	ck_assert_uint_eq(rate_bucket_tokens(&b), 5000);
}
END_TEST

START_TEST(extremes_stay_in_range)
{
	struct rate_bucket b;
	rate_bucket_init(&b, UINT64_MAX, UINT64_MAX, 0);
	ck_assert_uint_eq(b.per_second, VMM_RATE_MAX);
	ck_assert_uint_eq(rate_bucket_tokens(&b), VMM_BURST_MAX);
	for (unsigned i = 0; i < 3; i++)
		rate_bucket_take(&b, UINT64_MAX);
	ck_assert_uint_eq(rate_bucket_tokens(&b), 0);
	/* A debt of 4 GiB and a wait for 4 GiB, at 1 TiB/s. */
	ck_assert_uint_eq(rate_bucket_wait_ns(&b, UINT64_MAX), NS_PER_SECOND >> 7);
	rate_bucket_fill(&b, NS_PER_SECOND >> 7);
	ck_assert_uint_eq(rate_bucket_tokens(&b), VMM_BURST_MAX);
	rate_bucket_init(&b, 1, 0, 0);
	ck_assert_uint_eq(rate_bucket_tokens(&b), 1);
	rate_bucket_take(&b, UINT64_MAX);
	ck_assert_uint_eq(rate_bucket_wait_ns(&b, 1), (RATE_DEBT_MAX + 1) * NS_PER_SECOND);
	rate_bucket_fill(&b, UINT64_MAX);
	ck_assert_uint_eq(rate_bucket_tokens(&b), 1);
}
END_TEST

START_TEST(waiting_is_as_long_as_the_tokens_take)
{
	struct rate_bucket b;
	rate_bucket_init(&b, 3, 100, 0);
	rate_bucket_take(&b, 99);
	ck_assert_uint_eq(rate_bucket_wait_ns(&b, 1), 0);
	ck_assert_uint_eq(rate_bucket_wait_ns(&b, 4), NS_PER_SECOND);
	ck_assert_uint_eq(rate_bucket_wait_ns(&b, 2), NS_PER_SECOND / 3 + 1);
	/* Never for more than the bucket holds. */
	ck_assert_uint_eq(rate_bucket_wait_ns(&b, UINT64_MAX), 33 * NS_PER_SECOND);
	rate_bucket_fill(&b, rate_bucket_wait_ns(&b, 50));
	ck_assert_uint_ge(rate_bucket_tokens(&b), 50);
}
END_TEST

/* Operations of COST bytes as soon as each may begin, between FROM and FROM + one second. */
static uint64_t second_of(struct rate *r, uint64_t from, uint64_t cost)
{
	uint64_t now = from, count = 0;
	while (now < from + NS_PER_SECOND) {
		uint64_t wait = rate_wait_ns(r, now);
		if (wait == 0) {
			rate_take(r, cost);
			count++;
		}
		/* A loop whose waits are of whole milliseconds, up. */
		now += (wait + NS_PER_MS - 1) / NS_PER_MS * NS_PER_MS;
	}
	return count;
}

static void within(double got, double wanted, double share)
{
	ck_assert_msg(got >= wanted * (1 - share) && got <= wanted * (1 + share),
	              "%g, where %g was to be", got, wanted);
}

START_TEST(averages_are_exact_for_every_size)
{
	static const struct {
		uint64_t bytes_per_second, ops_per_second, cost;
		double ops; /* a second */
	} want[] = {
	        {1000000, 0, 100, 10000},
	        {1000000, 0, 4096, 1000000 / 4096.0},
	        {50u << 20, 0, 4096, 12800},
	        {1ull << 33, 0, 1500, (double)(1ull << 33) / 1500},
	        {0, 50, 1u << 20, 50},
	        {0, 100000, 0, 100000},
	        {1u << 20, 1000, 512, 1000},      /* operations are what limits */
	        {1u << 20, 1000, 1u << 14, 64},   /* bytes are */
	        {1u << 20, 0, 1u << 23, 1.0 / 8}, /* longer than a second each */
	        {1u << 20, 0, RATE_DEBT_MAX, 1.0 / 4096},
	};
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		vmm_rate_t o = VMM_RATE_INIT;
		o.bytes_per_second = want[i].bytes_per_second;
		o.ops_per_second = want[i].ops_per_second;
		struct rate r;
		rate_init(&r, &o, NS_PER_SECOND);
		ck_assert(r.limited);
		/* The first second has a burst and an operation more; the tenth has not. */
		uint64_t first = second_of(&r, NS_PER_SECOND, want[i].cost);
		ck_assert_double_le((double)first, want[i].ops * 1.01 + 2);
		uint64_t seconds = want[i].ops < 1 ? (uint64_t)(3 / want[i].ops) : 9, sum = first;
		for (uint64_t s = 0; s < seconds; s++) {
			uint64_t one = second_of(&r, (s + 2) * NS_PER_SECOND, want[i].cost);
			if (want[i].ops > 100)
				within((double)one, want[i].ops, 0.005);
			sum += one;
		}
		within((double)sum, want[i].ops * (double)(seconds + 1),
		       0.01 + 2 / (want[i].ops * (double)(seconds + 1)));
	}
}
END_TEST

START_TEST(changes_give_nothing_away)
{
	struct rate r;
	vmm_rate_t o = VMM_RATE_INIT;
	rate_init(&r, NULL, 0);
	ck_assert(!r.limited);
	rate_take(&r, UINT64_MAX);
	ck_assert_uint_eq(rate_wait_ns(&r, 1), 0);
	o.bytes_per_second = 1000000;
	rate_change(&r, &o, 5 * NS_PER_SECOND);
	ck_assert(r.limited);
	ck_assert_uint_eq(rate_bucket_tokens(&r.bytes), 0); /* no burst out of nothing */
	rate_take(&r, 2000000);
	ck_assert_uint_eq(rate_wait_ns(&r, 5 * NS_PER_SECOND), 2 * NS_PER_SECOND + 1000);
	/* Twice as fast, the same debt takes half as long. */
	o.bytes_per_second = 2000000;
	rate_change(&r, &o, 5 * NS_PER_SECOND);
	ck_assert_uint_eq(rate_wait_ns(&r, 5 * NS_PER_SECOND), NS_PER_SECOND + 500);
	rate_change(&r, NULL, 5 * NS_PER_SECOND);
	ck_assert(!r.limited);
	ck_assert_uint_eq(rate_wait_ns(&r, 5 * NS_PER_SECOND), 0);
}
END_TEST

START_TEST(limits_that_cannot_be_are_named)
{
	static const struct {
		vmm_rate_t o;
		const char *field;
	} bad[] = {
	        {{.struct_size = 8}, "struct_size"},
	        {{.struct_size = sizeof(vmm_rate_t), .bytes_per_second = VMM_RATE_MAX + 1},
	         "bytes_per_second"},
	        {{.struct_size = sizeof(vmm_rate_t), .bytes_burst = 1}, "bytes_burst"},
	        {{.struct_size = sizeof(vmm_rate_t), .ops_per_second = UINT64_MAX},
	         "ops_per_second"},
	        {{.struct_size = sizeof(vmm_rate_t), .ops_per_second = 1, .ops_burst = UINT64_MAX},
	         "ops_burst"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		vmm_err_info_t ei = {0};
		ck_assert_int_eq(rate_check(&bad[i].o, &ei), VMM_E_INVAL);
		ck_assert_str_eq(ei.field, bad[i].field);
	}
	const vmm_rate_t most = {.struct_size = sizeof(vmm_rate_t),
	                         .bytes_per_second = VMM_RATE_MAX,
	                         .bytes_burst = VMM_BURST_MAX,
	                         .ops_per_second = VMM_RATE_MAX,
	                         .ops_burst = VMM_BURST_MAX};
	ck_assert_int_eq(rate_check(&most, NULL), VMM_OK);
	ck_assert_int_eq(rate_check(NULL, NULL), VMM_OK);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("rate");
	tcase_add_test(tc, buckets_fill_at_their_rate);
	tcase_add_test(tc, extremes_stay_in_range);
	tcase_add_test(tc, waiting_is_as_long_as_the_tokens_take);
	tcase_add_test(tc, averages_are_exact_for_every_size);
	tcase_add_test(tc, changes_give_nothing_away);
	tcase_add_test(tc, limits_that_cannot_be_are_named);
	return suite_run("rate", tc);
}
