/* virtio over mmio (virtio 1.2, 4.2). See virtio.h. */
#include "virtio_priv.h"

#define MAGIC 0x74726976u

static uint32_t reg(const struct virtio_dev *dev, uint32_t offset)
{
	return arch_mmio_read32(dev->regs, offset);
}

static void set_reg(struct virtio_dev *dev, uint32_t offset, uint32_t value)
{
	arch_mmio_write32(dev->regs, offset, value);
}

static uint32_t status(const struct virtio_dev *dev)
{
	return reg(dev, REG_STATUS);
}

static void set_status(struct virtio_dev *dev, uint32_t value)
{
	set_reg(dev, REG_STATUS, value);
}

static uint64_t offered(struct virtio_dev *dev)
{
	uint64_t features = 0;
	for (uint32_t i = 0; i < 2; i++) {
		set_reg(dev, REG_DEVICE_FEATURES_SEL, i);
		features |= (uint64_t)reg(dev, REG_DEVICE_FEATURES) << (32 * i);
	}
	return features;
}

static void accept(struct virtio_dev *dev, uint64_t features)
{
	for (uint32_t i = 0; i < 2; i++) {
		set_reg(dev, REG_DRIVER_FEATURES_SEL, i);
		set_reg(dev, REG_DRIVER_FEATURES, (uint32_t)(features >> (32 * i)));
	}
}

static uint32_t queue_max(struct virtio_dev *dev, unsigned i)
{
	set_reg(dev, REG_QUEUE_SEL, i);
	uint32_t max = reg(dev, REG_QUEUE_SIZE_MAX);
	return reg(dev, REG_QUEUE_READY) == 0 ? max : 0;
}

static void set_address(struct virtio_dev *dev, uint32_t offset, const void *p)
{
	uint64_t phys = arch_phys(p);
	set_reg(dev, offset, (uint32_t)phys);
	set_reg(dev, offset + 4, (uint32_t)(phys >> 32));
}

static bool queue_start(struct virtio_dev *dev, struct virtq *q)
{
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
	virtio_interrupt(dev, why);
}

static bool prepare(struct virtio_dev *dev)
{
	(void)dev;
	return true;
}

static bool connect(struct virtio_dev *dev)
{
	return arch_irq_attach(dev->gsi, dev->level, on_interrupt, dev);
}

static void notify(struct virtq *q)
{
	set_reg(q->dev, REG_QUEUE_NOTIFY, q->index);
}

static uint32_t config(const struct virtio_dev *dev, uint32_t offset, unsigned size)
{
	return size == 1   ? arch_mmio_read8(dev->regs, REG_CONFIG + offset)
	       : size == 2 ? arch_mmio_read16(dev->regs, REG_CONFIG + offset)
	                   : reg(dev, REG_CONFIG + offset);
}

static void set_config(struct virtio_dev *dev, uint32_t offset, uint32_t value)
{
	set_reg(dev, REG_CONFIG + offset, value);
}

static uint32_t generation(const struct virtio_dev *dev)
{
	return reg(dev, REG_CONFIG_GENERATION);
}

static const struct virtio_transport transport = {
        .place = "slot",
        .status = status,
        .set_status = set_status,
        .offered = offered,
        .accept = accept,
        .queue_max = queue_max,
        .queue_start = queue_start,
        .prepare = prepare,
        .connect = connect,
        .notify = notify,
        .config = config,
        .set_config = set_config,
        .generation = generation,
};

bool virtio_probe(const struct arch_boot *boot, unsigned slot, struct virtio_dev *dev)
{
	const struct arch_virtio_slot *s = &boot->virtio[slot];
	*dev = (struct virtio_dev){
	        .transport = &transport, .slot = slot, .gsi = s->gsi, .level = s->level};
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
