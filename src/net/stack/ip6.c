/* IPv6 input (RFC 8200): a bounded walk over the extension headers. */
#include "net/stack/priv.h"

#define EXT_MAX 8u

/* The options of a hop-by-hop or destination options header (RFC 8200, 4.2). Returns false if the
 * packet is to be dropped; *PTR is where an error would point, ~0u if none is to be sent. */
static bool options_ok(const struct pkt *p, uint32_t off, uint32_t end, bool group, uint32_t *ptr)
{
	*ptr = ~0u;
	while (off < end) {
		uint8_t o[2];
		if (!pkt_read(p, off, o, 1))
			return false;
		if (o[0] == 0) { /* Pad1 */
			off++;
			continue;
		}
		if (end - off < 2 || !pkt_read(p, off, o, 2) || o[1] > end - off - 2)
			return false;
		unsigned act = o[0] >> 6;
		if (o[0] != 1 && o[0] != 5 && act != 0) {
			if (act == 2 || (act == 3 && !group))
				*ptr = off;
			return false;
		}
		off += 2u + o[1];
	}
	return true;
}

enum walk { WALK_ON, WALK_FRAG, WALK_DONE, WALK_DROP };

struct walker {
	uint32_t off;     /* of the next header */
	uint32_t next_at; /* of the byte that names it */
	uint8_t next;
};

static enum walk bad(const struct ip_meta *m, enum icmp_why why, uint32_t ptr)
{
	m->nif->st->stats.ip_in_bad++;
	if (ptr != ~0u)
		icmp_error(m, why, ptr);
	return WALK_DROP;
}

static enum walk walk_ext(const struct ip_meta *m, struct walker *w, bool first)
{
	uint8_t h[8];
	if (w->next != PROTO_HOPOPTS && w->next != PROTO_ROUTING && w->next != PROTO_FRAGMENT &&
	    w->next != PROTO_DSTOPTS)
		return WALK_DONE;
	if (w->next == PROTO_HOPOPTS && !first)
		return bad(m, ICMP_BAD_NEXT, w->next_at);
	if (!pkt_read(m->p, w->off, h, 8))
		return WALK_DROP;
	if (w->next == PROTO_FRAGMENT)
		return WALK_FRAG;
	uint32_t len = (h[1] + 1u) * 8, ptr;
	if (len > m->p->len - w->off)
		return WALK_DROP;
	if (w->next == PROTO_ROUTING) {
		if (h[3] != 0) /* segments left; type 0 is dead (RFC 5095) */
			return bad(m, ICMP_BAD_HEADER, w->off + 2);
	} else if (!options_ok(m->p, w->off + 2, w->off + len, m->group, &ptr)) {
		return bad(m, ICMP_BAD_OPTION, ptr);
	}
	w->next_at = w->off;
	w->next = h[0];
	w->off += len;
	return WALK_ON;
}

/* The fragment header at W. True: M has the packet that it completes, with W behind the header. */
static bool take_fragment(struct ip_meta *m, struct walker *w)
{
	uint8_t h[8];
	(void)pkt_read(m->p, w->off, h, 8);
	unsigned v = get_be16(h + 2);
	struct frag_info f = {.id = get_be32(h + 4),
	                      .off = v & 0xfff8u,
	                      .more = v & 1,
	                      .hdr_len = w->off,
	                      .data_off = w->off + 8,
	                      .next = h[0],
	                      .next_at = w->next_at};
	if (f.more && (m->p->len - f.data_off) % 8) {
		(void)bad(m, ICMP_BAD_HEADER, IP6_PLEN);
		return false;
	}
	w->next = h[0];
	if (f.off || f.more)
		return frag_input(m, &f);
	w->next_at = w->off; /* an atomic fragment (RFC 6946) stands alone */
	w->off += 8;
	return true;
}

void ip6_input(struct ip_meta *m)
{
	struct net_stats *stats = &m->nif->st->stats;
	struct pkt *p = m->p;
	uint8_t h[IP6_HLEN];
	stats->ip_in++;
	if (!pkt_read(p, 0, h, IP6_HLEN) || h[0] >> 4 != 6)
		goto bad;
	uint32_t plen = get_be16(h + IP6_PLEN);
	if (plen == 0 && p->gso_type)
		plen = p->len - IP6_HLEN;
	m->src = addr_v6_wire(h + IP6_SRC);
	m->dst = addr_v6_wire(h + IP6_DST);
	/* ::ffff:0:0/96 must not be on the wire: it would be taken for IPv4 in here. */
	if (plen > p->len - IP6_HLEN || addr_is_v4(&m->src) || addr_is_v4(&m->dst))
		goto bad;
	pkt_trim_to(p, IP6_HLEN + plen);
	m->ttl = h[IP6_HOPS];
	m->tos = (uint8_t)(get_be16(h) >> 4);
	m->proto = h[IP6_NEXT]; /* as far as is known: an error may be about an error */
	m->l4_off = IP6_HLEN;
	m->l4_len = plen;
	if (!ip_accept(m))
		return;
	struct walker w = {.off = IP6_HLEN, .next = h[IP6_NEXT], .next_at = IP6_NEXT};
	enum walk r = WALK_ON;
	for (unsigned i = 0; i < EXT_MAX && r != WALK_DONE; i++) {
		r = walk_ext(m, &w, i == 0);
		if (r == WALK_DROP || (r == WALK_FRAG && !take_fragment(m, &w)))
			return;
	}
	m->proto = w.next;
	m->l4_off = w.off;
	ip_deliver(m);
	return;
bad:
	stats->ip_in_bad++;
}
