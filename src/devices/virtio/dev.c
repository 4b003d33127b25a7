/* What all virtio devices share. See dev.h. */
#include "devices/virtio/dev.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/errset.h"

uint64_t vdev_offered(const struct vdev *vd)
{
	return vd->features | (1ull << VIRTIO_F_VERSION_1) | (1ull << VIRTIO_RING_F_EVENT_IDX) |
	       (1ull << VIRTIO_RING_F_INDIRECT_DESC);
}

void vdev_kick(struct vdev *vd, unsigned q)
{
	(void)pthread_mutex_lock(&vd->lock);
	struct ring *r = &vd->queue[q].ring;
	atomic_fetch_add_explicit(&vd->stats.kicks, 1, memory_order_relaxed);
	if (vd->active && r->gm && !r->broken)
		vd->ops->kick(vd, q);
	(void)pthread_mutex_unlock(&vd->lock);
}

void vdev_kick_again(struct vdev *vd, unsigned q)
{
	(void)eventfd_write(vd->queue[q].kick_fd, 1);
}

/* The source is edge triggered and the eventfd never read: its value is not needed. */
static void kick_ready(void *ctx, uint32_t events)
{
	(void)events;
	struct vqueue *vq = ctx;
	vdev_kick(vq->vd, vq->index);
}

vmm_err_t vdev_init(struct vdev *vd, unsigned queue_count, const uint16_t *size_max,
                    vmm_err_info_t *ei)
{
	(void)pthread_mutex_init(&vd->lock, NULL);
	vd->irq.fd = -1;
	vd->queue = calloc(queue_count, sizeof(*vd->queue));
	if (!vd->queue)
		return err_set(ei, VMM_E_NOMEM, vd->id, "out of memory");
	vd->queue_count = queue_count;
	for (unsigned i = 0; i < queue_count; i++)
		vd->queue[i].kick_fd = -1;
	for (unsigned i = 0; i < queue_count; i++) {
		struct vqueue *vq = &vd->queue[i];
		vq->vd = vd;
		vq->index = (uint16_t)i;
		vq->size_max = size_max[i];
		vq->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (vq->kick_fd < 0)
			return err_sys(ei, errno, vd->id, "cannot make an eventfd for queue %u", i);
	}
	return VMM_OK;
}

vmm_err_t vdev_attach(struct vdev *vd, const struct gmem *gm, struct loop *loop, struct log *log,
                      const struct vdev_transport *transport, vmm_err_info_t *ei)
{
	vd->gm = gm;
	vd->loop = loop;
	vd->log = log;
	vd->transport = transport;
	for (unsigned i = 0; i < vd->queue_count; i++) {
		struct vqueue *vq = &vd->queue[i];
		vq->kick = (struct loop_source){.fd = vq->kick_fd, .ready = kick_ready, .ctx = vq};
		vmm_err_t err = loop_add(loop, &vq->kick, EPOLLIN | EPOLLET, ei);
		if (err)
			return err;
	}
	return VMM_OK;
}

void vdev_fini(struct vdev *vd)
{
	for (unsigned i = 0; i < vd->queue_count; i++) {
		struct vqueue *vq = &vd->queue[i];
		if (vd->loop)
			loop_del(vd->loop, &vq->kick);
		if (vq->kick_fd >= 0)
			(void)close(vq->kick_fd);
	}
	free(vd->queue);
	vd->queue = NULL;
	vd->queue_count = 0;
	irq_line_close(&vd->irq);
	(void)pthread_mutex_destroy(&vd->lock);
}

bool vdev_publish_used(struct vdev *vd, unsigned q)
{
	return ring_publish(&vd->queue[q].ring);
}

void vdev_signal_queues(struct vdev *vd, uint64_t mask)
{
	for (unsigned q = 0; mask; q++, mask >>= 1) {
		if (!(mask & 1))
			continue;
		atomic_fetch_add_explicit(&vd->stats.interrupts, 1, memory_order_relaxed);
		vd->transport->signal_used(vd, q);
		if (vd->one_line)
			return;
	}
}

void vdev_flush_used(struct vdev *vd, unsigned q)
{
	if (vdev_publish_used(vd, q))
		vdev_signal_queues(vd, 1ull << q);
}

void vdev_config_changed(struct vdev *vd)
{
	vd->config_generation++;
	if (vd->status & VIRTIO_CONFIG_S_DRIVER_OK)
		vd->transport->signal_config(vd);
}

static void say(struct vdev *vd, const char *what, const char *fmt, va_list ap)
{
	char text[256];
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	atomic_fetch_add_explicit(&vd->stats.guest_errors, 1, memory_order_relaxed);
	log_guest(vd->log, VMM_LOG_WARN, "%s: %s: %s", vd->id, what, text);
}

