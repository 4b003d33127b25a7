/* Routes: longest prefix, then metric; the choice of a source address (RFC 6724, 5; RFC 1122,
 * 3.3.4.3); what is known of the path's MTU (RFC 1191, 8201). */
#include "net/stack/priv.h"

#define PMTU_LIFE_NS (600 * NS_PER_SEC) /* RFC 1191, 6.3: ten minutes */
#define PMTU_MIN4    576u               /* as Linux: less is a trick (min_pmtu is 552) */

/* A table of routes is short: a sorted list, looked at once per connection or datagram. */
static bool sorts_before(const struct route *a, unsigned plen, uint32_t metric)
{
	return a->plen > plen || (a->plen == plen && a->metric <= metric);
}

static bool same_gw(const struct route *r, const struct net_addr *gw)
{
	return r->has_gw ? gw && addr_eq(&r->gw, gw) : !gw;
}

static struct route **find_exact(struct net_stack *st, const struct net_addr *dst, unsigned plen,
                                 const struct net_addr *gw, const struct net_if *nif)
{
	struct route **at = &st->routes;
	for (; *at; at = &(*at)->next) {
		const struct route *r = *at;
		if (r->plen == plen && r->nif == nif && same_gw(r, gw) &&
		    addr_prefix_eq(&r->dst, dst, plen))
			break;
	}
	return at;
}

int route_set(struct net_stack *st, const struct net_addr *dst, unsigned plen,
              const struct net_addr *gw, struct net_if *nif, uint32_t metric, uint64_t until_ns)
{
	struct route **at = find_exact(st, dst, plen, gw, nif);
	if (*at) {
		(*at)->until_ns = until_ns;
		return -NET_EEXIST;
	}
	struct route *r = mem_zalloc(st, sizeof(*r));
	if (!r)
		return -NET_ENOMEM;
	*r = (struct route){.dst = *dst,
	                    .nif = nif,
	                    .metric = metric,
	                    .plen = (uint8_t)plen,
	                    .has_gw = gw != NULL,
	                    .until_ns = until_ns};
	if (gw)
		r->gw = *gw;
	for (at = &st->routes; *at && sorts_before(*at, plen, metric);)
		at = &(*at)->next;
	r->next = *at;
	*at = r;
	route_changed(st);
	return 0;
}

void route_unset(struct net_stack *st, const struct net_addr *dst, unsigned plen,
                 const struct net_addr *gw, const struct net_if *nif)
{
	struct route **at = find_exact(st, dst, plen, gw, nif);
	struct route *r = *at;
	if (!r)
		return;
	*at = r->next;
	mem_free(st, r, sizeof(*r));
	route_changed(st);
}

int net_route_add(struct net_stack *st, const struct net_addr *dst, unsigned prefix,
                  const struct net_addr *gw, struct net_if *nif, uint32_t metric)
{
	bool v4 = addr_is_v4(dst);
	if (prefix > (v4 ? 32u : 128u) || (gw && addr_is_v4(gw) != v4) || !nif)
		return -NET_EINVAL;
	stack_now(st);
	return route_set(st, dst, v4 ? prefix + 96 : prefix, gw, nif, metric, TIMER_NEVER);
}

int net_route_del(struct net_stack *st, const struct net_addr *dst, unsigned prefix,
                  struct net_if *nif)
{
	unsigned plen = addr_is_v4(dst) ? prefix + 96 : prefix;
	stack_now(st);
	for (struct route *r = st->routes; r; r = r->next)
		if (r->plen == plen && r->nif == nif && addr_prefix_eq(&r->dst, dst, plen)) {
			struct net_addr gw = r->gw;
			route_unset(st, dst, plen, r->has_gw ? &gw : NULL, nif);
			return 0;
		}
	return -NET_ENOENT;
}

void route_changed(struct net_stack *st)
{
	st->route_gen++;
	tcp_route_changed(st);
}

void route_drop_if(struct net_stack *st, const struct net_if *nif)
{
	for (struct route **at = &st->routes; *at;) {
		struct route *r = *at;
		if (r->nif == nif) {
			*at = r->next;
			mem_free(st, r, sizeof(*r));
		} else {
			at = &r->next;
		}
	}
}

