/*
 * Reception (virtio 1.2, 5.1.6.3 and 5.1.6.4): one readv for each frame, straight into the guest's
 * buffers. On the loop's thread, woken by the backend's descriptor or, after the buffers ran out,
 * by the driver's notification. The descriptor is level triggered, so that nobody has to read it
 * until it would block: a read in vain costs more than the loop's own look at it.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/uio.h>

#include "devices/virtio/net_priv.h"

#define RX_BUDGET      128u /* frames before other sources get their turn */
#define RX_BATCH       32u  /* frames before the driver is told */
#define RX_DRAIN_MAX   4096u
#define RX_GOAL_MIN    (NET_VNET_HDR_BYTES + 1518u)
#define RX_GOAL_FADE   64u
#define NUM_BUFFERS_AT offsetof(struct virtio_net_hdr_v1, num_buffers)

enum rx_result {
	RX_FRAME,   /* one frame was taken, delivered or dropped */
	RX_NONE,    /* the backend has no frame */
	RX_STARVED, /* the driver has no buffer */
	RX_LATE,    /* the limit of rate does not allow a frame yet */
	RX_DEAD,    /* broken ring, or broken backend */
};

static struct ring *rx_ring(struct net_pair *p)
{
	return &p->net->vd.queue[2 * p->index].ring;
}

static unsigned held(const struct net_rx *rx)
{
	return rx->buf_tail - rx->buf_head;
}

/* Move what is held to the front, if one more buffer might not fit behind it. */
static void make_room(struct net_rx *rx)
{
	unsigned segs = rx->iov_tail - rx->iov_head;
	unsigned bufs = held(rx);
	if (segs == 0) {
		rx->iov_head = rx->iov_tail = 0;
		rx->buf_head = rx->buf_tail = 0;
		return;
	}
	if (rx->iov_tail + NET_RX_SEGS_BUF < NET_RX_SEGS_MAX)
		return;
	memmove(rx->iov, rx->iov + rx->iov_head, segs * sizeof(rx->iov[0]));
	memmove(rx->buf, rx->buf + rx->buf_head, bufs * sizeof(rx->buf[0]));
	rx->iov_head = 0;
	rx->iov_tail = segs;
	rx->buf_head = 0;
	rx->buf_tail = bufs;
}

/* Take one more buffer from the ring. */
static enum ring_result take(struct net_pair *p)
{
	struct vdev *vd = &p->net->vd;
	struct net_rx *rx = &p->rx;
	struct ring_chain chain;
	make_room(rx);
	enum ring_result res =
	        vdev_pop(vd, 2 * p->index, &chain, rx->iov + rx->iov_tail, NET_RX_SEGS_BUF);
	if (res != RING_OK)
		return res;
	if (chain.nread || chain.write_bytes < NET_VNET_HDR_BYTES) {
		vdev_fail(vd, "queue %u: receive buffer with %u readable and %u writable bytes",
		          2 * p->index, chain.read_bytes, chain.write_bytes);
		return RING_BAD;
	}
	rx->buf[rx->buf_tail++] = (struct net_rx_buf){chain.head, chain.nwrite, chain.write_bytes};
	rx->iov_tail += chain.nwrite;
	rx->bytes += chain.write_bytes;
	return RING_OK;
}

/* Hold at least BYTES of buffers, if the driver has them; without merging, one buffer. */
static enum ring_result fill(struct net_pair *p, uint32_t bytes)
{
	struct net_rx *rx = &p->rx;
	while (rx->bytes < bytes && rx->iov_tail - rx->iov_head < NET_RX_SEGS_HELD) {
		if (!p->net->mrg && held(rx))
			break;
		enum ring_result res = take(p);
		if (res != RING_OK)
			return res;
	}
	return RING_OK;
}

/* Copy from SRC to the held buffers, from byte OFFSET of them on. */
static void put(struct net_rx *rx, uint32_t offset, const void *src, uint32_t len)
{
	struct ring_chain all = {.nwrite = (uint16_t)(rx->iov_tail - rx->iov_head),
	                         .iov = rx->iov + rx->iov_head};
	(void)chain_write(&all, offset, src, len);
}

/* A frame of LEN bytes is complete in the held buffers: give as many as it needs to the driver. */
static void deliver(struct net_pair *p, uint32_t len)
{
	struct net_rx *rx = &p->rx;
	struct ring *r = rx_ring(p);
	uint32_t left = len;
	uint16_t count = 0;
	for (uint32_t sum = 0; sum < len; count++)
		sum += rx->buf[rx->buf_head + count].bytes;
	const uint8_t num_buffers[2] = {(uint8_t)count, (uint8_t)(count >> 8)};
	put(rx, NUM_BUFFERS_AT, num_buffers, sizeof(num_buffers));
	while (left) {
		const struct net_rx_buf *buf = &rx->buf[rx->buf_head++];
		uint32_t part = left < buf->bytes ? left : buf->bytes;
		ring_push(r, buf->head, part);
		rx->iov_head += buf->segs;
		rx->bytes -= buf->bytes;
		left -= part;
	}
	p->net->stats.rx_frames++;
	p->net->stats.rx_bytes += len - NET_VNET_HDR_BYTES;
}

