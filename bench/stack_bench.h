/* What the benchmarks of the protocol stacks have in common: the loads, and how figures are shown.
 */
#ifndef BENCH_STACK_BENCH_H
#define BENCH_STACK_BENCH_H

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define BULK_BYTES  (1ull << 30)
#define CONNECTIONS 20000u
#define ROUND_TRIPS 200000u
#define IDLE        10000u
#define CHUNK       65536u

/* CPU time of the process: other load on the machine does not count. */
static inline double cpu_s(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Keep what was freed: page faults are not what is measured. */
static inline void steady_malloc(void)
{
	(void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
	(void)mallopt(M_MMAP_THRESHOLD, 1 << 30);
}

static inline void show(const char *what, double value, const char *unit)
{
	printf("%-28s %12.1f %s\n", what, value, unit);
}

static inline void show_bulk(double s)
{
	show("bulk", (double)BULK_BYTES / s / 1e6, "MB/s of CPU time");
	show("CPU per byte", s / (double)BULK_BYTES * 1e12, "ps");
}

#endif
