/* Routes: longest prefix, then metric; redirects (RFC 1122, 3.2.2.2; RFC 4861, 8); the choice of
 * source and destination addresses (RFC 6724; RFC 1122, 3.3.4.3); what is known of the path's MTU
 * (RFC 1191, 8201). */
#include "net/stack/priv.h"

#define PMTU_LIFE_NS (600 * NS_PER_SEC) /* RFC 1191, 6.3: ten minutes */
#define REDIRECT_NS  (600 * NS_PER_SEC)
#define LEARNT_MAX   64u  /* routes that end: advertised, or by redirects */
#define PMTU_MIN4    576u /* as Linux: less is a trick (min_pmtu is 552) */

/* A table of routes is short: a sorted list, looked at once per connection or datagram. */
static struct route **find_exact(struct net_stack *st, const struct net_addr *dst, unsigned plen,
                                 const struct net_addr *gw, const struct net_if *nif)
{
	struct route **at = &st->routes;
	for (; *at; at = &(*at)->next) {
		const struct route *r = *at;
		bool same_gw = r->has_gw ? gw && addr_eq(&r->gw, gw) : !gw;
		if (r->plen == plen && r->nif == nif && same_gw &&
		    addr_prefix_eq(&r->dst, dst, plen))
			break;
	}
	return at;
}

static void drop(struct net_stack *st, struct route **at)
{
	struct route *r = *at;
	*at = r->next;
	stack_free(st, r, sizeof(*r));
	route_changed(st);
}

int route_set(struct net_stack *st, const struct net_addr *dst, unsigned plen,
              const struct net_addr *gw, struct net_if *nif, uint32_t metric, uint64_t until_ns)
{
	struct route **at = find_exact(st, dst, plen, gw, nif);
	if (*at) {
		(*at)->until_ns = until_ns;
		return -NET_EEXIST;
	}
	unsigned learnt = 0;
	for (const struct route *o = st->routes; o; o = o->next)
		learnt += o->until_ns != TIMER_NEVER;
	bool full = until_ns != TIMER_NEVER && learnt >= LEARNT_MAX;
	struct route *r = full ? NULL : stack_alloc(st, sizeof(*r));
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
	at = &st->routes;
	while (*at && ((*at)->plen > plen || ((*at)->plen == plen && (*at)->metric <= metric)))
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
	if (*at)
		drop(st, at);
}

void route_learn(struct net_if *nif, const struct net_addr *dst, unsigned plen,
                 const struct net_addr *gw, uint32_t life_s)
{
	struct net_stack *st = nif->st;
	struct route **at = find_exact(st, dst, plen, gw, nif);
	if (*at && gw && (*at)->until_ns == TIMER_NEVER)
		return;
	if (life_s)
		(void)route_set(st, dst, plen, gw, nif, gw ? 1024 : 256,
		                st->now + life_s * NS_PER_SEC);
	else if (*at)
		drop(st, at);
	if_schedule(nif);
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
	for (struct route **at = &st->routes; *at; at = &(*at)->next)
		if ((*at)->plen == plen && (*at)->nif == nif &&
		    addr_prefix_eq(&(*at)->dst, dst, plen)) {
			drop(st, at);
			return 0;
		}
	return -NET_ENOENT;
}

void route_changed(struct net_stack *st)
{
	st->route_gen++;
	sock_forget_kept(st);
}

