/* The engine's memory from malloc: for the host's programs (the vmm command, tests, benchmarks). */
#ifndef GUEST_KERNEL_POLICY_HOSTED_H
#define GUEST_KERNEL_POLICY_HOSTED_H

#include <stdlib.h>

#include "base.h"

static inline void *policy_hosted_alloc(void *ctx, size_t bytes)
{
	(void)ctx;
	return malloc(bytes);
}

static inline void policy_hosted_free(void *ctx, void *p, size_t bytes)
{
	(void)ctx;
	(void)bytes;
	free(p);
}

static const struct policy_mem policy_hosted_mem = {
        .alloc = policy_hosted_alloc,
        .free = policy_hosted_free,
};

#endif
