/* From a child's samples to what is printed of them. See bench.h. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "stats/buckets.h"

static struct summary sort_and_sum(uint64_t *samples, uint32_t n)
{
	samples_sort(samples, n);
	return summary_of(samples, n);
}

bool measured_take(struct measured *m, struct outcome *o)
{
	m->state = o->state;
	memcpy(m->why, o->why, sizeof(m->why));
	m->wanted = o->wanted;
	m->tsc_khz = o->tsc_khz;
	m->floor_ticks = o->floor_ticks;
	m->counted = o->counted;
	m->host_seen = o->host_seen;
	m->guest_did = o->guest_did;
	m->split = o->split;
	m->kvm_count = o->kvm_count;
	memcpy(m->kvm, o->kvm, sizeof(m->kvm));
	if (o->state != OUTCOME_OK)
		return true;
	m->net = sort_and_sum(o->net, o->done);
	if (o->split) {
		m->out = sort_and_sum(o->out, o->done);
		m->back = sort_and_sum(o->back, o->done);
	}
	m->bucket = calloc(o->done ? o->done : 1, sizeof(*m->bucket));
	if (!m->bucket) {
		(void)fputs("vmm bench: out of memory\n", stderr);
		return false;
	}
	m->bucket_count = samples_to_buckets(o->net, o->done, NET_BUCKET_BITS, m->bucket, o->done);
	return true;
}

void report_fini(struct bench_report *r)
{
	for (size_t i = 0; r->m && i < r->count; i++)
		free(r->m[i].bucket);
	free(r->m);
	*r = (struct bench_report){0};
}
