/* A disk on a bench (vdev_rig.h). Used by test_blk*.c and by the fuzz target. */
#ifndef TESTS_UNIT_BLK_RIG_H
#define TESTS_UNIT_BLK_RIG_H

#include "devices/virtio/blk.h"
#include "vdev_rig.h"

#define BLK_NONE 0x77u /* no answer, or a status that nobody wrote */

/* Where the rig keeps the request at hand: header, status, then data as the test likes. */
#define BLK_HDR    (RIG_DATA)
#define BLK_STATUS (RIG_DATA + 0x1000)
#define BLK_DATA   (RIG_DATA + 0x10000)

/* How the disk is made. */
struct blk_rig_opts {
	int fd;           /* the image; not taken over */
	const char *path; /* or this */
	uint16_t queue_size;
	bool uring;
	bool read_only;
	bool direct;
};

void blk_rig_open(struct rig *rig, const struct blk_rig_opts *opts);

/* A file of BYTES zeros in the current directory, already without a name. */
int blk_rig_image(uint64_t bytes);

/*
 * Make a request available: header, SEGS (in their order), status. AT numbers requests that are in
 * flight together (0 .. 511): each has its own header and status. Returns the chain's head.
 */
uint16_t blk_rig_add(struct rig *rig, unsigned at, uint32_t type, uint64_t sector,
                     const struct seg *segs, unsigned n);
uint8_t blk_rig_status(struct rig *rig, unsigned at);

/* Let the loop run until COUNT answers came, at most some seconds. Returns how many came. */
unsigned blk_rig_wait(struct rig *rig, unsigned count);

/* One request from beginning to end. Returns its status, or BLK_NONE; LEN: the used length. */
uint8_t blk_rig_do(struct rig *rig, uint32_t type, uint64_t sector, const struct seg *segs,
                   unsigned n, uint32_t *len);

#endif
