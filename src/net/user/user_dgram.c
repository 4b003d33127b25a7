/*
 * UDP and ICMP echo of the user-mode network. A flow is a socket of the host for one pair of ends;
 * of the flows, the one that was used longest ago makes room for a new one.
 */
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "net/stack/util.h"
#include "net/user/user_priv.h"
#include "vmm/clock.h"

#define BURST       64u /* datagrams of one socket before the others' turn */
#define IDLE_NS     60000000000ull
#define SWEEP_NS    10000000000ull
#define PORT_FIRST  49152u /* RFC 6335, 6: dynamic ports */
#define ICMP_HEADER 8u

enum dgram_kind {
	DGRAM_UDP,
	DGRAM_PING,
	DGRAM_FORWARDED, /* begun by the host: there is no socket but the forward's */
};

struct user_dgram {
	struct loop_source host;
	struct user_net *un;
	struct user_dgram *next;
	enum dgram_kind kind;
	struct net_endpoint guest, remote; /* a ping has its id as the guest's port */
	uint64_t used_ns;
	struct user_forward *forward;
	struct sockaddr_storage peer; /* of a forwarded flow */
	socklen_t peer_len;
};

static void free_dgram(struct user_dgram *d)
{
	if (d->kind != DGRAM_FORWARDED) {
		user_watch(d->un, &d->host, 0);
		(void)close(d->host.fd);
	}
	d->un->dgram_count--;
	free(d);
}

/* Takes D out of the list of which AT is the link to it, and puts it to the front. */
static struct user_dgram *to_front(struct user_net *un, struct user_dgram **at)
{
	struct user_dgram *d = *at;
	*at = d->next;
	d->next = un->dgrams;
	un->dgrams = d;
	d->used_ns = clock_now_ns();
	return d;
}

static struct user_dgram *find(struct user_net *un, bool ping, const struct net_endpoint *guest,
                               const struct net_endpoint *remote)
{
	for (struct user_dgram **at = &un->dgrams; *at; at = &(*at)->next)
		if (((*at)->kind == DGRAM_PING) == ping && user_same(&(*at)->guest, guest) &&
		    user_same(&(*at)->remote, remote))
			return to_front(un, at);
	return NULL;
}

static struct user_dgram *find_peer(struct user_forward *f, const struct sockaddr_storage *peer,
                                    socklen_t len)
{
	struct user_net *un = f->un;
	for (struct user_dgram **at = &un->dgrams; *at; at = &(*at)->next)
		if ((*at)->forward == f && (*at)->peer_len == len &&
		    memcmp(&(*at)->peer, peer, len) == 0)
			return to_front(un, at);
	return NULL;
}

static struct user_dgram *make(struct user_net *un, enum dgram_kind kind)
{
	while (un->dgram_count >= USER_DGRAM_MAX && un->dgrams) {
		struct user_dgram **last = &un->dgrams;
		while ((*last)->next)
			last = &(*last)->next;
		struct user_dgram *old = *last;
		*last = NULL;
		free_dgram(old);
	}
	struct user_dgram *d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	d->un = un;
	d->kind = kind;
	d->used_ns = clock_now_ns();
	d->next = un->dgrams;
	un->dgrams = d;
	un->dgram_count++;
	return d;
}

/* ---- from the host ---- */

static void ping_answered(struct user_dgram *d, const uint8_t *msg, size_t len)
{
	bool v4 = addr_is_v4(&d->remote.addr);
	if (len < ICMP_HEADER || msg[0] != (v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY))
		return;
	uint16_t seq = (uint16_t)(msg[6] << 8 | msg[7]);
	(void)net_echo_reply(d->un->nif, &d->remote.addr, &d->guest.addr, d->guest.port, seq,
	                     msg + ICMP_HEADER, (uint32_t)(len - ICMP_HEADER));
}

