/*
 * COM1: the 16550 model, its interrupt line and the host's end of the wire. Output goes to a
 * descriptor from the vCPU's thread; input comes through the event loop.
 */
#ifndef SRC_DEVICES_SERIAL_PORT_H
#define SRC_DEVICES_SERIAL_PORT_H

#include "devices/serial.h"
#include "vmm/loop.h"

struct serial_port;

/* Descriptors are duplicated; -1 for none. */
VMM_WARN_UNUSED vmm_err_t serial_port_create(int input_fd, int output_fd, struct serial_port **out,
                                             vmm_err_info_t *ei);
void serial_port_destroy(struct serial_port *p);
VMM_WARN_UNUSED vmm_err_t serial_port_attach(struct serial_port *p, struct loop *loop,
                                             struct bus *bus, vmm_err_info_t *ei);
void serial_port_reset(struct serial_port *p);
const struct irq_line *serial_port_irq(const struct serial_port *p);

#endif
