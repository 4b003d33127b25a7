/*
 * virtio-balloon (virtio 1.2, 5.5): a task follows the device's wish, and gives up or takes back
 * frames. It stops short of the last MiBs that the kernel itself needs.
 */
#ifndef GK_DRIVERS_BALLOON_H
#define GK_DRIVERS_BALLOON_H

#include "guest-kernel/drivers/virtio.h"

#define BALLOON_BATCH   256u
#define BALLOON_RESERVE (2ull << 20) /* bytes that the balloon does not take */

struct balloon {
	struct virtio_dev dev;
	struct virtq queues[2]; /* inflate, deflate */
	struct task *task;
	uint32_t *batch;  /* page frame numbers on their way to the device */
	struct list held; /* pages of frame numbers in the balloon */
	uint32_t actual_pages, wanted_pages;
	bool answered;
};

/* Takes DEV, which is copied, into use. False: balloon->dev.why. Task context. */
bool balloon_attach(struct balloon *b, const struct virtio_dev *dev);

#endif
