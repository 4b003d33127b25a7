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

/* TARGET: what it is about, where anything. LLA: the kind of the option with our link-layer
 * address; 0: without. */
static void nd_send(struct net_if *nif, unsigned type, unsigned flags,
                    const struct net_addr *target, unsigned lla, const struct net_addr *src,
                    const struct net_addr *dst)
{
	struct pkt *p = pkt_alloc(nif->st, PKT_ROOM);
	struct ip_tx tx = ip6_on_link(nif, src, dst, PROTO_ICMP6, HOPS);
	if (!p)
		return;
	if (lla) {
		uint8_t *o = pkt_push(p, 8);
		o[0] = (uint8_t)lla;
		o[1] = 1;
		mem_copy(o + 2, nif->cfg.mac, 6);
	}
	if (target)
		mem_copy(pkt_push(p, 16), target->b, 16);
	uint8_t *h = pkt_push(p, 8);
	mem_set(h, 0, 8);
	h[0] = (uint8_t)type;
	h[4] = (uint8_t)flags;
	(void)icmp_send(nif->st, p, &tx);
}

void nd_solicit(struct net_if *nif, const struct net_addr *target, const uint8_t *unicast_to,
                bool dad)
{
	struct net_addr src = unspecified, group = if_solicited_node(target);
	if (dad || route_source(nif->st, nif, target, &src))
		nd_send(nif, ICMP6_NS, 0, target, dad ? 0 : OPT_SLLA, &src,
		        unicast_to ? target : &group);
}

void nd_advertise(struct net_if *nif, const struct net_addr *target, const struct net_addr *to,
                  bool solicited)
{
	unsigned flags = NA_OVERRIDE | (solicited ? NA_SOLICIT : 0) |
	                 (nif->cfg.flags & NET_IF_ROUTER ? NA_ROUTER : 0);
	if (nif->cfg.link == NET_LINK_ETHER)
		nd_send(nif, ICMP6_NA, flags, target, OPT_TLLA, target, to ? to : &all_nodes);
}

