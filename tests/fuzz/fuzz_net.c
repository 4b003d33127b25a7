/*
 * virtio-net with a driver that means harm. The input is a program: each step writes to the rings,
 * to buffers or to the far end of the backend, or notifies, resets and unplugs the card. Whatever
 * it does, the card must touch nothing outside the memory of its guest, must not hang, and must
 * work for the next driver.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../unit/net_rig.h"

#define FEATURES                                                                      \
	(1ull << VIRTIO_NET_F_CTRL_VQ | 1ull << VIRTIO_NET_F_CTRL_RX |                \
	 1ull << VIRTIO_NET_F_CTRL_MAC_ADDR | 1ull << VIRTIO_NET_F_GUEST_CSUM |       \
	 1ull << VIRTIO_NET_F_GUEST_TSO4 | 1ull << VIRTIO_NET_F_CTRL_GUEST_OFFLOADS | \
	 1ull << VIRTIO_NET_F_GUEST_ANNOUNCE | 1ull << VIRTIO_RING_F_INDIRECT_DESC)

struct input {
	const uint8_t *data;
	size_t left;
};

static uint64_t take(struct input *in, unsigned bytes)
{
	uint64_t v = 0;
	for (unsigned i = 0; i < bytes && in->left; i++, in->left--)
		v |= (uint64_t)*in->data++ << (8 * i);
	return v;
}

/* A well-formed chain, apart from what the input says of its segments. */
static void add_chain(struct rig *rig, struct input *in, unsigned q)
{
	struct seg s[4];
	unsigned n = (unsigned)take(in, 1) % 4 + 1;
	for (unsigned i = 0; i < n; i++) {
		uint64_t shape = take(in, 3);
		s[i].addr = RIG_DATA + (shape & 0xff) * 64;
		s[i].len = (uint32_t)(shape >> 8) & 0x1fff;
		s[i].write = (shape >> 21) & 1;
	}
	(void)rig_add(rig, q, s, n);
}

/* A command of the usual shape, apart from what the input says; to nobody if there is no such
 * queue. */
static void add_command(struct rig *rig, struct input *in)
{
	unsigned q = rig->vd->queue_count - 1;
	uint8_t what = (uint8_t)take(in, 1);
	const struct seg s[2] = {{RIG_DATA, 2 + (what >> 4), false}, {RIG_DATA + 64, 1, true}};
	uint8_t *p = rig_mem(rig, RIG_DATA, 64);
	p[0] = what & 7;
	for (unsigned i = 1; i < s[0].len; i++)
		p[i] = (uint8_t)take(in, 1);
	(void)rig_add(rig, q, s, 2);
	rig_kick(rig, q);
}

