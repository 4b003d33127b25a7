/* virtio-balloon. See balloon.h. */
#include "devices/virtio/balloon.h"

#include <endian.h>
#include <limits.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/clock.h"
#include "vmm/errset.h"
#include "vmm/machine.h"

#define BALLOON_QUEUE_SIZE 128u
#define BALLOON_QUEUES     4u
#define PFN_SHIFT          VIRTIO_BALLOON_PFN_SHIFT
#define PFNS_PER_PIECE     256u
#define STATS_MAX          32u /* entries of one report that are looked at */

/* The queues are numbered without gaps, as Linux does: those of features not agreed are left out.
 */
enum { Q_INFLATE, Q_DEFLATE, Q_FIRST_OPTIONAL };
#define Q_NONE UINT_MAX

struct balloon {
	struct vdev vd;
	/* Only the first two fields: the others belong to features that are not offered. */
	uint8_t config[offsetof(struct virtio_balloon_config, free_page_hint_cmd_id)];
	uint64_t memory_bytes;
	uint32_t target_pages;
	uint32_t actual_pages;
	uint64_t interval_ns;
	struct loop_timer timer; /* when to ask for statistics again */
	unsigned stats_queue;
	unsigned reporting_queue;
	bool stats_held; /* the driver's statistics buffer is with us: giving it back asks anew */
	uint16_t stats_head;
	uint64_t guest[VIRTIO_BALLOON_S_NR];
	uint64_t discarded;
	uint64_t reported;
};

/* Neighbouring pages that go to the host in one call. */
struct run {
	uint64_t first;
	uint64_t count;
};

static struct balloon *balloon_of(struct vdev *vd)
{
	return (struct balloon *)vd;
}

static void fill_config(struct balloon *b)
{
	const uint32_t words[2] = {htole32(b->target_pages), htole32(b->actual_pages)};
	memcpy(b->config, words, sizeof(b->config));
}

static void discard_run(struct balloon *b, struct run *run)
{
	uint64_t len = run->count << PFN_SHIFT;
	if (run->count && gmem_discard(b->vd.gm, (struct gpa){run->first << PFN_SHIFT}, len))
		b->discarded += len;
	run->count = 0;
}

/* Linux takes pages one by one, but they often are neighbours, upwards or downwards. */
static bool add_page(struct balloon *b, struct run *run, uint32_t pfn)
{
	if (!gmem_at(b->vd.gm, (struct gpa){(uint64_t)pfn << PFN_SHIFT}, MACHINE_PAGE_SIZE))
		return false;
	if (run->count && pfn == run->first + run->count) {
		run->count++;
	} else if (run->count && (uint64_t)pfn + 1 == run->first) {
		run->first--;
		run->count++;
	} else {
		discard_run(b, run);
		*run = (struct run){pfn, 1};
	}
	return true;
}

static void inflate(struct balloon *b, const struct ring_chain *chain)
{
	uint32_t pfns[PFNS_PER_PIECE];
	uint32_t outside = 0;
	struct run run = {0};
	for (uint32_t at = 0; at < chain->read_bytes; at += sizeof(pfns)) {
		uint32_t n = chain_read(chain, at, pfns, sizeof(pfns)) / (uint32_t)sizeof(*pfns);
		for (uint32_t i = 0; i < n; i++)
			outside += !add_page(b, &run, le32toh(pfns[i]));
	}
	discard_run(b, &run);
	if (outside)
		vdev_guest_error(&b->vd, "%u pages to give up that are not memory", outside);
}

/* Inflate and deflate requests: an array of page numbers. Returns how many it holds. */
static uint32_t page_request(struct vdev *vd, unsigned q, const struct ring_chain *chain)
{
	uint32_t count = chain->read_bytes / (uint32_t)sizeof(uint32_t);
	if (count > BALLOON_PFNS_MAX || chain->read_bytes % sizeof(uint32_t)) {
		vdev_guest_error(vd, "page list of %u bytes", chain->read_bytes);
		count = 0;
	} else if (q == Q_INFLATE) {
		inflate(balloon_of(vd), chain);
	} /* deflated pages need nothing: they return when they are touched */
	ring_push(&vd->queue[q].ring, chain->head, 0);
	return count + 1;
}

/* Free pages that the guest reports (5.5.6.6): whole ranges, readable by nobody until it has the
 * buffer back. Returns a cost in pages. */
