/* The virtio-mmio driver of the test guests. */
#include "virtio.h"

/* Where virtio-mmio windows are: in our machine, and in QEMU's microvm. */
static const struct {
	uint64_t base;
	uint32_t stride;
	uint32_t count;
} windows[] = {
        {MACHINE_VIRTIO_MMIO, MACHINE_VIRTIO_MMIO_SIZE, MACHINE_VIRTIO_MAX},
        {0xfeb00000, 0x200, 24},
};

static struct vq queues[VIRTIO_QUEUES_MAX];

bool virtio_find(struct virtio *dev, uint32_t id, unsigned nth)
{
	for (unsigned w = 0; w < sizeof(windows) / sizeof(windows[0]); w++) {
		for (unsigned i = 0; i < windows[w].count; i++) {
			uint64_t base = windows[w].base + (uint64_t)windows[w].stride * i;
			if (mmio_read32(base + REG_MAGIC) != 0x74726976 ||
			    mmio_read32(base + REG_DEVICE_ID) != id || nth-- > 0)
				continue;
			*dev = (struct virtio){.base = base, .slot = i, .vq = queues};
			return virtio_reset(dev);
		}
	}
	return false;
}

bool virtio_reset(struct virtio *dev)
{
	set_reg(dev, REG_STATUS, 0);
	for (uint64_t end = rdtsc() + 4 * RT_TICKS_SECOND; rdtsc() < end; pause()) {
		if (reg(dev, REG_STATUS) == 0)
			return true;
	}
	return false;
}

bool virtio_features(struct virtio *dev, uint64_t wanted)
{
	uint64_t offered = 0;
	for (uint32_t i = 0; i < 2; i++) {
		set_reg(dev, REG_DEVICE_SEL, i);
		offered |= (uint64_t)reg(dev, REG_DEVICE_FEATURES) << (32 * i);
	}
	dev->features = offered & (wanted | VIRTIO_F_VERSION_1);
	set_reg(dev, REG_STATUS, STATUS_ACKNOWLEDGE);
	set_reg(dev, REG_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	for (uint32_t i = 0; i < 2; i++) {
		set_reg(dev, REG_DRIVER_SEL, i);
		set_reg(dev, REG_DRIVER_FEATURES, (uint32_t)(dev->features >> (32 * i)));
	}
	set_reg(dev, REG_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
	return reg(dev, REG_STATUS) & STATUS_FEATURES_OK;
}

static void set_address(const struct virtio *dev, uint32_t offset, uint64_t addr)
{
	set_reg(dev, offset, (uint32_t)addr);
	set_reg(dev, offset + 4, (uint32_t)(addr >> 32));
}

bool virtio_queue(struct virtio *dev, unsigned i)
{
	struct vq *q = &dev->vq[i];
	memset(q, 0, sizeof(*q));
	q->index = i;
	q->base = dev->base;
	set_reg(dev, REG_QUEUE_SEL, i);
	if (reg(dev, REG_QUEUE_READY) != 0 || reg(dev, REG_QUEUE_SIZE_MAX) < VQ_SIZE)
		return false;
	set_reg(dev, REG_QUEUE_SIZE, VQ_SIZE);
	set_address(dev, REG_QUEUE_DESC, (uint64_t)q->desc);
	set_address(dev, REG_QUEUE_DRIVER, (uint64_t)&q->avail);
	set_address(dev, REG_QUEUE_DEVICE, (uint64_t)&q->used);
	set_reg(dev, REG_QUEUE_READY, 1);
	return reg(dev, REG_QUEUE_READY) == 1;
}

bool virtio_start(struct virtio *dev, uint64_t wanted, unsigned count, struct vq *vqs)
{
	if (vqs)
		dev->vq = vqs;
	dev->queue_count = count;
	if (!virtio_reset(dev) || !virtio_features(dev, wanted))
		return false;
	for (unsigned i = 0; i < count; i++) {
		if (!virtio_queue(dev, i))
			return false;
	}
	set_reg(dev, REG_STATUS,
	        STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
	return !virtio_needs_reset(dev);
}

bool virtio_needs_reset(const struct virtio *dev)
{
	return reg(dev, REG_STATUS) & STATUS_NEEDS_RESET;
}

void vq_desc(struct vq *q, unsigned i, const void *addr, uint32_t len, uint16_t flags,
             uint16_t next)
{
	q->desc[i] = (struct desc){(uint64_t)addr, len, flags, next};
}

void vq_offer(struct vq *q, uint16_t head)
{
	q->avail.ring[q->avail.idx % VQ_SIZE] = head;
	barrier(); /* the entry before the index, for the device */
	(*(volatile uint16_t *)&q->avail.idx)++;
}

void vq_kick(struct vq *q)
{
	barrier();
	mmio_write32(q->base + REG_QUEUE_NOTIFY, q->index);
}

bool vq_wait_for(struct vq *q, uint32_t *len, uint64_t ticks)
{
	volatile uint16_t *idx = &q->used.idx;
	uint64_t end = rdtsc() + ticks;
	while (*idx == q->used_seen) {
		if (rdtsc() >= end)
			return false;
		pause();
	}
	if (len)
		*len = q->used.ring[q->used_seen % VQ_SIZE].len;
	q->used_seen++;
	return true;
}

bool vq_wait(struct vq *q, uint32_t *len)
{
	return vq_wait_for(q, len, 4 * RT_TICKS_SECOND);
}
