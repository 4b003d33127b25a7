/*
 * The control queue (virtio 1.2, 5.1.6.5). A command is parsed from a private copy and acted upon
 * afterwards; what the card does not understand, or did not agree to, is answered with
 * VIRTIO_NET_ERR. The card passes all frames on to the driver, so that receive modes and address
 * tables are checked and need nothing done.
 */
#include <endian.h>
#include <string.h>

#include "devices/virtio/net_priv.h"

#define CTRL_BUDGET 64u

/* The header, and the fixed part of the longest command that is looked at. */
#define CTRL_HDR_BYTES sizeof(struct virtio_net_ctrl_hdr)

static uint64_t load_le(const uint8_t *p, unsigned size)
{
	uint64_t v = 0;
	for (unsigned i = 0; i < size; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

/* Read the command's data, which has to be LEN bytes. */
static bool get_data(const struct ring_chain *c, void *dst, uint32_t len)
{
	return c->read_bytes == CTRL_HDR_BYTES + len &&
	       chain_read(c, CTRL_HDR_BYTES, dst, len) == len;
}

static bool rx_mode(const struct vmm_net *net, const struct ring_chain *c, uint8_t cmd)
{
	uint8_t on;
	if (!vdev_has(&net->vd, VIRTIO_NET_F_CTRL_RX) || !get_data(c, &on, sizeof(on)))
		return false;
	/* The others are VIRTIO_NET_F_CTRL_RX_EXTRA, which is not offered. */
	return on <= 1 && (cmd == VIRTIO_NET_CTRL_RX_PROMISC || cmd == VIRTIO_NET_CTRL_RX_ALLMULTI);
}

/* Two tables, each a 32-bit count and as many addresses: unicast, then multicast. */
static bool mac_table(const struct vmm_net *net, const struct ring_chain *c)
{
	uint32_t at = CTRL_HDR_BYTES;
	if (!vdev_has(&net->vd, VIRTIO_NET_F_CTRL_RX))
		return false;
	for (unsigned i = 0; i < 2; i++) {
		uint8_t count_le[4];
		if (c->read_bytes - at < sizeof(count_le))
			return false;
		(void)chain_read(c, at, count_le, sizeof(count_le));
		at += (uint32_t)sizeof(count_le);
		uint64_t count = load_le(count_le, sizeof(count_le));
		if (count > (c->read_bytes - at) / 6)
			return false;
		at += (uint32_t)count * 6;
	}
	return at == c->read_bytes;
}

static bool set_mac(struct vmm_net *net, const struct ring_chain *c)
{
	static const uint8_t zero[6];
	uint8_t mac[6];
	if (!vdev_has(&net->vd, VIRTIO_NET_F_CTRL_MAC_ADDR) || !get_data(c, mac, sizeof(mac)))
		return false;
	if ((mac[0] & 1) || !memcmp(mac, zero, sizeof(mac)))
		return false;
	memcpy(net->config.mac, mac, sizeof(mac));
	return true;
}

static bool announced(struct vmm_net *net, const struct ring_chain *c)
{
	if (!vdev_has(&net->vd, VIRTIO_NET_F_GUEST_ANNOUNCE) || c->read_bytes != CTRL_HDR_BYTES)
		return false;
	net->config.status &= (uint16_t)~htole16(VIRTIO_NET_S_ANNOUNCE);
	return true;
}

static bool set_pairs(struct vmm_net *net, const struct ring_chain *c)
{
	uint8_t pairs_le[2];
	if (!vdev_has(&net->vd, VIRTIO_NET_F_MQ) || !get_data(c, pairs_le, sizeof(pairs_le)))
		return false;
	unsigned pairs = (unsigned)load_le(pairs_le, sizeof(pairs_le));
	return pairs >= VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MIN && pairs <= net->pair_count &&
	       net_set_pairs(net, pairs);
}

static bool set_offloads(struct vmm_net *net, const struct ring_chain *c)
{
	uint8_t bits_le[8];
	if (!vdev_has(&net->vd, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) ||
	    !get_data(c, bits_le, sizeof(bits_le)))
		return false;
	uint64_t bits = load_le(bits_le, sizeof(bits_le));
	const uint64_t all = 1ull << VIRTIO_NET_F_GUEST_CSUM | 1ull << VIRTIO_NET_F_GUEST_TSO4 |
	                     1ull << VIRTIO_NET_F_GUEST_TSO6 | 1ull << VIRTIO_NET_F_GUEST_ECN;
	if (bits & ~(net->vd.features_acked & all))
		return false;
	net->offloads = net_guest_offloads(bits);
	net->backend->ops->set_offloads(net->backend, net->offloads);
	return true;
}

static bool command(struct vmm_net *net, const struct ring_chain *c)
{
	struct virtio_net_ctrl_hdr hdr;
	(void)chain_read(c, 0, &hdr, sizeof(hdr));
	switch (hdr.class) {
	case VIRTIO_NET_CTRL_RX:
		return rx_mode(net, c, hdr.cmd);
	case VIRTIO_NET_CTRL_MAC:
		if (hdr.cmd == VIRTIO_NET_CTRL_MAC_TABLE_SET)
			return mac_table(net, c);
		return hdr.cmd == VIRTIO_NET_CTRL_MAC_ADDR_SET && set_mac(net, c);
	case VIRTIO_NET_CTRL_ANNOUNCE:
		return hdr.cmd == VIRTIO_NET_CTRL_ANNOUNCE_ACK && announced(net, c);
	case VIRTIO_NET_CTRL_MQ:
		return hdr.cmd == VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET && set_pairs(net, c);
	case VIRTIO_NET_CTRL_GUEST_OFFLOADS:
		return hdr.cmd == VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET && set_offloads(net, c);
	default:
		return false;
	}
}

/* Answer one chain; returns the bytes written. */
static uint32_t answer(struct vmm_net *net, const struct ring_chain *c)
{
	if (c->read_bytes < CTRL_HDR_BYTES || c->write_bytes < sizeof(virtio_net_ctrl_ack)) {
		vdev_guest_error(&net->vd, "control command of %u bytes with room for %u",
		                 c->read_bytes, c->write_bytes);
		return 0;
	}
	virtio_net_ctrl_ack ack = command(net, c) ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
	return chain_write(c, 0, &ack, sizeof(ack));
}

void net_ctrl_run(struct vmm_net *net)
{
	unsigned q = net->ctrl_queue;
	struct ring *r = &net->vd.queue[q].ring;
	struct ring_chain chain;
	bool more = true;
	for (unsigned i = 0; more && i < CTRL_BUDGET; i++) {
		enum ring_result res = vdev_pop(&net->vd, q, &chain, net->iov, RING_SIZE_MAX);
		if (res == RING_OK)
			ring_push(r, chain.head, answer(net, &chain));
		else
			more = res == RING_EMPTY && ring_kick_enable(r);
	}
	net_publish(net, q);
	if (more) {
		net->ctrl_more = true;
		net_post(net);
	}
}
