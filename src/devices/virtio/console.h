/*
 * virtio-console (virtio 1.2, 5.3): up to 16 ports, each on a chardev. With one port it is the
 * plain device with two queues; with more, VIRTIO_CONSOLE_F_MULTIPORT is offered and the control
 * queues tell the guest of names, of who is attached, and of port 0's terminal size.
 *
 * Output waits in the guest's ring while a port's chardev is full, and nothing is lost; input waits
 * in the chardev while the guest has no buffers or has not opened the port.
 */
#ifndef SRC_DEVICES_VIRTIO_CONSOLE_H
#define SRC_DEVICES_VIRTIO_CONSOLE_H

#include "devices/virtio/dev.h"
#include "vmm/console.h"

#define CONSOLE_NAME_MAX 255u

/*
 * INDEX numbers it for messages ("console0"). OPTS is checked (vm_console.c): 1 to
 * VMM_CONSOLE_PORTS_MAX ports. The chardevs are opened here, on LOOP. Errors as for
 * vmm_console_add.
 */
VMM_WARN_UNUSED vmm_err_t console_create(const vmm_console_opts_t *opts, unsigned index,
                                         struct loop *loop, struct log *log, struct vdev **out,
                                         vmm_err_info_t *ei);
bool console_is(const struct vdev *vd);

/* Any thread; takes the device's lock. */
void console_resize(struct vdev *vd, uint16_t columns, uint16_t rows);
/* NULL if there is no such port, or it is no pseudo-terminal. */
const char *console_pty(const struct vdev *vd, uint32_t port);

#endif