uint64_t route_expire(struct net_if *nif, uint64_t now)
{
	uint64_t next = TIMER_NEVER;
	for (struct route **at = &nif->st->routes; *at;) {
		if ((*at)->nif == nif && (*at)->until_ns <= now) {
			drop(nif->st, at);
			continue;
		}
		if ((*at)->nif == nif)
			next = min_u64(next, (*at)->until_ns);
		at = &(*at)->next;
	}
	return next;
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

/* ---- redirects ---- */

void route_unredirect(struct net_if *nif, const struct net_addr *gw, const struct net_addr *dst)
{
	for (struct route **at = &nif->st->routes; *at;) {
		const struct route *r = *at;
		bool to_gw = gw && r->nif == nif && addr_eq(r->has_gw ? &r->gw : &r->dst, gw);
		if (r->redirect && (to_gw || (dst && addr_eq(&r->dst, dst))))
			drop(nif->st, at);
		else
			at = &(*at)->next;
	}
}

void route_redirect(struct net_if *nif, const struct net_addr *from, const struct net_addr *dst,
                    const struct net_addr *to)
{
	struct net_stack *st = nif->st;
	struct hop now, there;
	bool v4 = addr_is_v4(dst);
	if (nif->cfg.flags & (NET_IF_ANY_ADDR | NET_IF_ROUTER) || addr_is_mcast(dst) ||
	    addr_is_mcast(to) || addr_is_any(to) || addr_is_v4(to) != v4 || if_of_addr(st, to))
		return;
	/* Only the router that is used now is believed, and only about a neighbour. */
	if (!route_lookup(st, dst, NULL, &now) || now.nif != nif || !addr_eq(&now.next_hop, from) ||
	    addr_eq(from, dst))
		return;
	if (v4 && (!route_lookup(st, to, nif, &there) || !addr_eq(&there.next_hop, to) ||
	           there.nif != nif))
		return;
	route_unredirect(nif, NULL, dst);
	const struct net_addr *gw = addr_eq(to, dst) ? NULL : to;
	int err = route_set(st, dst, 128, gw, nif, 0, st->now + REDIRECT_NS);
	struct route *made = *find_exact(st, dst, 128, gw, nif);
	if (!err && made)
		made->redirect = true;
	if_schedule(nif);
}

/* ---- addresses ---- */

static unsigned common_bits(const struct net_addr *a, const struct net_addr *b)
{
	unsigned n = 0;
	while (n < 16 && a->b[n] == b->b[n])
		n++;
	return n < 16 ? 8 * n + (unsigned)__builtin_clz(a->b[n] ^ b->b[n]) - 24 : 128;
}

/* Scope as in RFC 6724, 3.1: link-local 2, global 14; loopback counts as link-local. */
static unsigned scope_of(const struct net_addr *a)
{
	if (addr_is_mcast(a) && !addr_is_v4(a))
		return a->b[1] & 0xf;
	return addr_is_linklocal(a) || addr_is_loopback(a) ? 2 : 14;
}

/* RFC 6724, 2.1: the default policy table, longest prefix first. IPv4 is ::ffff:0:0/96 in here. */
static const struct policy {
	struct net_addr prefix;
	uint8_t plen, precedence, label;
} policies[] = {
        {{.b = {[15] = 1}}, 128, 50, 0},  {{.b = {[10] = 0xff, [11] = 0xff}}, 96, 35, 4},
        {{.b = {0}}, 96, 1, 3},           {{.b = {0x20, 0x01}}, 32, 5, 5},
        {{.b = {0x20, 0x02}}, 16, 30, 2}, {{.b = {0x3f, 0xfe}}, 16, 1, 12},
        {{.b = {0xfe, 0xc0}}, 10, 1, 11}, {{.b = {0xfc}}, 7, 3, 13},
        {{.b = {0}}, 0, 40, 1},
};

static const struct policy *policy_of(const struct net_addr *a)
{
	const struct policy *p = policies;
	while (!addr_prefix_eq(&p->prefix, a, p->plen))
		p++;
	return p;
}

/* A rank of preferences, each above all that come after it: one more, below the others. */
static uint32_t rank(uint32_t above, unsigned bits, uint32_t value)
{
	return above << bits | value;
}

/* RFC 6724, 5: how good A is for DST. Rules 1, 2, 3, 6, 7, 8 (4 and 5 need what we have not). */
static uint32_t source_rank(const struct if_addr *a, const struct net_addr *dst, uint64_t now)
{
	unsigned s = scope_of(&a->addr);
	uint32_t r = addr_eq(&a->addr, dst);
	/* The least scope that reaches as far; where none does, the greatest. */
	r = rank(r, 6, s >= scope_of(dst) ? 32 - s : s);
	r = rank(r, 1, a->preferred_ns > now);
	r = rank(r, 1, policy_of(&a->addr)->label == policy_of(dst)->label);
	r = rank(r, 1, a->temporary);
	return rank(r, 8, common_bits(&a->addr, dst));
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
	for (const struct if_addr *a = NULL; (a = if_next_addr(nif, a));)
		if (a->state == ADDR_OK && addr_is_v4(&a->addr) == v4 &&
		    (!best || source_rank(a, dst, st->now) > source_rank(best, dst, st->now)))
			best = a;
	if (!best)
		return false;
	*src = best->addr;
	return true;
}

/* RFC 6724, 6: how good DST is. Rules 1, 2, 3, 5, 6, 8, 9 (4 and 7 need what we have not); the last
 * not for IPv4, where it would undo the server's own turns. */
static uint32_t destination_rank(struct net_stack *st, const struct net_addr *dst)
{
	const struct policy *p = policy_of(dst);
	unsigned scope = scope_of(dst);
	struct net_addr src;
	struct hop hop;
	if (!route_lookup(st, dst, NULL, &hop) || !route_source(st, hop.nif, dst, &src))
		return 0;
	const struct if_addr *own = if_find_addr(hop.nif, &src);
	uint32_t r = rank(1, 1, scope == scope_of(&src));
	r = rank(r, 1, !own || own->preferred_ns > st->now);
	r = rank(r, 1, p->label == policy_of(&src)->label);
	r = rank(r, 6, p->precedence);
	r = rank(r, 4, 15 - scope);
	return rank(r, 8, addr_is_v4(dst) ? 0 : common_bits(&src, dst));
}

void net_sort_destinations(struct net_stack *st, struct net_addr *addrs, unsigned count)
{
	for (unsigned i = 1; i < count; i++) {
		const struct net_addr a = addrs[i];
		uint32_t r = destination_rank(st, &a);
		unsigned k = i;
		for (; k > 0 && r > destination_rank(st, &addrs[k - 1]); k--)
			addrs[k] = addrs[k - 1];
		addrs[k] = a;
	}
}

/* ---- path MTU ---- */

/* What is over at NOW goes on the way. */
static struct pmtu **pmtu_find(struct net_stack *st, const struct net_addr *dst, uint64_t now)
{
	struct pmtu **at = &st->pmtus;
	while (*at) {
		struct pmtu *e = *at;
		if (e->until_ns <= now) {
			*at = e->next;
			st->pmtu_count--;
			stack_free(st, e, sizeof(*e));
			continue;
		}
		if (addr_eq(&e->dst, dst))
			break;
		at = &e->next;
	}
	return at;
}

uint32_t pmtu_get(const struct net_if *nif, const struct net_addr *dst)
{
	struct net_stack *st = nif->st;
	uint32_t mtu = nif->mtu[addr_is_v4(dst)];
	if (!st->pmtus)
		return mtu;
	const struct pmtu *e = *pmtu_find(st, dst, st->now);
	return e ? min_u32(e->mtu, mtu) : mtu;
}

bool pmtu_set(struct net_stack *st, const struct net_addr *dst, uint32_t mtu)
{
	mtu = max_u32(mtu, addr_is_v4(dst) ? PMTU_MIN4 : IP6_MIN_MTU);
	struct pmtu *e = *pmtu_find(st, dst, st->now);
	if (e && e->mtu <= mtu)
		return false;
	if (!e) {
		if (st->pmtu_count >= PMTU_MAX)
			return false;
		e = stack_zalloc(st, sizeof(*e));
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
	static const struct net_addr none;
	(void)pmtu_find(st, &none, TIMER_NEVER);
}
