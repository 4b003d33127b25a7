/* virtio over mmio, version 2 (virtio 1.2, 4.2): the register window of one device. */
#ifndef SRC_DEVICES_VIRTIO_MMIO_H
#define SRC_DEVICES_VIRTIO_MMIO_H

#include "devices/virtio/dev.h"
#include "vmm/bus.h"

#define VMMIO_WINDOW_BYTES 0x1000u

struct vmmio {
	struct vdev *vd;
	uint32_t device_features_sel;
	uint32_t driver_features_sel;
	uint32_t queue_sel;
};

/* CTX is a struct vmmio. Register accesses, on vCPU threads; takes the device's lock. */
extern const struct bus_ops vmmio_bus_ops;
/* Used-buffer and config interrupts over vd->irq. */
extern const struct vdev_transport vmmio_transport;

#endif
