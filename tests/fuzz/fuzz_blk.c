/*
 * virtio-blk with a driver that means harm. The input is a program: each step writes to the rings
 * or to requests, notifies, or resets; or the image fails, or its limit changes. Whatever it does,
 * the disk must touch nothing outside the memory of its guest and the image, must not hang, and
 * must work for the next driver.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../unit/blk_rig.h"

#define DISK_BYTES (1u << 20)
#define FEATURES                                                       \
	(1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_BLK_F_DISCARD |   \
	 1ull << VIRTIO_BLK_F_WRITE_ZEROES | 1ull << VIRTIO_BLK_F_RO | \
	 1ull << VIRTIO_RING_F_INDIRECT_DESC)

struct input {
	const uint8_t *data;
	size_t left;
};

static uint64_t take(struct input *in, unsigned bytes)
{
	uint64_t v = 0;
	for (unsigned i = 0; i < bytes && in->left; i++, in->left--)
		v |= (uint64_t)*in->data++ << (8 * i);
	return v;
}

/* A request of the usual shape, apart from what the input says. */
static void add_request(struct rig *rig, struct input *in)
{
	static const uint32_t types[] = {VIRTIO_BLK_T_IN,      VIRTIO_BLK_T_OUT,
	                                 VIRTIO_BLK_T_FLUSH,   VIRTIO_BLK_T_GET_ID,
	                                 VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES,
	                                 VIRTIO_BLK_T_OUT,     VIRTIO_BLK_T_SECURE_ERASE};
	uint8_t how = (uint8_t)take(in, 1);
	uint64_t sector = take(in, 2);
	struct seg s[3];
	unsigned n = (how >> 3) % 4;
	if (how & 0x80)
		sector = ~sector; /* near the largest number there is */
	for (unsigned i = 0; i < n; i++) {
		uint64_t shape = take(in, 3);
		s[i].addr = BLK_DATA + (shape & 0xff) * 64;
		s[i].len = (uint32_t)(shape >> 8) & 0x3fff;
		if (shape >> 23)
			s[i].len &= ~511u;
		s[i].write = (shape >> 22) & 1;
	}
	(void)blk_rig_add(rig, (unsigned)take(in, 1), types[how & 7], sector, s, n);
}

/* The range of a discard or write-zeroes request, at a place where data lies. */
static void put_range(struct rig *rig, struct input *in)
{
	struct virtio_blk_discard_write_zeroes r;
	uint64_t at = BLK_DATA + take(in, 1) * 64;
	uint8_t how = (uint8_t)take(in, 1);
	r.sector = take(in, 2);
	r.num_sectors = (uint32_t)take(in, 2);
	r.flags = how & 7;
	if (how & 0x80)
		r.sector = ~r.sector;
	if (how & 0x40)
		r.num_sectors = ~r.num_sectors;
	memcpy(rig_mem(rig, at, sizeof(r)), &r, sizeof(r));
}

/* The host's side. An image that is cut short cannot be read, and grows where it is written. */
static void host_event(struct rig *rig, struct input *in, int image)
{
	uint8_t how = (uint8_t)take(in, 1);
	vmm_rate_t r = VMM_RATE_INIT;
	switch (how & 3) {
	case 0:
		rig_must(ftruncate(image, how & 0x80 ? DISK_BYTES : how * 512) == 0, "truncate");
		break;
	case 1:
		r.ops_per_second = take(in, 2);
		r.bytes_per_second = take(in, 2) << 8;
		blk_set_rate(rig->vd, how & 4 ? &r : NULL);
		break;
	case 2: /* 4.2.2.2 */
		(void)pthread_mutex_lock(&rig->vd->lock);
		vdev_stop_queue(rig->vd, 0);
		(void)pthread_mutex_unlock(&rig->vd->lock);
		break;
	default: {
		const struct blk_stats s = blk_stats(rig->vd);
		if (s.read_bytes % 512 || s.written_bytes % 512 || !blk_is(rig->vd) ||
		    !blk_engine(rig->vd))
			abort();
		break;
	}
	}
	loop_run_once(rig->loop, 2);
}

static void step(struct rig *rig, struct input *in, int image)
{
	uint64_t at;
	switch (take(in, 1) & 15) {
	case 0 ... 4:
		add_request(rig, in);
		break;
	case 5: { /* any descriptor */
		struct vring_desc *d = &rig_desc(rig, 0)[take(in, 1)];
		d->addr = take(in, 3);
		d->len = (uint32_t)take(in, 3);
		d->flags = (uint16_t)take(in, 1);
		d->next = (uint16_t)take(in, 1);
		break;
	}
	case 6:
		rig_avail(rig, 0)->ring[take(in, 1)] = (uint16_t)take(in, 2);
		break;
	case 7:
		rig_avail(rig, 0)->idx = (uint16_t)take(in, 2);
		break;
	case 8:
		put_range(rig, in);
		break;
	case 9: /* data: a header, an indirect table */
		at = BLK_HDR + take(in, 1) * 64;
		for (unsigned n = (unsigned)take(in, 1) % 64; n; n--)
			*(uint8_t *)rig_mem(rig, at++, 1) = (uint8_t)take(in, 1);
		break;
	case 10: /* used_event, or the flags */
		rig_avail(rig, 0)->ring[rig->q[0].size] = (uint16_t)take(in, 2);
		rig_avail(rig, 0)->flags = (uint16_t)take(in, 1);
		break;
	case 11:
		rig_reset(rig);
		rig_start(rig, (FEATURES | take(in, 4)) & vdev_offered(rig->vd));
		break;
	case 12:
		loop_run_once(rig->loop, 0);
		break;
	case 13:
		host_event(rig, in, image);
		break;
	default:
		vdev_kick(rig->vd, 0);
		break;
	}
}

static void open_disk(struct rig *rig, struct input *in, int image)
{
	uint8_t how = (uint8_t)take(in, 1);
	blk_rig_open(rig, &(struct blk_rig_opts){.fd = image,
	                                         .queue_size = (uint16_t)(4u << ((how >> 2) % 7)),
	                                         .uring = how & 1,
	                                         .read_only = how & 2});
	rig_start(rig, (FEATURES | take(in, 4)) & vdev_offered(rig->vd));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);

/* A guest may have several requests move the same bytes of its memory at once, here on the loop and
 * on a worker. That is its own affair; what else ThreadSanitizer sees is not. */
const char *__tsan_default_suppressions(void)
{
	return "race:^move$\n";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size < 4096 ? size : 4096};
	static struct rig rig;
	struct stat st;
	struct seg s = {BLK_DATA, 512, true};
	int image = memfd_create("image", MFD_CLOEXEC);
	rig_must(image >= 0 && ftruncate(image, DISK_BYTES) == 0, "image");
	open_disk(&rig, &in, image);
	while (in.left)
		step(&rig, &in, image);
	rig_kick(&rig, 0);
	/* An image that was as long as the disk stays so; another is mended. */
	if (fstat(image, &st) != 0 || st.st_size > DISK_BYTES || ftruncate(image, DISK_BYTES) != 0)
		abort();
	blk_set_rate(rig.vd, NULL);
	/* The next driver finds a disk that works, and the image has its size. */
	rig_reset(&rig);
	rig_start(&rig, 0);
	if (blk_rig_do(&rig, VIRTIO_BLK_T_IN, DISK_BYTES / 512 - 1, &s, 1, NULL) != 0)
		abort();
	if (fstat(image, &st) != 0 || st.st_size != DISK_BYTES)
		abort();
	rig_close(&rig);
	(void)close(image);
	return 0;
}
