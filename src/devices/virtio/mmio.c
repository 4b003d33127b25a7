/* virtio over mmio. See mmio.h. */
#include "devices/virtio/mmio.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>

#define MAGIC     0x74726976u /* "virt" */
#define VERSION   2u
#define VENDOR_ID 0x004d4d56u /* "VMM" */

static void signal(struct vdev *vd, uint32_t bit)
{
	atomic_fetch_or(&vd->interrupt_status, bit);
	irq_pulse(&vd->irq);
}

static void signal_used(struct vdev *vd, unsigned q)
{
	(void)q;
	signal(vd, VIRTIO_MMIO_INT_VRING);
}

static void signal_config(struct vdev *vd)
{
	signal(vd, VIRTIO_MMIO_INT_CONFIG);
}

const struct vdev_transport vmmio_transport = {signal_used, signal_config};

static uint32_t read_reg(const struct vregs *m, uint64_t reg)
{
	struct vdev *vd = m->vd;
	const struct vqueue *vq = vregs_queue(m);
	switch (reg) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MAGIC;
	case VIRTIO_MMIO_VERSION:
		return VERSION;
	case VIRTIO_MMIO_DEVICE_ID:
		return vd->ops->device_id;
	case VIRTIO_MMIO_VENDOR_ID:
		return VENDOR_ID;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return vregs_device_features(m);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return vq ? vq->size_max : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return vq ? vq->ring.ready : 0;
	case VIRTIO_MMIO_STATUS:
		return vd->status;
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return vd->config_generation;
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return UINT32_MAX; /* no shared memory regions (4.2.2) */
	default:
		return 0;
	}
}

static uint64_t mmio_read(void *ctx, uint64_t offset, unsigned size)
{
	struct vregs *m = ctx;
	struct vdev *vd = m->vd;
	uint64_t value = 0;
	/* Asked for each interrupt, which the loop may still be holding the lock for. */
	if (offset == VIRTIO_MMIO_INTERRUPT_STATUS && size == 4)
		return atomic_load(&vd->interrupt_status);
	(void)pthread_mutex_lock(&vd->lock);
	if (offset >= VIRTIO_MMIO_CONFIG)
		value = vdev_config_read(vd, offset - VIRTIO_MMIO_CONFIG, size);
	else if (size == 4 && !(offset & 3))
		value = read_reg(m, offset);
	else
		vdev_guest_error(vd, "read of %u bytes at register 0x%llx", size,
		                 (unsigned long long)offset);
	(void)pthread_mutex_unlock(&vd->lock);
	return value;
}

static void write_reg(struct vregs *m, uint64_t reg, uint32_t value)
{
	switch (reg) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		m->device_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		m->driver_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		vregs_set_driver_features(m, value);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		m->queue_sel = value;
		break;
	case VIRTIO_MMIO_STATUS:
		vregs_set_status(m, (uint8_t)value);
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		vregs_set_queue_ready(m, value & 1);
		break;
	case VIRTIO_MMIO_QUEUE_NUM:
		vregs_set_queue_size(m, value);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		vregs_set_queue_half(m, VREGS_DESC, reg == VIRTIO_MMIO_QUEUE_DESC_HIGH, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		vregs_set_queue_half(m, VREGS_AVAIL, reg == VIRTIO_MMIO_QUEUE_AVAIL_HIGH, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		vregs_set_queue_half(m, VREGS_USED, reg == VIRTIO_MMIO_QUEUE_USED_HIGH, value);
		break;
	default:
		break;
	}
}

static void mmio_write(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	struct vregs *m = ctx;
	struct vdev *vd = m->vd;
	if (offset == VIRTIO_MMIO_QUEUE_NOTIFY) {
		/* Only without ioeventfd, or with a value that names no queue. */
		if (size == 4 && value < vd->queue_count)
			vdev_kick(vd, (unsigned)value);
		return;
	}
	if (offset == VIRTIO_MMIO_INTERRUPT_ACK && size == 4) {
		atomic_fetch_and(&vd->interrupt_status, ~(uint32_t)value);
		return;
	}
	(void)pthread_mutex_lock(&vd->lock);
	if (offset >= VIRTIO_MMIO_CONFIG)
		vdev_config_write(vd, offset - VIRTIO_MMIO_CONFIG, size, value);
	else if (size == 4 && !(offset & 3))
		write_reg(m, offset, (uint32_t)value);
	else
		vdev_guest_error(vd, "write of %u bytes at register 0x%llx", size,
		                 (unsigned long long)offset);
	(void)pthread_mutex_unlock(&vd->lock);
}

const struct bus_ops vmmio_bus_ops = {mmio_read, mmio_write};
