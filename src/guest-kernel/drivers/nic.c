/* virtio-net. See nic.h. */
#include "guest-kernel/drivers/nic.h"

#define F_GUEST_TSO4  (1ull << 7)
#define F_GUEST_TSO6  (1ull << 8)
#define F_MAC         (1ull << 5)
#define F_MRG_RXBUF   (1ull << 15)
#define F_STATUS      (1ull << 16)

#define F_CTRL_VQ     (1ull << 17)
#define F_MQ          (1ull << 22)

#define CONFIG_STATUS 6u
#define CONFIG_PAIRS  8u /* max_virtqueue_pairs, 16 bits */
#define STATUS_LINK   1u

#define CTRL_MQ       4u /* VIRTIO_NET_CTRL_MQ, and its VQ_PAIRS_SET */
#define CTRL_OK       0u
#define CTRL_NS       (500 * NS_PER_MS)

static struct virtq *receive_queue(struct nic *n, unsigned pair)
{
	return &n->queues[2 * pair];
}

static struct virtq *transmit_queue(struct nic *n, unsigned pair)
{
	return &n->queues[2 * pair + 1];
}

static void wake(struct nic *n)
{
	if (n->wake)
		n->wake(n->wake_ctx);
}

static void on_queue(struct virtio_dev *dev, struct virtq *q)
{
	struct nic *n = dev->driver;
	spin_lock(&q->lock);
	virtq_quiet(q); /* until the one who is woken has taken all */
	spin_unlock(&q->lock);
	wake(n);
}

static void read_link(struct virtio_dev *dev)
{
	struct nic *n = dev->driver;
	bool link = !virtio_has(dev, F_STATUS) || virtio_config16(dev, CONFIG_STATUS) & STATUS_LINK;
	__atomic_store_n(&n->link, link, __ATOMIC_RELAXED);
	wake(n);
}

/* A card that is not used any more is one without a link. */
static void on_broken(struct virtio_dev *dev)
{
	struct nic *n = dev->driver;
	__atomic_store_n(&n->link, false, __ATOMIC_RELAXED);
	wake(n);
}

static bool get_slots(struct nic *n)
{
	n->slots = mem_alloc(n->pairs * NIC_SLOTS * sizeof(*n->slots));
	for (unsigned i = 0; n->slots && i < n->pairs * NIC_SLOTS; i++) {
		n->slots[i].next = n->idle[i / NIC_SLOTS];
		n->idle[i / NIC_SLOTS] = &n->slots[i];
	}
	return n->slots != NULL;
}

static void quiet(struct virtq *q)
{
	unsigned long flags = spin_lock_irqsave(&q->lock);
	virtq_quiet(q);
	spin_unlock_irqrestore(&q->lock, flags);
}

static bool agree_to(struct nic *n, const struct virtio_dev *dev, uint64_t wanted)
{
	n->dev = *dev;
	return virtio_agree(&n->dev, wanted);
}

/* Segments of 64 KiB can be received only into buffers that are merged; the control queue is behind
 * all others, so they all have to be there. */
static bool agree(struct nic *n, const struct virtio_dev *dev)
{
	uint64_t want = F_MAC | F_STATUS | F_MRG_RXBUF | NIC_F_CSUM | NIC_F_GUEST_CSUM |
	                NIC_F_HOST_TSO4 | NIC_F_HOST_TSO6 | F_GUEST_TSO4 | F_GUEST_TSO6;
	n->pairs = 1;
	if (!agree_to(n, dev, want | F_CTRL_VQ | F_MQ))
		return false;
	n->merges = virtio_has(&n->dev, F_MRG_RXBUF);
	if (virtio_has(&n->dev, F_MQ) && virtio_has(&n->dev, F_CTRL_VQ))
		n->pairs = virtio_config16(&n->dev, CONFIG_PAIRS);
	if (n->pairs >= 2 && n->pairs <= NIC_PAIRS_MAX)
		want |= F_CTRL_VQ | F_MQ;
	else
		n->pairs = 1;
	if (!n->merges)
		want &= ~(F_GUEST_TSO4 | F_GUEST_TSO6);
	return agree_to(n, dev, want);
}

/* 5.1.6.5.5: until the device is told otherwise, one pair is in use. */
static bool use_pairs(struct nic *n)
{
	struct virtq *q = &n->queues[2 * n->pairs];
	struct nic_command *c = &n->command;
	struct virtq_seg segs[] = {
	        {&c->class, 2, false}, {c->pairs_le, 2, false}, {&c->ack, 1, true}};
	uint64_t end = arch_now_ns() + CTRL_NS;
	uint32_t written;
	bool done = false;
	*c = (struct nic_command){CTRL_MQ, 0, {(uint8_t)n->pairs}, !CTRL_OK};
	for (bool sent = false; !done && arch_now_ns() < end; sent = true) {
		unsigned long flags = spin_lock_irqsave(&q->lock);
		if (!sent && !virtq_add(q, segs, 3, c))
			end = 0;
		virtq_kick(q);
		done = virtq_take(q, &written) != NULL;
		spin_unlock_irqrestore(&q->lock, flags);
		arch_cpu_relax();
	}
	return done && written == 1 && c->ack == CTRL_OK;
}

