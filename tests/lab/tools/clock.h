/* Time as the lab measures it. In the deterministic lab a nanosecond is an instruction. */
#ifndef TESTS_LAB_TOOLS_CLOCK_H
#define TESTS_LAB_TOOLS_CLOCK_H

#include <stdio.h>
#include <time.h>

static inline long long clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (long long)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Sum of the idle time of all CPUs so far, or 0 where the kernel does not tell. */
static inline long long clock_idle_ns(void)
{
	FILE *f = fopen("/proc/timer_list", "r");
	long long sum = 0;
	long long one;
	char line[256];

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, " .idle_sleeptime : %lld", &one) == 1)
			sum += one;
	fclose(f);
	return sum;
}

#endif
