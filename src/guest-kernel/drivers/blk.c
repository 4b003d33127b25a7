/* virtio-blk. See blk.h. */
#include "guest-kernel/drivers/blk.h"

#define F_RO         (1ull << 5)
#define F_FLUSH      (1ull << 9)

#define T_IN         0u
#define T_OUT        1u
#define T_FLUSH      4u

#define S_OK         0u
#define S_UNSUPP     2u
#define S_NONE       0x5au /* before the device has written one */

#define HEADER_BYTES 16u

static void finish(struct blk *b, struct request *r)
{
	switch (r->wire.status) {
	case S_OK:
		r->status = REQUEST_DONE;
		break;
	case S_UNSUPP:
		r->status = REQUEST_UNSUPPORTED;
		break;
	default:
		r->status = REQUEST_FAILED;
		break;
	}
	b->errors += r->status != REQUEST_DONE;
	r->done(r);
}

/* A read that is said to be good must have been written as a whole, status included. */
static void check_length(struct request *r, uint32_t written)
{
	uint64_t all = (r->op == REQUEST_READ ? request_bytes(r) : 0) + 1;
	if (written < all && r->wire.status == S_OK)
		r->wire.status = S_NONE;
}

static struct request *take(struct blk *b)
{
	uint32_t written;
	unsigned long flags = spin_lock_irqsave(&b->queue.lock);
	struct request *r = virtq_take(&b->queue, &written);
	while (!r && !b->dev.broken && !virtq_listen(&b->queue))
		r = virtq_take(&b->queue, &written);
	spin_unlock_irqrestore(&b->queue.lock, flags);
	if (r)
		check_length(r, written);
	return r;
}

/* What a device that is not used any more was given fails. */
static void fail_all(struct blk *b)
{
	for (unsigned i = 0; i < b->queue.size; i++) {
		unsigned long flags = spin_lock_irqsave(&b->queue.lock);
		struct request *r = b->queue.slot[i].cookie;
		b->queue.slot[i].cookie = NULL;
		spin_unlock_irqrestore(&b->queue.lock, flags);
		if (r) {
			r->wire.status = S_NONE;
			finish(b, r);
		}
	}
}

static void on_queue(struct virtio_dev *dev, struct virtq *q)
{
	struct blk *b = dev->driver;
	struct request *r;
	(void)q;
	while ((r = take(b)))
		finish(b, r);
	if (b->dev.broken)
		fail_all(b);
	if (b->room)
		b->room(b->room_ctx);
}

bool blk_attach(struct blk *b, const struct virtio_dev *dev)
{
	*b = (struct blk){.dev = *dev};
	b->dev.driver = b;
	b->dev.on_queue = on_queue;
	if (!virtio_agree(&b->dev, F_RO | F_FLUSH))
		return false;
	b->read_only = virtio_has(&b->dev, F_RO);
	b->flushes = virtio_has(&b->dev, F_FLUSH);
	b->sectors = virtio_config64(&b->dev, 0);
	if (b->sectors > UINT64_MAX / SECTOR_BYTES) {
		b->dev.why = "says it has more sectors than there can be";
		return false;
	}
	return virtio_go(&b->dev, &b->queue, 1, VIRTQ_SIZE_MAX);
}

static bool possible(const struct blk *b, const struct request *r)
{
	uint64_t sectors = request_bytes(r) / SECTOR_BYTES;
	if (b->dev.broken || (r->op == REQUEST_WRITE && b->read_only))
		return false;
	if (r->op == REQUEST_FLUSH)
		return true;
	return request_bytes(r) % SECTOR_BYTES == 0 && sectors > 0 && sectors <= b->sectors &&
	       r->sector <= b->sectors - sectors;
}

static bool add(struct blk *b, struct request *r)
{
	static const uint32_t types[] = {T_IN, T_OUT, T_FLUSH};
	struct virtq_seg segs[VIRTQ_SEGS_MAX];
	unsigned n = 0;
	r->wire.type = types[r->op];
	r->wire.reserved = 0;
	r->wire.sector = r->op == REQUEST_FLUSH ? 0 : r->sector;
	r->wire.status = S_NONE;
	segs[n++] = (struct virtq_seg){&r->wire, HEADER_BYTES, false};
	for (uint32_t i = 0; i < r->seg_count; i++)
		segs[n++] = (struct virtq_seg){r->segs[i].data, r->segs[i].len_bytes,
		                               r->op == REQUEST_READ};
	segs[n++] = (struct virtq_seg){&r->wire.status, 1, true};
	return virtq_add(&b->queue, segs, n, r);
}

bool blk_submit(struct blk *b, struct request *r)
{
	r->status = REQUEST_PENDING;
	if (r->op == REQUEST_FLUSH && !b->flushes) {
		r->wire.status = S_OK; /* it writes through */
		finish(b, r);
		return true;
	}
	if (!possible(b, r)) {
		r->wire.status = S_NONE;
		finish(b, r);
		return true;
	}
	unsigned long flags = spin_lock_irqsave(&b->queue.lock);
	bool added = add(b, r);
	b->reads += added && r->op == REQUEST_READ;
	b->writes += added && r->op == REQUEST_WRITE;
	b->flush_count += added && r->op == REQUEST_FLUSH;
	spin_unlock_irqrestore(&b->queue.lock, flags);
	return added;
}

void blk_kick(struct blk *b)
{
	unsigned long flags = spin_lock_irqsave(&b->queue.lock);
	virtq_kick(&b->queue);
	spin_unlock_irqrestore(&b->queue.lock, flags);
}
