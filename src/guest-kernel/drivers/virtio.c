/* virtio-mmio: the device. See virtio.h; virtq.c has the rings. */
#include "virtio_priv.h"

#include <string.h>

#define MAGIC       0x74726976u
#define RESET_NS    (500 * NS_PER_MS)
#define TRIES       1000u
#define TABLE_BYTES (VIRTQ_SEGS_MAX * (unsigned)sizeof(struct vring_desc))

static uint32_t reg(const struct virtio_dev *dev, uint32_t offset)
{
	return arch_mmio_read32(dev->regs, offset);
}

static void set_reg(struct virtio_dev *dev, uint32_t offset, uint32_t value)
{
	arch_mmio_write32(dev->regs, offset, value);
}

static bool reset(struct virtio_dev *dev)
{
	set_reg(dev, REG_STATUS, 0);
	for (uint64_t end = arch_now_ns() + RESET_NS; reg(dev, REG_STATUS) != 0;) {
		if (arch_now_ns() > end)
			return false;
		arch_cpu_relax();
	}
	return true;
}

bool virtio_probe(const struct arch_boot *boot, unsigned slot, struct virtio_dev *dev)
{
	const struct arch_virtio_slot *s = &boot->virtio[slot];
	*dev = (struct virtio_dev){.slot = slot, .gsi = s->gsi};
	dev->regs = arch_mmio_map(s->base, s->len_bytes);
	if (!dev->regs || reg(dev, REG_MAGIC) != MAGIC)
		return false;
	dev->id = reg(dev, REG_DEVICE_ID);
	if (dev->id == 0)
		return false;
	if (reg(dev, REG_VERSION) == 2)
		return true;
	log_warning("virtio slot %u: a legacy device (with QEMU: -global "
	            "virtio-mmio.force-legacy=false)",
	            slot);
	return false;
}

