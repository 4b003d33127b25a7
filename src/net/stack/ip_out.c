/*
 * Output of both families: route, source address, filter, segmentation where the interface has
 * none, fragmentation, header.
 */
#include "net/stack/priv.h"

static void ip6_push(struct pkt *p, const struct ip_tx *tx, uint8_t next)
{
	uint32_t plen = p->len;
	uint8_t *h = pkt_push(p, IP6_HLEN);
	put_be32(h, 6u << 28 | (uint32_t)tx->tos << 20);
	put_be16(h + IP6_PLEN, plen <= 0xffff ? plen : 0);
	h[IP6_NEXT] = next;
	h[IP6_HOPS] = tx->ttl ? tx->ttl : tx->hop.nif->hop_limit;
	mem_copy(h + IP6_SRC, tx->src.b, 16);
	mem_copy(h + IP6_DST, tx->dst.b, 16);
}

static void send_one(struct net_stack *st, struct pkt *p, const struct ip_tx *tx)
{
	struct net_if *nif = tx->hop.nif;
	/* Filled in by the device's own checksumming, or here. */
	if (!p->gso_type && !(nif->cfg.offloads & NET_IF_CSUM_TX))
		pkt_finish_csum(p);
	if (addr_is_v4(&tx->dst))
		/* RFC 6864: only what may be fragmented needs an identification, and that one must
		 * not tell how much else is sent. Atomic datagrams carry zero, as Linux's do. */
		(void)ip4_push(p, tx, tx->df ? IP4_DF : stack_random(st) << 16);
	else
		ip6_push(p, tx, tx->proto);
	if_output(nif, p, &tx->hop.next_hop);
}

/* ---- segmentation (RFC 9293 knows nothing of it; the peer must not see the difference) ---- */

static bool can_gso(uint32_t offloads, const struct pkt *p, bool v4)
{
	return p->gso_ecn != PKT_CWR_ALL && (offloads & (v4 ? NET_IF_TSO4 : NET_IF_TSO6)) &&
	       (p->gso_ecn == PKT_CWR_NONE || (offloads & NET_IF_TSO_ECN));
}

static struct pkt *one_segment(const struct pkt *p, const struct ip_tx *tx, const uint8_t *hdr,
                               uint32_t hlen, uint32_t off, uint32_t len)
{
	bool last = hlen + off + len == p->len;
	struct pkt *s = pkt_slice(p, hlen + off, len);
	if (!s)
		return NULL;
	uint8_t *h = pkt_push(s, hlen);
	mem_copy(h, hdr, hlen);
	put_be32(h + TCP_SEQ, get_be32(hdr + TCP_SEQ) + off);
	uint8_t flags = hdr[TCP_FLAGS];
	if (!last)
		flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (off && p->gso_ecn == PKT_CWR_FIRST)
		flags &= (uint8_t)~TCP_CWR;
	h[TCP_FLAGS] = flags;
	pkt_csum_later(s, TCP_CSUM, &tx->src, &tx->dst, PROTO_TCP);
	return s;
}

static void segment(struct net_stack *st, struct pkt *p, const struct ip_tx *tx)
{
	uint8_t hdr[60];
	uint32_t hlen = pkt_read(p, 0, hdr, TCP_HLEN) ? (hdr[TCP_OFF] >> 4) * 4u : 0;
	bool ok = hlen >= TCP_HLEN && pkt_read(p, 0, hdr, hlen) && p->gso_size;
	for (uint32_t off = 0; ok && off < p->len - hlen; off += p->gso_size) {
		uint32_t n = min_u32(p->gso_size, p->len - hlen - off);
		struct pkt *s = one_segment(p, tx, hdr, hlen, off, n);
		if (!s) {
			st->stats.tx_drop++;
			break;
		}
		send_one(st, s, tx);
	}
	pkt_free(p);
}

/* ---- fragmentation (RFC 791, 3.2; RFC 8200, 4.5) ---- */

static void fragment(struct net_stack *st, struct pkt *p, const struct ip_tx *tx, uint32_t mtu)
{
	bool v4 = addr_is_v4(&tx->dst);
	uint32_t room = (mtu - (v4 ? IP4_HLEN : IP6_HLEN + 8)) & ~7u;
	uint32_t id = stack_random(st);
	pkt_finish_csum(p);
	for (uint32_t off = 0; off < p->len; off += room) {
		uint32_t n = min_u32(room, p->len - off);
		bool more = off + n < p->len;
		struct pkt *f = pkt_slice(p, off, n);
		if (!f) {
			st->stats.tx_drop++;
			break;
		}
		if (v4) {
			(void)ip4_push(f, tx, id << 16 | (more ? IP4_MF : 0) | off / 8);
		} else {
			uint8_t *h = pkt_push(f, 8);
			put_be16(h, (unsigned)tx->proto << 8);
			put_be16(h + 2, off | more);
			put_be32(h + 4, id);
			ip6_push(f, tx, PROTO_FRAGMENT);
		}
		if_output(tx->hop.nif, f, &tx->hop.next_hop);
	}
	pkt_free(p);
}

int ip_resolve(struct net_stack *st, struct ip_tx *tx)
{
	if (!route_lookup(st, &tx->dst, tx->hop.nif, &tx->hop))
		return -NET_ENETUNREACH;
	tx->routed = true;
	if (!tx->hop.nif->up)
		return -NET_ENETDOWN;
	if (!tx->forge && addr_is_any(&tx->src) &&
	    !route_source(st, tx->hop.nif, &tx->dst, &tx->src))
		return -NET_EADDRNOTAVAIL;
	return 0;
}

int ip_send(struct net_stack *st, struct pkt *p, struct ip_tx *tx)
{
	int err = tx->routed ? 0 : ip_resolve(st, tx);
	if (!err && st->cfg.ops->filter) {
		struct ip_meta m = {p, tx->src, tx->dst, tx->hop.nif, .proto = tx->proto};
		err = ip_filter(&m, NET_DIR_OUT) ? 0 : -NET_EACCES;
	}
	bool v4 = addr_is_v4(&tx->dst);
	uint32_t hlen = v4 ? IP4_HLEN : IP6_HLEN;
	if (err || p->len > 65535 - (v4 ? hlen : 0)) {
		pkt_free(p);
		return err ? err : -NET_EMSGSIZE;
	}
	if (p->gso_type) {
		if (can_gso(tx->hop.nif->cfg.offloads, p, v4))
			send_one(st, p, tx);
		else
			segment(st, p, tx);
		return 0;
	}
	uint32_t mtu = pmtu_get(tx->hop.nif, &tx->dst);
	if (p->len + hlen <= mtu)
		send_one(st, p, tx);
	else if (tx->df && v4) {
		pkt_free(p);
		return -NET_EMSGSIZE;
	} else
		fragment(st, p, tx, mtu);
	return 0;
}
