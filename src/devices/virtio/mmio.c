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

static struct ring *selected(struct vmmio *m)
{
	return m->queue_sel < m->vd->queue_count ? &m->vd->queue[m->queue_sel].ring : NULL;
}

static uint32_t half(uint64_t value, uint32_t sel)
{
	return sel == 0 ? (uint32_t)value : sel == 1 ? (uint32_t)(value >> 32) : 0;
}

static void set_half(uint64_t *value, uint32_t sel, uint32_t half_value)
{
	if (sel == 0)
		*value = (*value & ~0xffffffffull) | half_value;
	else if (sel == 1)
		*value = (*value & 0xffffffffull) | ((uint64_t)half_value << 32);
}

static uint32_t read_reg(struct vmmio *m, uint64_t reg)
{
	struct vdev *vd = m->vd;
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
		return half(vdev_offered(vd), m->device_features_sel);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return selected(m) ? vd->queue[m->queue_sel].size_max : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return selected(m) ? selected(m)->ready : 0;
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return atomic_load(&vd->interrupt_status);
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
	struct vmmio *m = ctx;
	struct vdev *vd = m->vd;
	uint64_t value = 0;
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

/* A live queue can be stopped, and starts again only with the device (4.2.2.2). */
static void write_queue_ready(struct vmmio *m, struct ring *r, bool ready)
{
	if (!m->vd->active)
		r->ready = ready;
	else if (!ready)
		vdev_stop_queue(m->vd, m->queue_sel);
	else if (!r->ready)
		vdev_guest_error(m->vd, "queue %u made ready after DRIVER_OK", m->queue_sel);
}

/* The driver may describe a queue only while it is not ready (4.2.2.2). */
static void write_queue_reg(struct vmmio *m, uint64_t reg, uint32_t value)
{
	struct ring *r = selected(m);
	if (!r)
		return;
	if (reg == VIRTIO_MMIO_QUEUE_READY) {
		write_queue_ready(m, r, value & 1);
		return;
	}
	if (r->ready) {
		vdev_guest_error(m->vd, "queue %u described while it is ready", m->queue_sel);
		return;
	}
	switch (reg) {
	case VIRTIO_MMIO_QUEUE_NUM:
		/* Stored as it is, but never above the maximum: ring_start then refuses it. */
		r->size = value > m->vd->queue[m->queue_sel].size_max ? 0 : (uint16_t)value;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_half(&r->desc_addr.addr, (uint32_t)(reg - VIRTIO_MMIO_QUEUE_DESC_LOW) / 4,
		         value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_half(&r->avail_addr.addr, (uint32_t)(reg - VIRTIO_MMIO_QUEUE_AVAIL_LOW) / 4,
		         value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		set_half(&r->used_addr.addr, (uint32_t)(reg - VIRTIO_MMIO_QUEUE_USED_LOW) / 4,
		         value);
		break;
	default:
		break;
	}
}

static void write_reg(struct vmmio *m, uint64_t reg, uint32_t value)
{
	struct vdev *vd = m->vd;
	switch (reg) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		m->device_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		m->driver_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		if (vd->status & VIRTIO_CONFIG_S_FEATURES_OK)
			break;
		set_half(&vd->features_acked, m->driver_features_sel, value);
		if (m->driver_features_sel > 1 && value)
			vd->features_unknown = true;
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		m->queue_sel = value;
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		atomic_fetch_and(&vd->interrupt_status, ~value);
		break;
	case VIRTIO_MMIO_STATUS:
		vdev_set_status(vd, (uint8_t)value);
		if (value == 0)
			*m = (struct vmmio){.vd = vd};
		break;
	default:
		write_queue_reg(m, reg, value);
		break;
	}
}

static void mmio_write(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	struct vmmio *m = ctx;
	struct vdev *vd = m->vd;
	if (offset == VIRTIO_MMIO_QUEUE_NOTIFY) {
		/* Only without ioeventfd, or with a value that names no queue. */
		if (size == 4 && value < vd->queue_count)
			vdev_kick(vd, (unsigned)value);
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
