/* The DHCPv4 client (RFC 2131, 4.4), and link-local addresses while nobody answers (RFC 3927). */
#include "net/stack/dhcp_msg.h"
#include "net/stack/sock.h"

#define SILENT_AFTER   3u /* unanswered tries */
#define PROBE_NS       (400 * NS_PER_MS)
#define LEASE_MIN_S    60u
#define LEASE_INFINITE 0xffffffffu

static const struct net_addr any4 = {.b = {[10] = 0xff, [11] = 0xff}};

enum state { SELECTING, REQUESTING, PROBING, BOUND, RENEWING, REBINDING };

struct dhcp {
	struct net_if *nif;
	struct net_sock *sock;
	struct timer timer;
	net_dhcp_fn fn;
	void *ctx;
	enum state state;
	uint32_t xid, tries;
	uint64_t began_ns, t2_ns, end_ns;
	struct dhcp_msg offer;
	struct net_addr addr, router, linklocal; /* what is configured; "::": nothing */
	bool silent;
	char hostname[64];
};

static void arm(struct dhcp *d, uint64_t at)
{
	timer_arm(d->nif->st, &d->timer, max_u64(at, d->nif->st->now + 1));
}

/* REQUESTED: the address of the offer that is taken up, or declined. */
static void send_msg(struct dhcp *d, enum dhcp_type type, const struct net_addr *requested)
{
	uint8_t msg[DHCP_LEN_MAX];
	struct dhcp_ask ask = {
	        .type = type,
	        .xid = d->xid,
	        .secs = (uint16_t)min_u64((d->nif->st->now - d->began_ns) / NS_PER_SEC, 0xffff),
	        .mac = d->nif->cfg.mac,
	        .hostname = d->hostname,
	        .broadcast = d->state < PROBING};
	struct net_endpoint from = {addr_v4(0), 68, d->nif->index};
	struct net_endpoint to = {addr_v4(0xffffffff), 67, d->nif->index};
	if (requested)
		ask.requested = *requested;
	else if (d->state >= BOUND)
		ask.ciaddr = from.addr = d->addr;
	if (requested || type == DHCP_RELEASE)
		ask.server = d->offer.lease.server;
	if (type == DHCP_RELEASE || (type == DHCP_REQUEST && d->state == RENEWING))
		to.addr = d->offer.lease.server;
	(void)udp_send(d->sock, msg, dhcp_build(&ask, msg), &from, &to);
}

static void send_now(struct dhcp *d)
{
	send_msg(d, d->state == SELECTING ? DHCP_DISCOVER : DHCP_REQUEST,
	         d->state == REQUESTING ? &d->offer.lease.addr : NULL);
}

/* 4.1: after 4, 8, 16, 32, 64 seconds, each by up to one second more or less. */
static void try_again(struct dhcp *d)
{
	uint64_t ms = 4000ull << min_u32(d->tries++, 4);
	send_now(d);
	arm(d, d->nif->st->now + (ms - 1000 + stack_random(d->nif->st) % 2000) * NS_PER_MS);
}

static void start_over(struct dhcp *d, uint64_t delay_ns)
{
	d->state = SELECTING;
	d->tries = 0;
	d->xid = stack_random(d->nif->st);
	d->began_ns = d->nif->st->now;
	arm(d, d->nif->st->now + delay_ns);
}

static void add_addr(struct dhcp *d, struct net_addr *which, const struct net_addr *addr,
                     unsigned prefix)
{
	struct if_addr *a = if_find_addr(d->nif, addr);
	if (!a)
		a = if_new_addr(d->nif, addr, prefix + 96);
	if (a)
		a->autoconf = true;
	*which = *addr;
}

static void drop_addr(struct dhcp *d, struct net_addr *which)
{
	struct if_addr *a = if_find_addr(d->nif, which);
	if (which == &d->addr && !addr_is_any(&d->router))
		route_unset(d->nif->st, &any4, 96, &d->router, d->nif);
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
		struct net_addr a = addr_v4(0xa9fe0000u | host);
		add_addr(d, &d->linklocal, &a, 16);
	}
	struct net_dhcp_lease l = {.addr = d->linklocal, .prefix = 16};
	if (d->fn)
		d->fn(d->ctx, NET_DHCP_SILENT, &l);
}

static void configure(struct dhcp *d)
{
	struct net_if *nif = d->nif;
	const struct net_dhcp_lease *l = &d->offer.lease;
	drop_addr(d, &d->linklocal);
	if (!addr_eq(&d->addr, &l->addr)) {
		drop_addr(d, &d->addr);
		add_addr(d, &d->addr, &l->addr, l->prefix);
	}
	d->router = l->router;
	if (!addr_is_any(&l->router))
		(void)route_set(nif->st, &any4, 96, &l->router, nif, 100, TIMER_NEVER);
	if (l->mtu)
		nif->mtu[true] = min_u32(nif->mtu[true], l->mtu);
	route_changed(nif->st);
}

static void bound(struct dhcp *d)
{
	struct dhcp_msg *m = &d->offer;
	uint64_t lease = max_u32(m->lease.lease_s, LEASE_MIN_S);
	uint64_t t1 = m->t1_s && m->t1_s < lease ? m->t1_s : lease / 2;
	uint64_t t2 = m->t2_s && m->t2_s < lease && m->t2_s > t1 ? m->t2_s : lease * 7 / 8;
	d->t2_ns = d->began_ns + t2 * NS_PER_SEC;
	d->end_ns = d->began_ns + lease * NS_PER_SEC;
	d->state = BOUND;
	d->silent = false;
	configure(d);
	bool endless = m->lease.lease_s == LEASE_INFINITE;
	arm(d, endless ? TIMER_NEVER : d->began_ns + t1 * NS_PER_SEC);
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
static void renew(struct dhcp *d)
{
	uint64_t now = d->nif->st->now;
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

static void dhcp_timer(struct timer *t)
{
	struct dhcp *d = container_of(t, struct dhcp, timer);
	if (d->state >= BOUND) {
		renew(d);
	} else if (d->state == PROBING) { /* nobody else has it */
		bound(d);
	} else if (d->state == REQUESTING && d->tries >= SILENT_AFTER) {
		start_over(d, 0);
	} else {
		try_again(d);
		if (d->state == SELECTING && d->tries > SILENT_AFTER && !d->silent)
			go_linklocal(d);
	}
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
	d->state = PROBING;
	arp_request(d->nif, &any4, &m->lease.addr, NULL);
	arm(d, d->nif->st->now + PROBE_NS);
}

static void take(struct dhcp *d, const struct dhcp_msg *m)
{
	if (d->state == SELECTING && m->type == DHCP_OFFER) {
		d->offer = *m;
		d->state = REQUESTING;
		d->tries = 0;
		d->began_ns = d->nif->st->now; /* the lease counts from the request */
		try_again(d);
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
		send_msg(d, DHCP_DECLINE, a);
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
	d->sock = udp_create(st, NET_DGRAM);
	int err = d->sock ? 0 : -NET_ENOMEM;
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
	if (d->sock)
		udp_destroy(d->sock);
	nif->dhcp = NULL;
	stack_free(nif->st, d, sizeof(*d));
}

void net_dhcp_stop(struct net_if *nif)
{
	struct dhcp *d = nif->dhcp;
	if (!d)
		return;
	stack_now(nif->st);
	if (d->state >= BOUND)
		send_msg(d, DHCP_RELEASE, NULL);
	drop_addr(d, &d->addr);
	drop_addr(d, &d->linklocal);
	dhcp_free(nif);
}