static uint32_t report_request(struct vdev *vd, unsigned q, const struct ring_chain *chain)
{
	struct balloon *b = balloon_of(vd);
	const uint64_t mask = MACHINE_PAGE_SIZE - 1;
	for (unsigned i = chain->nread; i < (unsigned)chain->nread + chain->nwrite; i++) {
		struct gpa start;
		if (!gmem_gpa(vd->gm, chain->iov[i].iov_base, &start))
			continue;
		uint64_t end = (start.addr + chain->iov[i].iov_len) & ~mask;
		start.addr = (start.addr + mask) & ~mask;
		if (start.addr >= end || !gmem_discard(vd->gm, start, end - start.addr))
			continue;
		b->discarded += end - start.addr;
		b->reported += end - start.addr;
	}
	if (chain->nread)
		vdev_guest_error(vd, "free page report with readable buffers");
	ring_push(&vd->queue[q].ring, chain->head, 0);
	return chain->nwrite + (chain->write_bytes >> PFN_SHIFT) / 16 + 1;
}

static void give_stats_back(struct balloon *b)
{
	if (!b->stats_held)
		return;
	b->stats_held = false;
	ring_push(&b->vd.queue[b->stats_queue].ring, b->stats_head, 0);
}

static uint32_t stats_request(struct vdev *vd, unsigned q, const struct ring_chain *chain)
{
	struct balloon *b = balloon_of(vd);
	struct virtio_balloon_stat stat;
	uint32_t count = chain->read_bytes / (uint32_t)sizeof(stat);
	(void)q;
	give_stats_back(b); /* a driver has one such buffer; more of them are not kept */
	for (uint32_t i = 0; i < count && i < STATS_MAX; i++) {
		(void)chain_read(chain, i * (uint32_t)sizeof(stat), &stat, sizeof(stat));
		uint16_t tag = le16toh(stat.tag);
		if (tag < VIRTIO_BALLOON_S_NR)
			b->guest[tag] = le64toh(stat.val);
	}
	b->stats_held = true;
	b->stats_head = chain->head;
	loop_timer_set(vd->loop, &b->timer, clock_now_ns() + b->interval_ns);
	return 1;
}

static void balloon_kick(struct vdev *vd, unsigned q)
{
	struct balloon *b = balloon_of(vd);
	struct ring *r = &vd->queue[q].ring;
	struct iovec iov[BALLOON_QUEUE_SIZE];
	struct ring_chain chain;
	uint32_t cost = 0;
	while (cost < BALLOON_PFNS_MAX) {
		enum ring_result res = vdev_pop(vd, q, &chain, iov, BALLOON_QUEUE_SIZE);
		cost += 16;
		if (res == RING_EMPTY && ring_kick_enable(r))
			continue;
		if (res != RING_OK) {
			vdev_flush_used(vd, q);
			return;
		}
		if (q < Q_FIRST_OPTIONAL)
			cost += page_request(vd, q, &chain);
		else if (q == b->stats_queue)
			cost += stats_request(vd, q, &chain);
		else if (q == b->reporting_queue)
			cost += report_request(vd, q, &chain);
		else
			ring_push(r, chain.head, 0);
	}
	vdev_flush_used(vd, q);
	vdev_kick_again(vd, q);
}

static void timer_expired(void *ctx)
{
	struct balloon *b = ctx;
	struct vdev *vd = &b->vd;
	(void)pthread_mutex_lock(&vd->lock);
	if (vd->active && b->stats_held) {
		give_stats_back(b);
		vdev_flush_used(vd, b->stats_queue);
	}
	(void)pthread_mutex_unlock(&vd->lock);
}

static bool balloon_activate(struct vdev *vd)
{
	struct balloon *b = balloon_of(vd);
	unsigned next = Q_FIRST_OPTIONAL;
	b->stats_queue = vdev_has(vd, VIRTIO_BALLOON_F_STATS_VQ) ? next++ : Q_NONE;
	b->reporting_queue = vdev_has(vd, VIRTIO_BALLOON_F_REPORTING) ? next++ : Q_NONE;
	/* Linux reports 32 blocks of 2 or 4 MiB at once; they are only discarded, which is quick.
	 */
	if (b->reporting_queue != Q_NONE)
		vd->queue[b->reporting_queue].ring.chain_bytes_max = UINT32_MAX;
	return true;
}

static void forget_guest(struct balloon *b)
{
	for (unsigned i = 0; i < VIRTIO_BALLOON_S_NR; i++)
		b->guest[i] = VMM_BALLOON_UNKNOWN;
	b->stats_held = false;
	b->actual_pages = 0;
	fill_config(b);
}

static void balloon_reset(struct vdev *vd)
{
	forget_guest(balloon_of(vd));
}

static void balloon_stop_queue(struct vdev *vd, unsigned q)
{
	struct balloon *b = balloon_of(vd);
	if (q == b->stats_queue)
		b->stats_held = false;
}

