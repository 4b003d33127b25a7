/* libgknet. See include/gknet/gknet.h. */
#include "gknet/gknet.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/stack/stack.h"

#define API      __attribute__((visibility("default")))
#define SOCKS    65536
#define START_NS 1000000000u

struct gk {
	struct net_stack *st;
	struct net_if *nif;
	uint64_t now, rng;
	struct pkt *out, **out_tail;
	struct net_sock **sock; /* by handle */
	int socks;
};

static uint64_t now_ns(void *ctx)
{
	return ((struct gk *)ctx)->now;
}

/* splitmix64: the same for the same seed, which is what is wanted here. */
static void entropy(void *ctx, void *buf, size_t len)
{
	struct gk *gk = ctx;
	uint8_t *p = buf;
	while (len--) {
		uint64_t z = gk->rng += 0x9e3779b97f4a7c15u;
		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
		z = (z ^ z >> 27) * 0x94d049bb133111ebu;
		*p++ = (uint8_t)(z >> 56);
	}
}

static void *host_alloc(void *ctx, size_t size)
{
	(void)ctx;
	return malloc(size);
}

static void host_free(void *ctx, void *p, size_t size)
{
	(void)ctx;
	(void)size;
	free(p);
}

static void output(void *ctx, struct pkt *p)
{
	struct gk *gk = ctx;
	p->next = NULL;
	*gk->out_tail = p;
	gk->out_tail = &p->next;
}

static int start(struct gk *gk, const struct gk_opts *o)
{
	static const struct net_ops ops = {now_ns, entropy, host_alloc, host_free,
	                                   NULL,   NULL,    NULL};
	struct net_cfg cfg = {.ops = &ops,
	                      .ctx = gk,
	                      .ecn = (uint8_t)o->ecn,
	                      .syn_cookies = (uint8_t)o->syn_cookies,
	                      .cc = o->cc};
	struct net_if_cfg ic = {.name = "wire",
	                        .link = NET_LINK_IP,
	                        .mtu = o->mtu,
	                        .flags = o->any_address ? NET_IF_ANY_ADDR : 0,
	                        .output = output,
	                        .ctx = gk};
	gk->st = net_stack_create(&cfg);
	gk->nif = gk->st ? net_if_add(gk->st, &ic) : NULL;
	return gk->nif ? 0 : -1;
}

API struct gk *gk_new(const struct gk_opts *opts)
{
	struct gk_opts o = {.struct_size = sizeof(o)};
	struct gk *gk = calloc(1, sizeof(*gk));
	if (opts)
		memcpy(&o, opts, opts->struct_size < sizeof(o) ? opts->struct_size : sizeof(o));
	if (!gk)
		return NULL;
	gk->now = START_NS;
	gk->rng = o.seed;
	gk->out_tail = &gk->out;
	if (start(gk, &o) < 0) {
		gk_free(gk);
		return NULL;
	}
	return gk;
}

API void gk_free(struct gk *gk)
{
	if (!gk)
		return;
	while (gk->out) {
		struct pkt *p = gk->out;
		gk->out = p->next;
		pkt_free(p);
	}
	if (gk->st)
		net_stack_destroy(gk->st);
	free(gk->sock);
	free(gk);
}

/* "ADDRESS/PREFIX" */
static int parse_cidr(const char *cidr, struct net_addr *a, unsigned *prefix)
{
	char text[64];
	char *end;
	(void)snprintf(text, sizeof(text), "%s", cidr);
	char *slash = strchr(text, '/');
	if (!slash)
		return -EINVAL;
	*slash = '\0';
	*prefix = (unsigned)strtoul(slash + 1, &end, 10);
	if (*end || end == slash + 1 || *prefix > 128)
		return -EINVAL;
	return net_addr_parse(text, a);
}

API int gk_addr(struct gk *gk, const char *cidr)
{
	struct net_addr a;
	unsigned prefix;
	int err = parse_cidr(cidr, &a, &prefix);
	return err ? err : net_if_add_addr(gk->nif, &a, prefix);
}

