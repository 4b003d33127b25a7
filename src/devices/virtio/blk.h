/*
 * virtio-blk: a disk (virtio 1.2, 5.2) in front of an image. Data moves straight between the image
 * and the guest's memory; the loop never waits for it.
 */
#ifndef SRC_DEVICES_VIRTIO_BLK_H
#define SRC_DEVICES_VIRTIO_BLK_H

#include <linux/virtio_blk.h>

#include "devices/disk/disk_file.h"
#include "devices/virtio/dev.h"
#include "vmm/rate.h"

struct blk;

struct blk_opts {
	struct disk_file_opts file;
	uint8_t serial[VIRTIO_BLK_ID_BYTES]; /* padded with zeros */
	uint16_t queue_size;                 /* power of two, BLK_QUEUE_MIN to RING_SIZE_MAX */
	bool uring;                          /* io_uring where the host has it, else threads */
	const vmm_rate_t *rate;              /* which rate_check passed; NULL: no limit */
};

#define BLK_QUEUE_MIN 4u

/* What one disk did. Under the disk's lock. */
struct blk_stats {
	uint64_t reads, read_bytes;
	uint64_t writes, written_bytes;
	uint64_t at_once; /* of these: without a disk, from the page cache or in memory */
	uint64_t flushes;
	uint64_t ranges;   /* discard and write-zeroes requests */
	uint64_t refused;  /* requests that the driver should not have made, or of unknown type */
	uint64_t failures; /* of the host */
};

/* Open the image and make disk number INDEX. Errors: those of disk_file_open, and VMM_E_NOMEM. */
VMM_WARN_UNUSED vmm_err_t blk_create(const struct blk_opts *opts, unsigned index, struct vdev **out,
                                     vmm_err_info_t *ei);

/* Is VD a disk that blk_create made? */
bool blk_is(const struct vdev *vd);

struct blk_stats blk_stats(struct vdev *vd);

/* Go on with the limit RATE, which rate_check passed; NULL: none. Any thread. */
void blk_set_rate(struct vdev *vd, const vmm_rate_t *rate);

/* "io_uring" or "threads": what reads, writes and flushes. */
const char *blk_engine(struct vdev *vd);

#endif
