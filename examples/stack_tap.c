/*
 * The protocol stack on a TAP, as an ordinary process: a host of its own beside Linux.
 *
 *   stack_tap TAP ADDRESS/PREFIX...                 serve until a signal
 *   stack_tap TAP ADDRESS/PREFIX... -- send ADDRESS PORT MEGABYTES
 *   stack_tap TAP ADDRESS/PREFIX... -- fetch ADDRESS PORT      copy what is sent to stdout
 *
 * It serves echo (7), discard (9), a stream of bytes (19) and a page (80), over TCP, and echo over
 * UDP. The TAP's checksum and segmentation offloads are used.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "net/stack/stack.h"

#define FRAME_MAX (65536 + 128)
#define CHUNK     65536

struct host {
	int fd;
	struct net_stack *st;
	struct net_if *nif;
	struct net_buf *stream; /* what the stream service sends */
	bool done;
	int status;
	/* the client's */
	struct net_sock *client;
	bool sending;
	uint64_t left, moved, began_ns;
};

static uint64_t now_ns(void *ctx)
{
	struct timespec ts;
	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void entropy(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	if (getrandom(buf, len, 0) != (ssize_t)len)
		abort();
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

/* ---- the TAP ---- */

static void put_vnet(struct virtio_net_hdr *v, const struct pkt *p)
{
	*v = (struct virtio_net_hdr){0};
	if (p->flags & PKT_CSUM_PARTIAL) {
		v->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		v->csum_start = p->csum_start;
		v->csum_offset = p->csum_off;
	}
	if (p->gso_type != PKT_GSO_NONE) {
		v->gso_type = p->gso_type == PKT_GSO_TCP4 ? VIRTIO_NET_HDR_GSO_TCPV4
		                                          : VIRTIO_NET_HDR_GSO_TCPV6;
		v->gso_size = p->gso_size;
		/* Linux looks for the end of the headers itself; any lower bound will do. */
		v->hdr_len = (uint16_t)(p->csum_start + 20);
	}
}

static void output(void *ctx, struct pkt *p)
{
	struct host *h = ctx;
	struct virtio_net_hdr v;
	struct net_piece piece[PKT_FRAGS + 1];
	struct iovec iov[PKT_FRAGS + 2] = {{&v, sizeof(v)}};
	unsigned n = pkt_pieces(p, piece, PKT_FRAGS + 1);
	put_vnet(&v, p);
	for (unsigned i = 0; i < n; i++)
		iov[i + 1] = (struct iovec){(void *)(uintptr_t)piece[i].data, piece[i].len};
	(void)!writev(h->fd, iov, (int)n + 1); /* a full queue drops, as a wire does */
	pkt_free(p);
}

static struct pkt *to_pkt(struct host *h, struct net_buf *b, uint32_t len)
{
	if (len < 16384)
		return pkt_from(h->st, b->data, len);
	struct pkt *p = pkt_alloc(h->st, PKT_ROOM);
	if (p && !pkt_add(p, b, 0, len)) {
		pkt_free(p);
		p = NULL;
	}
	return p;
}

/* At most a burst of frames; false: there are no more. */
static bool input(struct host *h, struct net_buf **spare)
{
	for (unsigned i = 0; i < 64; i++) {
		struct virtio_net_hdr v;
		if (*spare && (*spare)->refs > 1) {
			net_buf_unref(h->st, *spare);
			*spare = NULL;
		}
		if (!*spare)
			*spare = net_buf_alloc(h->st, FRAME_MAX);
		if (!*spare)
			return false;
		struct iovec iov[2] = {{&v, sizeof(v)}, {(*spare)->data, FRAME_MAX}};
		ssize_t n = readv(h->fd, iov, 2);
		if (n <= (ssize_t)sizeof(v))
			return false;
		struct pkt *p = to_pkt(h, *spare, (uint32_t)n - (uint32_t)sizeof(v));
		if (!p)
			continue;
		if (v.flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID))
			p->flags |= PKT_CSUM_VALID;
		if ((v.gso_type & 0x7f) == VIRTIO_NET_HDR_GSO_TCPV4)
			p->gso_type = PKT_GSO_TCP4;
		else if ((v.gso_type & 0x7f) == VIRTIO_NET_HDR_GSO_TCPV6)
			p->gso_type = PKT_GSO_TCP6;
		p->gso_size = v.gso_size;
		net_input(h->nif, p);
	}
	return true;
}

static int open_tap(const char *name)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0 ||
	    ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0) {
		perror(name);
		exit(2);
	}
	return fd;
}