API int gk_route(struct gk *gk, const char *cidr, const char *via)
{
	struct net_addr a, gw;
	unsigned prefix;
	int err = parse_cidr(cidr, &a, &prefix);
	if (!err && via)
		err = net_addr_parse(via, &gw);
	return err ? err : net_route_add(gk->st, &a, prefix, via ? &gw : NULL, gk->nif, 0);
}

API uint64_t gk_now(const struct gk *gk)
{
	return gk->now;
}

API uint64_t gk_deadline(const struct gk *gk)
{
	return net_next_deadline(gk->st);
}

API void gk_advance(struct gk *gk, uint64_t ns)
{
	uint64_t end = gk->now + ns;
	net_poll(gk->st);
	for (uint64_t next; (next = net_next_deadline(gk->st)) <= end;) {
		if (next > gk->now)
			gk->now = next;
		net_poll(gk->st);
	}
	gk->now = end;
	net_poll(gk->st);
}

API int gk_input(struct gk *gk, const void *packet, size_t len)
{
	if (len > 65535)
		return -EINVAL;
	struct pkt *p = pkt_from(gk->st, packet, (uint32_t)len);
	if (!p)
		return -ENOMEM;
	net_input(gk->nif, p);
	net_poll(gk->st);
	return 0;
}

API long gk_output(struct gk *gk, void *packet, size_t cap)
{
	struct pkt *p = gk->out;
	if (!p)
		return 0;
	gk->out = p->next;
	if (!gk->out)
		gk->out_tail = &gk->out;
	uint32_t len = p->len;
	(void)pkt_read(p, 0, packet, cap < len ? (uint32_t)cap : len);
	pkt_free(p);
	return (long)len;
}

/* ---- sockets ---- */

static struct net_sock *find(const struct gk *gk, int s)
{
	return s >= 0 && s < gk->socks ? gk->sock[s] : NULL;
}

static int handle_for(struct gk *gk, struct net_sock *sock)
{
	int s = 0;
	while (s < gk->socks && gk->sock[s])
		s++;
	if (s == gk->socks) {
		int more = gk->socks ? 2 * gk->socks : 16;
		struct net_sock **grown =
		        more <= SOCKS ? realloc(gk->sock, (size_t)more * sizeof(void *)) : NULL;
		if (!grown) {
			net_close(sock);
			return -EMFILE;
		}
		memset(grown + gk->socks, 0, (size_t)(more - gk->socks) * sizeof(void *));
		gk->sock = grown;
		gk->socks = more;
	}
	gk->sock[s] = sock;
	return s;
}

static int to_endpoint(const struct sockaddr *sa, socklen_t len, struct net_endpoint *out)
{
	*out = (struct net_endpoint){.port = 0};
	if (sa && sa->sa_family == AF_INET && len >= sizeof(struct sockaddr_in)) {
		struct sockaddr_in in;
		memcpy(&in, sa, sizeof(in));
		out->addr.b[10] = out->addr.b[11] = 0xff;
		memcpy(out->addr.b + 12, &in.sin_addr, 4);
		out->port = ntohs(in.sin_port);
		return 0;
	}
	if (sa && sa->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6)) {
		struct sockaddr_in6 in;
		memcpy(&in, sa, sizeof(in));
		memcpy(out->addr.b, &in.sin6_addr, 16);
		out->port = ntohs(in.sin6_port);
		return 0;
	}
	return -EAFNOSUPPORT;
}

static void from_endpoint(const struct net_endpoint *e, struct sockaddr_storage *out)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	memset(out, 0, sizeof(*out));
	if (memcmp(e->addr.b, mapped, 12) == 0) {
		struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(e->port)};
		memcpy(&in.sin_addr, e->addr.b + 12, 4);
		memcpy(out, &in, sizeof(in));
	} else {
		struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons(e->port)};
		memcpy(&in.sin6_addr, e->addr.b, 16);
		memcpy(out, &in, sizeof(in));
	}
}