static void balloon_config_written(struct vdev *vd, uint32_t offset, uint32_t len)
{
	struct balloon *b = balloon_of(vd);
	uint32_t actual;
	(void)offset;
	(void)len;
	memcpy(&actual, b->config + offsetof(struct virtio_balloon_config, actual), sizeof(actual));
	b->actual_pages = le32toh(actual);
	uint64_t all = b->memory_bytes >> PFN_SHIFT;
	if (b->actual_pages > all)
		b->actual_pages = (uint32_t)all;
	fill_config(b); /* num_pages is not the driver's to write */
}

static void balloon_destroy(struct vdev *vd)
{
	struct balloon *b = balloon_of(vd);
	if (vd->loop)
		loop_timer_cancel(vd->loop, &b->timer);
	vdev_fini(vd);
	free(b);
}

static const struct vdev_ops balloon_ops = {
        .name = "virtio-balloon",
        .device_id = VIRTIO_ID_BALLOON,
        .activate = balloon_activate,
        .reset = balloon_reset,
        .stop_queue = balloon_stop_queue,
        .kick = balloon_kick,
        .config_written = balloon_config_written,
        .destroy = balloon_destroy,
};

vmm_err_t balloon_create(const vmm_balloon_opts_t *opts, uint64_t memory_bytes, struct vdev **out,
                         vmm_err_info_t *ei)
{
	uint16_t sizes[BALLOON_QUEUES];
	*out = NULL;
	struct balloon *b = calloc(1, sizeof(*b));
	if (!b)
		return err_set(ei, VMM_E_NOMEM, "balloon", "out of memory");
	b->vd.ops = &balloon_ops;
	(void)snprintf(b->vd.id, sizeof(b->vd.id), "balloon");
	b->timer = (struct loop_timer){.expired = timer_expired, .ctx = b};
	b->memory_bytes = memory_bytes;
	b->interval_ns = opts->stats_interval_ms * NS_PER_MS;
	b->target_pages = (uint32_t)(opts->target_bytes >> PFN_SHIFT);
	if (opts->flags & VMM_BALLOON_DEFLATE_ON_OOM)
		b->vd.features |= 1ull << VIRTIO_BALLOON_F_DEFLATE_ON_OOM;
	if (opts->flags & VMM_BALLOON_REPORTING)
		b->vd.features |= 1ull << VIRTIO_BALLOON_F_REPORTING;
	if (b->interval_ns)
		b->vd.features |= 1ull << VIRTIO_BALLOON_F_STATS_VQ;
	b->vd.config = b->config;
	b->vd.config_len = sizeof(b->config);
	forget_guest(b);
	for (unsigned i = 0; i < BALLOON_QUEUES; i++)
		sizes[i] = BALLOON_QUEUE_SIZE;
	vmm_err_t err = vdev_init(&b->vd, BALLOON_QUEUES, sizes, ei);
	if (err) {
		balloon_destroy(&b->vd);
		return err;
	}
	*out = &b->vd;
	return VMM_OK;
}

bool balloon_is(const struct vdev *vd)
{
	return vd->ops == &balloon_ops;
}

bool balloon_set_target(struct vdev *vd, uint64_t target_bytes)
{
	struct balloon *b = balloon_of(vd);
	if (target_bytes >= b->memory_bytes || target_bytes % MACHINE_PAGE_SIZE)
		return false;
	(void)pthread_mutex_lock(&vd->lock);
	b->target_pages = (uint32_t)(target_bytes >> PFN_SHIFT);
	fill_config(b);
	vdev_config_changed(vd);
	(void)pthread_mutex_unlock(&vd->lock);
	return true;
}

void balloon_stats(struct vdev *vd, vmm_balloon_stats_t *stats)
{
	const struct balloon *b = balloon_of(vd);
	(void)pthread_mutex_lock(&vd->lock);
	*stats = (vmm_balloon_stats_t){
	        .struct_size = sizeof(*stats),
	        .target_bytes = (uint64_t)b->target_pages << PFN_SHIFT,
	        .actual_bytes = (uint64_t)b->actual_pages << PFN_SHIFT,
	        .discarded = b->discarded,
	        .reported = b->reported,
	        .guest_swap_in = b->guest[VIRTIO_BALLOON_S_SWAP_IN],
	        .guest_swap_out = b->guest[VIRTIO_BALLOON_S_SWAP_OUT],
	        .guest_major_faults = b->guest[VIRTIO_BALLOON_S_MAJFLT],
	        .guest_minor_faults = b->guest[VIRTIO_BALLOON_S_MINFLT],
	        .guest_free = b->guest[VIRTIO_BALLOON_S_MEMFREE],
	        .guest_total = b->guest[VIRTIO_BALLOON_S_MEMTOT],
	        .guest_available = b->guest[VIRTIO_BALLOON_S_AVAIL],
	        .guest_caches = b->guest[VIRTIO_BALLOON_S_CACHES],
	};
	(void)pthread_mutex_unlock(&vd->lock);
}