static enum rx_result drop(struct net_pair *p)
{
	p->rx.pending = 0;
	p->net->stats.rx_dropped++;
	return RX_FRAME;
}

/* The waiting frame is longer than the buffers that were held: find more for its rest. */
static enum rx_result finish(struct net_pair *p)
{
	struct net_rx *rx = &p->rx;
	enum ring_result res = fill(p, rx->pending);
	if (res == RING_BAD)
		return RX_DEAD;
	if (rx->bytes < rx->pending) {
		/* Waiting helps only if the driver still has buffers to give, and merges them. */
		bool hopeless = !p->net->mrg || held(rx) >= rx_ring(p)->size ||
		                rx->iov_tail - rx->iov_head >= NET_RX_SEGS_HELD;
		return hopeless ? drop(p) : RX_STARVED;
	}
	put(rx, rx->pending_direct, rx->stash, rx->pending - rx->pending_direct);
	deliver(p, rx->pending);
	rx->pending = 0;
	return RX_FRAME;
}

static enum rx_result read_failed(struct net_pair *p, int err)
{
	if (err == EAGAIN)
		return RX_NONE;
	if (err == EINTR)
		return RX_FRAME;
	net_backend_failed(p->net, "receive", err);
	return RX_DEAD;
}

/* Follow the size of frames: up at once, down slowly, so that bulk transfers find their room. */
static void learn(struct net_rx *rx, uint32_t len)
{
	if (len > rx->goal)
		rx->goal = len;
	else
		rx->goal -= (rx->goal - len) / RX_GOAL_FADE;
	if (rx->goal < RX_GOAL_MIN)
		rx->goal = RX_GOAL_MIN;
}

static enum rx_result receive(struct net_pair *p)
{
	struct net_rx *rx = &p->rx;
	if (rx->pending)
		return finish(p);
	if (!net_in_rate(p->net, &p->net->rx_rate))
		return RX_LATE;
	if (fill(p, rx->goal) == RING_BAD)
		return RX_DEAD;
	if (held(rx) == 0)
		return RX_STARVED;
	/* Behind the last held segment there is always room for the stash: make_room. */
	rx->iov[rx->iov_tail] = (struct iovec){rx->stash, sizeof(rx->stash)};
	ssize_t n = readv(p->net->backend->fd[p->index], rx->iov + rx->iov_head,
	                  (int)(rx->iov_tail - rx->iov_head + 1));
	if (n <= 0)
		return read_failed(p, n ? errno : EPIPE);
	if (n < (ssize_t)NET_VNET_HDR_BYTES || n > (ssize_t)NET_FRAME_MAX)
		return drop(p);
	uint32_t len = (uint32_t)n;
	rate_take(&p->net->rx_rate, len - NET_VNET_HDR_BYTES);
	net_capture(p->net, rx->iov + rx->iov_head, rx->iov_tail - rx->iov_head + 1, len);
	learn(rx, len);
	if (len <= rx->bytes) {
		deliver(p, len);
		return RX_FRAME;
	}
	rx->pending = len;
	rx->pending_direct = rx->bytes;
	return finish(p);
}

/* Without buffers the driver has to wake us, in a drought of rate the timer; else the descriptor
 * does. */
static void settle(struct net_pair *p, enum rx_result last, unsigned frames)
{
	p->rx_starved = last == RX_STARVED;
	p->rx_late = last == RX_LATE;
	if (p->rx_starved && ring_kick_enable(rx_ring(p))) {
		p->rx_more = true;
		net_post(p->net);
	}
	/* As many as there were, and twice that if there may have been more. */
	p->burst = last == RX_FRAME ? 2 * frames : frames;
	if (p->burst > RX_BUDGET)
		p->burst = RX_BUDGET;
	if (p->burst == 0)
		p->burst = 1;
}

void net_rx_run(struct net_pair *p)
{
	struct vmm_net *net = p->net;
	enum rx_result res = RX_FRAME;
	unsigned frames = 0;
	p->rx_more = false;
	if (!net_usable(net) || !net->link_up || p->index >= net->pairs || !rx_ring(p)->gm)
		return;
	ring_kick_disable(rx_ring(p));
	while (frames < p->burst && (res = receive(p)) == RX_FRAME) {
		if (++frames % RX_BATCH)
			continue;
		net_publish(net, 2 * p->index);
		net_signal(net);
	}
	net_publish(net, 2 * p->index);
	settle(p, res, frames);
}

void net_rx_forget(struct net_pair *p)
{
	struct net_rx *rx = &p->rx;
	rx->iov_head = rx->iov_tail = 0;
	rx->buf_head = rx->buf_tail = 0;
	rx->bytes = 0;
	rx->pending = 0;
	rx->goal = RX_GOAL_MIN;
	p->rx_starved = false;
	p->rx_late = false;
	p->burst = 1;
}

void net_rx_drain(struct vmm_net *net, unsigned q)
{
	uint8_t byte;
	for (unsigned i = 0; i < RX_DRAIN_MAX; i++) {
		uint8_t hdr[NET_VNET_HDR_BYTES];
		struct iovec iov[2] = {{hdr, sizeof(hdr)}, {&byte, sizeof(byte)}};
		if (readv(net->backend->fd[q], iov, 2) < 0 && errno != EINTR)
			return;
		net->stats.rx_dropped++;
	}
}
