/* virtio-net: features, config space, life, and who is woken when. See net.h. */
#include "devices/virtio/net.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <nettle/sha2.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/epoll.h>

#include "devices/virtio/net_priv.h"
#include "net/pcap.h"
#include "vmm/clock.h"
#include "vmm/errset.h"

#define CTRL_QUEUE_SIZE 64u
#define BIT(n)          (1ull << (n))

uint32_t net_guest_offloads(uint64_t features)
{
	/* Segments come with checksums to be filled in, and ECN bits are those of segments. */
	if (!(features & BIT(VIRTIO_NET_F_GUEST_CSUM)))
		return 0;
	uint32_t off = NET_OFFLOAD_CSUM;
	if (features & BIT(VIRTIO_NET_F_GUEST_TSO4))
		off |= NET_OFFLOAD_TSO4;
	if (features & BIT(VIRTIO_NET_F_GUEST_TSO6))
		off |= NET_OFFLOAD_TSO6;
	if ((features & BIT(VIRTIO_NET_F_GUEST_ECN)) && off != NET_OFFLOAD_CSUM)
		off |= NET_OFFLOAD_ECN;
	return off;
}

static uint64_t offered(const struct net_opts *o, const struct net_backend *b)
{
	uint64_t f = BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS) |
	             BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_CTRL_VQ) |
	             BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) |
	             BIT(VIRTIO_NET_F_GUEST_ANNOUNCE);
	if (o->mtu)
		f |= BIT(VIRTIO_NET_F_MTU);
	if (b->queue_count > 1)
		f |= BIT(VIRTIO_NET_F_MQ);
	if (!o->offloads || !b->offloads)
		return f;
	f |= BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) |
	     BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	if (b->offloads & NET_OFFLOAD_TSO4)
		f |= BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO4);
	if (b->offloads & NET_OFFLOAD_TSO6)
		f |= BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_GUEST_TSO6);
	if (b->offloads & NET_OFFLOAD_ECN)
		f |= BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_GUEST_ECN);
	return f;
}

void net_post(struct vmm_net *net)
{
	loop_post(net->vd.loop, &net->work);
}

/* What the driver is told; its queues are the caller's business. */
static void set_link(struct vmm_net *net, bool up)
{
	net->link_up = up;
	net->config.status = htole16(up ? VIRTIO_NET_S_LINK_UP : 0);
}

void net_backend_failed(struct vmm_net *net, const char *what, int errnum)
{
	if (net->backend_failed)
		return;
	net->backend_failed = true;
	/* To the guest, the cable is unplugged; for good. */
	set_link(net, false);
	vdev_config_changed(&net->vd);
	char text[96];
	log_say(net->vd.log, VMM_LOG_ERROR, "%s: cannot %s through '%s': %s", net->vd.id, what,
	        net->backend->name, strerror_r(errnum, text, sizeof(text)));
}

void net_publish(struct vmm_net *net, unsigned q)
{
	if (vdev_publish_used(&net->vd, q))
		net->signals |= 1ull << q;
}

void net_signal(struct vmm_net *net)
{
	uint64_t due = net->signals;
	net->signals = 0;
	vdev_signal_queues(&net->vd, due);
}

/*
 * Watch P's descriptor for what its state calls for. It is level triggered: what nobody would act
 * upon must not be watched. One that is watched for nothing is taken out, for errors are always
 * reported. On the loop's thread.
 */
static void watch(struct net_pair *p)
{
	struct vmm_net *net = p->net;
	struct vdev *vd = &net->vd;
	uint32_t want = 0;
	if (net_usable(net) && !net->backend_failed && p->index < net->pairs) {
		/* A driver may leave a pair without its receive queue. */
		bool receives = net->vd.queue[2 * p->index].ring.gm;
		if (net->link_up && receives && !p->rx_starved && !p->rx_late)
			want |= EPOLLIN;
		if (p->tx_blocked)
			want |= EPOLLOUT;
	}
	if (want == p->watched)
		return;
	p->watched = want;
	vmm_err_info_t ei;
	if (!want)
		loop_del(vd->loop, &p->source);
	else if (p->source.added)
		loop_mod(vd->loop, &p->source, want);
	else if (loop_add(vd->loop, &p->source, want, &ei))
		log_say(vd->log, VMM_LOG_ERROR, "%s: %s", vd->id, ei.message);
}