/* The backend at its far end: full sockets, none at all, a queue that it does not give. */
static void far_end(struct rig *rig, struct input *in)
{
	uint8_t how = (uint8_t)take(in, 1), frame[4096];
	unsigned pair = how >> 4 & 1;
	if (pair >= rig->be->b.queue_count)
		return;
	switch (how & 7) {
	case 0: /* it has ended */
		if (rig->be->peer[pair] >= 0)
			(void)close(rig->be->peer[pair]);
		rig->be->peer[pair] = -1;
		break;
	case 1:
		rig->be->refuse = how & 0x20;
		break;
	case 2: {
		vmm_rate_t r = VMM_RATE_INIT;
		r.bytes_per_second = take(in, 2) << 8;
		r.ops_per_second = take(in, 2);
		if (vmm_net_set_rate(rig->net, how & 0x20 ? &r : NULL, how & 0x40 ? &r : NULL,
		                     NULL))
			abort();
		r = (vmm_rate_t){.struct_size = sizeof(r), .bytes_burst = 1};
		if (vmm_net_set_rate(rig->net, &r, NULL, NULL) == VMM_OK)
			abort(); /* a burst of nothing */
		break;
	}
	case 4: /* 4.2.2.2 */
		(void)pthread_mutex_lock(&rig->vd->lock);
		vdev_stop_queue(rig->vd, (how >> 4) % rig->vd->queue_count);
		(void)pthread_mutex_unlock(&rig->vd->lock);
		break;
	case 5: /* time for what waits */
		loop_run_once(rig->loop, 2);
		break;
	case 3: {
		int room = 4096;
		(void)setsockopt(rig->be->b.fd[pair], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
		break;
	}
	default:
		while (rig->be->peer[pair] >= 0 && rig_sent(rig, pair, frame, sizeof(frame)) >= 0)
			;
		break;
	}
}

static void step(struct rig *rig, struct input *in)
{
	unsigned op = (unsigned)take(in, 1);
	unsigned q = (op >> 4) % rig->vd->queue_count;
	uint8_t frame[4096];
	uint64_t at;
	switch (op & 15) {
	case 0 ... 3:
		add_chain(rig, in, q);
		break;
	case 4: { /* any descriptor */
		struct vring_desc *d = &rig_desc(rig, q)[take(in, 1)];
		d->addr = take(in, 3);
		d->len = (uint32_t)take(in, 3);
		d->flags = (uint16_t)take(in, 1);
		d->next = (uint16_t)take(in, 1);
		break;
	}
	case 5:
		rig_avail(rig, q)->ring[take(in, 1)] = (uint16_t)take(in, 2);
		break;
	case 6:
		rig_avail(rig, q)->idx = (uint16_t)take(in, 2);
		break;
	case 9:
		add_command(rig, in);
		break;
	case 7: /* used_event, or the flags */
		rig_avail(rig, q)->ring[rig->q[q].size] = (uint16_t)take(in, 2);
		rig_avail(rig, q)->flags = (uint16_t)take(in, 1);
		break;
	case 8: /* data: a command, a header, an indirect table */
		at = RIG_DATA + take(in, 1) * 64;
		for (unsigned n = (unsigned)take(in, 1) % 64; n; n--)
			*(uint8_t *)rig_mem(rig, at++, 1) = (uint8_t)take(in, 1);
		break;
	case 10 ... 11:
		memset(frame, 0, sizeof(frame));
		if (rig->be->peer[0] >= 0)
			(void)send(rig->be->peer[0], frame, take(in, 2) % sizeof(frame),
			           MSG_NOSIGNAL);
		break;
	case 12:
		vmm_net_set_link(rig->net, q & 1);
		break;
	case 13:
		far_end(rig, in);
		break;
	case 14:
		rig_reset(rig);
		rig_start(rig, (FEATURES | take(in, 4)) & vdev_offered(rig->vd));
		break;
	default:
		rig_kick(rig, q);
		break;
	}
}

/* Whatever the driver did, the card is what it was made as, and counts what it did. */
static void check_card(struct rig *rig)
{
	static const uint8_t made[6] = {2, 0, 0, 0, 0, 1};
	const struct net_stats s = net_stats(rig->net);
	uint8_t mac[6];
	vmm_net_mac(rig->net, mac);
	if (!net_is(rig->vd) || memcmp(mac, made, sizeof(mac)) != 0 || s.rx_bytes < s.rx_frames ||
	    s.tx_bytes < s.tx_frames)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size < 4096 ? size : 4096};
	static struct rig rig;
	const vmm_rate_t unlimited = VMM_RATE_INIT;
	uint16_t head;
	uint32_t len;
	unsigned pairs = (unsigned)take(&in, 1) % 2 + 1;
	uint16_t queue_size = (uint16_t)(1u << (take(&in, 1) % 8 + 1));
	rig_open(&rig, pairs, queue_size, true);
	rig_start(&rig, (FEATURES | take(&in, 8)) & vdev_offered(rig.vd));
	while (in.left)
		step(&rig, &in);
	for (unsigned q = 0; q < rig.vd->queue_count; q++)
		rig_kick(&rig, q);
	check_card(&rig);
	/* The next driver finds a card that works, if its backend does. */
	rig.be->refuse = false;
	rig_reset(&rig);
	vmm_net_set_link(rig.net, true);
	if (vmm_net_set_rate(rig.net, &unlimited, &unlimited, NULL))
		abort();
	rig_start(&rig, 1ull << VIRTIO_NET_F_MRG_RXBUF);
	struct seg s = {RIG_DATA, 2048, true};
	(void)rig_add(&rig, 0, &s, 1);
	if (rig.be->peer[0] >= 0)
		rig_inject(&rig, 0, 100, 1);
	rig_kick(&rig, 0);
	/* An empty message is the backend's end: the cable stays unplugged then. Where the far end
	 * is gone, frames that it has sent may still be on the way. */
	bool works = rig_used(&rig, 0, &head, &len) && len == RIG_HDR + 100;
	if (rig.be->peer[0] >= 0 && works == rig.net->backend_failed)
		abort();
	rig_close(&rig);
	return 0;
}