API int gk_socket(struct gk *gk, int domain, int type)
{
	struct net_sock *s;
	if (domain != AF_INET && domain != AF_INET6)
		return -EAFNOSUPPORT;
	if (type != SOCK_STREAM && type != SOCK_DGRAM)
		return -EPROTONOSUPPORT;
	int err = net_socket(gk->st, type == SOCK_STREAM ? NET_STREAM : NET_DGRAM, &s);
	return err ? err : handle_for(gk, s);
}

API int gk_bind(struct gk *gk, int s, const struct sockaddr *addr, socklen_t len)
{
	struct net_sock *sock = find(gk, s);
	struct net_endpoint e;
	int err = sock ? to_endpoint(addr, len, &e) : -EBADF;
	return err ? err : net_bind(sock, &e);
}

API int gk_listen(struct gk *gk, int s, int backlog)
{
	struct net_sock *sock = find(gk, s);
	return sock ? net_listen(sock, backlog < 0 ? 0 : (unsigned)backlog) : -EBADF;
}

API int gk_accept(struct gk *gk, int s)
{
	struct net_sock *sock = find(gk, s), *got;
	int err = sock ? net_accept(sock, &got, NULL) : -EBADF;
	return err ? err : handle_for(gk, got);
}

API int gk_connect(struct gk *gk, int s, const struct sockaddr *addr, socklen_t len)
{
	struct net_sock *sock = find(gk, s);
	struct net_endpoint e;
	int err = sock ? to_endpoint(addr, len, &e) : -EBADF;
	return err ? err : net_connect(sock, &e);
}

API long gk_send(struct gk *gk, int s, const void *data, size_t len, int flags)
{
	struct net_sock *sock = find(gk, s);
	unsigned f = (flags & MSG_OOB ? NET_MSG_OOB : 0) | (flags & MSG_MORE ? NET_MSG_MORE : 0);
	return sock ? net_send(sock, data, len, f, NULL) : -EBADF;
}

API long gk_recv(struct gk *gk, int s, void *data, size_t len, int flags)
{
	struct net_sock *sock = find(gk, s);
	long n = sock ? net_recv(sock, data, len, flags & MSG_PEEK ? NET_MSG_PEEK : 0, NULL)
	              : -EBADF;
	net_poll(gk->st);
	return n;
}

API long gk_sendto(struct gk *gk, int s, const void *data, size_t len, const struct sockaddr *to,
                   socklen_t tolen)
{
	struct net_sock *sock = find(gk, s);
	struct net_endpoint e;
	int err = sock ? to_endpoint(to, tolen, &e) : -EBADF;
	return err ? err : net_send(sock, data, len, 0, &e);
}

API long gk_recvfrom(struct gk *gk, int s, void *data, size_t len, struct sockaddr_storage *from)
{
	struct net_sock *sock = find(gk, s);
	struct net_endpoint e = {.port = 0};
	long n = sock ? net_recv(sock, data, len, 0, &e) : -EBADF;
	if (from && n >= 0)
		from_endpoint(&e, from);
	return n;
}

API int gk_shutdown(struct gk *gk, int s, int how)
{
	struct net_sock *sock = find(gk, s);
	if (how < SHUT_RD || how > SHUT_RDWR)
		return -EINVAL;
	return sock ? net_shutdown(sock, (enum net_how)how) : -EBADF;
}

API int gk_close(struct gk *gk, int s)
{
	struct net_sock *sock = find(gk, s);
	if (!sock)
		return -EBADF;
	gk->sock[s] = NULL;
	net_close(sock);
	net_poll(gk->st);
	return 0;
}