/* ---- services ---- */

static void on_echo(void *ctx, struct net_sock *s, unsigned events)
{
	struct host *h = ctx;
	struct net_frag f[16];
	int n = -NET_EAGAIN;
	/* Only as much as can be sent on is read, so that the peer's window closes. */
	while ((net_ready(s) & NET_EV_OUT) && (n = net_recv_bufs(s, f, 1)) > 0) {
		long sent = net_send_buf(s, f[0].buf, f[0].off, f[0].len);
		if (sent >= 0 && (uint32_t)sent < f[0].len)
			(void)net_send(s, f[0].buf->data + f[0].off + sent, f[0].len - (size_t)sent,
			               0, NULL);
		net_buf_unref(h->st, f[0].buf);
	}
	if (n == 0 && (events & NET_EV_RDHUP))
		net_close(s);
	else if (n < 0 && n != -NET_EAGAIN)
		net_close(s);
}

static void on_discard(void *ctx, struct net_sock *s, unsigned events)
{
	struct host *h = ctx;
	struct net_frag f[16];
	int n;
	(void)events;
	while ((n = net_recv_bufs(s, f, 16)) > 0)
		for (int i = 0; i < n; i++)
			net_buf_unref(h->st, f[i].buf);
	if (n != -NET_EAGAIN)
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

static void on_page(void *ctx, struct net_sock *s, unsigned events)
{
	static const char page[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
	                           "Content-Length: 20\r\nConnection: close\r\n\r\n"
	                           "hello from the stack";
	char request[2048];
	long n = net_recv(s, request, sizeof(request), 0, NULL);
	(void)ctx;
	(void)events;
	if (n == -NET_EAGAIN)
		return;
	if (n > 0)
		(void)net_send(s, page, sizeof(page) - 1, 0, NULL);
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

struct service {
	uint16_t port;
	net_event_fn fn;
};

static const struct service services[] = {
        {7, on_echo}, {9, on_discard}, {19, on_stream}, {80, on_page}};

static void on_accept(void *ctx, struct net_sock *l, unsigned events)
{
	struct net_endpoint local;
	struct net_sock *s;
	(void)events;
	(void)net_name(l, &local, NULL);
	while (net_accept(l, &s, NULL) == 0)
		for (unsigned i = 0; i < sizeof(services) / sizeof(services[0]); i++)
			if (services[i].port == local.port)
				net_on_event(s, services[i].fn, ctx);
}

static void serve(struct host *h)
{
	struct net_sock *s;
	struct net_endpoint at = {.port = 7};
	for (unsigned i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		at.port = services[i].port;
		if (net_socket(h->st, NET_STREAM, &s) < 0 || net_bind(s, &at) < 0 ||
		    net_listen(s, 512) < 0)
			exit(2);
		net_on_event(s, on_accept, h);
	}
	at.port = 7;
	if (net_socket(h->st, NET_DGRAM, &s) < 0 || net_bind(s, &at) < 0)
		exit(2);
	net_on_event(s, on_udp_echo, h);
}

/* ---- the client ---- */

static void finished(struct host *h, int status)
{
	double s = (double)(now_ns(NULL) - h->began_ns) / 1e9;
	fprintf(stderr, "%llu bytes in %.3f s: %.1f Mbit/s\n", (unsigned long long)h->moved, s,
	        (double)h->moved * 8e-6 / s);
	h->done = true;
	h->status = status;
}

static void on_client(void *ctx, struct net_sock *s, unsigned events)
{
	struct host *h = ctx;
	struct net_frag f[16];
	int64_t err = 0;
	if (events & NET_EV_ERR) {
		(void)net_get(s, NET_SO_ERROR, &err);
		fprintf(stderr, "error %d\n", (int)err);
		finished(h, 1);
		return;
	}
	while (h->sending && h->left) {
		long n = net_send_buf(s, h->stream, 0, h->left < CHUNK ? (uint32_t)h->left : CHUNK);
		if (n <= 0)
			break;
		h->moved += (uint64_t)n;
		h->left -= (uint64_t)n;
		if (!h->left)
			(void)net_shutdown(s, NET_SHUT_WR);
	}
	int n;
	while ((n = net_recv_bufs(s, f, 16)) > 0)
		for (int i = 0; i < n; i++) {
			if (!h->sending) {
				(void)!write(1, f[i].buf->data + f[i].off, f[i].len);
				h->moved += f[i].len;
			}
			net_buf_unref(h->st, f[i].buf);
		}
	if (n == 0)
		finished(h, 0);
}

static void start_client(struct host *h, char **arg, int count)
{
	struct net_endpoint to = {.port = 0};
	if (count < 3 || net_addr_parse(arg[1], &to.addr) < 0) {
		fprintf(stderr, "send ADDRESS PORT MEGABYTES, or fetch ADDRESS PORT\n");
		exit(2);
	}
	to.port = (uint16_t)strtoul(arg[2], NULL, 10);
	h->sending = strcmp(arg[0], "send") == 0;
	h->left = count > 3 ? strtoull(arg[3], NULL, 10) << 20 : 0;
	h->began_ns = now_ns(NULL);
	if (net_socket(h->st, NET_STREAM, &h->client) < 0 ||
	    net_connect(h->client, &to) != -NET_EINPROGRESS) {
		fprintf(stderr, "cannot connect\n");
		exit(1);
	}
	net_on_event(h->client, on_client, h);
}

/* ---- the loop ---- */

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

static void loop(struct host *h)
{
	struct net_buf *spare = NULL;
	while (!stopped && !h->done) {
		bool more = input(h, &spare);
		net_poll(h->st);
		uint64_t next = net_next_deadline(h->st), now = now_ns(NULL);
		int wait = more || next <= now       ? 0
		           : next - now > 1000000000 ? 1000
		                                     : (int)((next - now) / 1000000) + 1;
		struct pollfd pfd = {h->fd, POLLIN, 0};
		(void)poll(&pfd, 1, wait);
	}
	if (spare)
		net_buf_unref(h->st, spare);
}

int main(int argc, char **argv)
{
	static const struct net_ops ops = {now_ns, entropy, host_alloc, host_free,
	                                   NULL,   NULL,    NULL};
	struct host h = {0};
	struct net_cfg cfg = {.ops = &ops, .ctx = &h};
	int i = 2;
	if (argc < 3) {
		fprintf(stderr, "usage: stack_tap TAP ADDRESS/PREFIX... [-- send|fetch ...]\n");
		return 2;
	}
	h.fd = open_tap(argv[1]);
	h.st = net_stack_create(&cfg);
	struct net_if_cfg ic = {.link = NET_LINK_ETHER,
	                        .mac = {2, 0x47, 0x4b, 0, 0, 1},
	                        .offloads = NET_IF_CSUM_TX | NET_IF_TSO4 | NET_IF_TSO6,
	                        .output = output,
	                        .ctx = &h};
	(void)snprintf(ic.name, sizeof(ic.name), "tap");
	h.nif = h.st ? net_if_add(h.st, &ic) : NULL;
	h.stream = h.st ? net_buf_alloc(h.st, CHUNK) : NULL;
	if (!h.nif || !h.stream)
		return 2;
	for (unsigned k = 0; k < CHUNK; k++)
		h.stream->data[k] = (uint8_t)(k * 31 + (k >> 8));
	for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
		struct net_addr a;
		char *slash = strchr(argv[i], '/');
		if (slash)
			*slash = '\0';
		if (!slash || net_addr_parse(argv[i], &a) < 0 ||
		    net_if_add_addr(h.nif, &a, (unsigned)strtoul(slash + 1, NULL, 10)) < 0) {
			fprintf(stderr, "'%s' is not ADDRESS/PREFIX\n", argv[i]);
			return 2;
		}
	}
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	serve(&h);
	if (i + 1 < argc)
		start_client(&h, argv + i + 1, argc - i - 1);
	loop(&h);
	net_buf_unref(h.st, h.stream);
	net_stack_destroy(h.st);
	close(h.fd);
	return h.status;
}
