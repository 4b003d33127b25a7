/*
 * Neighbour discovery (RFC 4861) and stateless addresses (RFC 4862) with stable opaque identifiers
 * (RFC 7217) and, where asked for, temporary ones (RFC 8981).
 */
#include "net/stack/priv.h"

#define HOPS             255u
#define OPT_SLLA         1u
#define OPT_TLLA         2u
#define OPT_PREFIX       3u
#define OPT_MTU          5u
#define OPTS_MAX         32u
#define NA_ROUTER        0x80u
#define NA_SOLICIT       0x40u
#define NA_OVERRIDE      0x20u
#define DAD_MAX          3u
#define TEMP_VALID_S     (2u * 86400) /* RFC 8981, 3.8 */
#define TEMP_PREFERRED_S 86400u

static const struct net_addr all_nodes = {.b = {0xff, 2, [15] = 1}};
static const struct net_addr all_routers = {.b = {0xff, 2, [15] = 2}};
static const struct net_addr unspecified;

static void push_lla(struct pkt *p, const struct net_if *nif, unsigned type)
{
	uint8_t *h = pkt_push(p, 8);
	h[0] = (uint8_t)type;
	h[1] = 1;
	mem_copy(h + 2, nif->cfg.mac, 6);
}

static void nd_send(struct net_if *nif, struct pkt *p, unsigned type, const struct net_addr *src,
                    const struct net_addr *dst)
{
	p->room[p->head] = (uint8_t)type;
	p->room[p->head + 1] = 0;
	(void)icmp6_send(nif, p, src, dst, HOPS);
}

/* A usable link-local address, or "::". */
static struct net_addr own_linklocal(const struct net_if *nif)
{
	for (unsigned i = 0; i < IF_ADDR_MAX; i++) {
		const struct if_addr *a = &nif->addr[i];
		if (a->used && a->state == ADDR_OK && !addr_is_v4(&a->addr) &&
		    addr_is_linklocal(&a->addr))
			return a->addr;
	}
	return unspecified;
}

void nd_solicit(struct net_if *nif, const struct net_addr *target, const uint8_t *unicast_to,
                bool dad)
{
	struct net_addr src = unspecified, dst = *target;
	if (!dad && !route_source(nif->st, nif, target, &src))
		return;
	if (!unicast_to) {
		dst = (struct net_addr){.b = {0xff, 2, [11] = 1, [12] = 0xff}};
		mem_copy(dst.b + 13, target->b + 13, 3);
	}
	struct pkt *p = pkt_alloc(nif->st, PKT_ROOM);
	if (!p)
		return;
	if (!dad)
		push_lla(p, nif, OPT_SLLA);
	uint8_t *h = pkt_push(p, 24);
	mem_set(h, 0, 8);
	mem_copy(h + 8, target->b, 16);
	nd_send(nif, p, ICMP6_NS, &src, &dst);
}

void nd_advertise(struct net_if *nif, const struct net_addr *target, const struct net_addr *to,
                  bool solicited)
{
	struct pkt *p = nif->cfg.link == NET_LINK_ETHER ? pkt_alloc(nif->st, PKT_ROOM) : NULL;
	if (!p)
		return;
	push_lla(p, nif, OPT_TLLA);
	uint8_t *h = pkt_push(p, 24);
	mem_set(h, 0, 8);
	h[4] = (uint8_t)(NA_OVERRIDE | (solicited ? NA_SOLICIT : 0) |
	                 (nif->cfg.flags & NET_IF_ROUTER ? NA_ROUTER : 0));
	mem_copy(h + 8, target->b, 16);
	nd_send(nif, p, ICMP6_NA, target, to ? to : &all_nodes);
}

void nd_router_solicit(struct net_if *nif)
{
	struct net_addr src = own_linklocal(nif);
	struct pkt *p = pkt_alloc(nif->st, PKT_ROOM);
	if (!p)
		return;
	if (!addr_is_any(&src))
		push_lla(p, nif, OPT_SLLA);
	mem_set(pkt_push(p, 8), 0, 8);
	nd_send(nif, p, ICMP6_RS, &src, &all_routers);
}

/* ---- addresses of our own making ---- */

