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
#define S_LOST       0x5bu /* it will not, and may write it later */

#define HEADER_BYTES 16u

#define TEXT_OF(x)   #x
#define TEXT(x)      TEXT_OF(x)

/* STATUS is the device's word; or S_NONE or S_LOST, where there is none. */
static void finish(struct blk *b, struct request *r, uint8_t status)
{
	switch (status) {
	case S_OK:
		r->status = REQUEST_DONE;
		break;
	case S_UNSUPP:
		r->status = REQUEST_UNSUPPORTED;
		break;
	case S_LOST:
		r->status = REQUEST_LOST;
		break;
	default:
		r->status = REQUEST_FAILED;
		break;
	}
	b->errors += r->status != REQUEST_DONE;
	r->done(r);
}

/* A read that is said to be good must have been written as a whole, status included. */
static uint8_t status_of(const struct request *r, uint32_t written)
{
	uint64_t all = (r->op == REQUEST_READ ? request_bytes(r) : 0) + 1;
	uint8_t status = __atomic_load_n(&r->wire.status, __ATOMIC_RELAXED);
	return status > S_UNSUPP || (written < all && status == S_OK) ? S_NONE : status;
}

static struct request *take(struct blk *b, uint32_t *written)
{
	unsigned long flags = spin_lock_irqsave(&b->queue.lock);
	struct request *r = virtq_take(&b->queue, written);
	while (!r && !blk_is_broken(b) && !virtq_listen(&b->queue))
		r = virtq_take(&b->queue, written);
	spin_unlock_irqrestore(&b->queue.lock, flags);
	return r;
}

static void on_queue(struct virtio_dev *dev, struct virtq *q)
{
	struct blk *b = dev->driver;
	struct request *r;
	uint32_t written;
	(void)q;
	while ((r = take(b, &written)))
		finish(b, r, status_of(r, written));
	if (b->room)
		b->room(b->room_ctx);
}

static struct request *recall(struct blk *b)
{
	unsigned long flags = spin_lock_irqsave(&b->queue.lock);
	struct request *r = virtq_recall(&b->queue);
	spin_unlock_irqrestore(&b->queue.lock, flags);
	return r;
}

/*
 * What the device was given fails, and what waits for room. Nothing can be added behind this: after
 * the first time that the lock is taken here whoever adds sees that the device is broken.
 */
static void on_broken(struct virtio_dev *dev)
{
	struct blk *b = dev->driver;
	struct request *r;
	while ((r = recall(b)))
		finish(b, r, dev->stopped ? S_NONE : S_LOST);
	if (b->room)
		b->room(b->room_ctx);
}

/* The lock is held. */
static bool is_late(struct blk *b, struct request *r)
{
	if (r->seen_ns == 0)
		r->seen_ns = b->watched_ns;
	return b->watched_ns - r->seen_ns >= BLK_ANSWER_NS;
}

void blk_watch(struct blk *b)
{
	bool late = false;
	unsigned long flags = spin_lock_irqsave(&b->queue.lock);
	uint64_t now = arch_now_ns(), since = now > b->looked_ns ? now - b->looked_ns : 0;
	b->looked_ns = now;
	b->watched_ns += since < BLK_LOOK_NS ? since : BLK_LOOK_NS;
	for (unsigned i = 0; i < b->queue.size; i++)
		if (b->queue.slot[i].cookie)
			late |= is_late(b, b->queue.slot[i].cookie);
	spin_unlock_irqrestore(&b->queue.lock, flags);
	if (late)
		virtio_fail(&b->dev, "has not answered a request for " TEXT(BLK_ANSWER_S) " s");
	virtio_settle(&b->dev);
}

bool blk_attach(struct blk *b, const struct virtio_dev *dev)
{
	*b = (struct blk){.dev = *dev};
	b->dev.driver = b;
	b->dev.on_queue = on_queue;
	b->dev.on_broken = on_broken;
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
	if (blk_is_broken(b) || (r->op == REQUEST_WRITE && b->read_only))
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
	r->seen_ns = 0;
	if (r->op == REQUEST_FLUSH && !b->flushes) {
		finish(b, r, S_OK); /* it writes through */
		return true;
	}
	if (!possible(b, r)) {
		finish(b, r, S_NONE);
		return true;
	}
	unsigned long flags = spin_lock_irqsave(&b->queue.lock);
	bool added = add(b, r);
	b->reads += added && r->op == REQUEST_READ;
	b->writes += added && r->op == REQUEST_WRITE;
	b->flush_count += added && r->op == REQUEST_FLUSH;
	spin_unlock_irqrestore(&b->queue.lock, flags);
	if (added || !blk_is_broken(b))
		return added;
	finish(b, r, S_NONE);
	return true;
}

void blk_kick(struct blk *b)
{
	unsigned long flags = spin_lock_irqsave(&b->queue.lock);
	virtq_kick(&b->queue);
	spin_unlock_irqrestore(&b->queue.lock, flags);
}
