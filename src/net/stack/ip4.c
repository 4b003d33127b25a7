/* IPv4 input (RFC 791, RFC 1122, 3.2), and the header on the way out. */
#include "net/stack/priv.h"

/* Is the packet for us? Groups count only if we are in them. */
static bool for_us(struct ip_meta *m)
{
	const struct net_if *nif = m->nif;
	const struct net_addr *dst = &m->dst;
	const struct if_addr *own = if_find_addr(m->nif, dst);
	/* Only duplicate detection may speak to a tentative address, and it speaks to its group. */
	if (own)
		return own->state == ADDR_OK;
	m->group = addr_is_mcast(dst) || if_is_bcast4(nif, dst);
	if (addr_is_mcast(dst))
		return group_has(m->nif, dst);
	bool on_link = !m->v4 && addr_is_linklocal(dst), loop = addr_is_loopback(dst);
	if (m->group || (nif->cfg.flags & NET_IF_ANY_ADDR && !on_link && (m->v4 || !loop)))
		return true;
	if (loop) /* RFC 1122, 3.2.1.3 (g) */
		return nif->cfg.link == NET_LINK_LOOP;
	/* An address of another interface is ours as well (the weak model, as Linux). */
	return if_of_addr(nif->st, dst) && (!on_link || nif == nif->st->lo);
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

bool ip_accept(struct ip_meta *m)
{
	struct net_stats *stats = &m->nif->st->stats;
	bool from_ok = source_ok(m->nif, &m->src), ours = from_ok && for_us(m);
	if (from_ok && !ours)
		stats->ip_forward_refused++;
	else if (!from_ok || ((m->p->flags & PKT_BCAST) && !m->group)) /* RFC 1122, 3.3.6 */
		stats->ip_in_bad++;
	else
		return true;
	return false;
}

/* Lengths and kinds of the options; what they ask for is not done. Source routes are refused
 * (RFC 7126 and every host's default). */
static bool options_ok(const uint8_t *o, uint32_t len)
{
	const uint8_t *x;
	uint32_t at = 0;
	while ((x = opt_next(o, len, &at)))
		if (x[0] == 131 || x[0] == 137)
			return false;
	return at == len;
}

void ip4_input(struct ip_meta *m)
{
	struct net_stats *stats = &m->nif->st->stats;
	struct pkt *p = m->p;
	uint8_t h[60];
	stats->ip_in++;
	uint32_t hlen = pkt_read(p, 0, h, IP4_HLEN) ? (h[0] & 15u) * 4u : 0;
	uint32_t total = get_be16(h + IP4_TOTLEN);
	/* A coalesced packet may be larger than its header can say. */
	if (total == 0 && p->gso_type)
		total = p->len;
	if (hlen < IP4_HLEN || h[0] >> 4 != 4 ||
	    (hlen > IP4_HLEN && !pkt_read(p, IP4_HLEN, h + IP4_HLEN, hlen - IP4_HLEN)) ||
	    total < hlen || total > p->len || csum_header(h, hlen) != 0) {
		stats->ip_in_bad++;
		return;
	}
	pkt_trim_to(p, total);
	m->src = addr_v4_wire(h + IP4_SRC);
	m->dst = addr_v4_wire(h + IP4_DST);
	m->l4_off = hlen;
	m->proto = h[IP4_PROTO];
	m->ttl = h[IP4_TTL];
	m->tos = h[IP4_TOS];
	m->v4 = true;
	if (!ip_accept(m))
		return;
	if (hlen > IP4_HLEN && !options_ok(h + IP4_HLEN, hlen - IP4_HLEN)) {
		stats->ip_in_bad++;
		icmp_error(m, ICMP_BAD_OPTION, IP4_HLEN << 24);
		return;
	}
	unsigned frag = get_be16(h + IP4_FRAG);
	if (frag & (IP4_MF | IP4_OFFMASK)) {
		struct frag_info f = {.id = get_be16(h + IP4_ID),
		                      .off = (frag & IP4_OFFMASK) * 8,
		                      .more = frag & IP4_MF,
		                      .hdr_len = hlen,
		                      .data_off = hlen};
		if (!frag_input(m, &f))
			return;
		m->l4_off = IP4_HLEN;
	}
	ip_deliver(m);
}

/* To the transport. */
void ip_deliver(struct ip_meta *m)
{
	m->l4_len = m->p->len - m->l4_off;
	if (!ip_filter(m, NET_DIR_IN))
		return;
	if (m->proto == PROTO_TCP)
		tcp_input(m);
	else if (m->proto == PROTO_UDP)
		udp_input(m);
	else if (m->proto == icmp_proto(m->v4))
		icmp_input(m);
	else if (m->proto == PROTO_IGMP && m->v4)
		igmp_input(m);
	else {
		m->nif->st->stats.ip_no_proto++;
		if (m->v4 || m->proto != PROTO_NONE)
			icmp_error(m, ICMP_BAD_NEXT, m->v4 ? 0 : IP6_NEXT);
	}
}

bool ip_filter(const struct ip_meta *m, enum net_dir dir)
{
	struct net_stack *st = m->nif->st;
	if (!st->cfg.ops->filter)
		return true;
	struct net_flow f = {.dir = dir, .src = m->src, .dst = m->dst, .proto = m->proto};
	uint8_t h[TCP_FLAGS + 1] = {0};
	uint32_t n = m->proto == PROTO_TCP ? sizeof(h) : m->proto == PROTO_UDP ? 4 : 0;
	if (n && pkt_read(m->p, m->l4_off, h, n)) {
		f.sport = get_be16(h);
		f.dport = get_be16(h + 2);
		f.tcp_flags = h[TCP_FLAGS];
	}
	bool pass = st->cfg.ops->filter(st->cfg.ctx, m->nif, &f);
	st->stats.ip_filtered += !pass;
	return pass;
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
