/* virtio over mmio, version 2 (virtio 1.2, 4.2): the register window of one device. */
#ifndef SRC_DEVICES_VIRTIO_MMIO_H
#define SRC_DEVICES_VIRTIO_MMIO_H

#include "devices/virtio/regs.h"
#include "vmm/bus.h"

/* CTX is a struct vregs. Register accesses, on vCPU threads; takes the device's lock. */
extern const struct bus_ops vmmio_bus_ops;
/* Used-buffer and config interrupts over vd->irq. */
extern const struct vdev_transport vmmio_transport;

#endif