/* RFC 7217, 5: F(prefix, interface, DAD_counter, secret key). RANDOM: a temporary one. */
static struct net_addr make_addr(struct net_if *nif, const struct net_addr *prefix, bool random)
{
	struct {
		uint8_t prefix[8];
		uint8_t mac[6];
		uint8_t dad, zero;
	} in = {.dad = nif->dad_counter};
	struct net_addr a = *prefix;
	mem_copy(in.prefix, prefix->b, 8);
	mem_copy(in.mac, nif->cfg.mac, 6);
	uint64_t iid = hash_sip(&nif->st->key_iid, &in, sizeof(in));
	if (random)
		iid = (uint64_t)stack_random(nif->st) << 32 | stack_random(nif->st);
	mem_copy(a.b + 8, &iid, 8);
	return a;
}

void nd_start(struct net_if *nif)
{
	struct net_addr prefix = {.b = {0xfe, 0x80}};
	prefix = make_addr(nif, &prefix, false);
	struct if_addr *a = if_new_addr(nif, &prefix, 64);
	if (a)
		a->autoconf = true;
	if (!(nif->cfg.flags & NET_IF_ROUTER)) {
		nif->rs_left = 3;
		nif->rs_ns = nif->st->now + 2 * NS_PER_SEC; /* after duplicate detection */
	}
	if_schedule(nif);
}

static void set_lives(struct if_addr *a, uint64_t now, uint64_t valid_s, uint64_t preferred_s)
{
	a->valid_ns = valid_s == 0xffffffffu ? TIMER_NEVER : now + valid_s * NS_PER_SEC;
	a->preferred_ns = preferred_s == 0xffffffffu ? TIMER_NEVER : now + preferred_s * NS_PER_SEC;
}

static void new_autoconf(struct net_if *nif, const struct net_addr *prefix, uint32_t valid_s,
                         uint32_t preferred_s, bool temporary)
{
	struct net_addr addr = make_addr(nif, prefix, temporary);
	struct if_addr *a = if_find_addr(nif, &addr) ? NULL : if_new_addr(nif, &addr, 64);
	if (!a)
		return;
	a->autoconf = true;
	a->temporary = temporary;
	if (temporary) {
		valid_s = min_u32(valid_s, TEMP_VALID_S);
		preferred_s = min_u32(preferred_s, TEMP_PREFERRED_S - stack_random(nif->st) % 600);
	}
	set_lives(a, nif->st->now, valid_s, preferred_s);
	if_schedule(nif);
}

/* Another one in place of a duplicate, or of a temporary address that is old. */
void nd_regenerate(struct net_if *nif, const struct if_addr *old)
{
	if (!old->autoconf || addr_is_v4(&old->addr) || nif->dad_counter >= DAD_MAX)
		return;
	if (!old->temporary)
		nif->dad_counter++;
	struct net_addr prefix = old->addr;
	uint64_t left = old->valid_ns == TIMER_NEVER ? 0xffffffffu
	                                             : (old->valid_ns - nif->st->now) / NS_PER_SEC;
	mem_set(prefix.b + 8, 0, 8);
	new_autoconf(nif, &prefix, (uint32_t)left, (uint32_t)left, old->temporary);
}

/* RFC 4862, 5.5.3 (e). */
static void refresh(struct net_if *nif, const struct net_addr *prefix, uint32_t valid_s,
                    uint32_t preferred_s)
{
	uint64_t now = nif->st->now;
	bool found = false;
	for (unsigned i = 0; i < IF_ADDR_MAX; i++) {
		struct if_addr *a = &nif->addr[i];
		if (!a->used || !a->autoconf || a->plen != 64 ||
		    !addr_prefix_eq(&a->addr, prefix, 64))
			continue;
		found |= !a->temporary;
		if (a->temporary)
			continue;
		uint64_t left = a->valid_ns == TIMER_NEVER ? UINT64_MAX / NS_PER_SEC
		                                           : (a->valid_ns - now) / NS_PER_SEC;
		/* Two hours: a forged advertisement cannot take the address away at once. */
		uint64_t v = valid_s > 7200 || valid_s > left ? valid_s : min_u64(left, 7200);
		set_lives(a, now, v, preferred_s);
	}
	if (!found && valid_s) {
		new_autoconf(nif, prefix, valid_s, preferred_s, false);
		if (nif->st->cfg.temp_addrs)
			new_autoconf(nif, prefix, valid_s, preferred_s, true);
	}
	if_schedule(nif);
}

