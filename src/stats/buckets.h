/*
 * Logarithmic buckets: exact below 2^(bits + 1), then 2^bits equal ones to each power of two, so
 * that a bucket is never wider than 1 / 2^bits of its values. Pure, and cheap enough for a vCPU's
 * exit path.
 */
#ifndef SRC_STATS_BUCKETS_H
#define SRC_STATS_BUCKETS_H

#include <stdint.h>

/* How many buckets there are for all of uint64_t. */
#define BUCKETS(bits) ((65u - (bits)) << (bits))

static inline uint32_t bucket_of(uint64_t value, unsigned bits)
{
	if (value >> (bits + 1) == 0)
		return (uint32_t)value;
	unsigned shift = (63u ^ (unsigned)__builtin_clzll(value)) - bits;
	return (shift << bits) + (uint32_t)(value >> shift);
}

/* The smallest value of bucket I; that of the next one is one more than its largest. */
static inline uint64_t bucket_low(uint32_t i, unsigned bits)
{
	if (i >> (bits + 1) == 0)
		return i;
	unsigned shift = (i >> bits) - 1;
	return (uint64_t)((i & ((1u << bits) - 1)) | (1u << bits)) << shift;
}

#endif
