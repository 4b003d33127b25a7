/* IPv4 input (RFC 791, RFC 1122, 3.2), and the header on the way out. */
#include "net/stack/priv.h"

/* Is the packet for us? Groups count only if we are in them. */
static bool for_us(struct net_if *nif, const struct net_addr *dst, bool *group)
{
	const struct if_addr *own = if_find_addr(nif, dst);
	if (own && own->state == ADDR_OK) {
		*group = false;
		return true;
	}
	*group = addr_is_mcast(dst) || if_is_bcast4(nif, dst);
	if (addr_is_mcast(dst))
		return if_in_group(nif, dst);
	if (*group || (nif->cfg.flags & NET_IF_ANY_ADDR))
		return true;
	if (addr_is_loopback(dst)) /* RFC 1122, 3.2.1.3 (g) */
		return nif->cfg.link == NET_LINK_LOOP;
	/* An address of another interface is ours as well (the weak model, as Linux). */
	return if_of_addr(nif->st, dst) != NULL;
}

/* RFC 1122, 3.2.1.3: what a source must not be. 0.0.0.0 is for those who ask for an address. */
static bool source_ok(struct net_if *nif, const struct net_addr *src)
{
	if (addr_is_mcast(src) || addr_is_bcast4(src))
		return false;
	if (if_is_bcast4(nif, src) && !addr_is_any(src) && !if_find_addr(nif, src))
		return false;
	return !addr_is_loopback(src) || nif->cfg.link == NET_LINK_LOOP;
}

/* Lengths and kinds of the options; what they ask for is not done. Source routes are refused
 * (RFC 7126 and every host's default). */
static bool options_ok(const uint8_t *o, unsigned len)
{
	unsigned i = 0;
	while (i < len) {
		if (o[i] == 0)
			return true;
		if (o[i] == 1) {
			i++;
			continue;
		}
		if (len - i < 2 || o[i + 1] < 2 || o[i + 1] > len - i)
			return false;
		if (o[i] == 131 || o[i] == 137)
			return false;
		i += o[i + 1];
	}
	return true;
}

static void ip4_take(struct net_if *nif, struct pkt *p, struct ip_meta *m, const uint8_t *h,
                     uint32_t hlen)
{
	unsigned frag = get_be16(h + IP4_FRAG);
	if (frag & (IP4_MF | IP4_OFFMASK)) {
		struct frag_info f = {.id = get_be16(h + IP4_ID),
		                      .off = (frag & IP4_OFFMASK) * 8,
		                      .more = frag & IP4_MF,
		                      .hdr_len = hlen,
		                      .data_off = hlen};
		p = frag_input(nif, p, m, &f);
		if (!p)
			return;
		m->l4_off = IP4_HLEN;
		m->l4_len = p->len - m->l4_off;
	}
	ip_deliver(p, m);
}