static void take_prefix(struct net_if *nif, const uint8_t *o)
{
	struct net_addr prefix = addr_v6_wire(o + 16);
	uint32_t valid_s = get_be32(o + 4), preferred_s = get_be32(o + 8);
	if (addr_is_linklocal(&prefix) || addr_is_mcast(&prefix) || addr_is_v4(&prefix) ||
	    preferred_s > valid_s || o[2] > 128)
		return;
	if (o[3] & 0x80) { /* on the link */
		uint64_t until =
		        valid_s == 0xffffffffu ? TIMER_NEVER : nif->st->now + valid_s * NS_PER_SEC;
		if (valid_s)
			(void)route_set(nif->st, &prefix, o[2], NULL, nif, 256, until);
		else
			route_unset(nif->st, &prefix, o[2], NULL, nif);
	}
	if ((o[3] & 0x40) && o[2] == 64) {
		mem_set(prefix.b + 8, 0, 8);
		refresh(nif, &prefix, valid_s, preferred_s);
	}
}

static void take_router(struct net_if *nif, const struct net_addr *from, uint32_t life_s)
{
	struct if_router *slot = NULL;
	for (unsigned i = 0; i < IF_ROUTER_MAX; i++) {
		struct if_router *r = &nif->router[i];
		if (r->until_ns && addr_eq(&r->addr, from)) {
			slot = r;
			break;
		}
		if (!r->until_ns && !slot)
			slot = r;
	}
	if (!slot)
		return;
	if (!life_s) {
		if (slot->until_ns)
			slot->until_ns = nif->st->now; /* the timer takes it away */
	} else {
		slot->addr = *from;
		slot->until_ns = nif->st->now + life_s * NS_PER_SEC;
		(void)route_set(nif->st, &unspecified, 0, from, nif, 1024, slot->until_ns);
	}
	if_schedule(nif);
}

/* ---- input ---- */

/* The option of TYPE behind OFF, its first 32 bytes in OUT. All options must be well-formed, or
 * the message is void (RFC 4861, 6.1 and 7.1). FN is called for each. */
static bool each_option(struct net_if *nif, const struct pkt *p, uint32_t off,
                        void (*fn)(struct net_if *, const uint8_t *, uint32_t, void *), void *arg)
{
	for (unsigned pass = 0; pass < (fn ? 2u : 1u); pass++) {
		uint32_t at = off;
		for (unsigned n = 0; at < p->len && n < OPTS_MAX; n++) {
			uint8_t o[32];
			if (!pkt_read(p, at, o, 2) || o[1] == 0 || o[1] * 8u > p->len - at)
				return false;
			uint32_t len = o[1] * 8u;
			(void)pkt_read(p, at, o, min_u32(len, sizeof(o)));
			if (pass)
				fn(nif, o, len, arg);
			at += len;
		}
	}
	return true;
}

struct lla {
	uint8_t type;
	bool found;
	uint8_t mac[6];
};

static void find_lla(struct net_if *nif, const uint8_t *o, uint32_t len, void *arg)
{
	struct lla *l = arg;
	(void)nif;
	if (o[0] == l->type && len == 8 && !(o[2] & 1)) {
		l->found = true;
		mem_copy(l->mac, o + 2, 6);
	}
}

static void ns_input(struct net_if *nif, struct pkt *p, const struct ip_meta *m)
{
	uint8_t h[24];
	struct lla l = {.type = OPT_SLLA};
	if (!pkt_read(p, m->l4_off, h, 24) || !each_option(nif, p, m->l4_off + 24, find_lla, &l))
		return;
	struct net_addr target = addr_v6_wire(h + 8);
	bool dad = addr_is_any(&m->src);
	if (addr_is_mcast(&target) || (dad && (l.found || !m->group)))
		return;
	struct if_addr *a = if_find_addr(nif, &target);
	if (!a)
		return;
	if (a->state == ADDR_TENTATIVE) {
		if (dad) /* somebody else wants it as well */
			if_addr_conflict(nif, a, false);
		return;
	}
	if (a->state != ADDR_OK)
		return;
	if (dad) {
		nd_advertise(nif, &target, NULL, false);
		return;
	}
	if (l.found)
		neigh_learn(nif, &m->src, l.mac, false, true, true);
	nd_advertise(nif, &target, &m->src, true);
}