/* The backend's descriptor is ready. */
static void source_ready(void *ctx, uint32_t events)
{
	struct net_pair *p = ctx;
	struct vdev *vd = &p->net->vd;
	(void)pthread_mutex_lock(&vd->lock);
	if (p->tx_blocked && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
		p->tx_blocked = false;
		net_tx_run(p);
	}
	net_rx_run(p);
	net_signal(p->net);
	watch(p);
	(void)pthread_mutex_unlock(&vd->lock);
}

bool net_in_rate(struct vmm_net *net, struct rate *rate)
{
	if (!rate->limited)
		return true;
	uint64_t now = clock_now_ns();
	uint64_t wait = rate_wait_ns(rate, now);
	if (!wait)
		return true;
	/* One timer serves both directions: whoever is too early then waits on. */
	if (!net->due.armed || net->due.deadline_ns > now + wait)
		loop_timer_set(net->vd.loop, &net->due, now + wait);
	return false;
}

/* What waited for a limit of rate goes on. */
static void resume(struct vmm_net *net)
{
	for (unsigned i = 0; i < net->pair_count; i++) {
		struct net_pair *p = &net->pair[i];
		p->rx_more |= p->rx_late;
		p->tx_more |= p->tx_late;
	}
}

/* On the loop: what was left for later, here or on another thread. */
static void work(void *ctx)
{
	struct vmm_net *net = ctx;
	(void)pthread_mutex_lock(&net->vd.lock);
	for (unsigned i = 0; i < net->pair_count; i++) {
		struct net_pair *p = &net->pair[i];
		if (p->rx_more)
			net_rx_run(p);
		if (p->tx_more)
			net_tx_run(p);
		watch(p);
	}
	if (net_usable(net) && net->ctrl_more)
		net_ctrl_run(net);
	net_signal(net);
	(void)pthread_mutex_unlock(&net->vd.lock);
}

static void due(void *ctx)
{
	struct vmm_net *net = ctx;
	(void)pthread_mutex_lock(&net->vd.lock);
	resume(net);
	(void)pthread_mutex_unlock(&net->vd.lock);
	work(net);
}

static void start_pair(struct net_pair *p)
{
	p->rx_more = true;
	p->tx_more = true;
	p->tx_blocked = false;
}

bool net_set_pairs(struct vmm_net *net, unsigned pairs)
{
	const struct net_backend_ops *ops = net->backend->ops;
	bool ok = true;
	/* Queue 0 always stays on. */
	for (unsigned q = 1; ok && q < net->pair_count; q++)
		if ((q < pairs) != (q < net->pairs))
			ok = ops->set_queue(net->backend, q, q < pairs);
	if (!ok)
		return false;
	for (unsigned q = net->pairs; q < pairs; q++)
		start_pair(&net->pair[q]);
	net->pairs = pairs;
	net_post(net);
	return true;
}

static bool net_activate(struct vdev *vd)
{
	struct vmm_net *net = net_of(vd);
	/* 5.1.6.5.5: one pair until the driver asks for more. */
	if (!net_set_pairs(net, 1))
		return false;
	net->mrg = vdev_has(vd, VIRTIO_NET_F_MRG_RXBUF);
	net->offloads = net_guest_offloads(vd->features_acked);
	net->backend->ops->set_offloads(net->backend, net->offloads);
	/* 5.1.2: the control queue follows the pairs that the driver knows of. */
	net->ctrl_queue = 0;
	if (vdev_has(vd, VIRTIO_NET_F_CTRL_VQ))
		net->ctrl_queue = vdev_has(vd, VIRTIO_NET_F_MQ) ? 2 * net->pair_count : 2;
	for (unsigned q = 0; q < net->pair_count; q++) {
		net_rx_forget(&net->pair[q]);
		/* Frames that came before have the offloads of whoever was there then. */
		net_rx_drain(net, q);
	}
	start_pair(&net->pair[0]);
	net_post(net);
	return true;
}