static const struct {
	int level, name;
	enum net_opt opt;
} options[] = {
        {SOL_SOCKET, SO_REUSEADDR, NET_SO_REUSEADDR},
        {SOL_SOCKET, SO_KEEPALIVE, NET_SO_KEEPALIVE},
        {SOL_SOCKET, SO_SNDBUF, NET_SO_SNDBUF},
        {SOL_SOCKET, SO_RCVBUF, NET_SO_RCVBUF},
        {SOL_SOCKET, SO_LINGER, NET_SO_LINGER},
        {SOL_SOCKET, SO_ERROR, NET_SO_ERROR},
        {SOL_SOCKET, SO_BROADCAST, NET_SO_BROADCAST},
        {IPPROTO_IP, IP_TRANSPARENT, NET_SO_TRANSPARENT},
        {IPPROTO_IP, IP_TOS, NET_SO_PRIORITY_TOS},
        {IPPROTO_IP, IP_TTL, NET_SO_TTL},
        {IPPROTO_IPV6, IPV6_V6ONLY, NET_SO_V6ONLY},
        {IPPROTO_TCP, TCP_NODELAY, NET_TCP_NODELAY},
        {IPPROTO_TCP, TCP_CORK, NET_TCP_CORK},
        {IPPROTO_TCP, TCP_MAXSEG, NET_TCP_MAXSEG},
        {IPPROTO_TCP, TCP_KEEPIDLE, NET_TCP_KEEPIDLE},
        {IPPROTO_TCP, TCP_KEEPINTVL, NET_TCP_KEEPINTVL},
        {IPPROTO_TCP, TCP_KEEPCNT, NET_TCP_KEEPCNT},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, NET_TCP_USER_TIMEOUT},
        {IPPROTO_TCP, TCP_SYNCNT, NET_TCP_SYNCNT},
        {IPPROTO_TCP, TCP_QUICKACK, NET_TCP_QUICKACK},
};

static int option_of(int level, int name, enum net_opt *opt)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (options[i].level == level && options[i].name == name) {
			*opt = options[i].opt;
			return 0;
		}
	return -ENOPROTOOPT;
}

API int gk_setsockopt(struct gk *gk, int s, int level, int name, int64_t value)
{
	struct net_sock *sock = find(gk, s);
	enum net_opt opt;
	int err = sock ? option_of(level, name, &opt) : -EBADF;
	return err ? err : net_set(sock, opt, value);
}

API int gk_getsockopt(struct gk *gk, int s, int level, int name, int64_t *value)
{
	struct net_sock *sock = find(gk, s);
	enum net_opt opt;
	int err = sock ? option_of(level, name, &opt) : -EBADF;
	return err ? err : net_get(sock, opt, value);
}

