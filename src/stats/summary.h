/* What is worth saying of many samples. Pure. */
#ifndef SRC_STATS_SUMMARY_H
#define SRC_STATS_SUMMARY_H

#include <stddef.h>
#include <stdint.h>

struct summary {
	uint64_t count;
	uint64_t min, median, p90, p99, p999, max;
	double mean;
	double deviation; /* standard, of the sample (n - 1) */
};

/* COUNT equal samples of VALUE: a bucket, or a single one. */
struct weighted {
	uint64_t value;
	uint64_t count;
};

void samples_sort(uint64_t *samples, size_t n);

/* Of sorted samples; all zero if there are none. Percentiles by nearest rank: samples, not means.
 */
struct summary summary_of(const uint64_t *sorted, size_t n);

/* Of weighted values in ascending order. */
struct summary summary_of_weighted(const struct weighted *w, size_t n);

/*
 * Whether the P-th per mille can be told from COUNT samples: at least one must lie beyond it. Of
 * 100 samples the 99.9th percentile is just the largest.
 */
int summary_can_tell(uint64_t count, unsigned per_mille);

/*
 * Sorted samples into logarithmic buckets (buckets.h); the value is a bucket's low end. Returns
 * how many of OUT's ROOM entries were filled; what does not fit is counted in the last.
 */
size_t samples_to_buckets(const uint64_t *sorted, size_t n, unsigned bits, struct weighted *out,
                          size_t room);

#endif
