/* See tap_host.h. */
#include "tap_host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define SMALL 16384u
#define BURST 64u

uint64_t host_now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t now_ns(void *ctx)
{
	(void)ctx;
	return host_now_ns();
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

/* ---- frames ---- */

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

static void get_vnet(const struct virtio_net_hdr *v, struct pkt *p)
{
	if (v->flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID))
		p->flags |= PKT_CSUM_VALID;
	if ((v->gso_type & 0x7f) == VIRTIO_NET_HDR_GSO_TCPV4)
		p->gso_type = PKT_GSO_TCP4;
	else if ((v->gso_type & 0x7f) == VIRTIO_NET_HDR_GSO_TCPV6)
		p->gso_type = PKT_GSO_TCP6;
	p->gso_size = v->gso_size;
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
	unsigned first = h->vnet ? 0 : 1;
	(void)!writev(h->fd, iov + first, (int)(n + 1 - first)); /* full: dropped, as on a wire */
	pkt_free(p);
}

static void give_back(struct net_buf *b, void *ctx)
{
	struct host *h = ctx;
	struct frame_buf *f = (struct frame_buf *)(b->data - offsetof(struct frame_buf, data));
	f->next = h->unused;
	h->unused = f;
}

/* Small frames are copied, so that they do not keep so much memory busy; F goes with a large one.
 */
static struct pkt *to_pkt(struct host *h, struct frame_buf *f, uint32_t len)
{
	struct pkt *p = NULL;
	struct net_buf *b = NULL;
	if (len >= SMALL) {
		p = pkt_alloc(h->st, PKT_ROOM);
		b = p ? net_buf_wrap(h->st, f->data, sizeof(f->data), give_back, h) : NULL;
	}
	if (b) {
		(void)pkt_add(p, b, 0, len);
		net_buf_unref(h->st, b);
		return p;
	}
	if (p)
		pkt_free(p);
	p = pkt_from(h->st, f->data, len);
	f->next = h->unused;
	h->unused = f;
	return p;
}

static struct frame_buf *take_buf(struct host *h)
{
	struct frame_buf *f = h->unused;
	if (f)
		h->unused = f->next;
	else
		f = malloc(sizeof(*f));
	return f;
}

/* At most a burst of frames; false: there are no more. */
static bool input(struct host *h)
{
	for (unsigned i = 0; i < BURST; i++) {
		struct virtio_net_hdr v = {0};
		struct frame_buf *f = take_buf(h);
		if (!f)
			return false;
		struct iovec iov[2] = {{&v, h->vnet ? sizeof(v) : 0}, {f->data, sizeof(f->data)}};
		ssize_t n = readv(h->fd, iov, 2);
		if (n == 0 && !h->vnet) /* the other end of the pair has gone */
			h->done = true;
		if (n <= (ssize_t)iov[0].iov_len) {
			f->next = h->unused;
			h->unused = f;
			return false;
		}
		struct pkt *p = to_pkt(h, f, (uint32_t)((size_t)n - iov[0].iov_len));
		if (!p)
			continue;
		if (h->vnet)
			get_vnet(&v, p);
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

static void open_device(struct host *h, const char *device)
{
	h->vnet = strncmp(device, "fd:", 3) != 0;
	h->fd = h->vnet ? open_tap(device) : (int)strtol(device + 3, NULL, 10);
	if (!h->vnet && fcntl(h->fd, F_SETFL, O_NONBLOCK) < 0) {
		perror(device);
		exit(2);
	}
}

void host_open(struct host *h, const char *device, const struct net_cfg *given)
{
	static const struct net_ops ops = {now_ns, entropy, host_alloc, host_free,
	                                   NULL,   NULL,    NULL};
	struct net_cfg cfg = *given;
	cfg.ops = &ops;
	cfg.ctx = h;
	open_device(h, device);
	h->st = net_stack_create(&cfg);
	struct net_if_cfg ic = {.name = "tap",
	                        .link = NET_LINK_ETHER,
	                        .mac = {2, 0x47, 0x4b, 0, 0, 1},
	                        .offloads =
	                                h->vnet ? NET_IF_CSUM_TX | NET_IF_TSO4 | NET_IF_TSO6 : 0,
	                        .output = output,
	                        .ctx = h};
	h->nif = h->st ? net_if_add(h->st, &ic) : NULL;
	h->stream = h->st ? net_buf_alloc(h->st, CHUNK) : NULL;
	if (!h->nif || !h->stream) {
		fprintf(stderr, "no memory for a stack\n");
		exit(2);
	}
	for (unsigned k = 0; k < CHUNK; k++)
		h->stream->data[k] = (uint8_t)(k * 31 + (k >> 8));
}

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

void host_loop(struct host *h)
{
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	while (!stopped && !h->done) {
		bool more = input(h);
		net_poll(h->st);
		if (h->tick)
			h->tick(h->tick_ctx);
		uint64_t next = net_next_deadline(h->st), now = host_now_ns();
		uint64_t wait = more || next <= now ? 0 : next - now;
		if (wait > 1000000000)
			wait = 1000000000;
		struct timespec ts = {(time_t)(wait / 1000000000), (long)(wait % 1000000000)};
		struct pollfd pfd = {h->fd, POLLIN, 0};
		(void)ppoll(&pfd, 1, &ts, NULL);
	}
}

void host_close(struct host *h)
{
	net_buf_unref(h->st, h->stream);
	net_stack_destroy(h->st);
	while (h->unused) {
		struct frame_buf *f = h->unused;
		h->unused = f->next;
		free(f);
	}
	close(h->fd);
}

/* ---- sockets ---- */

struct acceptor {
	net_event_fn fn;
	void *ctx;
};

static void on_accept(void *ctx, struct net_sock *l, unsigned events)
{
	struct acceptor *a = ctx;
	struct net_sock *s;
	(void)events;
	while (net_accept(l, &s, NULL) == 0)
		net_on_event(s, a->fn, a->ctx);
}

void host_listen(struct host *h, uint16_t port, net_event_fn fn, void *ctx)
{
	static struct acceptor acceptors[16]; /* as long as the process */
	static unsigned used;
	struct net_endpoint at = {.port = port};
	struct net_sock *s;
	if (used == sizeof(acceptors) / sizeof(acceptors[0]) ||
	    net_socket(h->st, NET_STREAM, &s) < 0 || net_bind(s, &at) < 0 ||
	    net_listen(s, 512) < 0) {
		fprintf(stderr, "cannot listen on port %u\n", port);
		exit(2);
	}
	acceptors[used] = (struct acceptor){fn, ctx};
	net_on_event(s, on_accept, &acceptors[used++]);
}

int host_discard(struct host *h, struct net_sock *s, uint64_t *count)
{
	struct net_frag f[16];
	int n;
	while ((n = net_recv_bufs(s, f, 16)) > 0)
		for (int i = 0; i < n; i++) {
			*count += f[i].len;
			net_buf_unref(h->st, f[i].buf);
		}
	return n;
}
