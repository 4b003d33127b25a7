/*
 * The registers that every virtio transport has (virtio 1.2, 4.1.4.3 and 4.2.2): features in two
 * halves, the selected queue and its description, status. A transport only says where they are.
 * Called with the device's lock held.
 */
#ifndef SRC_DEVICES_VIRTIO_REGS_H
#define SRC_DEVICES_VIRTIO_REGS_H

#include "devices/virtio/dev.h"

struct vregs {
	struct vdev *vd;
	uint32_t device_features_sel;
	uint32_t driver_features_sel;
	uint32_t queue_sel;
};

enum vregs_area { VREGS_DESC, VREGS_AVAIL, VREGS_USED };

/* The halves that are selected; 0 for halves that do not exist. */
uint32_t vregs_device_features(const struct vregs *r);
uint32_t vregs_driver_features(const struct vregs *r);
/* Ignored once FEATURES_OK is set. */
void vregs_set_driver_features(struct vregs *r, uint32_t half);

/* The selected queue, or NULL: the driver's selection names none. */
struct vqueue *vregs_queue(const struct vregs *r);
/*
 * The driver may describe a queue only while it is not ready, and make it ready only before
 * DRIVER_OK; else a guest error is counted and nothing changes. A live queue can be stopped, and
 * starts again only with the device (4.2.2.2). Without a selected queue nothing happens.
 */
void vregs_set_queue_size(struct vregs *r, uint32_t size);
void vregs_set_queue_half(struct vregs *r, enum vregs_area area, bool high, uint32_t half);
uint32_t vregs_queue_half(const struct vregs *r, enum vregs_area area, bool high);
void vregs_set_queue_ready(struct vregs *r, bool ready);

/* 0 resets the device, and these selections. */
void vregs_set_status(struct vregs *r, uint8_t status);

#endif
