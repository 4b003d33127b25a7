/* See blk_rig.h. */
#include "blk_rig.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT_ROUNDS 2000 /* of up to 5 ms */
#define SEGS_MAX    322

int blk_rig_image(uint64_t bytes)
{
	char path[] = "blk-image-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);
	rig_must(fd >= 0 && unlink(path) == 0 && ftruncate(fd, (off_t)bytes) == 0, "image");
	return fd;
}

void blk_rig_open(struct rig *rig, const struct blk_rig_opts *opts)
{
	struct blk_opts o = {
	        .file = {.path = opts->path,
	                 .fd = opts->fd,
	                 .read_only = opts->read_only,
	                 .direct = opts->direct,
	                 .lock = true},
	        .serial = "serial",
	        .queue_size = opts->queue_size ? opts->queue_size : 256,
	        .uring = opts->uring,
	};
	vmm_err_info_t ei;
	struct vdev *vd;
	memset(rig, 0, sizeof(*rig));
	rig_must(blk_create(&o, 0, &vd, &ei) == VMM_OK, "blk_create");
	rig_attach(rig, vd);
}

uint16_t blk_rig_add(struct rig *rig, unsigned at, uint32_t type, uint64_t sector,
                     const struct seg *segs, unsigned n)
{
	struct seg all[SEGS_MAX];
	struct virtio_blk_outhdr hdr = {.type = type, .sector = sector};
	rig_must(n + 2 <= SEGS_MAX && at < 256, "blk_rig_add");
	memcpy(rig_mem(rig, BLK_HDR + at * 16, 16), &hdr, 16);
	*(uint8_t *)rig_mem(rig, BLK_STATUS + at, 1) = BLK_NONE;
	all[0] = (struct seg){BLK_HDR + at * 16, 16, false};
	if (n)
		memcpy(all + 1, segs, n * sizeof(*segs));
	all[n + 1] = (struct seg){BLK_STATUS + at, 1, true};
	return rig_add(rig, 0, all, n + 2);
}

uint8_t blk_rig_status(struct rig *rig, unsigned at)
{
	return *(uint8_t *)rig_mem(rig, BLK_STATUS + at, 1);
}

unsigned blk_rig_wait(struct rig *rig, unsigned count)
{
	const struct vring_used *u = rig_used_ring(rig, 0);
	uint16_t came = 0;
	for (unsigned i = 0; i < WAIT_ROUNDS; i++) {
		uint16_t idx = __atomic_load_n(&u->idx, __ATOMIC_ACQUIRE);
		came = (uint16_t)(idx - rig->q[0].used_seen);
		if (came >= count)
			break;
		loop_run_once(rig->loop, 5);
	}
	return came;
}

uint8_t blk_rig_do(struct rig *rig, uint32_t type, uint64_t sector, const struct seg *segs,
                   unsigned n, uint32_t *len)
{
	uint16_t head;
	uint32_t used_len;
	uint16_t want = blk_rig_add(rig, 0, type, sector, segs, n);
	vdev_kick(rig->vd, 0);
	if (blk_rig_wait(rig, 1) != 1 || !rig_used(rig, 0, &head, &used_len) || head != want)
		return BLK_NONE;
	if (len)
		*len = used_len;
	return blk_rig_status(rig, 0);
}
