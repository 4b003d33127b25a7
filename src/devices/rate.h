/*
 * Limits of rate: token buckets that fill with every nanosecond. A bucket may be overdrawn by the
 * operation at hand, so that the average is exact for operations of every size. Whoever has one
 * locks it. Times are of CLOCK_MONOTONIC.
 */
#ifndef SRC_DEVICES_RATE_H
#define SRC_DEVICES_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/err.h"
#include "vmm/rate.h"

/* A bucket is overdrawn by no more than this: the rest is forgiven. */
#define RATE_DEBT_MAX (1ull << 32)

/* Levels are in billionths of a token: what one token per second brings in a nanosecond. */
struct rate_bucket {
	uint64_t per_second; /* 0: always enough of everything */
	int64_t burst;
	int64_t level; /* negative: overdrawn */
	uint64_t filled_ns;
};

/* A full one. PER_SECOND up to VMM_RATE_MAX, BURST 1 .. VMM_BURST_MAX; what is beyond counts as
 * the limit. */
void rate_bucket_init(struct rate_bucket *b, uint64_t per_second, uint64_t burst, uint64_t now_ns);
/* Another rate from now on, without a burst that was not there. */
void rate_bucket_change(struct rate_bucket *b, uint64_t per_second, uint64_t burst,
                        uint64_t now_ns);
/* Add what came until NOW_NS. */
void rate_bucket_fill(struct rate_bucket *b, uint64_t now_ns);
/* The whole tokens in it. */
uint64_t rate_bucket_tokens(const struct rate_bucket *b);
/* How long until it holds WANTED tokens (at most the burst). */
uint64_t rate_bucket_wait_ns(const struct rate_bucket *b, uint64_t wanted);
void rate_bucket_take(struct rate_bucket *b, uint64_t tokens);

/* Bytes and operations of a device, in one direction or both. */
struct rate {
	bool limited; /* one of them is */
	struct rate_bucket bytes;
	struct rate_bucket ops;
};

/* Is O (NULL: no limits) a limit that can be? Else VMM_E_INVAL, with the field in EI. */
VMM_WARN_UNUSED vmm_err_t rate_check(const vmm_rate_t *o, vmm_err_info_t *ei);

/* Begin with O, which rate_check passed, with full buckets; or go on with it. */
void rate_init(struct rate *r, const vmm_rate_t *o, uint64_t now_ns);
void rate_change(struct rate *r, const vmm_rate_t *o, uint64_t now_ns);

/* Fill the buckets; how long until the next operation may begin. */
uint64_t rate_wait_ns(struct rate *r, uint64_t now_ns);

/* An operation of BYTES begins. */
static inline void rate_take(struct rate *r, uint64_t bytes)
{
	rate_bucket_take(&r->bytes, bytes);
	rate_bucket_take(&r->ops, 1);
}

#endif
