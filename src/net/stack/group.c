/* Membership reports: IGMPv3 (RFC 3376) and MLDv2 (RFC 3810), groups with no source filter. */
#include "net/stack/priv.h"

#define TO_EXCLUDE 4u
#define TO_INCLUDE 3u
#define IS_EXCLUDE 2u
#define ROBUSTNESS 2u

static void report4(struct net_if *nif, struct pkt *p)
{
	struct ip_tx tx = {.dst = addr_v4(0xe0000016), .proto = PROTO_IGMP, .ttl = 1};
	uint8_t *h = p->room + p->head;
	put_be16(h + 2, csum_bytes(h, p->len));
	if (!route_source(nif->st, nif, &tx.dst, &tx.src))
		tx.src = addr_v4(0);
	put_be32(pkt_push(p, 4), 0x94040000); /* router alert (RFC 3376, 4) */
	h = ip4_push(p, &tx, 0);
	h[0] = 0x46;
	put_be16(h + IP4_CSUM, 0);
	put_be16(h + IP4_CSUM, csum_bytes(h, IP4_HLEN + 4));
	if_output(nif, p, &tx.dst);
}

static void report6(struct net_if *nif, struct pkt *p)
{
	static const uint8_t alert[8] = {PROTO_ICMP6, 0, 5, 2, 0, 0, 1, 0}; /* RFC 3810, 5 */
	const struct net_addr src = if_linklocal6(nif), dst = {.b = {0xff, 2, [15] = 0x16}};
	struct ip_tx tx = ip6_on_link(nif, &src, &dst, PROTO_HOPOPTS, 1);
	pkt_csum_later(p, 2, &src, &dst, PROTO_ICMP6);
	pkt_finish_csum(p);
	mem_copy(pkt_push(p, 8), alert, 8);
	(void)ip_send(nif->st, p, &tx);
}

/* A report of one record about A. */
static void report(struct net_if *nif, const struct net_addr *a, unsigned record)
{
	bool v4 = addr_is_v4(a);
	unsigned alen = v4 ? 4 : 16;
	bool on = nif->cfg.link == NET_LINK_ETHER && nif->up;
	struct pkt *p = on ? pkt_alloc(nif->st, PKT_ROOM) : NULL;
	if (!p)
		return;
	uint8_t *h = pkt_push(p, 8 + 4 + alen);
	mem_set(h, 0, 12);
	h[0] = v4 ? 0x22 : ICMP6_MLD2;
	h[7] = 1;
	h[8] = (uint8_t)record;
	mem_copy(h + 12, a->b + 16 - alen, alen);
	if (v4)
		report4(nif, p);
	else
		report6(nif, p);
}

/* All hosts (RFC 1112, 4). */
static bool all_hosts(const struct net_addr *a)
{
	return addr_is_v4(a) && addr_to_v4(a) == 0xe0000001u;
}

/* Those are never reported, nor what does not leave the machine, nor where every address is ours.
 */
static bool silent(const struct net_if *nif, const struct net_addr *a)
{
	return (nif->cfg.flags & NET_IF_ANY_ADDR) || all_hosts(a) ||
	       (!addr_is_v4(a) && (a->b[1] & 0xf) < 2);
}

static void schedule(struct net_if *nif, uint32_t max_ms)
{
	uint64_t at = nif->st->now + stack_random(nif->st) % (max_ms + 1) * NS_PER_MS;
	if (!nif->mc_timer.armed || nif->mc_timer.when_ns > at)
		timer_arm(nif->st, &nif->mc_timer, at);
}

/* A's place; with NULL, a free one. NULL: there is none. */
static struct if_group *find(struct net_if *nif, const struct net_addr *a)
{
	for (struct if_group *g = nif->group; g < nif->group + IF_GROUP_MAX; g++)
		if (a ? g->refs && addr_eq(&g->addr, a) : !g->refs)
			return g;
	return NULL;
}

bool group_has(struct net_if *nif, const struct net_addr *a)
{
	static const struct net_addr all_nodes = {.b = {0xff, 2, [15] = 1}};
	static const struct net_addr all_nodes_if = {.b = {0xff, 1, [15] = 1}};
	return all_hosts(a) || addr_eq(a, &all_nodes) || addr_eq(a, &all_nodes_if) || find(nif, a);
}

int group_join(struct net_if *nif, const struct net_addr *a)
{
	struct if_group *g = find(nif, a);
	if (g) {
		g->refs++;
		return 0;
	}
	g = find(nif, NULL);
	if (!g)
		return -NET_ENOBUFS;
	*g = (struct if_group){.addr = *a, .refs = 1, .reports = ROBUSTNESS - 1};
	if (!silent(nif, a)) {
		report(nif, a, TO_EXCLUDE);
		schedule(nif, 1000);
	}
	return 0;
}

void group_leave(struct net_if *nif, const struct net_addr *a)
{
	struct if_group *g = find(nif, a);
	if (g && --g->refs == 0 && !silent(nif, a))
		report(nif, a, TO_INCLUDE);
}

void group_timer(struct timer *t)
{
	struct net_if *nif = container_of(t, struct net_if, mc_timer);
	bool more = false;
	for (unsigned i = 0; i < IF_GROUP_MAX; i++) {
		struct if_group *g = &nif->group[i];
		if (!g->refs || !g->reports || silent(nif, &g->addr))
			continue;
		report(nif, &g->addr, IS_EXCLUDE);
		more |= --g->reports > 0;
	}
	if (more)
		schedule(nif, 1000);
}

/* Each group that is asked for is reported again after a while. */
static void queried(struct net_if *nif, const struct net_addr *which, bool v4, uint32_t max_ms)
{
	for (unsigned i = 0; i < IF_GROUP_MAX; i++) {
		struct if_group *g = &nif->group[i];
		if (g->refs && addr_is_v4(&g->addr) == v4 &&
		    (addr_is_any(which) || addr_eq(which, &g->addr)))
			g->reports = g->reports ? g->reports : 1;
	}
	schedule(nif, max_ms);
}

void igmp_input(const struct ip_meta *m)
{
	uint8_t h[8];
	if (!pkt_read(m->p, m->l4_off, h, 8) || !ip_csum_ok(m) || h[0] != 0x11 || !m->group)
		return;
	struct net_addr which = addr_v4_wire(h + 4);
	queried(m->nif, &which, true, min_u32(h[1] * 100u, 10000));
}

void mld_query(const struct ip_meta *m)
{
	uint8_t h[24];
	if (!pkt_read(m->p, m->l4_off, h, 24) || !addr_is_linklocal(&m->src) || m->ttl != 1)
		return;
	struct net_addr which = addr_v6_wire(h + 8);
	queried(m->nif, &which, false, min_u32(get_be16(h + 4), 10000));
}
