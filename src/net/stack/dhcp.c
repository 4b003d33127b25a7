/* The DHCPv4 client (RFC 2131, 4.4), and link-local addresses while nobody answers (RFC 3927). */
#include "net/stack/dhcp_msg.h"
#include "net/stack/sock.h"

#define SILENT_AFTER   3u /* unanswered tries */
#define PROBE_NS       (400 * NS_PER_MS)
#define LEASE_MIN_S    60u
#define LEASE_INFINITE 0xffffffffu

enum state { SELECTING, REQUESTING, PROBING, BOUND, RENEWING, REBINDING };

struct dhcp {
	struct net_if *nif;
	struct net_sock *sock;
	struct timer timer;
	net_dhcp_fn fn;
	void *ctx;
	enum state state;
	uint32_t xid, tries;
	uint64_t began_ns, t1_ns, t2_ns, end_ns;
	struct dhcp_msg offer;
	struct net_addr addr, router, linklocal; /* what is configured; "::": nothing */
	bool silent;
	char hostname[64];
};

static void arm(struct dhcp *d, uint64_t at)
{
	timer_arm(d->nif->st, &d->timer, max_u64(at, d->nif->st->now + 1));
}

static void send_msg(struct dhcp *d, struct dhcp_ask *ask, bool unicast)
{
	struct net_stack *st = d->nif->st;
	uint8_t msg[DHCP_LEN_MAX];
	ask->xid = d->xid;
	ask->mac = d->nif->cfg.mac;
	ask->hostname = d->hostname;
	ask->secs = (uint16_t)min_u64((st->now - d->began_ns) / NS_PER_SEC, 0xffff);
	uint32_t len = dhcp_build(ask, msg);
	struct net_endpoint from = {ask->ciaddr, 68, d->nif->index};
	struct net_endpoint to = {addr_v4(0xffffffff), 67, d->nif->index};
	if (addr_is_any(&from.addr))
		from.addr = addr_v4(0);
	if (unicast)
		to.addr = d->offer.lease.server;
	(void)udp_send(d->sock, msg, len, &from, &to);
}

/* 4.1: 4, 8, 16, 32, 64 seconds, each by up to one second more or less. */
static uint64_t backoff(struct dhcp *d)
{
	uint64_t ms = 4000ull << min_u32(d->tries, 4);
	return (ms - 1000 + stack_random(d->nif->st) % 2000) * NS_PER_MS;
}

static void send_now(struct dhcp *d)
{
	struct dhcp_ask ask = {.type = DHCP_REQUEST};
	bool unicast = false;
	switch (d->state) {
	case SELECTING:
		ask.type = DHCP_DISCOVER;
		ask.broadcast = true;
		break;
	case REQUESTING:
		ask.requested = d->offer.lease.addr;
		ask.server = d->offer.lease.server;
		ask.broadcast = true;
		break;
	case RENEWING:
		ask.ciaddr = d->addr;
		unicast = true;
		break;
	default:
		ask.ciaddr = d->addr;
		break;
	}
	send_msg(d, &ask, unicast);
}

static void start_over(struct dhcp *d, uint64_t delay_ns)
{
	d->state = SELECTING;
	d->tries = 0;
	d->xid = stack_random(d->nif->st);
	d->began_ns = d->nif->st->now;
	arm(d, d->nif->st->now + delay_ns);
}

static void drop_addr(struct dhcp *d, struct net_addr *which)
{
	static const struct net_addr any4_dst = {.b = {[10] = 0xff, [11] = 0xff}};
	struct if_addr *a = if_find_addr(d->nif, which);
	if (which == &d->addr && !addr_is_any(&d->router))
		route_unset(d->nif->st, &any4_dst, 96, &d->router, d->nif);
	if (a)
		if_drop_addr(d->nif, a);
	*which = (struct net_addr){.q = {0, 0}};
}

/* Nobody answers: an address that needs nobody (RFC 3927, 2.1). */
static void go_linklocal(struct dhcp *d)
{
	d->silent = true;
	if (addr_is_any(&d->linklocal)) {
		uint32_t host = 256 + stack_random(d->nif->st) % (65536 - 512);
		d->linklocal = addr_v4(0xa9fe0000u | host);
		struct if_addr *a = if_new_addr(d->nif, &d->linklocal, 112);
		if (a)
			a->autoconf = true;
	}
	struct net_dhcp_lease l = {.addr = d->linklocal, .prefix = 16};
	if (d->fn)
		d->fn(d->ctx, NET_DHCP_SILENT, &l);
}

