/*
 * The protocol stack on a TAP, as an ordinary process: a host of its own beside Linux.
 *
 *   stack_tap [OPTION...] DEVICE ADDRESS/PREFIX|dhcp|auto...     serve until a signal
 *   … -- send ADDRESS PORT MEGABYTES          then leave; 'seconds=N' in place of MEGABYTES
 *   … -- fetch ADDRESS PORT                   copy what is sent to stdout
 *   … -- resolve NAME                         print its addresses
 *   … -- addresses                            print ours, once there is a lease or a prefix
 *
 * Options: cc=NAME, pacing. DEVICE is a TAP's name, or fd:N (see tap_host.h). It serves echo (7),
 * discard (9), a stream of bytes (19), a page (80) and iperf3 (5201) over TCP, echo over UDP.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tap_host.h"

/* A request to somebody else's service. */
struct client {
	struct host *h;
	struct net_sock *s;
	bool sending, fetching;
	uint64_t left, moved, began_ns, until_ns;
};

/* ---- services ---- */

/* What cannot be sent on stays where it is, so that the peer's window closes. */
static void on_echo(void *ctx, struct net_sock *s, unsigned events)
{
	static uint8_t data[65536];
	long n = -NET_EAGAIN;
	(void)ctx;
	while ((net_ready(s) & NET_EV_OUT) &&
	       (n = net_recv(s, data, sizeof(data), NET_MSG_PEEK, NULL)) > 0) {
		long sent = net_send(s, data, (size_t)n, 0, NULL);
		if (sent < 0) {
			n = sent;
			break;
		}
		(void)net_recv(s, data, (size_t)sent, 0, NULL);
	}
	if ((n == 0 && (events & NET_EV_RDHUP)) || (n < 0 && n != -NET_EAGAIN))
		net_close(s);
}

static void on_discard(void *ctx, struct net_sock *s, unsigned events)
{
	uint64_t count = 0;
	(void)events;
	if (host_discard(ctx, s, &count) != -NET_EAGAIN)
		net_close(s);
}

static void on_stream(void *ctx, struct net_sock *s, unsigned events)
{
	struct host *h = ctx;
	if (events & (NET_EV_ERR | NET_EV_RDHUP | NET_EV_HUP)) {
		net_close(s);
		return;
	}
	while (net_send_buf(s, h->stream, 0, CHUNK) > 0)
		;
}

