/*
 * The life of an interface's addresses: duplicate detection (RFC 4862, 5.4; for IPv4 the
 * announcements and the defence of RFC 5227), deprecation and expiry, router solicitations.
 */
#include "net/stack/priv.h"

#define DEFEND_INTERVAL_NS (10 * NS_PER_SEC) /* RFC 5227, 1.1 */
#define ANNOUNCE_NS        (2 * NS_PER_SEC)
#define RS_INTERVAL_NS     (4 * NS_PER_SEC) /* RFC 4861, 10 */

void if_schedule(struct net_if *nif)
{
	uint64_t next = min_u64(nif->rs_ns, route_expire(nif, nif->st->now));
	for (const struct if_addr *a = NULL; (a = if_next_addr(nif, a));) {
		next = min_u64(next, a->next_ns);
		next = min_u64(next, a->valid_ns);
		/* At the end of the preferred life of a temporary address comes its successor. */
		if (a->temporary && a->preferred_ns > nif->st->now)
			next = min_u64(next, a->preferred_ns);
	}
	timer_arm(nif->st, &nif->timer, max_u64(next, nif->st->now));
}

static void probe(struct net_if *nif, struct if_addr *a, uint64_t now)
{
	a->next_ns = TIMER_NEVER;
	if (a->state == ADDR_TENTATIVE) {
		if (a->probes) {
			a->probes--;
			nd_solicit(nif, &a->addr, NULL, true);
			a->next_ns = now + nif->retrans_ms * NS_PER_MS;
			return;
		}
		a->state = ADDR_OK;
		route_changed(nif->st);
		nd_advertise(nif, &a->addr, NULL, false);
	} else if (a->state == ADDR_OK && a->probes) {
		a->probes--;
		arp_request(nif, &a->addr, &a->addr, NULL);
		if (a->probes)
			a->next_ns = now + ANNOUNCE_NS;
	}
}

void if_addr_timer(struct timer *t)
{
	struct net_if *nif = container_of(t, struct net_if, timer);
	uint64_t now = nif->st->now;
	for (struct if_addr *a = NULL; (a = if_next_addr(nif, a));) {
		if (a->valid_ns <= now) {
			if_drop_addr(nif, a);
			continue;
		}
		if (a->next_ns <= now)
			probe(nif, a, now);
		if (a->temporary && a->preferred_ns <= now && a->preferred_ns) {
			a->preferred_ns = 0;
			nd_regenerate(nif, a);
		}
	}
	if (nif->rs_ns <= now) {
		nd_router_solicit(nif);
		nif->rs_ns = --nif->rs_left ? now + RS_INTERVAL_NS : TIMER_NEVER;
	}
	if_schedule(nif);
}

void if_addr_conflict(struct net_if *nif, struct if_addr *a, bool theirs_in_use)
{
	uint64_t now = nif->st->now;
	if (a->state == ADDR_TENTATIVE) {
		a->state = ADDR_DUPLICATE;
		a->next_ns = TIMER_NEVER;
		nd_regenerate(nif, a);
		route_changed(nif->st);
		return;
	}
	if (!addr_is_v4(&a->addr) || a->state != ADDR_OK || !theirs_in_use)
		return;
	/* RFC 5227, 2.4 (b): defend once; give up what another host insists on, if we may. */
	if (a->defended_ns && now - a->defended_ns < DEFEND_INTERVAL_NS) {
		struct net_addr addr = a->addr;
		if (a->autoconf)
			dhcp_conflict(nif, &addr);
		return;
	}
	a->defended_ns = now;
	arp_request(nif, &a->addr, &a->addr, NULL);
}
