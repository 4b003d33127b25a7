/* The disk, used well and badly (virtio 1.2, 5.2). Disk 0: at least 1 MiB, writable. */
#include "virtio.h"

#define BLK_F_RO           (1ull << 5)
#define BLK_F_FLUSH        (1ull << 9)
#define BLK_F_DISCARD      (1ull << 13)
#define BLK_F_WRITE_ZEROES (1ull << 14)

#define BLK_IN             0u
#define BLK_OUT            1u
#define BLK_FLUSH          4u
#define BLK_GET_ID         8u
#define BLK_DISCARD        11u
#define BLK_WRITE_ZEROES   13u

#define BLK_OK             0u
#define BLK_UNSUP          2u
#define NO_STATUS          0x77u

struct header {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector;
};

struct range {
	uint64_t sector;
	uint32_t sectors;
	uint32_t flags;
};

static struct header header;
static uint8_t data[8192] __attribute__((aligned(512)));
static volatile uint8_t status;

/* Offer the chain from descriptor 0 on; the status the device gave, or NO_STATUS. */
static uint8_t submit(struct virtio *dev)
{
	struct vq *q = &dev->vq[0];
	status = NO_STATUS;
	vq_offer(q, 0);
	vq_kick(q);
	for (uint64_t end = rdtsc() + 2 * RT_TICKS_SECOND; rdtsc() < end; pause()) {
		if (vq_wait_for(q, NULL, 0))
			return status;
		if (virtio_needs_reset(dev))
			break;
	}
	return NO_STATUS;
}

/* The ordinary shape: header, DATA_LEN bytes, status. */
static uint8_t request(struct virtio *dev, uint32_t type, uint64_t sector, uint32_t data_len)
{
	struct vq *q = &dev->vq[0];
	bool to_guest = type == BLK_IN || type == BLK_GET_ID;
	header = (struct header){.type = type, .sector = sector};
	unsigned n = 0;
	vq_desc(q, n, &header, sizeof(header), DESC_NEXT, (uint16_t)(n + 1));
	n++;
	if (data_len > 0) {
		uint16_t flags = DESC_NEXT | (to_guest ? DESC_WRITE : 0);
		vq_desc(q, n, data, data_len, flags, (uint16_t)(n + 1));
		n++;
	}
	vq_desc(q, n, (const void *)&status, 1, DESC_WRITE, 0);
	return submit(dev);
}

static bool good(struct virtio *dev)
{
	for (unsigned i = 0; i < 1024; i++)
		data[i] = (uint8_t)(i * 31 + 7);
	if (request(dev, BLK_OUT, 8, 1024) != BLK_OK)
		return false;
	memset(data, 0, 1024);
	if (request(dev, BLK_IN, 8, 1024) != BLK_OK)
		return false;
	for (unsigned i = 0; i < 1024; i++) {
		if (data[i] != (uint8_t)(i * 31 + 7))
			return false;
	}
	return true;
}

static const struct ring_abuse abuse = {
        .id = VIRTIO_ID_BLOCK,
        .features = VIRTIO_F_INDIRECT_DESC | BLK_F_FLUSH | BLK_F_DISCARD | BLK_F_WRITE_ZEROES,
        .queues = 1,
        .good = good,
};

static uint64_t capacity(const struct virtio *dev)
{
	return reg(dev, REG_CONFIG) | (uint64_t)reg(dev, REG_CONFIG + 4) << 32;
}

/* NAME passes if the device refused (did not say OK) and still works. */
static void refused(struct virtio *dev, const char *name, uint8_t result)
{
	if (result == BLK_OK) {
		check(name, false);
		return;
	}
	if (virtio_needs_reset(dev))
		abuse_recovers(&abuse, dev, name);
	else
		check(name, good(dev));
}

static void bad_places(struct virtio *dev)
{
	uint64_t end = capacity(dev);
	refused(dev, "read at the end", request(dev, BLK_IN, end, 512));
	refused(dev, "read across the end", request(dev, BLK_IN, end - 1, 1024));
	refused(dev, "write at the end", request(dev, BLK_OUT, end, 512));
	refused(dev, "write at sector 2^63", request(dev, BLK_OUT, 1ull << 63, 512));
	refused(dev, "write at the last sector number", request(dev, BLK_OUT, ~0ull, 512));
	refused(dev, "byte offset wraps", request(dev, BLK_IN, 1ull << 55, 512));
	check_eq("last sector", request(dev, BLK_IN, end - 1, 512), BLK_OK);
}

