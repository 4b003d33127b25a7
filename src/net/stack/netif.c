/* Interfaces: their life, their addresses, what comes in and what goes out. */
#include "net/stack/priv.h"

struct net_if *net_if_add(struct net_stack *st, const struct net_if_cfg *cfg)
{
	bool ok = cfg->output && cfg->vlan <= 4094 &&
	          (cfg->mtu == 0 || (cfg->mtu >= 576 && cfg->mtu <= 65536));
	struct net_if *nif = ok ? stack_zalloc(st, sizeof(*nif)) : NULL;
	if (!nif)
		return NULL;
	stack_now(st);
	nif->st = st;
	nif->cfg = *cfg;
	nif->mtu[false] = nif->mtu[true] = cfg->mtu ? cfg->mtu : 1500;
	if (nif->mtu[false] < IP6_MIN_MTU || st->cfg.no_ipv6)
		nif->cfg.flags |= NET_IF_NO_V6;
	if (!nif->cfg.gso_max || nif->cfg.gso_max > 65536 - 128)
		nif->cfg.gso_max = 65536 - 128;
	nif->index = ++st->next_ifindex;
	nif->up = true;
	nif->hop_limit = IP_DEFAULT_TTL;
	nif->reachable_ms = 30000;
	nif->retrans_ms = 1000;
	nif->rs_ns = TIMER_NEVER;
	nif->timer.fire = if_addr_timer;
	nif->mc_timer.fire = group_timer;
	struct net_if **at = &st->ifs;
	while (*at)
		at = &(*at)->next;
	*at = nif;
	if (!(nif->cfg.flags & (NET_IF_NO_V6 | NET_IF_ROUTER)) && cfg->link == NET_LINK_ETHER)
		nd_start(nif);
	return nif;
}

static void forget_traffic(struct net_stack *st, const struct net_if *nif)
{
	neigh_flush(st, nif);
	frag_flush(st, nif);
	while (nif->cfg.link == NET_LINK_LOOP && st->loop_head) {
		struct pkt *p = st->loop_head;
		queue_pop(st->loop_head, st->loop_tail, next);
		pkt_free(p);
	}
}

void net_if_remove(struct net_if *nif)
{
	struct net_stack *st = nif->st;
	dhcp_free(nif);
	timer_disarm(&st->timers, &nif->timer);
	timer_disarm(&st->timers, &nif->mc_timer);
	(void)route_expire(nif, TIMER_NEVER);
	list_remove(st->ifs, nif, next);
	forget_traffic(st, nif);
	route_changed(st);
	if (st->lo == nif)
		st->lo = NULL;
	stack_free(st, nif, sizeof(*nif));
}

void net_if_set_link(struct net_if *nif, bool up)
{
	if (nif->up == up)
		return;
	stack_now(nif->st);
	nif->up = up;
	forget_traffic(nif->st, nif);
	route_changed(nif->st);
	if (up && nif->cfg.link == NET_LINK_ETHER && !(nif->cfg.flags & NET_IF_NO_V6))
		nd_router_solicit(nif);
}

void net_if_set_offloads(struct net_if *nif, uint32_t offloads)
{
	nif->cfg.offloads = offloads;
}

unsigned net_if_index(const struct net_if *nif)
{
	return nif->index;
}

struct net_if *net_if_by_index(struct net_stack *st, unsigned index)
{
	for (struct net_if *nif = st->ifs; nif; nif = nif->next)
		if (nif->index == index)
			return nif;
	return NULL;
}

void net_if_on_echo(struct net_if *nif, net_echo_fn fn, void *ctx)
{
	nif->echo = fn;
	nif->echo_ctx = ctx;
}

/* ---- addresses ---- */

struct if_addr *if_next_addr(const struct net_if *nif, const struct if_addr *a)
{
	for (unsigned i = a ? (unsigned)(a - nif->addr) + 1 : 0; i < nif->addr_end; i++)
		if (nif->addr[i].used)
			return (struct if_addr *)(uintptr_t)&nif->addr[i];
	return NULL;
}

struct if_addr *if_find_addr(struct net_if *nif, const struct net_addr *a)
{
	for (unsigned i = 0; i < nif->addr_end; i++)
		if (nif->addr[i].used && addr_eq(&nif->addr[i].addr, a))
			return &nif->addr[i];
	return NULL;
}

struct net_addr if_linklocal6(const struct net_if *nif)
{
	for (struct if_addr *a = NULL; (a = if_next_addr(nif, a));)
		if (a->state == ADDR_OK && !addr_is_v4(&a->addr) && addr_is_linklocal(&a->addr))
			return a->addr;
	return (struct net_addr){.q = {0, 0}};
}