static void na_input(struct net_if *nif, struct pkt *p, const struct ip_meta *m)
{
	uint8_t h[24];
	struct lla l = {.type = OPT_TLLA};
	if (!pkt_read(p, m->l4_off, h, 24) || !each_option(nif, p, m->l4_off + 24, find_lla, &l))
		return;
	struct net_addr target = addr_v6_wire(h + 8);
	if (addr_is_mcast(&target) || (m->group && (h[4] & NA_SOLICIT)))
		return;
	struct if_addr *mine = if_find_addr(nif, &target);
	if (mine) {
		if_addr_conflict(nif, mine, true);
		return;
	}
	struct neigh *n = neigh_find(nif->st, nif, &target);
	if (!n)
		return;
	n->router = h[4] & NA_ROUTER;
	if (l.found)
		neigh_learn(nif, &target, l.mac, h[4] & NA_SOLICIT, h[4] & NA_OVERRIDE, false);
	else if (n->state != NEIGH_INCOMPLETE)
		neigh_learn(nif, &target, n->mac, h[4] & NA_SOLICIT, true, false);
}

static void ra_option(struct net_if *nif, const uint8_t *o, uint32_t len, void *arg)
{
	(void)arg;
	if (o[0] == OPT_PREFIX && len == 32)
		take_prefix(nif, o);
	else if (o[0] == OPT_MTU && len == 8) {
		uint32_t mtu = get_be32(o + 4);
		if (mtu >= IP6_MIN_MTU && mtu <= nif->mtu && mtu != nif->mtu6) {
			nif->mtu6 = mtu;
			route_changed(nif->st);
		}
	}
}

static void ra_input(struct net_if *nif, struct pkt *p, const struct ip_meta *m)
{
	uint8_t h[16];
	struct lla l = {.type = OPT_SLLA};
	if (nif->cfg.flags & NET_IF_ROUTER || !addr_is_linklocal(&m->src) ||
	    !pkt_read(p, m->l4_off, h, 16) || !each_option(nif, p, m->l4_off + 16, find_lla, &l))
		return;
	nif->rs_left = 0;
	if (h[4])
		nif->hop_limit = h[4];
	if (get_be32(h + 8) && get_be32(h + 8) <= 3600000)
		nif->reachable_ms = get_be32(h + 8);
	if (get_be32(h + 12) >= 100 && get_be32(h + 12) <= 60000)
		nif->retrans_ms = get_be32(h + 12);
	if (l.found)
		neigh_learn(nif, &m->src, l.mac, false, true, true);
	take_router(nif, &m->src, get_be16(h + 6));
	(void)each_option(nif, p, m->l4_off + 16, ra_option, NULL);
}

/* RFC 4861, 8.1 and 8.3. */
static void redirect_input(struct net_if *nif, struct pkt *p, const struct ip_meta *m)
{
	uint8_t h[40];
	struct lla l = {.type = OPT_TLLA};
	if (!addr_is_linklocal(&m->src) || !pkt_read(p, m->l4_off, h, 40) ||
	    !each_option(nif, p, m->l4_off + 40, find_lla, &l))
		return;
	struct net_addr to = addr_v6_wire(h + 8), dst = addr_v6_wire(h + 24);
	if (!addr_is_linklocal(&to) && !addr_eq(&to, &dst))
		return;
	route_redirect(nif, &m->src, &dst, &to);
	struct hop hop;
	if (l.found && route_lookup(nif->st, &dst, nif, &hop) && addr_eq(&hop.next_hop, &to))
		neigh_learn(nif, &to, l.mac, false, true, true);
}

void nd_input(struct net_if *nif, struct pkt *p, const struct ip_meta *m, unsigned type)
{
	uint8_t code;
	/* RFC 4861, 6.1 and 7.1: from this link only, code 0. */
	if (m->ttl != HOPS || nif->cfg.link != NET_LINK_ETHER ||
	    !pkt_read(p, m->l4_off + 1, &code, 1) || code != 0)
		return;
	if (type == ICMP6_NS)
		ns_input(nif, p, m);
	else if (type == ICMP6_NA)
		na_input(nif, p, m);
	else if (type == ICMP6_RA)
		ra_input(nif, p, m);
	else if (type == ICMP6_REDIRECT)
		redirect_input(nif, p, m);
}