bool nic_attach(struct nic *n, const struct virtio_dev *dev)
{
	*n = (struct nic){0};
	if (!agree(n, dev))
		return false;
	n->dev.driver = n;
	n->dev.on_queue = on_queue;
	n->dev.on_config = read_link;
	n->dev.on_broken = on_broken;
	for (unsigned i = 0; i < 6; i++)
		n->mac[i] = virtio_has(&n->dev, F_MAC) ? virtio_config8(&n->dev, i)
		            : i == 0                   ? 2
		                                       : 0;
	read_link(&n->dev);
	if (!get_slots(n)) {
		n->dev.why = "gets no buffers: memory is out";
		return false;
	}
	unsigned count = n->pairs > 1 ? 2 * n->pairs + 1 : 2;
	if (!virtio_go(&n->dev, n->queues, count, VIRTQ_SIZE_MAX)) {
		mem_free(n->slots);
		return false;
	}
	if (n->pairs > 1 && !use_pairs(n))
		n->pairs = 1;
	for (unsigned i = 0; i < n->pairs; i++)
		quiet(transmit_queue(n, i));
	return true;
}

void nic_start(struct nic *n, void (*fn)(void *ctx), void *ctx)
{
	unsigned long flags = arch_irq_save();
	n->wake_ctx = ctx;
	n->wake = fn;
	arch_irq_restore(flags);
}

bool nic_offer(struct nic *n, unsigned pair, void *data, uint32_t len_bytes, void *cookie)
{
	struct virtq *q = receive_queue(n, pair);
	struct virtq_seg seg = {data, len_bytes, true};
	unsigned long flags = spin_lock_irqsave(&q->lock);
	bool added = virtq_add(q, &seg, 1, cookie);
	spin_unlock_irqrestore(&q->lock, flags);
	return added;
}

void *nic_receive(struct nic *n, unsigned pair, uint32_t *len_bytes)
{
	struct virtq *q = receive_queue(n, pair);
	unsigned long flags = spin_lock_irqsave(&q->lock);
	void *cookie = virtq_take(q, len_bytes);
	spin_unlock_irqrestore(&q->lock, flags);
	virtio_settle(&n->dev);
	return cookie;
}

unsigned nic_frame_buffers(const struct nic *n, const struct nic_hdr *hdr, uint32_t len_bytes)
{
	if (len_bytes < NIC_HDR_BYTES + NIC_ETH_MIN)
		return 0;
	if (!n->merges)
		return 1;
	return hdr->num_buffers <= NIC_SEGS_MAX ? hdr->num_buffers : 0;
}

bool nic_listen(struct nic *n, unsigned pair)
{
	struct virtq *q = receive_queue(n, pair);
	unsigned long flags = spin_lock_irqsave(&q->lock);
	virtq_kick(q);
	bool empty = virtq_listen(q);
	if (!empty)
		virtq_quiet(q);
	spin_unlock_irqrestore(&q->lock, flags);
	return empty || __atomic_load_n(&n->dev.broken, __ATOMIC_RELAXED);
}

bool nic_send(struct nic *n, unsigned pair, const struct nic_hdr *hdr, const struct virtq_seg *segs,
              unsigned count, void *cookie)
{
	struct virtq *q = transmit_queue(n, pair);
	struct virtq_seg all[VIRTQ_SEGS_MAX];
	if (count == 0 || count > NIC_SEGS_MAX)
		return false;
	uint64_t bytes = 0;
	for (unsigned i = 0; i < count; i++) {
		all[i + 1] = segs[i];
		bytes += segs[i].len_bytes;
	}
	unsigned long flags = spin_lock_irqsave(&q->lock);
	struct nic_slot *s = n->idle[pair];
	if (s) {
		s->hdr = *hdr;
		s->cookie = cookie;
		all[0] = (struct virtq_seg){&s->hdr, NIC_HDR_BYTES, false};
	}
	bool added = s && virtq_add(q, all, count + 1, s);
	if (added) {
		n->idle[pair] = s->next;
		n->sent++;
		n->sent_bytes += bytes;
	}
	spin_unlock_irqrestore(&q->lock, flags);
	return added;
}

void nic_kick(struct nic *n, unsigned pair)
{
	struct virtq *q = transmit_queue(n, pair);
	unsigned long flags = spin_lock_irqsave(&q->lock);
	virtq_kick(q);
	spin_unlock_irqrestore(&q->lock, flags);
}

void *nic_sent(struct nic *n, unsigned pair)
{
	struct virtq *q = transmit_queue(n, pair);
	uint32_t written;
	unsigned long flags = spin_lock_irqsave(&q->lock);
	struct nic_slot *s = virtq_take(q, &written);
	void *cookie = NULL;
	if (s) {
		cookie = s->cookie;
		s->next = n->idle[pair];
		n->idle[pair] = s;
	}
	spin_unlock_irqrestore(&q->lock, flags);
	virtio_settle(&n->dev);
	return cookie;
}

bool nic_listen_sent(struct nic *n, unsigned pair)
{
	struct virtq *q = transmit_queue(n, pair);
	unsigned long flags = spin_lock_irqsave(&q->lock);
	bool empty = virtq_listen(q);
	spin_unlock_irqrestore(&q->lock, flags);
	return empty;
}

void nic_stop(struct nic *n)
{
	n->wake = NULL;
	virtio_stop(&n->dev);
}

void *nic_recall(struct nic *n)
{
	void *cookie = NULL;
	for (unsigned i = 0; i < n->pairs && !cookie; i++)
		cookie = virtq_recall(receive_queue(n, i));
	return cookie;
}

void *nic_recall_sent(struct nic *n)
{
	struct nic_slot *s = NULL;
	for (unsigned i = 0; i < n->pairs && !s; i++)
		s = virtq_recall(transmit_queue(n, i));
	return s ? s->cookie : NULL;
}
