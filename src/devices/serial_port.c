/* COM1. See serial_port.h. */
#include "devices/serial_port.h"

#include <stdlib.h>

#include "vmm/errset.h"
#include "vmm/machine.h"

/* How long one character may hold a vCPU up when its reader is slow; see chardev_write_wait. */
#define OUTPUT_WAIT_MS 100

struct serial_port {
	struct serial uart;
	struct chardev *chardev;
};

static void output(void *ctx, const uint8_t *data, size_t len)
{
	const struct serial_port *p = ctx;
	chardev_write_wait(p->chardev, data, len, OUTPUT_WAIT_MS);
}

static void room(void *ctx)
{
	const struct serial_port *p = ctx;
	chardev_input_room(p->chardev);
}

static size_t input(void *ctx, const uint8_t *data, size_t len)
{
	struct serial_port *p = ctx;
	return serial_input(&p->uart, data, len);
}

static const struct chardev_ops chardev_ops = {.input = input};

vmm_err_t serial_port_create(const vmm_chardev_opts_t *chardev, struct loop *loop, struct log *log,
                             struct serial_port **out, vmm_err_info_t *ei)
{
	*out = NULL;
	struct serial_port *p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(ei, VMM_E_NOMEM, "serial", "out of memory");
	serial_init(&p->uart, output, room, p);
	vmm_err_t err = chardev_create(chardev, "serial", loop, log, &p->chardev, ei);
	if (!err)
		err = chardev_attach(p->chardev, &chardev_ops, p, ei);
	if (err) {
		serial_port_destroy(p);
		return err;
	}
	*out = p;
	return VMM_OK;
}

void serial_port_destroy(struct serial_port *p)
{
	chardev_destroy(p->chardev);
	serial_fini(&p->uart);
	free(p);
}

vmm_err_t serial_port_attach(struct serial_port *p, struct bus *bus, struct irq_chip *chip,
                             vmm_err_info_t *ei)
{
	irq_line_on_chip(&p->uart.irq, MACHINE_GSI_COM1, chip);
	return bus_add(bus, BUS_PIO, MACHINE_PORT_COM1, SERIAL_PORTS, &serial_bus_ops, &p->uart,
	               "serial", ei);
}

void serial_port_reset(struct serial_port *p)
{
	serial_reset(&p->uart);
	chardev_input_room(p->chardev);
}

const char *serial_port_pty(const struct serial_port *p)
{
	return chardev_pty(p->chardev);
}
