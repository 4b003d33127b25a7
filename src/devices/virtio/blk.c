/* virtio-blk: features, config space, life, and the way of a request. See blk.h. */
#include "devices/virtio/blk.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "devices/disk/disk_engine.h"
#include "devices/rate.h"
#include "devices/virtio/blk_req.h"
#include "vmm/clock.h"
#include "vmm/errset.h"

#define BIT(n) (1ull << (n))

/*
 * Segments of a chain: a header in up to three pieces, data, status. The data of the longest
 * transfer that Linux makes unasked, 1280 KiB, may be pages of which no two are neighbours: with
 * fewer segments the guest would split it.
 */
#define BLK_SEG_MAX    320u
#define BLK_CHAIN_SEGS (BLK_SEG_MAX + 4)

/* Reads that find nothing in the page cache are tried less and less often, at last one in 64. */
#define CACHE_SKIP_MAX 63u

/* What is moved on the loop where the image is in memory; longer copies can have a thread. */
#define MEMORY_BYTES_MAX (32u << 10)

/* What one turn may move while the guest goes on asking: others are on the loop as well. */
#define TURN_BYTES_MAX (4u << 20)

/* A request in flight. */
struct blk_slot {
	uint16_t head;
	struct blk_req req;
};

struct blk {
	struct vdev vd;
	struct virtio_blk_config config;
	struct disk_file file;
	uint8_t serial[VIRTIO_BLK_ID_BYTES];
	struct blk_limits limits; /* with what the driver agreed to */
	bool flush;               /* VIRTIO_BLK_F_FLUSH agreed: writes may be in a cache */

	/* Reads, writes and flushes go to FAST, the rest to POOL; they may be the same. */
	struct disk_engine *fast;
	struct disk_engine *pool;
	int event_fd; /* of both */
	struct loop_source completions;
	struct loop_task work; /* go on with the queue */

	struct rate rate;
	struct loop_timer due; /* when the rate lets the queue go on */

	bool try_now;
	unsigned cache_misses; /* in a row, as 2^n - 1 */
	unsigned cache_skip;   /* reads that do not try */

	/* The slot that was freed last is used next, so that memory follows the depth in use. */
	unsigned slot_count;
	unsigned free_count;
	uint16_t *free_slots;
	struct blk_slot *slot;
	struct iovec *iov; /* BLK_CHAIN_SEGS for each slot */
	struct blk_stats stats;
};

static struct blk *blk_of(struct vdev *vd)
{
	return (struct blk *)vd;
}

static bool usable(const struct blk *b)
{
	return b->vd.active && !(b->vd.status & VIRTIO_CONFIG_S_NEEDS_RESET) &&
	       b->vd.queue[0].ring.gm;
}

static struct blk_slot *slot_of(struct disk_io *io)
{
	return (struct blk_slot *)((uint8_t *)io - offsetof(struct blk_slot, req.io));
}

static void free_slot(struct blk *b, struct blk_slot *s)
{
	b->free_slots[b->free_count++] = (uint16_t)(s - b->slot);
}

/* Answer S with STATUS; WRITTEN bytes of its writable part, without the status, were filled. */
static void answer(struct blk *b, struct blk_slot *s, uint8_t status, uint32_t written)
{
	/* The length counts from the start of the writable part: a status behind data that was not
	 * written cannot be part of it (2.7.8.2). */
	bool whole = written + 1 == s->req.write_bytes;
	*(volatile uint8_t *)s->req.status = status;
	ring_push(&b->vd.queue[0].ring, s->head, whole ? written + 1 : written);
	free_slot(b, s);
}

static void count_done(struct blk *b, const struct blk_req *req, uint32_t bytes)
{
	switch (req->io.op) {
	case DISK_READ:
		b->stats.reads++;
		b->stats.read_bytes += bytes;
		break;
	case DISK_WRITE:
		b->stats.writes++;
		b->stats.written_bytes += bytes;
		break;
	case DISK_FLUSH:
		b->stats.flushes++;
		break;
	case DISK_DISCARD:
	case DISK_ZERO:
		b->stats.ranges++;
		break;
	}
}