static void net_reset(struct vdev *vd)
{
	struct vmm_net *net = net_of(vd);
	(void)net_set_pairs(net, 1);
	for (unsigned q = 0; q < net->pair_count; q++) {
		struct net_pair *p = &net->pair[q];
		net_rx_forget(p);
		p->rx_more = p->tx_more = p->tx_blocked = p->tx_late = false;
	}
	net->ctrl_more = false;
	net->signals = 0;
	net->backend->ops->set_offloads(net->backend, 0);
	memcpy(net->config.mac, net->mac, sizeof(net->mac));
	net->config.status &= (uint16_t)~htole16(VIRTIO_NET_S_ANNOUNCE);
}

static void net_stop_queue(struct vdev *vd, unsigned q)
{
	struct vmm_net *net = net_of(vd);
	if (q / 2 < net->pair_count) {
		struct net_pair *p = &net->pair[q / 2];
		if (q & 1)
			p->tx_blocked = p->tx_late = false;
		else
			net_rx_forget(p);
	}
	net->signals &= ~BIT(q);
	net_post(net); /* what is watched may change */
}

static void net_kick(struct vdev *vd, unsigned q)
{
	struct vmm_net *net = net_of(vd);
	if (!net_usable(net))
		return;
	if (net->ctrl_queue && q == net->ctrl_queue) {
		net_ctrl_run(net);
	} else if (q / 2 < net->pairs) {
		struct net_pair *p = &net->pair[q / 2];
		if (q & 1)
			net_tx_run(p);
		net_rx_run(p);
		watch(p);
	}
	net_signal(net);
}

void net_capture(struct vmm_net *net, const struct iovec *iov, unsigned count, size_t len)
{
	char text[96];
	if (net->pcap_fd < 0 || pcap_write(net->pcap_fd, iov, count, NET_VNET_HDR_BYTES, len))
		return;
	log_say(net->vd.log, VMM_LOG_ERROR, "%s: the capture ends here: %s", net->vd.id,
	        strerror_r(errno, text, sizeof(text)));
	(void)close(net->pcap_fd);
	net->pcap_fd = -1;
}

static void net_start_threads(struct vdev *vd, const struct sandbox_filters *filters)
{
	struct net_backend *b = net_of(vd)->backend;
	vmm_err_info_t ei;
	if (b->ops->start && b->ops->start(b, filters, &ei))
		log_say(vd->log, VMM_LOG_ERROR, "%s: %s", vd->id, ei.message);
}

static void net_destroy(struct vdev *vd)
{
	struct vmm_net *net = net_of(vd);
	for (unsigned q = 0; q < net->pair_count; q++)
		if (vd->loop)
			loop_del(vd->loop, &net->pair[q].source);
	if (vd->loop)
		loop_timer_cancel(vd->loop, &net->due);
	net->backend->ops->destroy(net->backend);
	if (net->pcap_fd >= 0)
		(void)close(net->pcap_fd);
	vdev_fini(vd);
	free(net);
}

static const struct vdev_ops net_ops = {
        .name = "virtio-net",
        .device_id = VIRTIO_ID_NET,
        .activate = net_activate,
        .reset = net_reset,
        .stop_queue = net_stop_queue,
        .kick = net_kick,
        .start_threads = net_start_threads,
        .destroy = net_destroy,
};

static void fill_config(struct vmm_net *net, const struct net_opts *o)
{
	memcpy(net->mac, o->mac, sizeof(net->mac));
	memcpy(net->config.mac, o->mac, sizeof(net->config.mac));
	set_link(net, o->link_up);
	net->config.max_virtqueue_pairs = htole16((uint16_t)net->pair_count);
	net->config.mtu = htole16(o->mtu);
}

