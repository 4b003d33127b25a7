/*
 * COM1: the 16550 model, its interrupt line and the host's end of the wire (chardev.h). Output
 * leaves from the vCPU's thread; input comes through the event loop, as the FIFO has room.
 */
#ifndef SRC_DEVICES_SERIAL_PORT_H
#define SRC_DEVICES_SERIAL_PORT_H

#include "devices/chardev.h"
#include "devices/serial.h"

struct serial_port;

/* Errors as for vmm_serial_set. LOOP and LOG outlive the port. */
VMM_WARN_UNUSED vmm_err_t serial_port_create(const vmm_chardev_opts_t *chardev, struct loop *loop,
                                             struct log *log, struct serial_port **out,
                                             vmm_err_info_t *ei);
void serial_port_destroy(struct serial_port *p);
VMM_WARN_UNUSED vmm_err_t serial_port_attach(struct serial_port *p, struct bus *bus,
                                             struct irq_chip *chip, vmm_err_info_t *ei);
void serial_port_reset(struct serial_port *p);
const char *serial_port_pty(const struct serial_port *p);

#endif