struct net_if *if_of_addr(struct net_stack *st, const struct net_addr *a)
{
	for (struct net_if *nif = st->ifs; nif; nif = nif->next) {
		const struct if_addr *mine = if_find_addr(nif, a);
		if (mine && mine->state == ADDR_OK)
			return nif;
		if (nif->cfg.link == NET_LINK_LOOP && addr_is_loopback(a))
			return nif;
	}
	return NULL;
}

bool if_is_bcast4(const struct net_if *nif, const struct net_addr *a)
{
	if (!addr_is_v4(a))
		return false;
	if (addr_is_bcast4(a))
		return true;
	for (unsigned i = 0; i < nif->addr_end; i++) {
		const struct if_addr *m = &nif->addr[i];
		if (!m->used || !addr_is_v4(&m->addr) || m->plen > 126)
			continue;
		uint32_t host = 0xffffffffu >> (m->plen - 96);
		uint32_t v = addr_to_v4(a);
		if (((v ^ addr_to_v4(&m->addr)) & ~host) == 0 &&
		    ((v & host) == host || (v & host) == 0))
			return true;
	}
	return false;
}

struct net_addr if_solicited_node(const struct net_addr *a)
{
	struct net_addr g = {.b = {0xff, 2, [11] = 1, [12] = 0xff}};
	mem_copy(g.b + 13, a->b + 13, 3);
	return g;
}

struct if_addr *if_new_addr(struct net_if *nif, const struct net_addr *a, unsigned plen)
{
	struct if_addr *m = NULL;
	for (unsigned i = 0; i < IF_ADDR_MAX && !m; i++)
		if (!nif->addr[i].used)
			m = &nif->addr[i];
	if (!m)
		return NULL;
	nif->addr_end = max_u32(nif->addr_end, (unsigned)(m - nif->addr) + 1);
	bool dad = !addr_is_v4(a) && nif->cfg.link == NET_LINK_ETHER &&
	           !(nif->cfg.flags & NET_IF_NO_DAD);
	*m = (struct if_addr){.addr = *a,
	                      .plen = (uint8_t)plen,
	                      .used = true,
	                      .state = dad ? ADDR_TENTATIVE : ADDR_OK,
	                      .preferred_ns = TIMER_NEVER,
	                      .valid_ns = TIMER_NEVER,
	                      .next_ns = TIMER_NEVER};
	if (nif->cfg.link == NET_LINK_ETHER) {
		m->probes = dad ? 1 : addr_is_v4(a) ? 2 : 0;
		if (m->probes)
			m->next_ns = nif->st->now;
		if (!addr_is_v4(a)) {
			struct net_addr g = if_solicited_node(a);
			(void)group_join(nif, &g);
		}
	}
	/* One that is there already serves this address, too. */
	if (route_set(nif->st, a, plen, NULL, nif, 256, TIMER_NEVER) == -NET_ENOMEM) {
		if_drop_addr(nif, m);
		return NULL;
	}
	route_changed(nif->st);
	if_schedule(nif);
	return m;
}

void if_drop_addr(struct net_if *nif, struct if_addr *a)
{
	struct if_addr old = *a;
	a->used = false;
	if (nif->cfg.link == NET_LINK_ETHER && !addr_is_v4(&old.addr)) {
		struct net_addr g = if_solicited_node(&old.addr);
		group_leave(nif, &g);
	}
	bool shared = false; /* another address with the same prefix keeps the route */
	for (const struct if_addr *o = NULL; (o = if_next_addr(nif, o));)
		shared |= o->plen == old.plen && addr_prefix_eq(&o->addr, &old.addr, old.plen);
	if (!shared)
		route_unset(nif->st, &old.addr, old.plen, NULL, nif);
	route_changed(nif->st);
}

int net_if_add_addr(struct net_if *nif, const struct net_addr *addr, unsigned prefix)
{
	bool v4 = addr_is_v4(addr);
	if (prefix > (v4 ? 32u : 128u) || addr_is_mcast(addr) || addr_is_any(addr) ||
	    (!v4 && (nif->cfg.flags & NET_IF_NO_V6)))
		return -NET_EINVAL;
	if (if_find_addr(nif, addr))
		return -NET_EEXIST;
	stack_now(nif->st);
	return if_new_addr(nif, addr, v4 ? prefix + 96 : prefix) ? 0 : -NET_ENOMEM;
}

int net_if_del_addr(struct net_if *nif, const struct net_addr *addr)
{
	struct if_addr *m = if_find_addr(nif, addr);
	if (!m)
		return -NET_EADDRNOTAVAIL;
	stack_now(nif->st);
	if_drop_addr(nif, m);
	return 0;
}

