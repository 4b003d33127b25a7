/* What console.c (ports and their data) and console_ctrl.c (control queues) share. */
#ifndef SRC_DEVICES_VIRTIO_CONSOLE_PRIV_H
#define SRC_DEVICES_VIRTIO_CONSOLE_PRIV_H

#include <linux/virtio_console.h>

#include "devices/chardev.h"
#include "devices/virtio/console.h"

#define CONSOLE_QUEUE_SIZE 128u

/* Queues (5.3.2): port 0's pair, the control pair, then a pair for each further port. */
enum {
	CONSOLE_Q_CONTROL_RX = 2, /* to the driver */
	CONSOLE_Q_CONTROL_TX = 3,
};

/* Control messages that a port still owes the driver; sent in this order. */
enum console_owed {
	CONSOLE_OWES_ADD = 1u << 0,
	CONSOLE_OWES_CONSOLE = 1u << 1,
	CONSOLE_OWES_NAME = 1u << 2,
	CONSOLE_OWES_SIZE = 1u << 3,
	CONSOLE_OWES_OPEN = 1u << 4,
};

struct console;

struct console_port {
	struct console *console;
	uint32_t id;
	char *name; /* or NULL */
	bool is_console;
	struct chardev *chardev;
	/* Under the device's lock, forgotten at reset. */
	bool ready;         /* the driver has taken the port */
	bool guest_open;    /* something in the guest has it open */
	unsigned owed;      /* enum console_owed */
	uint32_t tx_offset; /* how much of the first chain is written already */
};

struct console {
	struct vdev vd;
	struct virtio_console_config config; /* what the driver sees */
	uint16_t columns;
	uint16_t rows;
	bool device_ready;
	uint32_t port_count;
	struct console_port port[VMM_CONSOLE_PORTS_MAX];
};

/* console_ctrl.c; lock held. */
/* The driver's messages. */
void console_control_receive(struct console *c);
/* Send what ports owe, as far as the driver gave buffers. */
void console_control_send(struct console *c);

#endif
