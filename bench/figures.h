/* Samples of a measurement, and the two numbers worth printing of them. */
#ifndef BENCH_FIGURES_H
#define BENCH_FIGURES_H

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t figures_now_ns(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* CPU time of the process: other load on the machine counts little. */
static inline uint64_t figures_cpu_ns(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline int figures_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* Sorts; [0] is the least afterwards, [n / 2] the median. */
static inline void figures_sort(uint64_t *samples, size_t n)
{
	qsort(samples, n, sizeof(*samples), figures_compare);
}

#endif