bool route_lookup(struct net_stack *st, const struct net_addr *dst, struct net_if *bound,
                  struct hop *out)
{
	struct net_if *own = if_of_addr(st, dst);
	if (own && st->lo && !(own->cfg.flags & NET_IF_ANY_ADDR && own != st->lo && bound)) {
		*out = (struct hop){st->lo, *dst};
		return true;
	}
	bool direct = addr_is_bcast4(dst) || addr_is_mcast(dst) ||
	              (addr_is_linklocal(dst) && !addr_is_v4(dst));
	if (direct && bound) {
		*out = (struct hop){bound, *dst};
		return true;
	}
	bool v4 = addr_is_v4(dst);
	for (const struct route *r = st->routes; r; r = r->next) {
		if ((bound && r->nif != bound) || !r->nif->up || addr_is_v4(&r->dst) != v4 ||
		    (r->until_ns <= st->now) || !addr_prefix_eq(&r->dst, dst, r->plen))
			continue;
		*out = (struct hop){r->nif, r->has_gw && !direct ? r->gw : *dst};
		return true;
	}
	for (struct net_if *nif = st->ifs; direct && nif; nif = nif->next)
		if (nif->cfg.link != NET_LINK_LOOP && nif->up) {
			*out = (struct hop){nif, *dst};
			return true;
		}
	return false;
}

static unsigned common_bits(const struct net_addr *a, const struct net_addr *b)
{
	unsigned n = 0;
	while (n < 128 && addr_prefix_eq(a, b, n + 1))
		n++;
	return n;
}

/* Scope as in RFC 6724, 3.1: link-local 2, global 14; loopback counts as link-local. */
static unsigned scope_of(const struct net_addr *a)
{
	if (addr_is_mcast(a) && !addr_is_v4(a))
		return a->b[1] & 0xf;
	return addr_is_linklocal(a) || addr_is_loopback(a) ? 2 : 14;
}

/* RFC 6724, 5: is A better than B for DST? Rules 1, 2, 3, 7, 8 (4 to 6 need what we have not). */
static bool better_source(const struct if_addr *a, const struct if_addr *b,
                          const struct net_addr *dst, uint64_t now)
{
	unsigned sa = scope_of(&a->addr), sb = scope_of(&b->addr), sd = scope_of(dst);
	bool old_a = a->preferred_ns <= now, old_b = b->preferred_ns <= now;
	if (addr_eq(&a->addr, dst) != addr_eq(&b->addr, dst))
		return addr_eq(&a->addr, dst);
	if (sa != sb)
		return sa < sb ? sa >= sd : sb < sd;
	if (old_a != old_b)
		return old_b;
	if (a->temporary != b->temporary)
		return a->temporary;
	return common_bits(&a->addr, dst) > common_bits(&b->addr, dst);
}

bool route_source(struct net_stack *st, struct net_if *nif, const struct net_addr *dst,
                  struct net_addr *src)
{
	const struct if_addr *best = NULL;
	bool v4 = addr_is_v4(dst);
	if (nif->cfg.link == NET_LINK_LOOP && if_of_addr(st, dst)) {
		*src = *dst; /* to ourselves: from the same address */
		return true;
	}
	for (unsigned i = 0; i < nif->addr_end; i++) {
		const struct if_addr *a = &nif->addr[i];
		if (!a->used || a->state != ADDR_OK || addr_is_v4(&a->addr) != v4)
			continue;
		if (!best || better_source(a, best, dst, st->now))
			best = a;
	}
	if (!best)
		return false;
	*src = best->addr;
	return true;
}

/* ---- path MTU ---- */

static struct pmtu **pmtu_find(struct net_stack *st, const struct net_addr *dst)
{
	struct pmtu **at = &st->pmtus;
	while (*at) {
		struct pmtu *e = *at;
		if (e->until_ns <= st->now) {
			*at = e->next;
			st->pmtu_count--;
			mem_free(st, e, sizeof(*e));
			continue;
		}
		if (addr_eq(&e->dst, dst))
			break;
		at = &e->next;
	}
	return at;
}

uint32_t pmtu_get(struct net_stack *st, const struct net_addr *dst, uint32_t mtu)
{
	if (!st->pmtus)
		return mtu;
	const struct pmtu *e = *pmtu_find(st, dst);
	return e ? min_u32(e->mtu, mtu) : mtu;
}

bool pmtu_set(struct net_stack *st, const struct net_addr *dst, uint32_t mtu)
{
	mtu = max_u32(mtu, addr_is_v4(dst) ? PMTU_MIN4 : IP6_MIN_MTU);
	struct pmtu **at = pmtu_find(st, dst), *e = *at;
	if (e && e->mtu <= mtu)
		return false;
	if (!e) {
		if (st->pmtu_count >= PMTU_MAX)
			return false;
		e = mem_zalloc(st, sizeof(*e));
		if (!e)
			return false;
		e->dst = *dst;
		e->next = st->pmtus;
		st->pmtus = e;
		st->pmtu_count++;
	}
	e->mtu = mtu;
	e->until_ns = st->now + PMTU_LIFE_NS;
	return true;
}

void pmtu_clear(struct net_stack *st)
{
	while (st->pmtus) {
		struct pmtu *e = st->pmtus;
		st->pmtus = e->next;
		mem_free(st, e, sizeof(*e));
	}
	st->pmtu_count = 0;
}
