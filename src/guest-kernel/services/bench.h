/* How long the kernel's own operations take, measured where it runs. */
#ifndef GK_SERVICES_BENCH_H
#define GK_SERVICES_BENCH_H

#include "guest-kernel/services/system.h"

#define BENCH_MAX 12u

struct bench_result {
	const char *name;
	uint64_t ns; /* an operation */
};

/* How many results, at most MAX. Takes some tens of milliseconds. Task context. */
unsigned bench_run(struct system *s, struct bench_result *out, unsigned max);

#endif
