/* COM1. See serial_port.h. */
#include "devices/serial_port.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "vmm/errset.h"
#include "vmm/machine.h"

struct serial_port {
	struct serial uart;
	struct loop *loop;
	int output_fd;
	struct loop_source input;
};

static void output(void *ctx, const uint8_t *data, size_t len)
{
	const struct serial_port *p = ctx;
	if (p->output_fd < 0)
		return;
	ssize_t n = write(p->output_fd, data, len);
	(void)n;
}

static void input_ready(void *ctx, uint32_t events)
{
	(void)events;
	struct serial_port *p = ctx;
	uint8_t byte;
	ssize_t n = read(p->input.fd, &byte, 1);
	if (n == 1)
		(void)serial_input(&p->uart, &byte, 1);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		loop_del(p->loop, &p->input);
}

vmm_err_t serial_port_create(int input_fd, int output_fd, struct serial_port **out,
                             vmm_err_info_t *ei)
{
	struct serial_port *p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(ei, VMM_E_NOMEM, "serial", "out of memory");
	serial_init(&p->uart, output, NULL, p);
	p->output_fd = output_fd < 0 ? -1 : fcntl(output_fd, F_DUPFD_CLOEXEC, 3);
	p->input = (struct loop_source){
	        .fd = input_fd < 0 ? -1 : fcntl(input_fd, F_DUPFD_CLOEXEC, 3),
	        .ready = input_ready,
	        .ctx = p,
	};
	if ((output_fd >= 0 && p->output_fd < 0) || (input_fd >= 0 && p->input.fd < 0)) {
		int err = errno;
		serial_port_destroy(p);
		return err_sys(ei, err, "serial", "cannot duplicate its descriptors");
	}
	*out = p;
	return VMM_OK;
}

void serial_port_destroy(struct serial_port *p)
{
	if (p->loop)
		loop_del(p->loop, &p->input);
	if (p->input.fd >= 0)
		(void)close(p->input.fd);
	if (p->output_fd >= 0)
		(void)close(p->output_fd);
	serial_fini(&p->uart);
	free(p);
}

vmm_err_t serial_port_attach(struct serial_port *p, struct loop *loop, struct bus *bus,
                             vmm_err_info_t *ei)
{
	p->loop = loop;
	vmm_err_t err = irq_line_open(&p->uart.irq, MACHINE_GSI_COM1, ei);
	if (!err)
		err = bus_add(bus, BUS_PIO, MACHINE_PORT_COM1, SERIAL_PORTS, &serial_bus_ops,
		              &p->uart, "serial", ei);
	/* A regular file or /dev/null cannot be watched: it has no input then. */
	if (!err && p->input.fd >= 0 && loop_add(loop, &p->input, EPOLLIN, NULL))
		p->input.added = false;
	return err;
}

void serial_port_reset(struct serial_port *p)
{
	serial_reset(&p->uart);
}

const struct irq_line *serial_port_irq(const struct serial_port *p)
{
	return &p->uart.irq;
}
