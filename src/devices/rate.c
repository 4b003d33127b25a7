/* See rate.h. */
#include "devices/rate.h"

#include "vmm/clock.h"
#include "vmm/errset.h"
#include "vmm/sized.h"

#define TOKEN                  ((int64_t)NS_PER_SECOND)
#define DEBT_MAX               ((int64_t)RATE_DEBT_MAX * TOKEN)
#define DEFAULT_BURSTS_PER_SEC 100u

/* What a bucket may hold and what it may lack make one number of 63 bits. */
_Static_assert(VMM_BURST_MAX + RATE_DEBT_MAX <= INT64_MAX / NS_PER_SECOND, "the range of a level");

static int64_t burst_of(uint64_t tokens)
{
	if (tokens > VMM_BURST_MAX)
		tokens = VMM_BURST_MAX;
	return tokens ? (int64_t)tokens * TOKEN : TOKEN;
}

static uint64_t rate_of(uint64_t per_second)
{
	return per_second < VMM_RATE_MAX ? per_second : VMM_RATE_MAX;
}

void rate_bucket_init(struct rate_bucket *b, uint64_t per_second, uint64_t burst, uint64_t now_ns)
{
	*b = (struct rate_bucket){
	        .per_second = rate_of(per_second),
	        .burst = burst_of(burst),
	        .level = burst_of(burst),
	        .filled_ns = now_ns,
	};
}

void rate_bucket_change(struct rate_bucket *b, uint64_t per_second, uint64_t burst, uint64_t now_ns)
{
	rate_bucket_fill(b, now_ns);
	if (!b->per_second)
		b->level = 0; /* nobody kept it */
	b->per_second = rate_of(per_second);
	b->burst = burst_of(burst);
	if (b->level > b->burst)
		b->level = b->burst;
}

void rate_bucket_fill(struct rate_bucket *b, uint64_t now_ns)
{
	if (now_ns <= b->filled_ns)
		return;
	uint64_t ns = now_ns - b->filled_ns;
	uint64_t room = (uint64_t)(b->burst - b->level);
	b->filled_ns = now_ns;
	/* Not multiplied before the product is known to be in range. */
	if (b->per_second && ns > room / b->per_second)
		b->level = b->burst;
	else
		b->level += (int64_t)(ns * b->per_second);
}

uint64_t rate_bucket_tokens(const struct rate_bucket *b)
{
	return b->level > 0 ? (uint64_t)(b->level / TOKEN) : 0;
}

uint64_t rate_bucket_wait_ns(const struct rate_bucket *b, uint64_t wanted)
{
	int64_t goal = burst_of(wanted);
	if (goal > b->burst)
		goal = b->burst;
	if (!b->per_second || b->level >= goal)
		return 0;
	return ((uint64_t)(goal - b->level) + b->per_second - 1) / b->per_second;
}

void rate_bucket_take(struct rate_bucket *b, uint64_t tokens)
{
	if (!b->per_second)
		return;
	uint64_t most = (uint64_t)(b->level + DEBT_MAX) / NS_PER_SECOND;
	b->level = tokens < most ? b->level - (int64_t)tokens * TOKEN : -DEBT_MAX;
}

static vmm_err_t check(uint64_t per_second, uint64_t burst, const char *rate_name,
                       const char *burst_name, vmm_err_info_t *ei)
{
	if (per_second > VMM_RATE_MAX)
		return err_set(ei, VMM_E_INVAL, rate_name, "%llu: must be at most %llu",
		               (unsigned long long)per_second, (unsigned long long)VMM_RATE_MAX);
	if (burst > VMM_BURST_MAX)
		return err_set(ei, VMM_E_INVAL, burst_name, "%llu: must be at most %llu",
		               (unsigned long long)burst, (unsigned long long)VMM_BURST_MAX);
	if (burst && !per_second)
		return err_set(ei, VMM_E_INVAL, burst_name, "is a burst of no rate: set %s too",
		               rate_name);
	return VMM_OK;
}

vmm_err_t rate_check(const vmm_rate_t *o, vmm_err_info_t *ei)
{
	if (!o)
		return VMM_OK;
	if (!sized_opts(o, sizeof(*o), ei))
		return VMM_E_INVAL;
	vmm_err_t err =
	        check(o->bytes_per_second, o->bytes_burst, "bytes_per_second", "bytes_burst", ei);
	if (!err)
		err = check(o->ops_per_second, o->ops_burst, "ops_per_second", "ops_burst", ei);
	return err;
}

static uint64_t burst_or_default(uint64_t per_second, uint64_t burst)
{
	return burst ? burst : per_second / DEFAULT_BURSTS_PER_SEC;
}

void rate_change(struct rate *r, const vmm_rate_t *o, uint64_t now_ns)
{
	static const vmm_rate_t none;
	if (!o)
		o = &none;
	rate_bucket_change(&r->bytes, o->bytes_per_second,
	                   burst_or_default(o->bytes_per_second, o->bytes_burst), now_ns);
	rate_bucket_change(&r->ops, o->ops_per_second,
	                   burst_or_default(o->ops_per_second, o->ops_burst), now_ns);
	r->limited = o->bytes_per_second || o->ops_per_second;
}

void rate_init(struct rate *r, const vmm_rate_t *o, uint64_t now_ns)
{
	rate_bucket_init(&r->bytes, 0, 0, now_ns);
	rate_bucket_init(&r->ops, 0, 0, now_ns);
	rate_change(r, o, now_ns);
	r->bytes.level = r->bytes.burst;
	r->ops.level = r->ops.burst;
}

uint64_t rate_wait_ns(struct rate *r, uint64_t now_ns)
{
	rate_bucket_fill(&r->bytes, now_ns);
	rate_bucket_fill(&r->ops, now_ns);
	uint64_t bytes = rate_bucket_wait_ns(&r->bytes, 1);
	uint64_t ops = rate_bucket_wait_ns(&r->ops, 1);
	return bytes > ops ? bytes : ops;
}
