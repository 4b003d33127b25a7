/* The entropy device, used well and badly (virtio 1.2, 5.4). */
#include "virtio.h"

static uint8_t bytes[4096];

static bool good(struct virtio *dev)
{
	struct vq *q = &dev->vq[0];
	memset(bytes, 0, 64);
	vq_desc(q, 0, bytes, 64, DESC_WRITE, 0);
	vq_offer(q, 0);
	vq_kick(q);
	uint32_t len = 0;
	if (!vq_wait(q, &len) || len == 0 || len > 64)
		return false;
	uint8_t any = 0;
	for (unsigned i = 0; i < len; i++)
		any |= bytes[i];
	return any != 0;
}

static const struct ring_abuse abuse = {
        .id = VIRTIO_ID_RNG,
        .features = VIRTIO_F_INDIRECT_DESC,
        .queues = 1,
        .good = good,
};

void guest_main(void)
{
	struct virtio dev;
	if (!virtio_find(&dev, VIRTIO_ID_RNG, 0) || !virtio_start(&dev, 0, 1, NULL)) {
		check("device", false);
		return;
	}
	check("random bytes", good(&dev));

	vq_desc(&dev.vq[0], 0, bytes, 64, 0, 0);
	vq_offer(&dev.vq[0], 0);
	vq_kick(&dev.vq[0]);
	(void)abuse_settled(&dev, &dev.vq[0]);
	abuse_recovers(&abuse, &dev, "a buffer that the device may only read");

	ring_abuse_all(&abuse);
	transport_abuse_all(&abuse);
}