static void host_failed(struct blk *b, const struct disk_io *io)
{
	static const char *const what[] = {"read", "write", "flush", "discard", "zero"};
	char text[96];
	b->stats.failures++;
	/* A guest can repeat it at will: rate limited. */
	log_guest(b->vd.log, VMM_LOG_ERROR, "%s: cannot %s '%s' at byte %llu: %s", b->vd.id,
	          what[io->op], b->file.name, (unsigned long long)io->offset,
	          strerror_r(io->error, text, sizeof(text)));
}

static void complete(struct blk *b, struct disk_io *io)
{
	struct blk_slot *s = slot_of(io);
	const struct blk_req *req = &s->req;
	rate_bucket_take(&b->rate.bytes, io->zeroed);
	if (io->error) {
		host_failed(b, io);
		answer(b, s, VIRTIO_BLK_S_IOERR, 0);
		return;
	}
	count_done(b, req, req->data_bytes);
	answer(b, s, VIRTIO_BLK_S_OK, io->op == DISK_READ ? req->data_bytes : 0);
}

/*
 * What needs no disk costs one system call this way, and no wake-up: reads of what the page cache
 * holds, while nothing else is in flight or waiting (with more to do, the engine's one call serves
 * all); everything short on an image in memory.
 */
static bool try_now(struct blk *b, struct disk_io *io)
{
	bool memory = b->file.in_memory && io->left <= MEMORY_BYTES_MAX;
	bool transfer = io->op == DISK_READ || (io->op == DISK_WRITE && memory);
	if (!transfer || !b->try_now)
		return false;
	if (!memory &&
	    (b->fast->in_flight || b->pool->in_flight || ring_available(&b->vd.queue[0].ring)))
		return false;
	if (b->cache_skip) {
		b->cache_skip--;
		return false;
	}
	bool supported;
	bool hit = disk_io_try_now(&b->file, io, &supported);
	if (!supported)
		b->try_now = false;
	b->cache_misses = hit ? 0 : (b->cache_misses * 2 + 1) & CACHE_SKIP_MAX;
	b->cache_skip = b->cache_misses;
	return hit;
}

static void perform(struct blk *b, struct disk_io *io)
{
	io->sync = !b->flush;
	if (try_now(b, io)) {
		b->stats.at_once++;
		complete(b, io);
		return;
	}
	bool ranges = io->op == DISK_DISCARD || io->op == DISK_ZERO;
	io->bounce = b->file.align_bytes > 1 && !ranges && !disk_io_aligned(&b->file, io);
	disk_submit(ranges || io->bounce ? b->pool : b->fast, io);
}

static void send_id(struct blk *b, struct blk_slot *s)
{
	const struct disk_io *io = &s->req.io;
	size_t done = 0;
	for (unsigned i = 0; done < sizeof(b->serial); i++) {
		size_t left = sizeof(b->serial) - done;
		size_t part = left < io->iov[i].iov_len ? left : io->iov[i].iov_len;
		memcpy(io->iov[i].iov_base, b->serial + done, part);
		done += part;
	}
	answer(b, s, VIRTIO_BLK_S_OK, (uint32_t)done);
}

static void start(struct blk *b, struct blk_slot *s, struct ring_chain *chain)
{
	struct blk_req *req = &s->req;
	s->head = chain->head;
	blk_req_parse(req, chain, &b->limits);
	rate_take(&b->rate, req->data_bytes);
	if (req->why)
		vdev_guest_error(&b->vd, "%s", req->why);
	switch (req->verdict) {
	case BLK_DO:
		perform(b, &req->io);
		break;
	case BLK_GET_ID:
		send_id(b, s);
		break;
	case BLK_ANSWER:
		b->stats.refused++;
		answer(b, s, req->answer, 0);
		break;
	case BLK_NO_ROOM:
		b->stats.refused++;
		ring_push(&b->vd.queue[0].ring, s->head, 0);
		free_slot(b, s);
		break;
	}
}