static void configure(struct dhcp *d)
{
	static const struct net_addr any4_dst = {.b = {[10] = 0xff, [11] = 0xff}};
	struct net_if *nif = d->nif;
	const struct net_dhcp_lease *l = &d->offer.lease;
	if (!addr_is_any(&d->linklocal))
		drop_addr(d, &d->linklocal);
	if (!addr_eq(&d->addr, &l->addr)) {
		if (!addr_is_any(&d->addr))
			drop_addr(d, &d->addr);
		struct if_addr *a = if_find_addr(nif, &l->addr);
		if (!a)
			a = if_new_addr(nif, &l->addr, l->prefix + 96u);
		if (a)
			a->autoconf = true;
		d->addr = l->addr;
	}
	d->router = l->router;
	if (!addr_is_any(&l->router))
		(void)route_set(nif->st, &any4_dst, 96, &l->router, nif, 100, TIMER_NEVER);
	if (l->mtu && l->mtu <= nif->mtu)
		nif->mtu = l->mtu;
	route_changed(nif->st);
}

static void bound(struct dhcp *d)
{
	uint64_t now = d->nif->st->now;
	struct dhcp_msg *m = &d->offer;
	uint64_t lease = max_u32(m->lease.lease_s, LEASE_MIN_S);
	uint64_t t1 = m->t1_s && m->t1_s < lease ? m->t1_s : lease / 2;
	uint64_t t2 = m->t2_s && m->t2_s < lease && m->t2_s > t1 ? m->t2_s : lease * 7 / 8;
	bool forever = m->lease.lease_s == LEASE_INFINITE;
	d->t1_ns = forever ? TIMER_NEVER : d->began_ns + t1 * NS_PER_SEC;
	d->t2_ns = forever ? TIMER_NEVER : d->began_ns + t2 * NS_PER_SEC;
	d->end_ns = forever ? TIMER_NEVER : d->began_ns + lease * NS_PER_SEC;
	d->state = BOUND;
	d->silent = false;
	configure(d);
	if (forever)
		timer_disarm(&d->nif->st->timers, &d->timer);
	else
		arm(d, max_u64(d->t1_ns, now));
	if (d->fn)
		d->fn(d->ctx, NET_DHCP_BOUND, &m->lease);
}

static void lost(struct dhcp *d)
{
	drop_addr(d, &d->addr);
	start_over(d, 0);
	if (d->fn)
		d->fn(d->ctx, NET_DHCP_ASKING, NULL);
}

/* RENEWING and REBINDING (4.4.5): half of the time that is left, at least a minute. */
static void renew(struct dhcp *d, uint64_t now)
{
	if (now >= d->end_ns) {
		lost(d);
		return;
	}
	if (d->state == BOUND)
		d->xid = stack_random(d->nif->st);
	d->state = now >= d->t2_ns ? REBINDING : RENEWING;
	d->began_ns = now;
	send_now(d);
	uint64_t limit = d->state == RENEWING ? d->t2_ns : d->end_ns;
	uint64_t wait = max_u64((limit - now) / 2, 60 * NS_PER_SEC);
	arm(d, min_u64(now + wait, limit));
}

static void dhcp_timer(struct timer *t, uint64_t now)
{
	struct dhcp *d = container_of(t, struct dhcp, timer);
	if (d->state >= BOUND) {
		renew(d, now);
		return;
	}
	if (d->state == PROBING) { /* nobody else has it */
		bound(d);
		return;
	}
	if (d->state == REQUESTING && d->tries >= SILENT_AFTER) {
		start_over(d, 0);
		return;
	}
	send_now(d);
	arm(d, now + backoff(d));
	d->tries++;
	if (d->state == SELECTING && d->tries > SILENT_AFTER && !d->silent)
		go_linklocal(d);
}

/* ---- answers ---- */

static void take_ack(struct dhcp *d, const struct dhcp_msg *m)
{
	bool known = addr_eq(&m->lease.addr, &d->addr);
	d->offer = *m;
	if (known || d->state >= RENEWING) {
		bound(d);
		return;
	}
	static const struct net_addr zero = {.b = {[10] = 0xff, [11] = 0xff}};
	d->state = PROBING;
	arp_request(d->nif, &zero, &m->lease.addr, NULL);
	arm(d, d->nif->st->now + PROBE_NS);
}