void ip4_input(struct net_if *nif, struct pkt *p)
{
	struct net_stack *st = nif->st;
	uint8_t h[60];
	st->stats.ip_in++;
	uint32_t hlen = pkt_read(p, 0, h, IP4_HLEN) ? (h[0] & 15u) * 4u : 0;
	uint32_t total = get_be16(h + IP4_TOTLEN);
	/* A coalesced packet may be larger than its header can say. */
	if (total == 0 && p->gso_type)
		total = p->len;
	if (hlen < IP4_HLEN || h[0] >> 4 != 4 ||
	    (hlen > IP4_HLEN && !pkt_read(p, IP4_HLEN, h + IP4_HLEN, hlen - IP4_HLEN)) ||
	    total < hlen || total > p->len || csum_header(h, hlen) != 0) {
		st->stats.ip_in_bad++;
		pkt_free(p);
		return;
	}
	pkt_trim_to(p, total);
	struct ip_meta m = {.src = addr_v4_wire(h + IP4_SRC),
	                    .dst = addr_v4_wire(h + IP4_DST),
	                    .nif = nif,
	                    .l4_off = hlen,
	                    .l4_len = total - hlen,
	                    .proto = h[IP4_PROTO],
	                    .ttl = h[IP4_TTL],
	                    .tos = h[IP4_TOS],
	                    .v4 = true};
	if (!source_ok(nif, &m.src) || !for_us(nif, &m.dst, &m.group)) {
		st->stats.ip_forward_refused++;
		pkt_free(p);
		return;
	}
	/* A group at the link layer only (RFC 1122, 3.3.6). */
	if ((p->flags & PKT_BCAST) && !m.group) {
		st->stats.ip_in_bad++;
		pkt_free(p);
		return;
	}
	if (hlen > IP4_HLEN && !options_ok(h + IP4_HLEN, hlen - IP4_HLEN)) {
		st->stats.ip_in_bad++;
		icmp_error(p, &m, ICMP_PARAM, 0, IP4_HLEN << 24);
		pkt_free(p);
		return;
	}
	ip4_take(nif, p, &m, h, hlen);
}

/* To the transport. Takes the packet over. */
void ip_deliver(struct pkt *p, struct ip_meta *m)
{
	struct net_stack *st = m->nif->st;
	if (!ip_filter(st, m->nif, p, m, NET_DIR_IN)) {
		st->stats.ip_filtered++;
		pkt_free(p);
		return;
	}
	if (m->proto == PROTO_TCP)
		tcp_input(p, m);
	else if (m->proto == PROTO_UDP)
		udp_input(p, m);
	else if (m->proto == PROTO_ICMP && m->v4)
		icmp4_input(p, m);
	else if (m->proto == PROTO_ICMP6 && !m->v4)
		icmp6_input(p, m);
	else if (m->proto == PROTO_IGMP && m->v4)
		igmp_input(p, m);
	else {
		st->stats.ip_no_proto++;
		if (m->v4)
			icmp_error(p, m, ICMP_UNREACH, ICMP_UNR_PROTO, 0);
		else if (m->proto != PROTO_NONE)
			icmp_error(p, m, ICMP6_PARAM, 1, IP6_NEXT);
		pkt_free(p);
	}
}

bool ip_filter(struct net_stack *st, struct net_if *nif, const struct pkt *p,
               const struct ip_meta *m, enum net_dir dir)
{
	if (!st->ops->filter)
		return true;
	struct net_flow f = {.dir = dir, .src = m->src, .dst = m->dst, .proto = m->proto};
	uint8_t h[14];
	if ((m->proto == PROTO_TCP || m->proto == PROTO_UDP) && pkt_read(p, m->l4_off, h, 4)) {
		f.sport = get_be16(h);
		f.dport = get_be16(h + 2);
	}
	if (m->proto == PROTO_TCP && pkt_read(p, m->l4_off, h, 14))
		f.tcp_flags = h[TCP_FLAGS];
	return st->ops->filter(st->ctx, nif, &f);
}

uint8_t *ip4_push(struct pkt *p, const struct ip_tx *tx, uint32_t id_frag)
{
	uint32_t total = p->len + IP4_HLEN;
	uint8_t *h = pkt_push(p, IP4_HLEN);
	h[0] = 0x45;
	h[IP4_TOS] = tx->tos;
	put_be16(h + IP4_TOTLEN, total <= 0xffff ? total : 0);
	put_be32(h + IP4_ID, id_frag);
	h[IP4_TTL] = tx->ttl ? tx->ttl : IP_DEFAULT_TTL;
	h[IP4_PROTO] = tx->proto;
	put_be16(h + IP4_CSUM, 0);
	mem_copy(h + IP4_SRC, tx->src.b + 12, 4);
	mem_copy(h + IP4_DST, tx->dst.b + 12, 4);
	put_be16(h + IP4_CSUM, csum_header(h, IP4_HLEN));
	return h;
}