/* Does the limit of rate let another request begin? If not, the queue goes on when it does. */
static bool in_rate(struct blk *b)
{
	if (!b->rate.limited)
		return true;
	uint64_t now = clock_now_ns();
	uint64_t wait = rate_wait_ns(&b->rate, now);
	if (!wait)
		return true;
	loop_timer_set(b->vd.loop, &b->due, now + wait);
	return false;
}

/* Take requests while there are any, a slot for each, BUDGET is left and the rate allows it.
 * False: it does not, and nobody has to wake the queue. */
static bool take(struct blk *b, unsigned *budget)
{
	while (*budget && b->free_count) {
		if (!in_rate(b))
			return false;
		unsigned at = b->free_slots[b->free_count - 1];
		struct ring_chain chain;
		if (vdev_pop(&b->vd, 0, &chain, b->iov + (size_t)at * BLK_CHAIN_SEGS,
		             BLK_CHAIN_SEGS) != RING_OK)
			return true;
		b->free_count--;
		(*budget)--;
		start(b, &b->slot[at], &chain);
	}
	return true;
}

static void reap(struct blk *b)
{
	for (struct disk_io *io; (io = disk_reap(b->fast));)
		complete(b, io);
	if (b->pool == b->fast)
		return;
	for (struct disk_io *io; (io = disk_reap(b->pool));)
		complete(b, io);
}

static uint64_t moved_bytes(const struct blk *b)
{
	return b->stats.read_bytes + b->stats.written_bytes;
}

/* Everything that there is to do: new requests and completed ones. On the loop's thread. */
static void run(struct blk *b)
{
	struct ring *r = &b->vd.queue[0].ring;
	unsigned budget = b->slot_count;
	uint64_t before = moved_bytes(b);
	bool more = false;
	reap(b);
	if (!usable(b)) {
		vdev_flush_used(&b->vd, 0);
		return;
	}
	ring_kick_disable(r);
	do {
		bool on = take(b, &budget);
		b->fast->ops->flush(b->fast);
		reap(b);
		/* Before notifications are wanted again: a guest that goes on at once has its next
		 * request here by then, and sends none for it. */
		vdev_flush_used(&b->vd, 0);
		/* Without a free slot, the next completion comes here again; else the timer. */
		more = on && b->free_count && usable(b) && ring_kick_enable(r);
	} while (more && budget && moved_bytes(b) - before < TURN_BYTES_MAX);
	if (more)
		loop_post(b->vd.loop, &b->work);
}

static void locked_run(void *ctx)
{
	struct blk *b = ctx;
	(void)pthread_mutex_lock(&b->vd.lock);
	if (b->vd.active)
		run(b);
	(void)pthread_mutex_unlock(&b->vd.lock);
}

static void completions_ready(void *ctx, uint32_t events)
{
	(void)events;
	locked_run(ctx);
}

static void blk_kick(struct vdev *vd, unsigned q)
{
	struct blk *b = blk_of(vd);
	vmm_err_info_t ei;
	(void)q;
	/* Edge triggered: nobody has to read it. Here because this is the loop's thread. */
	if (!b->completions.added &&
	    loop_add(vd->loop, &b->completions, EPOLLIN | EPOLLET, &ei) != VMM_OK) {
		vdev_fail(vd, "%s", ei.message);
		return;
	}
	run(b);
}

static bool blk_activate(struct vdev *vd)
{
	struct blk *b = blk_of(vd);
	b->flush = vdev_has(vd, VIRTIO_BLK_F_FLUSH);
	b->limits.discard = vdev_has(vd, VIRTIO_BLK_F_DISCARD);
	b->limits.write_zeroes = vdev_has(vd, VIRTIO_BLK_F_WRITE_ZEROES);
	b->cache_misses = b->cache_skip = 0;
	return true;
}