/* One answer for each request, until the client has had enough. */
static void on_page(void *ctx, struct net_sock *s, unsigned events)
{
	static const char page[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
	                           "Content-Length: 20\r\n\r\nhello from the stack";
	char request[4096];
	long n;
	(void)ctx;
	(void)events;
	while ((n = net_recv(s, request, sizeof(request) - 1, NET_MSG_PEEK, NULL)) > 0) {
		request[n] = '\0';
		const char *end = strstr(request, "\r\n\r\n");
		if (!end && n < (long)sizeof(request) - 1)
			return;
		(void)net_recv(s, request, end ? (size_t)(end + 4 - request) : (size_t)n, 0, NULL);
		if (net_send(s, page, sizeof(page) - 1, 0, NULL) != sizeof(page) - 1)
			break;
	}
	if (n != -NET_EAGAIN)
		net_close(s);
}

static void on_udp_echo(void *ctx, struct net_sock *s, unsigned events)
{
	static uint8_t buf[65536];
	struct net_endpoint from;
	long n;
	(void)ctx;
	(void)events;
	while ((n = net_recv(s, buf, sizeof(buf), 0, &from)) >= 0)
		(void)net_send(s, buf, (size_t)n, 0, &from);
}

static void serve(struct host *h)
{
	struct net_sock *s;
	struct net_endpoint at = {.port = 7};
	host_listen(h, 7, on_echo, h);
	host_listen(h, 9, on_discard, h);
	host_listen(h, 19, on_stream, h);
	host_listen(h, 80, on_page, h);
	iperf3_serve(h);
	if (net_socket(h->st, NET_DGRAM, &s) < 0 || net_bind(s, &at) < 0)
		exit(2);
	net_on_event(s, on_udp_echo, h);
}

/* ---- the client ---- */

static void finish(struct host *h, int status)
{
	h->done = true;
	h->status = status;
}

static void finished(struct client *c, int status)
{
	double s = (double)(host_now_ns() - c->began_ns) / 1e9;
	struct net_tcp_info i;
	fprintf(stderr, "%llu bytes in %.3f s: %.1f Mbit/s\n", (unsigned long long)c->moved, s,
	        (double)c->moved * 8e-6 / s);
	if (net_tcp_info(c->s, &i) == 0)
		fprintf(stderr,
		        "%u of %u segments sent again, rtt %u us, cwnd %u, %u loss events\n",
		        i.tcpi_total_retrans, i.tcpi_segs_out, i.tcpi_rtt, i.tcpi_snd_cwnd,
		        (unsigned)(net_stack_stats(c->h->st)->tcp_fast_recovery +
		                   net_stack_stats(c->h->st)->tcp_rto));
	finish(c->h, status);
}

static void send_more(struct client *c)
{
	long n;
	if (c->until_ns && host_now_ns() >= c->until_ns)
		c->left = 0;
	while (c->left) {
		n = net_send_buf(c->s, c->h->stream, 0,
		                 c->left < CHUNK ? (uint32_t)c->left : CHUNK);
		if (n <= 0)
			return;
		c->moved += (uint64_t)n;
		c->left -= (uint64_t)n;
	}
	if (c->sending)
		(void)net_shutdown(c->s, NET_SHUT_WR);
	c->sending = false;
}

static void on_client(void *ctx, struct net_sock *s, unsigned events)
{
	struct client *c = ctx;
	struct net_frag f[16];
	int64_t err = 0;
	if (events & NET_EV_ERR) {
		(void)net_get(s, NET_SO_ERROR, &err);
		fprintf(stderr, "error %d\n", (int)err);
		finished(c, 1);
		return;
	}
	if (c->sending)
		send_more(c);
	int n;
	while ((n = net_recv_bufs(s, f, 16)) > 0)
		for (int i = 0; i < n; i++) {
			if (c->fetching)
				(void)!write(1, f[i].buf->data + f[i].off, f[i].len);
			c->moved += c->fetching ? f[i].len : 0;
			net_buf_unref(c->h->st, f[i].buf);
		}
	if (n == 0)
		finished(c, 0);
}

static void usage(void)
{
	fprintf(stderr, "usage: stack_tap [cc=NAME] [pacing] DEVICE ADDRESS/PREFIX|dhcp|auto...\n"
	                "  [-- send ADDRESS PORT MEGABYTES|seconds=N | -- fetch ADDRESS PORT |\n"
	                "   -- resolve NAME | -- addresses]\n");
	exit(2);
}

static void start_client(struct client *c, char **arg, int count)
{
	struct net_endpoint to = {.port = 0};
	struct host *h = c->h;
	c->sending = strcmp(arg[0], "send") == 0;
	c->fetching = !c->sending;
	if (count != (c->sending ? 4 : 3) || net_addr_parse(arg[1], &to.addr) < 0)
		usage();
	to.port = (uint16_t)strtoul(arg[2], NULL, 10);
	c->began_ns = host_now_ns();
	if (c->sending && strncmp(arg[3], "seconds=", 8) == 0) {
		c->until_ns = c->began_ns + strtoull(arg[3] + 8, NULL, 10) * 1000000000u;
		c->left = UINT64_MAX;
	} else if (c->sending) {
		c->left = strtoull(arg[3], NULL, 10) << 20;
	}
	if (net_socket(h->st, NET_STREAM, &c->s) < 0 ||
	    net_connect(c->s, &to) != -NET_EINPROGRESS) {
		fprintf(stderr, "cannot connect\n");
		exit(1);
	}
	net_on_event(c->s, on_client, c);
}

/* ---- addresses and names ---- */

/* What the command line asks for, once there is something to ask with. */
struct query {
	struct host *h;
	const char *name; /* NULL: our own addresses */
	bool begun, wants_lease, has_lease;
};

static void show_addresses(const struct host *h)
{
	struct net_if_addr a;
	char text[64];
	for (unsigned i = 0; net_if_get_addr(h->nif, i, &a); i++)
		printf("%s/%u%s%s%s\n", net_addr_format(&a.addr, text), a.prefix,
		       a.tentative ? " tentative" : "", a.duplicate ? " duplicate" : "",
		       a.temporary ? " temporary" : "");
}

static bool addr_none(const struct net_addr *a)
{
	static const struct net_addr none, none4 = {.b = {[10] = 0xff, 0xff}};
	return memcmp(a, &none, sizeof(none)) == 0 || memcmp(a, &none4, sizeof(none)) == 0;
}

static void on_name(void *ctx, int err, const struct net_addr *addrs, unsigned count)
{
	struct query *q = ctx;
	char text[64];
	if (err)
		fprintf(stderr, "%s: error %d\n", q->name, -err);
	for (unsigned i = 0; !err && i < count; i++)
		printf("%s\n", net_addr_format(&addrs[i], text));
	finish(q->h, err ? 1 : 0);
}

/* An address that others can reach, and no duplicate detection under way. */
static bool reachable(const struct host *h)
{
	struct net_if_addr a;
	bool found = false;
	for (unsigned i = 0; net_if_get_addr(h->nif, i, &a); i++) {
		if (a.tentative)
			return false;
		found |= !(a.addr.b[0] == 0xfe && (a.addr.b[1] & 0xc0) == 0x80);
	}
	return found;
}

static void try_query(struct query *q)
{
	if (q->begun || (q->wants_lease && !q->has_lease) || !reachable(q->h))
		return;
	q->begun = true;
	if (!q->name) {
		show_addresses(q->h);
		finish(q->h, 0);
	} else if (net_dns_query(q->h->st, q->name, NET_DNS_A, on_name, q) < 0) {
		fprintf(stderr, "%s: no name, or no name server\n", q->name);
		finish(q->h, 1);
	}
}

static void on_lease(void *ctx, enum net_dhcp_state state, const struct net_dhcp_lease *l)
{
	struct query *q = ctx;
	struct net_endpoint dns[3] = {0};
	char text[64];
	unsigned n = 0;
	if (state == NET_DHCP_SILENT)
		fprintf(stderr, "no DHCP server answers; going on with a link-local address\n");
	if (state != NET_DHCP_BOUND)
		return;
	fprintf(stderr, "lease of %s/%u for %u s\n", net_addr_format(&l->addr, text), l->prefix,
	        l->lease_s);
	for (unsigned i = 0; i < 3; i++)
		if (!addr_none(&l->dns[i]))
			dns[n++].addr = l->dns[i];
	(void)net_dns_servers(q->h->st, dns, n);
	q->has_lease = true;
}

static void take_address(struct host *h, struct query *q, char *word)
{
	struct net_addr a;
	char *slash = strchr(word, '/');
	if (strcmp(word, "auto") == 0) /* what advertisements bring */
		return;
	if (strcmp(word, "dhcp") == 0) {
		q->wants_lease = true;
		if (net_dhcp_start(h->nif, "stack", on_lease, q) == 0)
			return;
	} else if (slash) {
		*slash = '\0';
		if (net_addr_parse(word, &a) == 0 &&
		    net_if_add_addr(h->nif, &a, (unsigned)strtoul(slash + 1, NULL, 10)) == 0)
			return;
	}
	fprintf(stderr, "'%s' is neither ADDRESS/PREFIX nor dhcp nor auto\n", word);
	exit(2);
}

static void tick(void *ctx)
{
	try_query(ctx);
}

int main(int argc, char **argv)
{
	struct host h = {0};
	struct net_cfg cfg = {.pacing = 0};
	struct query q = {.h = &h};
	struct client c = {.h = &h};
	int i = 1;
	for (; i < argc; i++)
		if (strncmp(argv[i], "cc=", 3) == 0)
			cfg.cc = argv[i] + 3;
		else if (strcmp(argv[i], "pacing") == 0)
			cfg.pacing = 1;
		else
			break;
	if (argc - i < 2)
		usage();
	host_open(&h, argv[i++], &cfg);
	for (; i < argc && strcmp(argv[i], "--") != 0; i++)
		take_address(&h, &q, argv[i]);
	serve(&h);
	char **job = i + 1 < argc ? argv + i + 1 : NULL;
	if (job && (strcmp(job[0], "addresses") == 0 || strcmp(job[0], "resolve") == 0)) {
		q.name = job[0][0] == 'r' ? job[1] : NULL;
		h.tick = tick;
		h.tick_ctx = &q;
	} else if (job) {
		start_client(&c, job, argc - i - 1);
	}
	host_loop(&h);
	host_close(&h);
	return h.status;
}