void vdev_fail(struct vdev *vd, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(vd, "the driver must reset the device", fmt, ap);
	va_end(ap);
	if (vd->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	bool driver_ok = vd->status & VIRTIO_CONFIG_S_DRIVER_OK;
	vd->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	if (driver_ok)
		vd->transport->signal_config(vd);
}

void vdev_guest_error(struct vdev *vd, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(vd, "bad request", fmt, ap);
	va_end(ap);
}

enum ring_result vdev_pop(struct vdev *vd, unsigned q, struct ring_chain *chain, struct iovec *iov,
                          unsigned iov_max)
{
	struct ring *r = &vd->queue[q].ring;
	enum ring_result res = ring_pop(r, chain, iov, iov_max);
	if (res == RING_BAD)
		vdev_fail(vd, "queue %u: %s", q, r->why);
	return res;
}

void vdev_reset(struct vdev *vd)
{
	if (vd->active && vd->ops->reset)
		vd->ops->reset(vd);
	vd->active = false;
	for (unsigned i = 0; i < vd->queue_count; i++)
		ring_stop(&vd->queue[i].ring);
	vd->status = 0;
	vd->features_acked = 0;
	vd->features_unknown = false;
	atomic_store(&vd->interrupt_status, 0);
	atomic_fetch_add_explicit(&vd->stats.resets, 1, memory_order_relaxed);
}

void vdev_stop_queue(struct vdev *vd, unsigned q)
{
	struct ring *r = &vd->queue[q].ring;
	if (vd->active && r->gm && vd->ops->stop_queue)
		vd->ops->stop_queue(vd, q);
	ring_stop(r);
}

/* Start the rings that the driver enabled, then the model. */
static void activate(struct vdev *vd)
{
	for (unsigned i = 0; i < vd->queue_count; i++) {
		struct ring *r = &vd->queue[i].ring;
		if (!r->ready)
			continue;
		if (!ring_start(r, vd->gm, vdev_has(vd, VIRTIO_RING_F_EVENT_IDX),
		                vdev_has(vd, VIRTIO_RING_F_INDIRECT_DESC))) {
			vdev_fail(vd, "queue %u: %s", i, r->why);
			return;
		}
	}
	vd->active = true;
	if (vd->ops->activate && !vd->ops->activate(vd)) {
		vd->active = false;
		if (!(vd->status & VIRTIO_CONFIG_S_NEEDS_RESET))
			vdev_fail(vd, "the device cannot start");
	}
}

/* FEATURES_OK is taken only if the driver's choice is one we can serve (virtio 1.2, 2.2). */
static bool features_fit(const struct vdev *vd)
{
	return !(vd->features_acked & ~vdev_offered(vd)) && !vd->features_unknown &&
	       vdev_has(vd, VIRTIO_F_VERSION_1);
}

void vdev_set_status(struct vdev *vd, uint8_t status)
{
	if (status == 0) {
		vdev_reset(vd);
		return;
	}
	uint8_t added = (uint8_t)(status & ~vd->status);
	/* A driver must not clear bits (2.1.1), and NEEDS_RESET is ours: keep what was set. */
	vd->status |= (uint8_t)(status & ~VIRTIO_CONFIG_S_NEEDS_RESET);
	if ((added & VIRTIO_CONFIG_S_FEATURES_OK) && !features_fit(vd)) {
		vd->status &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
		vdev_guest_error(vd, "features 0x%llx are not among those offered, 0x%llx",
		                 (unsigned long long)vd->features_acked,
		                 (unsigned long long)vdev_offered(vd));
	}
	if (!(added & VIRTIO_CONFIG_S_DRIVER_OK))
		return;
	if (vd->status & VIRTIO_CONFIG_S_FEATURES_OK)
		activate(vd);
	else
		vdev_fail(vd, "DRIVER_OK without FEATURES_OK");
}

uint64_t vdev_config_read(struct vdev *vd, uint64_t offset, unsigned size)
{
	uint64_t value = 0;
	if (offset < vd->config_len && size <= vd->config_len - offset)
		memcpy(&value, vd->config + offset, size);
	return value;
}

void vdev_config_write(struct vdev *vd, uint64_t offset, unsigned size, uint64_t value)
{
	if (!vd->ops->config_written)
		return;
	if (offset >= vd->config_len || size > vd->config_len - offset)
		return;
	memcpy(vd->config + offset, &value, size);
	vd->ops->config_written(vd, (uint32_t)offset, size);
}
