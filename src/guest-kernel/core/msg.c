/* Message queues. See msg.h. */
#include "guest-kernel/core/msg.h"

#include <string.h>

#include "guest-kernel/core/memory.h"

struct slot {
	struct list link;
	struct msg msg;
};

struct mailbox *mailbox_create(uint32_t capacity)
{
	if (capacity == 0 || capacity > MAILBOX_MAX)
		return NULL;
	struct mailbox *mb = mem_alloc(sizeof(*mb));
	struct slot *slots = mb ? mem_alloc(capacity * sizeof(*slots)) : NULL;
	if (!slots || !sec_object_make(&mb->object, POLICY_CLASS_MSGQ)) {
		mem_free(slots);
		mem_free(mb);
		return NULL;
	}
	spin_init_named(&mb->lock, "mailbox");
	waitq_init(&mb->senders);
	waitq_init(&mb->receivers);
	list_init(&mb->queue);
	list_init(&mb->unused);
	mb->slots = slots;
	mb->capacity = capacity;
	for (uint32_t i = 0; i < capacity; i++)
		list_append(&mb->unused, &slots[i].link);
	return mb;
}

void mailbox_close(struct mailbox *mb)
{
	unsigned long flags = spin_lock_irqsave(&mb->lock);
	mb->closed = true;
	waitq_wake_all(&mb->senders);
	waitq_wake_all(&mb->receivers);
	spin_unlock_irqrestore(&mb->lock, flags);
	task_preempt_point();
}

void mailbox_destroy(struct mailbox *mb)
{
	sec_object_forget(&mb->object);
	mem_free(mb->slots);
	mem_free(mb);
}

struct sending {
	struct mailbox *mb;
	const struct msg *msg;
	bool sent;
};

static bool try_send(void *ctx)
{
	struct sending *s = ctx;
	struct mailbox *mb = s->mb;
	if (mb->closed)
		return true;
	struct list *e = list_pop(&mb->unused);
	if (!e)
		return false;
	struct slot *slot = LIST_OF(e, struct slot, link);
	slot->msg = *s->msg;
	slot->msg.from = task_current()->id;
	list_append(&mb->queue, &slot->link);
	mb->count++;
	mb->sent++;
	s->sent = true;
	/* All of them: each may wait for somebody else. */
	waitq_wake_all(&mb->receivers);
	return true;
}

objcap_t mailbox_guard(struct mailbox *mb)
{
	return sec_object_guard(&mb->object);
}

bool msg_send(struct mailbox *mb, const struct msg *m, uint64_t deadline_ns)
{
	return msg_send_by(mb, 0, m, deadline_ns);
}

bool msg_send_by(struct mailbox *mb, objcap_t cap, const struct msg *m, uint64_t deadline_ns)
{
	struct sending s = {mb, m, false};
	if (m->len_bytes > MSG_DATA_BYTES ||
	    !sec_object_may(&mb->object, IPC_WRITE | MSGQ_ENQUEUE, cap, OBJCAP_SEND))
		return false;
	(void)waitq_wait(&mb->senders, &mb->lock, try_send, &s, deadline_ns);
	return s.sent;
}

struct receiving {
	struct mailbox *mb;
	struct msg *out;
	uint32_t from;
	bool received;
};

static bool try_receive(void *ctx)
{
	struct receiving *r = ctx;
	struct mailbox *mb = r->mb;
	for (struct list *e = mb->queue.next; e != &mb->queue; e = e->next) {
		struct slot *slot = LIST_OF(e, struct slot, link);
		if (r->from != MSG_ANYONE && slot->msg.from != r->from)
			continue;
		*r->out = slot->msg;
		list_remove(&slot->link);
		list_append(&mb->unused, &slot->link);
		mb->count--;
		r->received = true;
		waitq_wake_one(&mb->senders);
		return true;
	}
	return mb->closed;
}

bool msg_receive(struct mailbox *mb, uint32_t from, struct msg *out, uint64_t deadline_ns)
{
	return msg_receive_by(mb, 0, from, out, deadline_ns);
}

bool msg_receive_by(struct mailbox *mb, objcap_t cap, uint32_t from, struct msg *out,
                    uint64_t deadline_ns)
{
	struct receiving r = {mb, out, from, false};
	if (!sec_object_may(&mb->object, IPC_READ, cap, OBJCAP_RECEIVE))
		return false;
	(void)waitq_wait(&mb->receivers, &mb->lock, try_receive, &r, deadline_ns);
	return r.received;
}
