/*
 * The host's end of a stream of characters: descriptors, a file, a pseudo-terminal, a Unix socket
 * that is listened on, or nothing. Serial port and virtio console plug into it.
 *
 * Input is read on the event loop and offered to the consumer; what it does not take is kept and
 * nothing more is read until chardev_input_room. Output is written at once where that cannot block,
 * else kept (a bounded amount) and written by the loop when the descriptor takes more.
 *
 * Descriptors that somebody else has open too (standard input and output belong to a shell as well)
 * are never made non-blocking: a pipe or terminal is opened anew for this process, a socket is
 * asked call by call, and anything else is polled before each transfer.
 *
 * Threads: chardev_write, chardev_write_wait and chardev_input_room from any; the operations are
 * called on the loop's thread, with no lock of the chardev held. All else as for loop_add. Its lock
 * is taken inside a device's lock; only loop_post is called with it held.
 */
#ifndef SRC_DEVICES_CHARDEV_H
#define SRC_DEVICES_CHARDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/console.h"
#include "vmm/logger.h"
#include "vmm/loop.h"

#define CHARDEV_PENDING_MAX 65536u /* output that waits for its descriptor */
#define CHARDEV_INPUT_MAX   4096u

struct chardev;

struct chardev_ops {
	/* LEN bytes came in; returns how many were taken. Fewer: the rest after input_room. */
	size_t (*input)(void *ctx, const uint8_t *data, size_t len);
	/* All output that waited is written, after chardev_write took too little. May be NULL. */
	void (*writable)(void *ctx);
	/* Somebody attached to the socket or pseudo-terminal, or left. May be NULL. */
	void (*connected)(void *ctx, bool connected);
};

/*
 * Open what OPTS says; FIELD names it in errors. Errors as for vmm_console_add (console.h).
 * chardev_destroy removes the socket that this call made, if it is still there, and the file, if
 * the loop never ran; a file that existed keeps its contents until then. LOOP, LOG and
 * OPS outlive the chardev; nothing is called back before the loop runs.
 */
VMM_WARN_UNUSED vmm_err_t chardev_create(const vmm_chardev_opts_t *opts, const char *field,
                                         struct loop *loop, struct log *log, struct chardev **out,
                                         vmm_err_info_t *ei);
/* CD may be NULL. Writes what is pending if that takes no more than a moment. */
void chardev_destroy(struct chardev *cd);

/* Who uses it. Starts reading. */
VMM_WARN_UNUSED vmm_err_t chardev_attach(struct chardev *cd, const struct chardev_ops *ops,
                                         void *ctx, vmm_err_info_t *ei);

/*
 * Write or keep DATA; returns how many bytes were accepted. Fewer than LEN: `writable` follows.
 * Where nobody listens (any more) everything is accepted and dropped.
 */
size_t chardev_write(struct chardev *cd, const uint8_t *data, size_t len);

/*
 * The same for a device that has nowhere to keep output: waits up to TIMEOUT_MS for room, then
 * drops. After a wait in vain the next calls drop at once, until the descriptor takes bytes again.
 */
void chardev_write_wait(struct chardev *cd, const uint8_t *data, size_t len, int timeout_ms);

/* The consumer can take input again. */
void chardev_input_room(struct chardev *cd);

/* False for a socket or pseudo-terminal that nobody is attached to. */
bool chardev_connected(struct chardev *cd);
/* The slave's path, or NULL if it is not a pseudo-terminal. */
const char *chardev_pty(const struct chardev *cd);

#endif