static void take(struct dhcp *d, const struct dhcp_msg *m)
{
	if (d->state == SELECTING && m->type == DHCP_OFFER) {
		d->offer = *m;
		d->state = REQUESTING;
		d->tries = 0;
		d->began_ns = d->nif->st->now; /* the lease counts from the request */
		send_now(d);
		arm(d, d->nif->st->now + backoff(d));
		d->tries = 1;
	} else if (m->type == DHCP_ACK &&
	           (d->state >= RENEWING || (d->state == REQUESTING &&
	                                     addr_eq(&m->lease.server, &d->offer.lease.server)))) {
		take_ack(d, m);
	} else if (m->type == DHCP_NAK && d->state >= RENEWING) {
		lost(d);
	} else if (m->type == DHCP_NAK && d->state == REQUESTING) {
		start_over(d, NS_PER_SEC);
	}
}

static void on_event(void *ctx, struct net_sock *s, unsigned events)
{
	struct dhcp *d = ctx;
	uint8_t msg[1500];
	struct net_endpoint from;
	long n;
	(void)events;
	for (unsigned i = 0; i < 16 && (n = udp_recv(s, msg, sizeof(msg), 0, &from, NULL)) >= 0;
	     i++) {
		struct dhcp_msg m;
		if (from.port == 67 && dhcp_parse(msg, (uint32_t)n, d->xid, d->nif->cfg.mac, &m))
			take(d, &m);
	}
	if (udp_ready(s) & NET_EV_IN)
		sock_notify(s);
}

/* Somebody uses A: the address that was just given to us, or our link-local one. */
void dhcp_conflict(struct net_if *nif, const struct net_addr *a)
{
	struct dhcp *d = nif->dhcp;
	if (!d)
		return;
	bool probing = d->state == PROBING && addr_eq(a, &d->offer.lease.addr);
	if (probing || (d->state >= BOUND && addr_eq(a, &d->addr))) {
		struct dhcp_ask ask = {
		        .type = DHCP_DECLINE, .requested = *a, .server = d->offer.lease.server};
		send_msg(d, &ask, false);
		if (!probing)
			drop_addr(d, &d->addr);
		start_over(d, 10 * NS_PER_SEC); /* 3.1 (5) */
	} else if (addr_eq(a, &d->linklocal)) {
		drop_addr(d, &d->linklocal);
		go_linklocal(d);
	}
}

int net_dhcp_start(struct net_if *nif, const char *hostname, net_dhcp_fn fn, void *ctx)
{
	struct net_stack *st = nif->st;
	struct net_endpoint any = {addr_v4(0), 68, nif->index};
	if (nif->dhcp || nif->cfg.link != NET_LINK_ETHER)
		return -NET_EINVAL;
	struct dhcp *d = stack_zalloc(st, sizeof(*d));
	if (!d)
		return -NET_ENOMEM;
	stack_now(st);
	d->nif = nif;
	d->fn = fn;
	d->ctx = ctx;
	d->timer.fire = dhcp_timer;
	for (unsigned i = 0; hostname && hostname[i] && i < 63; i++)
		d->hostname[i] = hostname[i];
	int err = udp_create(st, NET_DGRAM, &d->sock);
	if (!err) {
		d->sock->open = d->sock->bcast = d->sock->reuse = true;
		err = udp_bind(d->sock, &any);
	}
	nif->dhcp = d;
	if (err) {
		dhcp_free(nif);
		return err;
	}
	net_on_event(d->sock, on_event, d);
	start_over(d, 0);
	return 0;
}

void dhcp_free(struct net_if *nif)
{
	struct dhcp *d = nif->dhcp;
	if (!d)
		return;
	timer_disarm(&nif->st->timers, &d->timer);
	/* At the end of the instance its sockets are gone already. */
	for (struct net_sock *s = nif->st->socks; s; s = s->next)
		if (s == d->sock) {
			udp_destroy(s);
			break;
		}
	nif->dhcp = NULL;
	stack_free(nif->st, d, sizeof(*d));
}

void net_dhcp_stop(struct net_if *nif)
{
	struct dhcp *d = nif->dhcp;
	if (!d)
		return;
	stack_now(nif->st);
	if (d->state >= BOUND) {
		struct dhcp_ask ask = {
		        .type = DHCP_RELEASE, .ciaddr = d->addr, .server = d->offer.lease.server};
		send_msg(d, &ask, true);
	}
	if (!addr_is_any(&d->addr))
		drop_addr(d, &d->addr);
	if (!addr_is_any(&d->linklocal))
		drop_addr(d, &d->linklocal);
	dhcp_free(nif);
}
