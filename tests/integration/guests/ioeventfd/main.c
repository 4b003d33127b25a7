/*
 * Kicks of a queue go to an eventfd inside the kernel: the vCPU does not leave. The runner compares
 * the number of its MMIO exits with the thousand kicks made here.
 */
#include "virtio.h"

static uint8_t random_bytes[256];

void guest_main(void)
{
	struct virtio dev;
	if (!virtio_find(&dev, VIRTIO_ID_RNG, 0) || !virtio_start(&dev, 0, 1, NULL)) {
		check("entropy device", false);
		return;
	}
	for (unsigned i = 0; i < 1000; i++)
		vq_kick(&dev.vq[0]);
	uint32_t len = 0;
	vq_desc(&dev.vq[0], 0, random_bytes, sizeof(random_bytes), DESC_WRITE, 0);
	vq_offer(&dev.vq[0], 0);
	vq_kick(&dev.vq[0]);
	check("answered after a thousand idle kicks", vq_wait(&dev.vq[0], &len));
	check("with bytes", len > 0 && len <= sizeof(random_bytes));
}
