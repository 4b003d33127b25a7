/* virtio-net. See net.h. */
#include "guest-kernel/drivers/net.h"

#include <string.h>

#define F_MAC         (1ull << 5)
#define F_STATUS      (1ull << 16)

#define RECEIVE       0u
#define TRANSMIT      1u
#define HDR           12u /* struct virtio_net_hdr_v1 */
#define ETH_MIN       14u

#define CONFIG_STATUS 6u
#define STATUS_LINK   1u

struct net_buffer {
	struct list link;
	uint32_t len_bytes;
	uint8_t hdr[HDR], frame[NET_FRAME_MAX];
};

/* Header and frame in one piece: they lie side by side. */
static struct virtq_seg whole(struct net_buffer *b, uint32_t frame_bytes, bool device_writes)
{
	return (struct virtq_seg){b->hdr, HDR + frame_bytes, device_writes};
}

static void offer(struct net *n, struct net_buffer *b)
{
	struct virtq_seg seg = whole(b, NET_FRAME_MAX, true);
	(void)virtq_add(&n->queues[RECEIVE], &seg, 1, b);
}

static void received(struct net *n, struct net_buffer *b, uint32_t written)
{
	if (written < HDR + ETH_MIN) {
		n->bad++;
		return;
	}
	n->received++;
	n->received_bytes += written - HDR;
	if (n->receive)
		n->receive(n->receive_ctx, b->frame, written - HDR);
	else
		n->dropped++;
}

static void on_receive(struct net *n, struct virtq *q)
{
	/* As many as there are buffers: the rest comes with the next interrupt. */
	for (unsigned i = 0; i < NET_BUFFERS; i++) {
		uint32_t written;
		spin_lock(&q->lock);
		struct net_buffer *b = virtq_take(q, &written);
		spin_unlock(&q->lock);
		if (!b)
			break;
		received(n, b, written);
		spin_lock(&q->lock);
		offer(n, b);
		spin_unlock(&q->lock);
	}
	spin_lock(&q->lock);
	virtq_kick(q);
	bool more = !virtq_listen(q);
	spin_unlock(&q->lock);
	if (more && !n->dev.broken)
		(void)workq_add(&kernel_of_cpu()->workq, &n->more);
}

static void reclaim(struct net *n)
{
	uint32_t written;
	struct net_buffer *b;
	while ((b = virtq_take(&n->queues[TRANSMIT], &written)))
		list_append(&n->idle, &b->link);
}

static void more_to_receive(struct work *w)
{
	struct net *n = LIST_OF(w, struct net, more);
	unsigned long flags = arch_irq_save();
	on_receive(n, &n->queues[RECEIVE]);
	arch_irq_restore(flags);
}

static void on_queue(struct virtio_dev *dev, struct virtq *q)
{
	struct net *n = dev->driver;
	if (q->index == RECEIVE)
		on_receive(n, q);
}

static void read_link(struct virtio_dev *dev)
{
	struct net *n = dev->driver;
	n->link = !virtio_has(dev, F_STATUS) || virtio_config8(dev, CONFIG_STATUS) & STATUS_LINK;
}

static bool get_buffers(struct net *n)
{
	n->buffers = mem_alloc(2 * NET_BUFFERS * sizeof(*n->buffers));
	list_init(&n->idle);
	for (unsigned i = 0; n->buffers && i < NET_BUFFERS; i++)
		list_append(&n->idle, &n->buffers[i].link);
	return n->buffers != NULL;
}

static void offer_all(struct net *n)
{
	struct virtq *q = &n->queues[RECEIVE];
	unsigned long flags = spin_lock_irqsave(&q->lock);
	for (unsigned i = 0; i < NET_BUFFERS; i++)
		offer(n, &n->buffers[NET_BUFFERS + i]);
	virtq_kick(q);
	spin_unlock_irqrestore(&q->lock, flags);
}

bool net_attach(struct net *n, const struct virtio_dev *dev)
{
	*n = (struct net){.dev = *dev};
	n->dev.driver = n;
	n->dev.on_queue = on_queue;
	n->dev.on_config = read_link;
	work_init(&n->more, more_to_receive);
	if (!virtio_agree(&n->dev, F_MAC | F_STATUS))
		return false;
	for (unsigned i = 0; i < 6; i++)
		n->mac[i] = virtio_has(&n->dev, F_MAC) ? virtio_config8(&n->dev, i)
		            : i == 0                   ? 2
		                                       : 0;
	read_link(&n->dev);
	if (!get_buffers(n)) {
		n->dev.why = "gets no buffers: memory is out";
		return false;
	}
	if (!virtio_go(&n->dev, n->queues, 2, VIRTQ_SIZE_MAX)) {
		mem_free(n->buffers);
		return false;
	}
	unsigned long flags = spin_lock_irqsave(&n->queues[TRANSMIT].lock);
	virtq_quiet(&n->queues[TRANSMIT]);
	spin_unlock_irqrestore(&n->queues[TRANSMIT].lock, flags);
	offer_all(n);
	return true;
}

bool net_send(struct net *n, const uint8_t *frame, size_t len)
{
	struct virtq *q = &n->queues[TRANSMIT];
	if (len < ETH_MIN || len > NET_FRAME_MAX)
		return false;
	unsigned long flags = spin_lock_irqsave(&q->lock);
	reclaim(n);
	struct list *e = n->dev.broken ? NULL : list_pop(&n->idle);
	if (e) {
		struct net_buffer *b = LIST_OF(e, struct net_buffer, link);
		memset(b->hdr, 0, sizeof(b->hdr));
		memcpy(b->frame, frame, len);
		struct virtq_seg seg = whole(b, (uint32_t)len, false);
		bool added = virtq_add(q, &seg, 1, b);
		if (!added)
			list_append(&n->idle, &b->link);
		virtq_kick(q);
		n->sent += added;
		n->sent_bytes += added ? len : 0;
		e = added ? e : NULL;
	}
	n->dropped += e == NULL;
	spin_unlock_irqrestore(&q->lock, flags);
	return e != NULL;
}
