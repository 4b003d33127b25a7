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

enum walk { WALK_ON, WALK_DONE, WALK_DROP };

struct walker {
	uint32_t off;     /* of the next header */
	uint32_t next_at; /* of the byte that names it */
	uint8_t next;
	bool frag;
};

static void bad(struct pkt *p, const struct ip_meta *m, unsigned code, uint32_t ptr)
{
	m->nif->st->stats.ip_in_bad++;
	if (ptr != ~0u)
		icmp_error(p, m, ICMP6_PARAM, code, ptr);
}

static enum walk walk_ext(struct pkt *p, const struct ip_meta *m, struct walker *w, bool first)
{
	uint8_t h[8];
	if (w->next != PROTO_HOPOPTS && w->next != PROTO_ROUTING && w->next != PROTO_FRAGMENT &&
	    w->next != PROTO_DSTOPTS)
		return WALK_DONE;
	if (w->next == PROTO_HOPOPTS && !first) {
		bad(p, m, 1, w->next_at);
		return WALK_DROP;
	}
	if (!pkt_read(p, w->off, h, 8))
		return WALK_DROP;
	if (w->next == PROTO_FRAGMENT) {
		w->frag = true;
		return WALK_DONE;
	}
	uint32_t len = (h[1] + 1u) * 8, ptr;
	if (len > p->len - w->off)
		return WALK_DROP;
	if (w->next == PROTO_ROUTING) {
		if (h[3] != 0) { /* segments left; type 0 is dead (RFC 5095) */
			bad(p, m, 0, w->off + 2);
			return WALK_DROP;
		}
	} else if (!options_ok(p, w->off + 2, w->off + len, m->group, &ptr)) {
		bad(p, m, 2, ptr);
		return WALK_DROP;
	}
	w->next_at = w->off;
	w->next = h[0];
	w->off += len;
	return WALK_ON;
}

/* The fragment header at W: the packet it completes, with W behind it, or NULL. */
static struct pkt *take_fragment(struct net_if *nif, struct pkt *p, const struct ip_meta *m,
                                 struct walker *w)
{
	uint8_t h[8];
	(void)pkt_read(p, w->off, h, 8);
	unsigned v = get_be16(h + 2);
	struct frag_info f = {.id = get_be32(h + 4),
	                      .off = v & 0xfff8u,
	                      .more = v & 1,
	                      .hdr_len = w->off,
	                      .data_off = w->off + 8,
	                      .next = h[0],
	                      .next_at = w->next_at};
	if (f.more && (p->len - f.data_off) % 8) {
		bad(p, m, 0, IP6_PLEN);
		pkt_free(p);
		return NULL;
	}
	w->next = h[0];
	w->frag = false;
	if (!f.off && !f.more) { /* an atomic fragment (RFC 6946) stands alone */
		w->next_at = w->off;
		w->off += 8;
		return p;
	}
	return frag_input(nif, p, m, &f);
}

static void ip6_take(struct net_if *nif, struct pkt *p, struct ip_meta *m, uint8_t next)
{
	struct walker w = {.off = IP6_HLEN, .next = next, .next_at = IP6_NEXT};
	for (unsigned i = 0; i < EXT_MAX; i++) {
		enum walk r = walk_ext(p, m, &w, i == 0);
		if (r == WALK_DROP) {
			pkt_free(p);
			return;
		}
		if (r == WALK_ON)
			continue;
		if (!w.frag)
			break;
		p = take_fragment(nif, p, m, &w);
		if (!p)
			return;
	}
	m->proto = w.next;
	m->l4_off = w.off;
	m->l4_len = p->len - w.off;
	ip_deliver(p, m);
}

static bool for_us(struct net_if *nif, const struct net_addr *dst)
{
	if (addr_is_mcast(dst))
		return if_in_group(nif, dst);
	const struct if_addr *a = if_find_addr(nif, dst);
	/* Only duplicate detection may speak to a tentative address, and it speaks to its group. */
	if (a)
		return a->state == ADDR_OK;
	if (addr_is_loopback(dst))
		return nif->cfg.link == NET_LINK_LOOP;
	if ((nif->cfg.flags & NET_IF_ANY_ADDR) && !addr_is_linklocal(dst))
		return true;
	return if_of_addr(nif->st, dst) && (!addr_is_linklocal(dst) || nif == nif->st->lo);
}

void ip6_input(struct net_if *nif, struct pkt *p)
{
	struct net_stack *st = nif->st;
	uint8_t h[IP6_HLEN];
	st->stats.ip_in++;
	if (!pkt_read(p, 0, h, IP6_HLEN) || h[0] >> 4 != 6)
		goto bad;
	uint32_t plen = get_be16(h + IP6_PLEN);
	if (plen == 0 && p->gso_type)
		plen = p->len - IP6_HLEN;
	if (plen > p->len - IP6_HLEN)
		goto bad;
	pkt_trim_to(p, IP6_HLEN + plen);
	struct ip_meta m = {.src = addr_v6_wire(h + IP6_SRC),
	                    .dst = addr_v6_wire(h + IP6_DST),
	                    .nif = nif,
	                    .l4_off = IP6_HLEN,
	                    .l4_len = plen,
	                    .proto = h[IP6_NEXT],
	                    .ttl = h[IP6_HOPS],
	                    .tos = (uint8_t)(get_be16(h) >> 4)};
	m.group = addr_is_mcast(&m.dst);
	/* ::ffff:0:0/96 must not be on the wire: it would be taken for IPv4 in here. */
	if (addr_is_mcast(&m.src) || addr_is_v4(&m.src) || addr_is_v4(&m.dst) ||
	    (addr_is_loopback(&m.src) && nif->cfg.link != NET_LINK_LOOP) ||
	    ((p->flags & PKT_BCAST) && !m.group))
		goto bad;
	if (!for_us(nif, &m.dst)) {
		st->stats.ip_forward_refused++;
		pkt_free(p);
		return;
	}
	ip6_take(nif, p, &m, h[IP6_NEXT]);
	return;
bad:
	st->stats.ip_in_bad++;
	pkt_free(p);
}
