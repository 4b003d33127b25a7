/*
 * The neighbour cache of both families: the states of RFC 4861, 7.3, which serve ARP as well
 * (RFC 1122, 2.3.2.1 asks for unreachability detection). Bounded; the entry used least recently
 * makes room.
 */
#include "net/stack/priv.h"

#define PROBES_MAX     3u
#define DELAY_FIRST_NS (5 * NS_PER_SEC)

static struct neigh **bucket_of(struct net_stack *st, const struct net_addr *a)
{
	uint64_t x = (a->q[0] ^ a->q[1] ^ st->key[KEY_TABLE].k[0]) * 0x9e3779b97f4a7c15ull;
	return &st->neigh[x >> 58];
}

struct neigh *neigh_find(struct net_stack *st, struct net_if *nif, const struct net_addr *a)
{
	for (struct neigh *n = *bucket_of(st, a); n; n = n->next)
		if (n->nif == nif && addr_eq(&n->addr, a))
			return n;
	return NULL;
}

/* Takes the oldest packet out of the queue, which is not empty. */
static struct pkt *dequeue(struct neigh *n)
{
	struct pkt *p = n->queue;
	queue_pop(n->queue, n->queue_last, next);
	n->queued--;
	p->next = NULL;
	return p;
}

static void drop_queue(struct neigh *n, bool tell)
{
	while (n->queue) {
		struct pkt *p = dequeue(n);
		n->nif->st->stats.neigh_drop++;
		struct ip_meta m = {.p = p, .v4 = addr_is_v4(&n->addr), .nif = n->nif};
		/* To ourselves: the socket that sent it learns that the host cannot be reached. */
		uint8_t src[16];
		if (tell && pkt_read(p, m.v4 ? IP4_SRC : IP6_SRC, src, m.v4 ? 4 : 16)) {
			m.src = m.v4 ? addr_v4_wire(src) : addr_v6_wire(src);
			icmp_error(&m, ICMP_NO_HOST, 0);
		}
		pkt_free(p);
	}
}

static void neigh_free(struct neigh *n, bool tell)
{
	struct net_stack *st = n->nif->st;
	list_remove(*bucket_of(st, &n->addr), n, next);
	timer_disarm(&st->timers, &n->timer);
	drop_queue(n, tell);
	st->neigh_count--;
	stack_free(st, n, sizeof(*n));
}

static void solicit(struct neigh *n)
{
	struct net_if *nif = n->nif;
	const uint8_t *to = n->state == NEIGH_PROBE ? n->mac : NULL;
	if (!addr_is_v4(&n->addr)) {
		nd_solicit(nif, &n->addr, to, false);
		return;
	}
	struct net_addr src;
	if (route_source(nif->st, nif, &n->addr, &src))
		arp_request(nif, &src, &n->addr, to);
}

static void neigh_timer(struct timer *t)
{
	struct neigh *n = container_of(t, struct neigh, timer);
	struct net_if *nif = n->nif;
	if (n->state == NEIGH_REACHABLE)
		n->state = NEIGH_STALE;
	if (n->state == NEIGH_STALE)
		return;
	if (n->state == NEIGH_DELAY) {
		n->state = NEIGH_PROBE;
		n->probes = 0;
	}
	if (n->probes >= PROBES_MAX) {
		route_unredirect(nif, &n->addr, NULL); /* it does not answer */
		neigh_free(n, true);
		return;
	}
	n->probes++;
	timer_arm(nif->st, &n->timer, nif->st->now + nif->retrans_ms * NS_PER_MS);
	solicit(n);
}

static void evict_oldest(struct net_stack *st)
{
	struct neigh *oldest = NULL;
	for (unsigned b = 0; b < NEIGH_BUCKETS; b++)
		for (struct neigh *n = st->neigh[b]; n; n = n->next)
			if (!oldest || n->used_ns < oldest->used_ns)
				oldest = n;
	if (oldest)
		neigh_free(oldest, false);
}