/* Wait for what is in flight, and forget it. */
static void drain(struct blk *b, struct disk_engine *e)
{
	while (e->in_flight) {
		struct disk_io *io = disk_reap(e);
		if (io)
			free_slot(b, slot_of(io));
		else
			e->ops->wait(e);
	}
}

/* On a vCPU's thread the loop's may be waiting for the lock, so completions are taken here. */
static void blk_reset(struct vdev *vd)
{
	struct blk *b = blk_of(vd);
	drain(b, b->fast);
	drain(b, b->pool);
}

/* It has only one. */
static void blk_stop_queue(struct vdev *vd, unsigned q)
{
	(void)q;
	blk_reset(vd);
}

static void blk_destroy(struct vdev *vd)
{
	struct blk *b = blk_of(vd);
	if (b->fast && b->pool)
		blk_reset(vd);
	if (vd->loop) {
		loop_del(vd->loop, &b->completions);
		loop_timer_cancel(vd->loop, &b->due);
	}
	if (b->fast && b->fast != b->pool)
		b->fast->ops->destroy(b->fast);
	if (b->pool)
		b->pool->ops->destroy(b->pool);
	if (b->event_fd >= 0)
		(void)close(b->event_fd);
	disk_file_close(&b->file);
	vdev_fini(vd);
	free(b->iov);
	free(b->slot);
	free(b->free_slots);
	free(b);
}

static void blk_start_threads(struct vdev *vd, const struct sandbox_filters *filters)
{
	if (filters->on)
		disk_threads_start(blk_of(vd)->pool, filters);
}

static const struct vdev_ops blk_ops = {
        .name = "virtio-blk",
        .device_id = VIRTIO_ID_BLOCK,
        .activate = blk_activate,
        .reset = blk_reset,
        .stop_queue = blk_stop_queue,
        .kick = blk_kick,
        .start_threads = blk_start_threads,
        .destroy = blk_destroy,
};

static uint64_t offered(const struct disk_file *f)
{
	uint64_t all = BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_BLK_SIZE) |
	               BIT(VIRTIO_BLK_F_TOPOLOGY) | BIT(VIRTIO_BLK_F_FLUSH);
	if (f->read_only)
		return all | BIT(VIRTIO_BLK_F_RO);
	return all | BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES);
}

static void fill_config(struct blk *b, uint16_t queue_size)
{
	const struct disk_file *f = &b->file;
	struct virtio_blk_config *c = &b->config;
	unsigned seg_max = queue_size - 2u < BLK_SEG_MAX ? queue_size - 2u : BLK_SEG_MAX;
	uint32_t ratio = f->physical_bytes / f->block_bytes;
	c->capacity = htole64(f->size_bytes / DISK_SECTOR);
	c->seg_max = htole32(seg_max);
	c->blk_size = htole32(f->block_bytes);
	c->physical_block_exp = (uint8_t)__builtin_ctz(ratio);
	c->min_io_size = htole16((uint16_t)ratio);
	c->max_discard_sectors = htole32(BLK_RANGE_SECTORS_MAX);
	c->max_discard_seg = htole32(DISK_RANGES_MAX);
	c->discard_sector_alignment = htole32(f->physical_bytes / DISK_SECTOR);
	c->max_write_zeroes_sectors = htole32(BLK_RANGE_SECTORS_MAX);
	c->max_write_zeroes_seg = htole32(DISK_RANGES_MAX);
	c->write_zeroes_may_unmap = 1;
	b->limits = (struct blk_limits){
	        .size_bytes = f->size_bytes,
	        .align_bytes = f->align_bytes > DISK_SECTOR ? f->align_bytes : DISK_SECTOR,
	        .read_only = f->read_only,
	};
}