static void on_host(void *ctx, uint32_t events)
{
	struct user_dgram *d = ctx;
	struct user_net *un = d->un;
	(void)events;
	for (unsigned i = 0; i < BURST; i++) {
		/* An error that the network told (a refused port) is taken, and forgotten, too. */
		ssize_t n = recv(d->host.fd, un->scratch, sizeof(un->scratch), MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			continue;
		d->used_ns = clock_now_ns();
		if (d->kind == DGRAM_PING)
			ping_answered(d, un->scratch, (size_t)n);
		else
			(void)net_send_from(un->udp, un->scratch, (size_t)n, &d->remote, &d->guest);
	}
}

/* ---- from the guest ---- */

/* A flow to where the guest sends; NULL: it may not, or there is no memory. */
static struct user_dgram *open_flow(struct user_net *un, enum dgram_kind kind,
                                    const struct net_endpoint *guest,
                                    const struct net_endpoint *remote)
{
	union user_sockaddr target;
	if (!user_target(&un->cfg, remote, &target))
		return NULL;
	int icmp = target.any.sa_family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	int fd = socket(target.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	                kind == DGRAM_PING ? icmp : 0);
	if (fd < 0)
		return NULL;
	struct user_dgram *d = NULL;
	if (connect(fd, &target.any, user_sockaddr_len(&target)) == 0 &&
	    !user_is_own(&un->cfg, fd, &target))
		d = make(un, kind);
	if (!d) {
		(void)close(fd);
		return NULL;
	}
	d->guest = *guest;
	d->remote = *remote;
	d->host = (struct loop_source){.fd = fd, .ready = on_host, .ctx = d};
	user_watch(un, &d->host, EPOLLIN);
	return d;
}

static void to_host(struct user_dgram *d, const void *data, size_t len)
{
	/* What cannot be sent is lost, as datagrams are. */
	if (d->kind == DGRAM_FORWARDED)
		(void)sendto(d->forward->source.fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT,
		             (struct sockaddr *)&d->peer, d->peer_len);
	else
		(void)sendto(d->host.fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0);
}

static void on_guest(void *ctx, struct net_sock *s, unsigned events)
{
	struct user_net *un = ctx;
	struct net_endpoint from, to;
	long n;
	(void)events;
	while ((n = net_recv_to(s, un->scratch, sizeof(un->scratch), &from, &to)) >= 0) {
		struct user_dgram *d = find(un, false, &from, &to);
		if (!d)
			d = open_flow(un, DGRAM_UDP, &from, &to);
		if (d)
			to_host(d, un->scratch, (size_t)n);
	}
}

static void on_echo(void *ctx, struct net_if *nif, const struct net_addr *src,
                    const struct net_addr *dst, uint16_t id, uint16_t seq, struct pkt *payload)
{
	struct user_net *un = ctx;
	const struct net_endpoint guest = {.addr = *src, .port = id};
	const struct net_endpoint remote = {.addr = *dst};
	uint32_t len = payload->len;
	(void)nif;
	uint8_t *msg = un->scratch;
	bool fits = len <= sizeof(un->scratch) - ICMP_HEADER &&
	            pkt_read(payload, 0, msg + ICMP_HEADER, len);
	pkt_free(payload);
	struct user_dgram *d = fits ? find(un, true, &guest, &remote) : NULL;
	if (fits && !d)
		d = open_flow(un, DGRAM_PING, &guest, &remote);
	if (!d)
		return;
	/* The kernel fills in checksum and id (icmp(7)). */
	const uint8_t header[ICMP_HEADER] = {[0] = addr_is_v4(dst) ? ICMP_ECHO : ICMP6_ECHO_REQUEST,
	                                     [6] = (uint8_t)(seq >> 8),
	                                     [7] = (uint8_t)seq};
	memcpy(msg, header, sizeof(header));
	to_host(d, msg, ICMP_HEADER + len);
}

/* ---- forwarded ports ---- */

/* Whoever sends to the port is, to the guest, a port of the gateway's. */
static struct user_dgram *open_forwarded(struct user_forward *f,
                                         const struct sockaddr_storage *peer, socklen_t len)
{
	struct user_net *un = f->un;
	struct user_dgram *d = make(un, DGRAM_FORWARDED);
	if (!d)
		return NULL;
	d->forward = f;
	d->peer = *peer;
	d->peer_len = len;
	d->guest = f->guest;
	d->remote.addr = addr_is_v4(&f->guest.addr) ? user_addr(un->cfg.gateway) : un->cfg.gateway6;
	d->remote.port = (uint16_t)(PORT_FIRST + un->next_port);
	/* There are fewer flows than ports: none is used twice at a time. */
	un->next_port = (uint16_t)((un->next_port + 1) % (65536 - PORT_FIRST));
	return d;
}

void user_dgram_forward(struct user_forward *f)
{
	struct user_net *un = f->un;
	for (unsigned i = 0; i < BURST; i++) {
		struct sockaddr_storage peer = {0};
		socklen_t len = sizeof(peer);
		ssize_t n = recvfrom(f->source.fd, un->scratch, sizeof(un->scratch), MSG_DONTWAIT,
		                     (struct sockaddr *)&peer, &len);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			continue;
		struct user_dgram *d = find_peer(f, &peer, len);
		if (!d)
			d = open_forwarded(f, &peer, len);
		if (d)
			(void)net_send_from(un->udp, un->scratch, (size_t)n, &d->remote, &d->guest);
	}
}

/* ---- */

uint64_t user_dgram_sweep(struct user_net *un, uint64_t now_ns)
{
	if (!un->dgrams)
		return UINT64_MAX;
	if (now_ns - un->swept_ns >= SWEEP_NS) {
		un->swept_ns = now_ns;
		for (struct user_dgram **at = &un->dgrams; *at;) {
			struct user_dgram *d = *at;
			if (now_ns - d->used_ns < IDLE_NS) {
				at = &d->next;
				continue;
			}
			*at = d->next;
			free_dgram(d);
		}
	}
	return un->swept_ns + SWEEP_NS;
}

bool user_dgram_start(struct user_net *un)
{
	const struct net_endpoint any = {.port = 0};
	if (net_socket(un->st, NET_DGRAM, &un->udp) != 0 ||
	    net_set(un->udp, NET_SO_TRANSPARENT, 1) != 0 || net_bind(un->udp, &any) != 0)
		return false;
	net_on_event(un->udp, on_guest, un);
	net_if_on_echo(un->nif, on_echo, un);
	return true;
}

void user_dgram_stop(struct user_net *un)
{
	while (un->dgrams) {
		struct user_dgram *d = un->dgrams;
		un->dgrams = d->next;
		free_dgram(d);
	}
}