static void to_linux(const struct net_tcp_info *i, struct tcp_info *o)
{
	*o = (struct tcp_info){
	        .tcpi_state = i->tcpi_state,
	        .tcpi_ca_state = i->tcpi_ca_state,
	        .tcpi_retransmits = i->tcpi_retransmits,
	        .tcpi_probes = i->tcpi_probes,
	        .tcpi_backoff = i->tcpi_backoff,
	        .tcpi_options = i->tcpi_options,
	        .tcpi_snd_wscale = (uint8_t)(i->tcpi_snd_wscale & 0xf),
	        .tcpi_rcv_wscale = (uint8_t)(i->tcpi_rcv_wscale & 0xf),
	        .tcpi_rto = i->tcpi_rto,
	        .tcpi_ato = i->tcpi_ato,
	        .tcpi_snd_mss = i->tcpi_snd_mss,
	        .tcpi_rcv_mss = i->tcpi_rcv_mss,
	        .tcpi_unacked = i->tcpi_unacked,
	        .tcpi_sacked = i->tcpi_sacked,
	        .tcpi_lost = i->tcpi_lost,
	        .tcpi_retrans = i->tcpi_retrans,
	        .tcpi_last_data_sent = i->tcpi_last_data_sent,
	        .tcpi_last_data_recv = i->tcpi_last_data_recv,
	        .tcpi_last_ack_recv = i->tcpi_last_ack_recv,
	        .tcpi_pmtu = i->tcpi_pmtu,
	        .tcpi_rcv_ssthresh = i->tcpi_rcv_ssthresh,
	        .tcpi_rtt = i->tcpi_rtt,
	        .tcpi_rttvar = i->tcpi_rttvar,
	        .tcpi_snd_ssthresh = i->tcpi_snd_ssthresh,
	        .tcpi_snd_cwnd = i->tcpi_snd_cwnd,
	        .tcpi_advmss = i->tcpi_advmss,
	        .tcpi_reordering = i->tcpi_reordering,
	        .tcpi_rcv_rtt = i->tcpi_rcv_rtt,
	        .tcpi_rcv_space = i->tcpi_rcv_space,
	        .tcpi_total_retrans = i->tcpi_total_retrans,
	        .tcpi_pacing_rate = i->tcpi_pacing_rate,
	        .tcpi_bytes_acked = i->tcpi_bytes_acked,
	        .tcpi_bytes_received = i->tcpi_bytes_received,
	        .tcpi_segs_out = i->tcpi_segs_out,
	        .tcpi_segs_in = i->tcpi_segs_in,
	        .tcpi_notsent_bytes = i->tcpi_notsent_bytes,
	        .tcpi_min_rtt = i->tcpi_min_rtt,
	        .tcpi_data_segs_in = i->tcpi_data_segs_in,
	        .tcpi_data_segs_out = i->tcpi_data_segs_out,
	        .tcpi_delivered = i->tcpi_delivered,
	        .tcpi_delivered_ce = i->tcpi_delivered_ce,
	        .tcpi_bytes_sent = i->tcpi_bytes_sent,
	        .tcpi_bytes_retrans = i->tcpi_bytes_retrans,
	        .tcpi_dsack_dups = i->tcpi_dsack_dups,
	        .tcpi_reord_seen = i->tcpi_reord_seen,
	        .tcpi_rcv_ooopack = i->tcpi_rcv_ooopack,
	        .tcpi_snd_wnd = i->tcpi_snd_wnd,
	};
}

API long gk_tcp_info(struct gk *gk, int s, void *info, size_t len)
{
	const struct net_sock *sock = find(gk, s);
	struct net_tcp_info i;
	struct tcp_info o;
	int err = sock ? net_tcp_info(sock, &i) : -EBADF;
	if (err)
		return err;
	to_linux(&i, &o);
	if (len > sizeof(o))
		len = sizeof(o);
	memcpy(info, &o, len);
	return (long)len;
}

API int gk_set_congestion(struct gk *gk, int s, const char *name)
{
	struct net_sock *sock = find(gk, s);
	return sock ? net_set_cc(sock, name) : -EBADF;
}

API int gk_getsockname(struct gk *gk, int s, struct sockaddr_storage *addr)
{
	const struct net_sock *sock = find(gk, s);
	struct net_endpoint e;
	int err = sock ? net_name(sock, &e, NULL) : -EBADF;
	if (!err)
		from_endpoint(&e, addr);
	return err;
}

API int gk_getpeername(struct gk *gk, int s, struct sockaddr_storage *addr)
{
	const struct net_sock *sock = find(gk, s);
	struct net_endpoint e;
	int err = sock ? net_name(sock, NULL, &e) : -EBADF;
	if (!err)
		from_endpoint(&e, addr);
	return err;
}

API int gk_poll(struct gk *gk, int s)
{
	struct net_sock *sock = find(gk, s);
	if (!sock)
		return POLLNVAL;
	unsigned ev = net_ready(sock);
	return (ev & NET_EV_IN ? POLLIN : 0) | (ev & NET_EV_OUT ? POLLOUT : 0) |
	       (ev & NET_EV_PRI ? POLLPRI : 0) | (ev & NET_EV_ERR ? POLLERR : 0) |
	       (ev & NET_EV_HUP ? POLLHUP : 0) | (ev & NET_EV_RDHUP ? POLLRDHUP : 0);
}