void nd_router_solicit(struct net_if *nif)
{
	struct net_addr src = if_linklocal6(nif);
	nd_send(nif, ICMP6_RS, 0, NULL, addr_is_any(&src) ? 0 : OPT_SLLA, &src, &all_routers);
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
	uint64_t iid = hash_sip(&nif->st->key[KEY_IID], &in, sizeof(in));
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
	nif->rs_left = 3;
	nif->rs_ns = nif->st->now + 2 * NS_PER_SEC; /* after duplicate detection */
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
	for (struct if_addr *a = NULL; (a = if_next_addr(nif, a));) {
		if (!a->autoconf || a->temporary || a->plen != 64 ||
		    !addr_prefix_eq(&a->addr, prefix, 64))
			continue;
		found = true;
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
	if (o[3] & 0x80) /* on the link */
		route_learn(nif, &prefix, o[2], NULL, valid_s);
	if ((o[3] & 0x40) && o[2] == 64) {
		mem_set(prefix.b + 8, 0, 8);
		refresh(nif, &prefix, valid_s, preferred_s);
	}
}

/* ---- input ---- */

/* The option at AT, its first 32 bytes in O. Returns its length; 0: it is not well-formed. */
static uint32_t read_option(const struct pkt *p, uint32_t at, uint8_t *o)
{
	if (!pkt_read(p, at, o, 2) || o[1] * 8u > p->len - at)
		return 0;
	(void)pkt_read(p, at, o, min_u32(o[1] * 8u, 32));
	return o[1] * 8u;
}

/* The fixed part of a message, of LEN bytes, and in LLA the option of TYPE, which is a link-layer
 * address; 0, where there is none. All options must be well-formed, or the message is void (RFC
 * 4861, 6.1 and 7.1). */
static bool read_message(const struct ip_meta *m, uint8_t *h, uint32_t len, uint8_t type,
                         uint8_t *lla)
{
	uint32_t at = m->l4_off + len;
	uint8_t o[32];
	lla[0] = 0;
	if (!pkt_read(m->p, m->l4_off, h, len))
		return false;
	for (unsigned n = 0; at < m->p->len && n < OPTS_MAX; n++, at += len) {
		len = read_option(m->p, at, o);
		if (!len)
			return false;
		if (o[0] == type && len == 8 && !(o[2] & 1))
			mem_copy(lla, o, 8);
	}
	return true;
}

/* H is the message, MAC what its option says, or NULL. */
static void ns_input(const struct ip_meta *m, const uint8_t *h, const uint8_t *mac)
{
	struct net_if *nif = m->nif;
	struct net_addr target = addr_v6_wire(h + 8);
	bool dad = addr_is_any(&m->src);
	struct if_addr *a = if_find_addr(nif, &target);
	if (!a || addr_is_mcast(&target) || (dad && (mac || !m->group)))
		return;
	if (a->state == ADDR_TENTATIVE && dad) /* somebody else wants it as well */
		if_addr_conflict(nif, a, false);
	if (a->state != ADDR_OK)
		return;
	if (mac)
		neigh_learn(nif, &m->src, mac, false, true, true);
	nd_advertise(nif, &target, dad ? NULL : &m->src, !dad);
}

static void na_input(const struct ip_meta *m, const uint8_t *h, const uint8_t *mac)
{
	struct net_if *nif = m->nif;
	struct net_addr target = addr_v6_wire(h + 8);
	if (addr_is_mcast(&target) || (m->group && (h[4] & NA_SOLICIT)))
		return;
	struct if_addr *mine = if_find_addr(nif, &target);
	struct neigh *n = neigh_find(nif->st, nif, &target);
	if (mine) {
		if_addr_conflict(nif, mine, true);
	} else if (n) {
		if (mac)
			neigh_learn(nif, &target, mac, h[4] & NA_SOLICIT, h[4] & NA_OVERRIDE,
			            false);
		else if (n->state != NEIGH_INCOMPLETE)
			neigh_learn(nif, &target, n->mac, h[4] & NA_SOLICIT, true, false);
	}
}

static void take_mtu(struct net_if *nif, uint32_t mtu)
{
	if (mtu < IP6_MIN_MTU || mtu > nif->mtu[true] || mtu == nif->mtu[false])
		return;
	nif->mtu[false] = mtu;
	route_changed(nif->st);
}

static void ra_input(const struct ip_meta *m, const uint8_t *h, const uint8_t *mac)
{
	struct net_if *nif = m->nif;
	uint8_t o[32];
	if (nif->cfg.flags & NET_IF_ROUTER || !addr_is_linklocal(&m->src))
		return;
	nif->rs_ns = TIMER_NEVER;
	if (h[4])
		nif->hop_limit = h[4];
	if (get_be32(h + 8) && get_be32(h + 8) <= 3600000)
		nif->reachable_ms = get_be32(h + 8);
	if (get_be32(h + 12) >= 100 && get_be32(h + 12) <= 60000)
		nif->retrans_ms = get_be32(h + 12);
	if (mac)
		neigh_learn(nif, &m->src, mac, false, true, true);
	route_learn(nif, &unspecified, 0, &m->src, get_be16(h + 6));
	uint32_t at = m->l4_off + 16, len;
	for (unsigned n = 0; at < m->p->len && n < OPTS_MAX; n++, at += len) {
		len = read_option(m->p, at, o);
		if (o[0] == OPT_PREFIX && len == 32)
			take_prefix(nif, o);
		else if (o[0] == OPT_MTU && len == 8)
			take_mtu(nif, get_be32(o + 4));
	}
}

/* RFC 4861, 8.1 and 8.3. */
static void redirect_input(const struct ip_meta *m, const uint8_t *h, const uint8_t *mac)
{
	struct net_if *nif = m->nif;
	struct hop hop;
	struct net_addr to = addr_v6_wire(h + 8), dst = addr_v6_wire(h + 24);
	if (!addr_is_linklocal(&m->src) || (!addr_is_linklocal(&to) && !addr_eq(&to, &dst)))
		return;
	route_redirect(nif, &m->src, &dst, &to);
	if (mac && route_lookup(nif->st, &dst, nif, &hop) && addr_eq(&hop.next_hop, &to))
		neigh_learn(nif, &to, mac, false, true, true);
}

void nd_input(const struct ip_meta *m, unsigned type)
{
	static const struct {
		uint8_t len, lla; /* of the fixed part; the option */
		void (*take)(const struct ip_meta *m, const uint8_t *h, const uint8_t *mac);
	} kinds[] = {[ICMP6_RA - ICMP6_RS] = {16, OPT_SLLA, ra_input},
	             [ICMP6_NS - ICMP6_RS] = {24, OPT_SLLA, ns_input},
	             [ICMP6_NA - ICMP6_RS] = {24, OPT_TLLA, na_input},
	             [ICMP6_REDIRECT - ICMP6_RS] = {40, OPT_TLLA, redirect_input}};
	uint8_t h[40], lla[8];
	unsigned kind = type - ICMP6_RS;
	/* RFC 4861, 6.1 and 7.1: from this link only, code 0. */
	if (m->ttl == HOPS && m->nif->cfg.link == NET_LINK_ETHER && kinds[kind].take &&
	    read_message(m, h, kinds[kind].len, kinds[kind].lla, lla) && h[1] == 0)
		kinds[kind].take(m, h, lla[0] ? lla + 2 : NULL);
}