static void bad_shapes(struct virtio *dev)
{
	struct vq *q = &dev->vq[0];
	refused(dev, "data of 100 bytes", request(dev, BLK_IN, 0, 100));
	refused(dev, "data of 513 bytes", request(dev, BLK_OUT, 0, 513));

	header = (struct header){.type = BLK_IN};
	vq_desc(q, 0, &header, 8, DESC_NEXT, 1);
	vq_desc(q, 1, (const void *)&status, 1, DESC_WRITE, 0);
	refused(dev, "header of 8 bytes", submit(dev));

	vq_desc(q, 0, &header, sizeof(header), 0, 0);
	(void)submit(dev);
	refused(dev, "header only", NO_STATUS);

	vq_desc(q, 0, (const void *)&status, 1, DESC_WRITE, 0);
	refused(dev, "status only", submit(dev));

	vq_desc(q, 0, &header, sizeof(header), DESC_NEXT | DESC_WRITE, 1);
	vq_desc(q, 1, (const void *)&status, 1, DESC_WRITE, 0);
	refused(dev, "header that the device may only write", submit(dev));

	header = (struct header){.type = BLK_IN};
	vq_desc(q, 0, &header, sizeof(header), DESC_NEXT, 1);
	vq_desc(q, 1, data, 512, DESC_NEXT, 2);
	vq_desc(q, 2, (const void *)&status, 1, DESC_WRITE, 0);
	refused(dev, "read into a buffer that is readable only", submit(dev));

	header = (struct header){.type = BLK_OUT};
	vq_desc(q, 0, &header, sizeof(header), DESC_NEXT, 1);
	vq_desc(q, 1, data, 512, DESC_NEXT | DESC_WRITE, 2);
	vq_desc(q, 2, (const void *)&status, 1, DESC_WRITE, 0);
	refused(dev, "write from a buffer that is writable only", submit(dev));

	header = (struct header){.type = BLK_IN};
	vq_desc(q, 0, &header, 5, DESC_NEXT, 1);
	vq_desc(q, 1, (uint8_t *)&header + 5, 11, DESC_NEXT, 2);
	vq_desc(q, 2, data, 300, DESC_NEXT | DESC_WRITE, 3);
	vq_desc(q, 3, data + 300, 212, DESC_NEXT | DESC_WRITE, 4);
	vq_desc(q, 4, (const void *)&status, 1, DESC_WRITE, 0);
	check_eq("header and data in odd pieces are allowed", submit(dev), BLK_OK);
}

static void bad_types(struct virtio *dev)
{
	check_eq("unknown type is unsupported", request(dev, 999, 0, 512), BLK_UNSUP);
	check_eq("type 0xffffffff is unsupported", request(dev, 0xffffffff, 0, 0), BLK_UNSUP);
	check_eq("identity", request(dev, BLK_GET_ID, 0, 20), BLK_OK);
	(void)request(dev, BLK_GET_ID, 0, 3);
	refused(dev, "identity into 3 bytes", NO_STATUS);
	if (dev->features & BLK_F_FLUSH)
		check_eq("flush", request(dev, BLK_FLUSH, 0, 0), BLK_OK);

	struct range *r = (struct range *)data;
	static const struct {
		const char *name;
		struct range range;
		uint32_t len;
	} ranges[] = {
	        {"range beyond the end", {~0ull - 4, 8, 0}, 16},
	        {"range that wraps", {~0ull, 0xffffffff, 0}, 16},
	        {"range of 2^32 - 1 sectors", {0, 0xffffffff, 0}, 16},
	        {"range with unknown flags", {0, 8, 0xfffffffe}, 16},
	        {"range of 15 bytes", {0, 8, 0}, 15},
	        {"no range", {0, 8, 0}, 0},
	};
	for (unsigned i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		*r = ranges[i].range;
		(void)request(dev, BLK_DISCARD, 0, ranges[i].len);
		if (!virtio_needs_reset(dev)) {
			*r = ranges[i].range;
			(void)request(dev, BLK_WRITE_ZEROES, 0, ranges[i].len);
		}
		abuse_recovers(&abuse, dev, ranges[i].name);
	}
	if (dev->features & BLK_F_WRITE_ZEROES) {
		*r = (struct range){8, 2, 0};
		check_eq("write zeroes", request(dev, BLK_WRITE_ZEROES, 0, 16), BLK_OK);
		check_eq("read back", request(dev, BLK_IN, 8, 1024), BLK_OK);
		uint8_t any = 0;
		for (unsigned i = 0; i < 1024; i++)
			any |= data[i];
		check_eq("zeroes", any, 0);
	}
}

static void read_only(void)
{
	struct virtio dev;
	if (!virtio_find(&dev, VIRTIO_ID_BLOCK, 1) || !virtio_start(&dev, BLK_F_RO, 1, NULL)) {
		print("SKIP read-only disk: there is none\n");
		return;
	}
	check("read-only is told", dev.features & BLK_F_RO);
	check_eq("read", request(&dev, BLK_IN, 0, 512), BLK_OK);
	check("write is refused", request(&dev, BLK_OUT, 0, 512) != BLK_OK);
	check_eq("read after it", request(&dev, BLK_IN, 0, 512), BLK_OK);
}

void guest_main(void)
{
	struct virtio dev;
	if (!virtio_find(&dev, VIRTIO_ID_BLOCK, 0) ||
	    !virtio_start(&dev, abuse.features, 1, NULL)) {
		check("device", false);
		return;
	}
	check("write and read back", good(&dev));
	bad_places(&dev);
	bad_shapes(&dev);
	bad_types(&dev);
	ring_abuse_all(&abuse);
	transport_abuse_all(&abuse);
	read_only();
}
