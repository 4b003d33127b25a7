/*
 * Transmission (virtio 1.2, 5.1.6.2): one writev for each chain, its header included; the kernel
 * checks the header against the frame. On the loop's thread, woken by the driver's notification.
 * While there is work the driver is not asked for notifications. The interrupt is left to the
 * caller: an answer to what was sent may be there already, and one interrupt then tells of both.
 */
#include <errno.h>
#include <sys/uio.h>

#include "devices/virtio/net_priv.h"

#define TX_BUDGET 128u /* chains before other sources get their turn */
#define TX_BATCH  32u  /* chains before the driver gets them back */

enum tx_result {
	TX_CHAIN,   /* one chain was sent or dropped */
	TX_NONE,    /* no chain */
	TX_BLOCKED, /* the backend takes nothing at the moment */
	TX_LATE,    /* the limit of rate does not allow a frame yet */
	TX_DEAD,    /* broken ring */
};

static bool well_formed(struct net_pair *p, const struct ring_chain *c)
{
	if (!c->nwrite && c->read_bytes > NET_VNET_HDR_BYTES && c->read_bytes <= NET_FRAME_MAX)
		return true;
	vdev_guest_error(&p->net->vd, "queue %u: frame of %u readable and %u writable bytes",
	                 2 * p->index + 1, c->read_bytes, c->write_bytes);
	return false;
}

/* Errors that are no fault of this frame's, and will come again. */
static bool is_backend_error(int err)
{
	return err == EBADF || err == EBADFD || err == ENODEV || err == EPIPE || err == ENOTCONN;
}

static enum tx_result write_failed(struct net_pair *p, int err)
{
	if (err == EAGAIN)
		return TX_BLOCKED;
	p->net->stats.tx_dropped++;
	if (is_backend_error(err))
		net_backend_failed(p->net, "send", err);
	else if (err == EINVAL)
		vdev_guest_error(&p->net->vd, "queue %u: the host refuses a frame or its header",
		                 2 * p->index + 1);
	return TX_CHAIN;
}

static enum tx_result transmit(struct net_pair *p, const struct ring_chain *c)
{
	struct vmm_net *net = p->net;
	if (!well_formed(p, c) || !net->link_up) {
		net->stats.tx_dropped++;
		return TX_CHAIN;
	}
	ssize_t n;
	do
		n = writev(net->backend->fd[p->index], c->iov, c->nread);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return write_failed(p, errno);
	rate_take(&net->tx_rate, c->read_bytes - NET_VNET_HDR_BYTES);
	net_capture(net, c->iov, c->nread, c->read_bytes);
	net->stats.tx_frames++;
	net->stats.tx_bytes += c->read_bytes - NET_VNET_HDR_BYTES;
	return TX_CHAIN;
}

static enum tx_result next(struct net_pair *p)
{
	struct vdev *vd = &p->net->vd;
	unsigned q = 2 * p->index + 1;
	struct ring_chain chain;
	if (!net_in_rate(p->net, &p->net->tx_rate))
		return TX_LATE;
	enum ring_result popped = vdev_pop(vd, q, &chain, p->net->iov, RING_SIZE_MAX);
	if (popped != RING_OK)
		return popped == RING_BAD ? TX_DEAD : TX_NONE;
	enum tx_result res = transmit(p, &chain);
	if (res == TX_BLOCKED)
		ring_unpop(&vd->queue[q].ring);
	else
		ring_push(&vd->queue[q].ring, chain.head, 0);
	return res;
}

/* See who has to wake us: nobody, the descriptor, the timer, or the driver. */
static void settle(struct net_pair *p, enum tx_result last)
{
	struct vmm_net *net = p->net;
	bool more = last == TX_CHAIN;
	p->tx_blocked = last == TX_BLOCKED;
	p->tx_late = last == TX_LATE;
	if (last == TX_NONE)
		more = ring_kick_enable(&net->vd.queue[2 * p->index + 1].ring);
	if (more) {
		p->tx_more = true;
		net_post(net);
	}
}

void net_tx_run(struct net_pair *p)
{
	struct vmm_net *net = p->net;
	struct vdev *vd = &net->vd;
	unsigned q = 2 * p->index + 1;
	enum tx_result res = TX_CHAIN;
	p->tx_more = false;
	if (!net_usable(net) || p->tx_blocked || p->index >= net->pairs || !vd->queue[q].ring.gm)
		return;
	ring_kick_disable(&vd->queue[q].ring);
	for (unsigned i = 1; res == TX_CHAIN && i <= TX_BUDGET; i++) {
		res = next(p);
		if (i % TX_BATCH == 0) {
			net_publish(net, q);
			net_signal(net);
		}
	}
	net_publish(net, q);
	settle(p, res);
}
