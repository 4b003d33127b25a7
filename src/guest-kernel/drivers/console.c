/* virtio-console. See console.h. */
#include "guest-kernel/drivers/console.h"

#include <string.h>

#define RECEIVE  0u
#define TRANSMIT 1u

static void listen(struct console *c)
{
	struct virtq *q = &c->queues[RECEIVE];
	struct virtq_seg seg = {c->typed, CONSOLE_PIECE, true};
	unsigned long flags = spin_lock_irqsave(&q->lock);
	if (virtq_add(q, &seg, 1, c->typed))
		virtq_kick(q);
	spin_unlock_irqrestore(&q->lock, flags);
}

static void on_typed(struct console *c)
{
	struct virtq *q = &c->queues[RECEIVE];
	uint32_t len;
	spin_lock(&q->lock);
	bool came = virtq_take(q, &len);
	(void)virtq_listen(q);
	spin_unlock(&q->lock);
	if (!came)
		return;
	if (c->input)
		c->input(c->input_ctx, (const char *)c->typed, len);
	listen(c);
}

static void on_queue(struct virtio_dev *dev, struct virtq *q)
{
	if (q->index == RECEIVE)
		on_typed(dev->driver);
}

bool console_attach(struct console *c, const struct virtio_dev *dev)
{
	*c = (struct console){.dev = *dev};
	c->dev.driver = c;
	c->dev.on_queue = on_queue;
	c->pieces = mem_alloc((VIRTQ_SIZE_MAX + 1) * CONSOLE_PIECE);
	if (!c->pieces) {
		c->dev.why = "gets no buffers: memory is out";
		return false;
	}
	c->typed = c->pieces + VIRTQ_SIZE_MAX * CONSOLE_PIECE;
	if (!virtio_agree(&c->dev, 0) || !virtio_go(&c->dev, c->queues, 2, VIRTQ_SIZE_MAX)) {
		mem_free(c->pieces);
		return false;
	}
	listen(c);
	return true;
}

/* The lock of the transmit queue is held. */
static bool write_piece(struct console *c, const char *text, size_t len)
{
	struct virtq *q = &c->queues[TRANSMIT];
	uint32_t ignored;
	uint8_t *done;
	while ((done = virtq_take(q, &ignored)))
		c->busy &= ~(1ull << ((size_t)(done - c->pieces) / CONSOLE_PIECE));
	if (c->busy == UINT64_MAX)
		return false;
	unsigned free = (unsigned)__builtin_ctzll(~c->busy);
	uint8_t *piece = c->pieces + (size_t)free * CONSOLE_PIECE;
	struct virtq_seg seg = {piece, (uint32_t)len, false};
	memcpy(piece, text, len);
	if (!virtq_add(q, &seg, 1, piece))
		return false;
	c->busy |= 1ull << free;
	return true;
}

void console_write(struct console *c, const char *text, size_t len)
{
	struct virtq *q = &c->queues[TRANSMIT];
	unsigned long flags = spin_lock_irqsave(&q->lock);
	while (len > 0) {
		size_t n = len < CONSOLE_PIECE ? len : CONSOLE_PIECE;
		if (!write_piece(c, text, n)) {
			c->dropped += len;
			break;
		}
		c->written += n;
		text += n;
		len -= n;
	}
	virtq_kick(q);
	spin_unlock_irqrestore(&q->lock, flags);
	virtio_settle(&c->dev); /* which says something, and so comes here again */
}