static vmm_err_t make_engines(struct blk *b, unsigned depth, bool uring, vmm_err_info_t *ei)
{
	b->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b->event_fd < 0)
		return err_sys(ei, errno, b->file.name, "cannot make an eventfd");
	b->completions =
	        (struct loop_source){.fd = b->event_fd, .ready = completions_ready, .ctx = b};
	vmm_err_t err = disk_threads_create(&b->file, b->event_fd, &b->pool, ei);
	if (err)
		return err;
	/* Whatever io_uring lacks: the threads can do the same. */
	if (!uring || disk_uring_create(&b->file, b->event_fd, depth, &b->fast, NULL) != VMM_OK)
		b->fast = b->pool;
	return VMM_OK;
}

static vmm_err_t make_slots(struct blk *b, unsigned count, vmm_err_info_t *ei)
{
	b->slot_count = b->free_count = count;
	b->free_slots = calloc(count, sizeof(*b->free_slots));
	b->slot = calloc(count, sizeof(*b->slot));
	b->iov = calloc((size_t)count * BLK_CHAIN_SEGS, sizeof(*b->iov));
	if (!b->free_slots || !b->slot || !b->iov)
		return err_set(ei, VMM_E_NOMEM, b->file.name, "out of memory");
	for (unsigned i = 0; i < count; i++)
		b->free_slots[i] = (uint16_t)(count - 1 - i);
	return VMM_OK;
}

vmm_err_t blk_create(const struct blk_opts *opts, unsigned index, struct vdev **out,
                     vmm_err_info_t *ei)
{
	*out = NULL;
	struct blk *b = calloc(1, sizeof(*b));
	if (!b)
		return err_set(ei, VMM_E_NOMEM, "disk", "out of memory");
	b->event_fd = -1;
	vmm_err_t err = disk_file_open(&b->file, &opts->file, ei);
	if (err) {
		free(b);
		return err;
	}
	struct vdev *vd = &b->vd;
	memcpy(b->serial, opts->serial, sizeof(b->serial));
	b->try_now = !opts->file.direct;
	b->work = (struct loop_task){.run = locked_run, .ctx = b};
	b->due = (struct loop_timer){.expired = locked_run, .ctx = b};
	rate_init(&b->rate, opts->rate, clock_now_ns());
	vd->ops = &blk_ops;
	vd->features = offered(&b->file);
	fill_config(b, opts->queue_size);
	vd->config = (uint8_t *)&b->config;
	vd->config_len = offsetof(struct virtio_blk_config, max_secure_erase_sectors);
	(void)snprintf(vd->id, sizeof(vd->id), "disk%u", index);
	err = vdev_init(vd, 1, &opts->queue_size, ei);
	if (!err)
		err = make_engines(b, opts->queue_size, opts->uring, ei);
	if (!err)
		err = make_slots(b, opts->queue_size, ei);
	if (err) {
		blk_destroy(vd);
		return err;
	}
	*out = vd;
	return VMM_OK;
}

bool blk_is(const struct vdev *vd)
{
	return vd->ops == &blk_ops;
}

struct blk_stats blk_stats(struct vdev *vd)
{
	(void)pthread_mutex_lock(&vd->lock);
	struct blk_stats s = blk_of(vd)->stats;
	(void)pthread_mutex_unlock(&vd->lock);
	return s;
}

void blk_set_rate(struct vdev *vd, const vmm_rate_t *rate)
{
	struct blk *b = blk_of(vd);
	(void)pthread_mutex_lock(&vd->lock);
	rate_change(&b->rate, rate, clock_now_ns());
	if (vd->active)
		loop_post(vd->loop, &b->work); /* what waits may have to wait for less */
	(void)pthread_mutex_unlock(&vd->lock);
}

const char *blk_engine(struct vdev *vd)
{
	return blk_of(vd)->fast->ops->name;
}
