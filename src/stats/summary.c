/* Summaries of samples. See summary.h. */
#include "summary.h"

#include <math.h>
#include <stdlib.h>

#include "buckets.h"

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

void samples_sort(uint64_t *samples, size_t n)
{
	qsort(samples, n, sizeof(*samples), compare);
}

/* The smallest rank with at least PER_MILLE of all at or below it, from 1. */
static uint64_t rank_of(uint64_t n, unsigned per_mille)
{
	uint64_t whole = n / 1000 * per_mille;
	uint64_t rest = (n % 1000 * per_mille + 999) / 1000;
	return whole + rest > 0 ? whole + rest : 1;
}

/* Walks the values in order and keeps those at five ranks. */
static void percentiles(struct summary *s, const struct weighted *w, size_t n)
{
	const struct {
		unsigned per_mille;
		uint64_t *at;
	} wanted[] = {{500, &s->median}, {900, &s->p90}, {990, &s->p99}, {999, &s->p999}};
	uint64_t below = 0;
	size_t k = 0;
	for (size_t i = 0; i < n; i++) {
		below += w[i].count;
		while (k < sizeof(wanted) / sizeof(wanted[0]) &&
		       below >= rank_of(s->count, wanted[k].per_mille))
			*wanted[k++].at = w[i].value;
	}
}

/* Around the smallest value, so that large, close values lose no digits. */
static void moments(struct summary *s, const struct weighted *w, size_t n)
{
	double sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += (double)(w[i].value - s->min) * (double)w[i].count;
	double mean = sum / (double)s->count;
	double squares = 0;
	for (size_t i = 0; i < n; i++) {
		double d = (double)(w[i].value - s->min) - mean;
		squares += d * d * (double)w[i].count;
	}
	s->mean = (double)s->min + mean;
	s->deviation = s->count > 1 ? sqrt(squares / (double)(s->count - 1)) : 0;
}

struct summary summary_of_weighted(const struct weighted *w, size_t n)
{
	struct summary s = {0};
	for (size_t i = 0; i < n; i++) {
		if (w[i].count == 0)
			continue;
		if (s.count == 0)
			s.min = w[i].value;
		s.max = w[i].value;
		s.count += w[i].count;
	}
	if (s.count == 0)
		return s;
	percentiles(&s, w, n);
	moments(&s, w, n);
	return s;
}

struct summary summary_of(const uint64_t *sorted, size_t n)
{
	struct summary s = {.count = n};
	if (n == 0)
		return s;
	s.min = sorted[0];
	s.max = sorted[n - 1];
	s.median = sorted[rank_of(n, 500) - 1];
	s.p90 = sorted[rank_of(n, 900) - 1];
	s.p99 = sorted[rank_of(n, 990) - 1];
	s.p999 = sorted[rank_of(n, 999) - 1];
	double sum = 0, squares = 0;
	for (size_t i = 0; i < n; i++)
		sum += (double)(sorted[i] - s.min);
	double mean = sum / (double)n;
	for (size_t i = 0; i < n; i++) {
		double d = (double)(sorted[i] - s.min) - mean;
		squares += d * d;
	}
	s.mean = (double)s.min + mean;
	s.deviation = n > 1 ? sqrt(squares / (double)(n - 1)) : 0;
	return s;
}

int summary_can_tell(uint64_t count, unsigned per_mille)
{
	return count > 0 && count - rank_of(count, per_mille) >= 1;
}

size_t samples_to_buckets(const uint64_t *sorted, size_t n, unsigned bits, struct weighted *out,
                          size_t room)
{
	size_t used = 0;
	uint32_t last = UINT32_MAX;
	for (size_t i = 0; i < n; i++) {
		uint32_t b = bucket_of(sorted[i], bits);
		if (b != last && used < room) {
			out[used++] = (struct weighted){bucket_low(b, bits), 0};
			last = b;
		}
		if (used > 0)
			out[used - 1].count++;
	}
	return used;
}
