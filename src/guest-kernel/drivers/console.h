/*
 * virtio-console (virtio 1.2, 5.3), one port. What the kernel writes goes to it as well as to the
 * serial port; what is typed goes to whoever reads the console.
 */
#ifndef GK_DRIVERS_CONSOLE_H
#define GK_DRIVERS_CONSOLE_H

#include "guest-kernel/drivers/virtio.h"

#define CONSOLE_PIECE 64u

struct console {
	struct virtio_dev dev;
	struct virtq queues[2]; /* receive, transmit */
	uint8_t *pieces;        /* VIRTQ_SIZE_MAX of CONSOLE_PIECE bytes, to write with */
	uint64_t busy;          /* bit of each piece that the device has */
	uint8_t *typed;
	uint64_t written, dropped;
	void (*input)(void *ctx, const char *text, size_t len); /* in interrupt context */
	void *input_ctx;
};

bool console_attach(struct console *c, const struct virtio_dev *dev);
/* Does not wait: what the device does not take is dropped and counted. Any context. */
void console_write(struct console *c, const char *text, size_t len);

#endif
