/*
 * Message queues between tasks. A mailbox keeps a fixed number of messages of up to MSG_DATA_BYTES;
 * anyone who has it may send and receive.
 */
#ifndef GK_CORE_MSG_H
#define GK_CORE_MSG_H

#include "guest-kernel/core/waitq.h"

#define MSG_DATA_BYTES 56u
#define MSG_ANYONE     0u
#define MAILBOX_MAX    4096u

struct msg {
	uint32_t from; /* id of the sending task, filled in by msg_send */
	uint16_t type, len_bytes;
	uint8_t data[MSG_DATA_BYTES];
};

struct mailbox {
	struct spinlock lock;
	struct waitq senders, receivers;
	struct slot *slots;
	struct list queue, unused; /* of struct slot */
	uint32_t capacity, count;
	bool closed;
	uint64_t sent;
};

/* CAPACITY 1 to MAILBOX_MAX. NULL: out of range, or no memory. */
struct mailbox *mailbox_create(uint32_t capacity);
/* Whoever waits is sent away; nobody may use it any more. Messages in it are lost. */
void mailbox_close(struct mailbox *mb);
void mailbox_destroy(struct mailbox *mb);

/* Waits for room. False: none until DEADLINE_NS (0: do not wait), closed, or len_bytes is too
 * large. */
bool msg_send(struct mailbox *mb, const struct msg *m, uint64_t deadline_ns);
/*
 * The oldest message of task FROM, or of MSG_ANYONE; others stay where they are. False: none until
 * DEADLINE_NS, or closed and none left.
 */
bool msg_receive(struct mailbox *mb, uint32_t from, struct msg *out, uint64_t deadline_ns);

#endif