bool virtio_agree(struct virtio_dev *dev, uint64_t wanted)
{
	uint64_t offered = 0;
	if (!reset(dev)) {
		dev->why = "does not reset";
		return false;
	}
	set_reg(dev, REG_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	for (uint32_t i = 0; i < 2; i++) {
		set_reg(dev, REG_DEVICE_FEATURES_SEL, i);
		offered |= (uint64_t)reg(dev, REG_DEVICE_FEATURES) << (32 * i);
	}
	dev->features = offered &
	                (wanted | VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC);
	for (uint32_t i = 0; i < 2; i++) {
		set_reg(dev, REG_DRIVER_FEATURES_SEL, i);
		set_reg(dev, REG_DRIVER_FEATURES, (uint32_t)(dev->features >> (32 * i)));
	}
	set_reg(dev, REG_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
	if (!virtio_has(dev, VIRTIO_F_VERSION_1))
		dev->why = "is of before virtio 1.0";
	else if (!(reg(dev, REG_STATUS) & STATUS_FEATURES_OK))
		dev->why = "does not agree to its own features";
	return dev->why == NULL;
}

static void set_address(struct virtio_dev *dev, uint32_t offset, const void *p)
{
	uint64_t phys = arch_phys(p);
	set_reg(dev, offset, (uint32_t)phys);
	set_reg(dev, offset + 4, (uint32_t)(phys >> 32));
}

static bool get_memory(struct virtq *q)
{
	q->page = mem_pages(1);
	if (!q->page)
		return false;
	memset(q->page, 0, ARCH_PAGE_SIZE);
	if (virtio_has(q->dev, VIRTIO_F_INDIRECT_DESC))
		q->tables =
		        mem_pages((q->size * TABLE_BYTES + ARCH_PAGE_SIZE - 1) / ARCH_PAGE_SIZE);
	return q->tables || !virtio_has(q->dev, VIRTIO_F_INDIRECT_DESC);
}

static bool setup_queue(struct virtio_dev *dev, unsigned i, unsigned size)
{
	struct virtq *q = &dev->queues[i];
	*q = (struct virtq){.dev = dev, .index = (uint16_t)i};
	spin_init_named(&q->lock, "virtq");
	set_reg(dev, REG_QUEUE_SEL, i);
	uint32_t max = reg(dev, REG_QUEUE_SIZE_MAX);
	if (max == 0 || reg(dev, REG_QUEUE_READY) != 0)
		return false;
	q->size = 1;
	while (q->size * 2u <= max && q->size * 2u <= size)
		q->size = (uint16_t)(q->size * 2);
	if (!get_memory(q))
		return false;
	virtq_reset(q);
	set_reg(dev, REG_QUEUE_SIZE, q->size);
	set_address(dev, REG_QUEUE_DESC, virtq_desc(q));
	set_address(dev, REG_QUEUE_DRIVER, virtq_avail(q));
	set_address(dev, REG_QUEUE_DEVICE, virtq_used(q));
	set_reg(dev, REG_QUEUE_READY, 1);
	return true;
}

static void on_interrupt(void *ctx)
{
	struct virtio_dev *dev = ctx;
	uint32_t why = reg(dev, REG_INTERRUPT_STATUS);
	if (why == 0)
		return; /* another device's, on a shared line */
	set_reg(dev, REG_INTERRUPT_ACK, why);
	dev->interrupts++;
	if (__atomic_load_n(&dev->broken, __ATOMIC_RELAXED))
		return;
	if (why & 2 && reg(dev, REG_STATUS) & STATUS_NEEDS_RESET) {
		virtio_fail(dev, "asks to be reset");
		return;
	}
	if (why & 2 && dev->on_config)
		dev->on_config(dev);
	for (unsigned i = 0; why & 1 && i < dev->queue_count; i++)
		dev->on_queue(dev, &dev->queues[i]);
}

bool virtio_go(struct virtio_dev *dev, struct virtq *queues, unsigned count, unsigned size)
{
	dev->queues = queues;
	size = size < VIRTQ_SIZE_MAX ? size : VIRTQ_SIZE_MAX;
	for (unsigned i = 0; i < count; i++) {
		if (!setup_queue(dev, i, size)) {
			dev->why =
			        "has not the queues that it should, or there is no memory for them";
			(void)reset(dev);
			for (unsigned k = 0; k <= i; k++)
				virtq_free_memory(&queues[k]);
			return false;
		}
	}
	dev->queue_count = count;
	if (!arch_irq_attach(dev->gsi, false, on_interrupt, dev)) {
		dev->why = "has an interrupt line that does not exist";
		(void)reset(dev);
		return false;
	}
	set_reg(dev, REG_STATUS,
	        STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
	return true;
}

void virtio_fail(struct virtio_dev *dev, const char *why)
{
	if (__atomic_exchange_n(&dev->broken, true, __ATOMIC_RELAXED))
		return;
	dev->why = why;
	set_reg(dev, REG_STATUS, STATUS_FAILED);
	log_error("virtio device %u (id %u): %s; it is not used any more", dev->slot, dev->id, why);
}

void virtio_stop(struct virtio_dev *dev)
{
	__atomic_store_n(&dev->broken, true, __ATOMIC_RELAXED);
	(void)reset(dev);
}

uint8_t virtio_config8(const struct virtio_dev *dev, uint32_t offset)
{
	return arch_mmio_read8(dev->regs, REG_CONFIG + offset);
}

uint32_t virtio_config32(const struct virtio_dev *dev, uint32_t offset)
{
	return reg(dev, REG_CONFIG + offset);
}

uint64_t virtio_config64(const struct virtio_dev *dev, uint32_t offset)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < TRIES; i++) {
		uint32_t generation = reg(dev, REG_CONFIG_GENERATION);
		value = virtio_config32(dev, offset);
		value |= (uint64_t)virtio_config32(dev, offset + 4) << 32;
		if (reg(dev, REG_CONFIG_GENERATION) == generation)
			break;
	}
	return value;
}

void virtio_config_set32(struct virtio_dev *dev, uint32_t offset, uint32_t value)
{
	set_reg(dev, REG_CONFIG + offset, value);
}

void virtq_notify(struct virtq *q)
{
	set_reg(q->dev, REG_QUEUE_NOTIFY, q->index);
}
