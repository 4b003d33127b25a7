/* virtio-blk (virtio 1.2, 5.2): takes requests, and says when each is done. */
#ifndef GK_DRIVERS_BLK_H
#define GK_DRIVERS_BLK_H

#include "guest-kernel/block/request.h"
#include "guest-kernel/drivers/virtio.h"

/*
 * A request that is not answered for so long, as far as blk_watch has seen time pass: the disk is
 * given up. Linux gives a SCSI disk as long.
 */
#define BLK_ANSWER_S  30
#define BLK_ANSWER_NS (BLK_ANSWER_S * NS_PER_S)
/* Between two looks no more time than this counts: a machine that stood still is no slow disk. */
#define BLK_LOOK_NS (10 * NS_PER_S)

struct blk {
	struct virtio_dev dev;
	struct virtq queue;
	uint64_t sectors;
	bool read_only, flushes;
	uint64_t reads, writes, flush_count, errors;
	uint64_t looked_ns, watched_ns; /* the last look; the time that has counted so far */
	/* There is room again. In interrupt context. */
	void (*room)(void *ctx);
	void *room_ctx;
};

/* Takes DEV, which is copied, into use. False: blk->dev.why says what is wrong. Task context. */
bool blk_attach(struct blk *b, const struct virtio_dev *dev);
/*
 * Hands R to the device; R is the driver's until r->done, and lies in memory of mem_alloc. False:
 * there is no room now (room() will be called). What the disk cannot do fails at once, by r->done.
 * Any context.
 */
bool blk_submit(struct blk *b, struct request *r);
/* Tells the device of what was submitted. */
void blk_kick(struct blk *b);
/* Gives the disk up if it owes an answer for too long. Whoever waits calls it again and again, at
 * least every BLK_LOOK_NS. Task context. */
void blk_watch(struct blk *b);
static inline bool blk_is_broken(const struct blk *b)
{
	return __atomic_load_n(&b->dev.broken, __ATOMIC_ACQUIRE);
}
/* It is not used any more, and still has memory that it was given: it could not be reset. */
static inline bool blk_has_memory(const struct blk *b)
{
	return __atomic_load_n(&b->dev.settled, __ATOMIC_ACQUIRE) && !b->dev.stopped;
}

#endif
