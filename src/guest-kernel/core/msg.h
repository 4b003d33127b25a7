/*
 * Message queues between tasks. A mailbox keeps a fixed number of messages of up to MSG_DATA_BYTES.
 * It has the context of who made it; who sends needs msgq { write enqueue } on it, who receives
 * msgq { read }. With a guard each needs an object capability besides: OBJCAP_SEND, OBJCAP_RECEIVE.
 */
#ifndef GK_CORE_MSG_H
#define GK_CORE_MSG_H

#include "guest-kernel/core/waitq.h"
#include "guest-kernel/security/security.h"

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
	struct sec_object object;
};

/* CAPACITY 1 to MAILBOX_MAX. NULL: out of range, no memory, or denied. */
struct mailbox *mailbox_create(uint32_t capacity);
/* Whoever waits is sent away; nobody may use it any more. Messages in it are lost. */
void mailbox_close(struct mailbox *mb);
void mailbox_destroy(struct mailbox *mb);

/* Waits for room. False: none until DEADLINE_NS (0: do not wait), closed, or len_bytes is too
 * large, or the policy denies it. */
bool msg_send(struct mailbox *mb, const struct msg *m, uint64_t deadline_ns);
/*
 * The oldest message of task FROM, or of MSG_ANYONE; others stay where they are. False: none until
 * DEADLINE_NS, or closed and none left, or the policy denies it.
 */
bool msg_receive(struct mailbox *mb, uint32_t from, struct msg *out, uint64_t deadline_ns);

/* From now on a capability is needed. The caller's, with all rights; 0: no room for one. */
objcap_t mailbox_guard(struct mailbox *mb);
/* As msg_send and msg_receive, with capability CAP. */
bool msg_send_by(struct mailbox *mb, objcap_t cap, const struct msg *m, uint64_t deadline_ns);
bool msg_receive_by(struct mailbox *mb, objcap_t cap, uint32_t from, struct msg *out,
                    uint64_t deadline_ns);

#endif