bool net_if_get_addr(const struct net_if *nif, unsigned i, struct net_if_addr *out)
{
	const struct if_addr *m = if_next_addr(nif, NULL);
	while (m && i--)
		m = if_next_addr(nif, m);
	if (!m)
		return false;
	*out = (struct net_if_addr){
	        .addr = m->addr,
	        .prefix = (uint8_t)(addr_is_v4(&m->addr) ? m->plen - 96 : m->plen),
	        .tentative = m->state == ADDR_TENTATIVE,
	        .duplicate = m->state == ADDR_DUPLICATE,
	        .deprecated = m->preferred_ns <= nif->st->now,
	        .temporary = m->temporary};
	return true;
}

/* ---- in ---- */

/* Takes the header off. Returns the type of what is behind it; 0: it is not for us. */
static unsigned eth_input(const struct net_if *nif, struct pkt *p)
{
	uint8_t h[ETH_HLEN + ETH_VLAN_LEN];
	uint32_t hlen = ETH_HLEN;
	if (!pkt_read(p, 0, h, ETH_HLEN))
		return 0;
	unsigned type = get_be16(h + 12), vlan = 0;
	if (type == ETH_VLAN && pkt_read(p, 0, h, sizeof(h))) {
		vlan = get_be16(h + 14) & 0xfffu;
		type = get_be16(h + 16);
		hlen += ETH_VLAN_LEN;
	}
	bool group = h[0] & 1;
	if (vlan != nif->cfg.vlan || (!group && mem_cmp(h, nif->cfg.mac, 6) != 0))
		return 0;
	p->flags = (uint8_t)((p->flags & ~PKT_BCAST) | (group ? PKT_BCAST : 0));
	pkt_trim_front(p, hlen);
	return type;
}

void net_input(struct net_if *nif, struct pkt *p)
{
	struct ip_meta m = {.p = p, .nif = nif};
	uint8_t version;
	stack_now(nif->st);
	nif->st->now_fresh = true; /* until the burst's net_poll */
	p->nif = nif;
	if (nif->up && pkt_read(p, 0, &version, 1)) {
		unsigned type = nif->cfg.link == NET_LINK_ETHER ? eth_input(nif, p)
		                : version >> 4 == 4             ? ETH_IP4
		                : version >> 4 == 6             ? ETH_IP6
		                                                : 0;
		if (type == ETH_IP4)
			ip4_input(&m);
		else if (type == ETH_IP6 && !(nif->cfg.flags & NET_IF_NO_V6))
			ip6_input(&m);
		else if (type == ETH_ARP)
			arp_input(nif, p);
	}
	if (m.p)
		pkt_free(m.p);
}

/* ---- out ---- */

static void loop_output(struct net_stack *st, struct net_if *nif, struct pkt *p)
{
	p->nif = nif;
	/* What never left the machine needs no checksum. */
	if (p->flags & PKT_CSUM_PARTIAL)
		p->flags = PKT_CSUM_VALID;
	queue_add(st->loop_head, st->loop_tail, p, next);
}

void if_send_eth(struct net_if *nif, struct pkt *p, const uint8_t *mac, unsigned type)
{
	unsigned extra = nif->cfg.vlan ? ETH_VLAN_LEN : 0;
	uint8_t *h = pkt_push(p, ETH_HLEN + extra);
	mem_copy(h, mac, 6);
	mem_copy(h + 6, nif->cfg.mac, 6);
	if (extra) {
		put_be16(h + 12, ETH_VLAN);
		put_be16(h + 14, nif->cfg.vlan);
	}
	put_be16(h + 12 + extra, type);
	if (nif->up)
		nif->cfg.output(nif->cfg.ctx, p);
	else
		pkt_free(p);
}

static void group_mac(const struct net_addr *a, uint8_t *mac)
{
	bool v4 = addr_is_v4(a);
	put_be16(mac, v4 ? 0x0100 : 0x3333); /* RFC 1112, 6.4; RFC 2464, 7 */
	mem_copy(mac + 2, a->b + 12, 4);
	if (v4) {
		mac[2] = 0x5e;
		mac[3] &= 0x7f;
	}
}

void if_output(struct net_if *nif, struct pkt *p, const struct net_addr *next_hop)
{
	uint8_t mac[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	unsigned type = addr_is_v4(next_hop) ? ETH_IP4 : ETH_IP6;
	p->nif = nif;
	nif->st->stats.ip_out++;
	if (nif->cfg.link == NET_LINK_LOOP)
		loop_output(nif->st, nif, p);
	else if (!nif->up)
		pkt_free(p);
	else if (nif->cfg.link == NET_LINK_IP)
		nif->cfg.output(nif->cfg.ctx, p);
	else if (addr_is_mcast(next_hop) || if_is_bcast4(nif, next_hop)) {
		if (addr_is_mcast(next_hop))
			group_mac(next_hop, mac);
		if_send_eth(nif, p, mac, type);
	} else
		neigh_output(nif, next_hop, p);
}