static struct neigh *neigh_new(struct net_if *nif, const struct net_addr *a)
{
	struct net_stack *st = nif->st;
	if (st->neigh_count >= NEIGH_MAX)
		evict_oldest(st);
	struct neigh *n = stack_zalloc(st, sizeof(*n));
	if (!n)
		return NULL;
	struct neigh **at = bucket_of(st, a);
	n->next = *at;
	*at = n;
	n->nif = nif;
	n->addr = *a;
	n->state = NEIGH_INCOMPLETE;
	n->timer.fire = neigh_timer;
	n->used_ns = st->now;
	st->neigh_count++;
	return n;
}

static void reachable(struct neigh *n)
{
	n->state = NEIGH_REACHABLE;
	n->probes = 0;
	timer_arm(n->nif->st, &n->timer, n->nif->st->now + n->nif->reachable_ms * NS_PER_MS);
}

static void send(struct neigh *n, struct pkt *p)
{
	if_send_eth(n->nif, p, n->mac, addr_is_v4(&n->addr) ? ETH_IP4 : ETH_IP6);
}

static void enqueue(struct neigh *n, struct pkt *p)
{
	if (n->queued == NEIGH_QUEUE) { /* RFC 1122, 2.3.2.2: the latest are kept */
		n->nif->st->stats.neigh_drop++;
		pkt_free(dequeue(n));
	}
	queue_add(n->queue, n->queue_last, p, next);
	n->queued++;
}

void neigh_output(struct net_if *nif, const struct net_addr *next_hop, struct pkt *p)
{
	struct net_stack *st = nif->st;
	struct neigh *n = neigh_find(st, nif, next_hop);
	if (!n)
		n = neigh_new(nif, next_hop);
	if (!n) {
		pkt_free(p);
		return;
	}
	n->used_ns = st->now;
	if (n->state == NEIGH_INCOMPLETE) {
		enqueue(n, p);
		if (!n->timer.armed)
			neigh_timer(&n->timer);
		return;
	}
	if (n->state == NEIGH_STALE) {
		n->state = NEIGH_DELAY;
		timer_arm(st, &n->timer, st->now + DELAY_FIRST_NS);
	}
	send(n, p);
}

void neigh_learn(struct net_if *nif, const struct net_addr *a, const uint8_t *mac, bool solicited,
                 bool override, bool create)
{
	struct neigh *n = neigh_find(nif->st, nif, a);
	if (!n && create)
		n = neigh_new(nif, a);
	if (!n)
		return;
	bool fresh = n->state == NEIGH_INCOMPLETE;
	bool changed = fresh || mem_cmp(n->mac, mac, 6) != 0;
	if (changed && !fresh && !override) { /* RFC 4861, 7.2.5 */
		if (n->state == NEIGH_REACHABLE)
			n->state = NEIGH_STALE;
		return;
	}
	mem_copy(n->mac, mac, 6);
	if (solicited) {
		reachable(n);
	} else if (changed) {
		n->state = NEIGH_STALE;
		timer_disarm(&nif->st->timers, &n->timer);
	}
	while (n->queue)
		send(n, dequeue(n));
}

void neigh_confirm(const struct hop *hop)
{
	if (hop->nif->cfg.link != NET_LINK_ETHER)
		return;
	struct neigh *n = neigh_find(hop->nif->st, hop->nif, &hop->next_hop);
	if (n && (n->state == NEIGH_DELAY || n->state == NEIGH_PROBE || n->state == NEIGH_STALE))
		reachable(n);
}

void neigh_flush(struct net_stack *st, const struct net_if *nif)
{
	for (unsigned b = 0; b < NEIGH_BUCKETS; b++)
		for (struct neigh *n = st->neigh[b], *next; n; n = next) {
			next = n->next;
			if (n->nif == nif)
				neigh_free(n, false);
		}
}
