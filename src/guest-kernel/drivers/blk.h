/* virtio-blk (virtio 1.2, 5.2): takes requests, and says when each is done. */
#ifndef GK_DRIVERS_BLK_H
#define GK_DRIVERS_BLK_H

#include "guest-kernel/block/request.h"
#include "guest-kernel/drivers/virtio.h"

struct blk {
	struct virtio_dev dev;
	struct virtq queue;
	uint64_t sectors;
	bool read_only, flushes;
	uint64_t reads, writes, flush_count, errors;
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

#endif
