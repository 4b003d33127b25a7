/* The registers of every virtio transport. See regs.h. */
#include "devices/virtio/regs.h"

#include <linux/virtio_config.h>

static uint32_t half_of(uint64_t value, uint32_t sel)
{
	return sel == 0 ? (uint32_t)value : sel == 1 ? (uint32_t)(value >> 32) : 0;
}

static void set_half(uint64_t *value, uint32_t sel, uint32_t half)
{
	if (sel == 0)
		*value = (*value & ~0xffffffffull) | half;
	else if (sel == 1)
		*value = (*value & 0xffffffffull) | ((uint64_t)half << 32);
}

uint32_t vregs_device_features(const struct vregs *r)
{
	return half_of(vdev_offered(r->vd), r->device_features_sel);
}

uint32_t vregs_driver_features(const struct vregs *r)
{
	return half_of(r->vd->features_acked, r->driver_features_sel);
}

void vregs_set_driver_features(struct vregs *r, uint32_t half)
{
	struct vdev *vd = r->vd;
	if (vd->status & VIRTIO_CONFIG_S_FEATURES_OK)
		return;
	set_half(&vd->features_acked, r->driver_features_sel, half);
	if (r->driver_features_sel > 1 && half)
		vd->features_unknown = true;
}

struct vqueue *vregs_queue(const struct vregs *r)
{
	return r->queue_sel < r->vd->queue_count ? &r->vd->queue[r->queue_sel] : NULL;
}

/* The selected ring, if the driver may describe it now. */
static struct ring *describable(struct vregs *r)
{
	struct vqueue *vq = vregs_queue(r);
	if (!vq)
		return NULL;
	if (!vq->ring.ready)
		return &vq->ring;
	vdev_guest_error(r->vd, "queue %u described while it is ready", r->queue_sel);
	return NULL;
}

void vregs_set_queue_size(struct vregs *r, uint32_t size)
{
	struct ring *ring = describable(r);
	/* Stored as it is, but never above the maximum: ring_start then refuses it. */
	if (ring)
		ring->size = size > vregs_queue(r)->size_max ? 0 : (uint16_t)size;
}

static struct gpa *area_of(struct ring *ring, enum vregs_area area)
{
	switch (area) {
	case VREGS_DESC:
		return &ring->desc_addr;
	case VREGS_AVAIL:
		return &ring->avail_addr;
	case VREGS_USED:
		break;
	}
	return &ring->used_addr;
}

void vregs_set_queue_half(struct vregs *r, enum vregs_area area, bool high, uint32_t half)
{
	struct ring *ring = describable(r);
	if (ring)
		set_half(&area_of(ring, area)->addr, high, half);
}

uint32_t vregs_queue_half(const struct vregs *r, enum vregs_area area, bool high)
{
	struct vqueue *vq = vregs_queue(r);
	return vq ? half_of(area_of(&vq->ring, area)->addr, high) : 0;
}

void vregs_set_queue_ready(struct vregs *r, bool ready)
{
	struct vqueue *vq = vregs_queue(r);
	if (!vq)
		return;
	if (!r->vd->active)
		vq->ring.ready = ready;
	else if (!ready)
		vdev_stop_queue(r->vd, r->queue_sel);
	else if (!vq->ring.ready)
		vdev_guest_error(r->vd, "queue %u made ready after DRIVER_OK", r->queue_sel);
}

void vregs_set_status(struct vregs *r, uint8_t status)
{
	struct vdev *vd = r->vd;
	vdev_set_status(vd, status);
	if (status == 0)
		*r = (struct vregs){.vd = vd};
}
