/*
 * Between a card and the stack. Packets go both ways without a copy: the stack's buffers are
 * offered to the card to receive into, and what it sends lies where the stack has it. All under the
 * mutex.
 */
#include <string.h>

#include "guest-kernel/core/kernel.h"
#include "guest-kernel/net/netd.h"

/* With its struct net_buf a page. */
#define RX_BYTES   (ARCH_PAGE_SIZE - (unsigned)sizeof(struct net_buf))
#define RX_BUDGET  64u /* frames, before others have a turn */
#define RX_BUFFERS 64u /* of a queue */

static uint64_t wall_ns(void)
{
	return arch_wall_boot_ns() + arch_now_ns();
}

static void refill(struct port *p, unsigned pair)
{
	while (p->offered[pair] < RX_BUFFERS) {
		struct net_buf *b = net_buf_alloc(p->net->stack, RX_BYTES);
		if (!b)
			return;
		if (!nic_offer(p->nic, pair, b->data, RX_BYTES, b)) {
			net_buf_unref(p->net->stack, b);
			return;
		}
		p->offered[pair]++;
	}
}

/* The next buffer of a frame, as a piece of PKT; false: there is none, or the packet is full. */
static bool add_buffer(struct port *p, struct pkt *pkt, struct net_buf *b, uint32_t off,
                       uint32_t written)
{
	bool good = written > off && pkt_add(pkt, b, off, written - off);
	net_buf_unref(p->net->stack, b);
	return good;
}

static bool gather(struct port *p, unsigned pair, struct pkt *pkt, struct net_buf *first,
                   uint32_t written, unsigned buffers)
{
	bool good = add_buffer(p, pkt, first, NIC_HDR_BYTES, written);
	for (unsigned i = 1; i < buffers; i++) {
		struct net_buf *b = nic_receive(p->nic, pair, &written);
		if (!b)
			return false;
		p->offered[pair]--;
		good &= add_buffer(p, pkt, b, 0, written);
	}
	return good;
}

static void frame_in(struct port *p, unsigned pair, struct net_buf *first, uint32_t written)
{
	struct nic *nic = p->nic;
	struct nic_hdr hdr;
	memcpy(&hdr, first->data, sizeof(hdr));
	unsigned buffers = nic_frame_buffers(nic, &hdr, written);
	struct pkt *pkt = buffers ? pkt_alloc(p->net->stack, 0) : NULL;
	if (!pkt) {
		nic->bad += buffers == 0;
		nic->dropped += buffers != 0;
		net_buf_unref(p->net->stack, first);
		return;
	}
	if (!gather(p, pair, pkt, first, written, buffers)) {
		nic->bad++;
		pkt_free(pkt);
		return;
	}
	if (virtio_has(&nic->dev, NIC_F_GUEST_CSUM) &&
	    hdr.flags & (NIC_HDR_NEEDS_CSUM | NIC_HDR_DATA_VALID))
		pkt->flags |= PKT_CSUM_VALID;
	nic->received++;
	nic->received_bytes += pkt->len;
	capture_frame(&p->net->capture, pkt, wall_ns());
	if (sec_netif_allows(&p->policy, NET_DIR_IN)) {
		net_input(p->nif, pkt);
		return;
	}
	nic->dropped++;
	pkt_free(pkt);
}

static bool receive_from(struct port *p, unsigned pair)
{
	unsigned i = 0;
	for (; i < RX_BUDGET; i++) {
		uint32_t written;
		struct net_buf *b = nic_receive(p->nic, pair, &written);
		if (!b)
			break;
		p->offered[pair]--;
		frame_in(p, pair, b, written);
	}
	refill(p, pair);
	return i == RX_BUDGET;
}

bool port_receive(struct port *p)
{
	bool more = false;
	for (unsigned i = 0; i < p->nic->pairs; i++)
		more |= receive_from(p, i);
	return more;
}

bool port_listen(struct port *p)
{
	bool empty = true;
	for (unsigned i = 0; i < p->nic->pairs; i++)
		empty &= nic_listen(p->nic, i);
	return empty;
}

