/*
 * 16550A UART (National Semiconductor PC16550D data sheet), receive interrupts included. Registers
 * on vCPU threads, input from the event loop; one lock of its own.
 */
#ifndef SRC_DEVICES_SERIAL_H
#define SRC_DEVICES_SERIAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/bus.h"
#include "vmm/irq.h"

#define SERIAL_PORTS      8u
#define SERIAL_FIFO_BYTES 64u

/* Where transmitted bytes go. Called with the lock held, on a vCPU thread. */
typedef void (*serial_output_fn)(void *ctx, const uint8_t *data, size_t len);
/* The receive FIFO has room again; called without the lock, on a vCPU thread. */
typedef void (*serial_room_fn)(void *ctx);

struct serial {
	pthread_mutex_t lock;
	struct irq_line irq;
	serial_output_fn output;
	serial_room_fn room;
	void *ctx;
	uint8_t ier, lcr, mcr, scr, fcr;
	uint16_t divisor;
	bool thr_pending; /* the 'transmitter empty' interrupt has not been read yet */
	bool overrun;
	uint8_t irq_now; /* what the interrupt output was last, to find edges */
	uint8_t rx[SERIAL_FIFO_BYTES];
	unsigned rx_head;
	unsigned rx_count;
};

/* OUTPUT and ROOM may be NULL. The line IRQ.fd is opened by the caller and closed by serial_fini.
 */
void serial_init(struct serial *s, serial_output_fn output, serial_room_fn room, void *ctx);
void serial_fini(struct serial *s);
void serial_reset(struct serial *s);

/* Bytes from the host; returns how many fitted. The rest is offered again after ROOM. */
size_t serial_input(struct serial *s, const uint8_t *data, size_t len);

extern const struct bus_ops serial_bus_ops; /* CTX is a struct serial */

#endif