vmm_err_t net_create(const struct net_opts *opts, unsigned index, struct net_backend *b,
                     struct vdev **out, vmm_err_info_t *ei)
{
	unsigned pairs = b->queue_count;
	struct vmm_net *net = calloc(1, sizeof(*net) + pairs * sizeof(net->pair[0]));
	*out = NULL;
	if (!net) {
		b->ops->destroy(b);
		return err_set(ei, VMM_E_NOMEM, "net", "out of memory");
	}
	net->backend = b;
	net->pcap_fd = opts->pcap_fd;
	net->pair_count = pairs;
	net->pairs = pairs;
	net->work = (struct loop_task){.run = work, .ctx = net};
	net->due = (struct loop_timer){.expired = due, .ctx = net};
	rate_init(&net->rx_rate, opts->rx_rate, clock_now_ns());
	rate_init(&net->tx_rate, opts->tx_rate, clock_now_ns());
	for (unsigned q = 0; q < pairs; q++) {
		struct net_pair *p = &net->pair[q];
		p->net = net;
		p->index = q;
		p->source = (struct loop_source){.fd = b->fd[q], .ready = source_ready, .ctx = p};
	}
	fill_config(net, opts);
	struct vdev *vd = &net->vd;
	vd->ops = &net_ops;
	vd->features = offered(opts, b);
	vd->config = (uint8_t *)&net->config;
	vd->config_len = offsetof(struct virtio_net_config, speed);
	(void)snprintf(vd->id, sizeof(vd->id), "net%u", index);
	uint16_t sizes[2 * NET_BACKEND_QUEUES_MAX + 1];
	for (unsigned q = 0; q < 2 * pairs; q++)
		sizes[q] = opts->queue_size;
	sizes[2 * pairs] = CTRL_QUEUE_SIZE;
	vmm_err_t err = vdev_init(vd, 2 * pairs + 1, sizes, ei);
	if (err) {
		net_destroy(vd);
		return err;
	}
	b->ops->set_link(b, opts->link_up);
	*out = vd;
	return VMM_OK;
}

bool net_is(const struct vdev *vd)
{
	return vd->ops == &net_ops;
}

struct net_stats net_stats(struct vmm_net *net)
{
	(void)pthread_mutex_lock(&net->vd.lock);
	struct net_stats s = net->stats;
	(void)pthread_mutex_unlock(&net->vd.lock);
	return s;
}

/* The cable is back: nothing from before it came, and the others are told where we are. */
static void link_returned(struct vmm_net *net)
{
	for (unsigned q = 0; q < net->pairs; q++)
		net_rx_drain(net, q);
	if (vdev_has(&net->vd, VIRTIO_NET_F_GUEST_ANNOUNCE))
		net->config.status |= htole16(VIRTIO_NET_S_ANNOUNCE);
}

void vmm_net_set_link(vmm_net_t *net, bool up)
{
	(void)pthread_mutex_lock(&net->vd.lock);
	if (up != net->link_up && !net->backend_failed) {
		set_link(net, up);
		if (up)
			link_returned(net);
		net->backend->ops->set_link(net->backend, up);
		vdev_config_changed(&net->vd);
		if (net->vd.active)
			net_post(net); /* watch the descriptors, or no longer */
	}
	(void)pthread_mutex_unlock(&net->vd.lock);
}

vmm_err_t vmm_net_set_rate(vmm_net_t *net, const vmm_rate_t *rx, const vmm_rate_t *tx,
                           vmm_err_info_t *ei)
{
	vmm_err_t err = rate_check(rx, ei);
	if (!err)
		err = rate_check(tx, ei);
	if (err)
		return err;
	(void)pthread_mutex_lock(&net->vd.lock);
	rate_change(&net->rx_rate, rx, clock_now_ns());
	rate_change(&net->tx_rate, tx, clock_now_ns());
	resume(net);
	if (net->vd.active)
		net_post(net); /* what waits may have to wait for less */
	(void)pthread_mutex_unlock(&net->vd.lock);
	return VMM_OK;
}

void vmm_net_mac(const vmm_net_t *net, uint8_t mac[6])
{
	memcpy(mac, net->mac, sizeof(net->mac));
}

void net_derive_mac(const char *name, unsigned index, uint8_t mac[6])
{
	struct sha256_ctx ctx;
	uint8_t number = (uint8_t)index;
	sha256_init(&ctx);
	/* With its NUL, so that no name and number run into each other. */
	sha256_update(&ctx, strlen(name) + 1, (const uint8_t *)name);
	sha256_update(&ctx, sizeof(number), &number);
	uint8_t digest[6];
	sha256_digest(&ctx, sizeof(digest), digest);
	memcpy(mac, digest, sizeof(digest));
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02);
}