static struct nic_hdr header_of(const struct pkt *pkt)
{
	static const uint8_t types[] = {0, NIC_GSO_TCPV4, NIC_GSO_TCPV6, 0};
	struct nic_hdr hdr = {0};
	if (!(pkt->flags & PKT_CSUM_PARTIAL))
		return hdr;
	hdr.flags = NIC_HDR_NEEDS_CSUM;
	hdr.csum_start = pkt->csum_start;
	hdr.csum_offset = pkt->csum_off;
	if (pkt->gso_type == PKT_GSO_TCP4 || pkt->gso_type == PKT_GSO_TCP6) {
		/* Up to where the payload begins: the TCP header's length is in its thirteenth
		 * byte (RFC 9293, 3.1). */
		uint8_t offset = 5 << 4;
		(void)pkt_read(pkt, pkt->csum_start + 12u, &offset, 1);
		hdr.gso_type = types[pkt->gso_type];
		hdr.gso_size = pkt->gso_size;
		hdr.hdr_len = (uint16_t)(pkt->csum_start + (offset >> 4) * 4u);
	}
	return hdr;
}

/* All of a flow goes by one pair, and comes back by it. */
static unsigned pair_of(const struct port *p, const struct pkt *pkt)
{
	uint8_t ports[4] = {0};
	if (p->nic->pairs > 1 && pkt->flags & PKT_CSUM_PARTIAL)
		(void)pkt_read(pkt, pkt->csum_start, ports, sizeof(ports));
	return (ports[0] ^ ports[1] ^ ports[2] ^ ports[3]) % p->nic->pairs;
}

static bool to_card(struct port *p, struct pkt *pkt, unsigned pair)
{
	struct net_piece pieces[NIC_SEGS_MAX];
	struct virtq_seg segs[NIC_SEGS_MAX];
	struct nic_hdr hdr = header_of(pkt);
	unsigned count = pkt_pieces(pkt, pieces, NIC_SEGS_MAX);
	if (count > NIC_SEGS_MAX)
		return false;
	for (unsigned i = 0; i < count; i++)
		segs[i] =
		        (struct virtq_seg){(void *)(uintptr_t)pieces[i].data, pieces[i].len, false};
	return nic_send(p->nic, pair, &hdr, segs, count, pkt);
}

static void reclaim(struct port *p)
{
	struct pkt *pkt;
	for (unsigned i = 0; i < p->nic->pairs; i++)
		while ((pkt = nic_sent(p->nic, i)))
			pkt_free(pkt);
}

void port_send_more(struct port *p)
{
	reclaim(p);
	while (p->queue) {
		struct pkt *pkt = p->queue;
		unsigned pair = pair_of(p, pkt);
		if (!to_card(p, pkt, pair)) {
			/* Wait for room; look once more, it may have come meanwhile. */
			if (nic_listen_sent(p->nic, pair) || p->nic->dev.broken)
				break;
			reclaim(p);
			continue;
		}
		p->queue = pkt->next;
		p->queued--;
	}
	if (!p->queue)
		p->queue_tail = &p->queue;
	for (unsigned i = 0; i < p->nic->pairs; i++)
		nic_kick(p->nic, i);
}

void port_stop(struct port *p)
{
	struct net_buf *b;
	struct pkt *pkt;
	nic_stop(p->nic);
	while ((b = nic_recall(p->nic)))
		net_buf_unref(p->net->stack, b);
	while ((pkt = nic_recall_sent(p->nic)))
		pkt_free(pkt);
	while ((pkt = p->queue)) {
		p->queue = pkt->next;
		pkt_free(pkt);
	}
}

void port_output(void *ctx, struct pkt *pkt)
{
	struct port *p = ctx;
	bool allowed = sec_netif_allows(&p->policy, NET_DIR_OUT);
	if (allowed)
		capture_frame(&p->net->capture, pkt, wall_ns());
	if (allowed && !p->queue && to_card(p, pkt, pair_of(p, pkt)))
		return;
	if (!allowed || p->queued == NETD_TX_QUEUE || p->nic->dev.broken) {
		p->tx_dropped++;
		pkt_free(pkt);
		return;
	}
	pkt->next = NULL;
	*p->queue_tail = pkt;
	p->queue_tail = &pkt->next;
	p->queued++;
}
