/* The user-mode network: its thread, its stack, and the frames between stack and card. See user.h.
 */
#include "net/user/user.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <unistd.h>

#include "net/user/user_priv.h"
#include "vmm/clock.h"
#include "vmm/errset.h"
#include "vmm/thread.h"

#define BURST      64u  /* frames before the sockets' turn */
#define QUEUE_MAX  256u /* frames that wait for the card */
#define PAIR_BYTES (4 << 20)
#define BACKLOG    128
#define ETH_LEN    14u
#define INLINE     2048u /* a frame up to here is copied */

/* Between advertisements to all; a third of what they are good for, at most. */
#define ADVERTISE_NS 300000000000ull

static const uint8_t our_mac[6] = {0x52, 0x55, 0x0a, 0x00, 0x02, 0x02};

/* ---- what the stack asks for ---- */

static uint64_t now_ns(void *ctx)
{
	(void)ctx;
	return clock_now_ns();
}

static void entropy(void *ctx, void *buf, size_t len)
{
	uint8_t *p = buf;
	(void)ctx;
	while (len > 0) {
		ssize_t n = getrandom(p, len, 0);
		if (n < 0 && errno != EINTR)
			abort(); /* no kernel that runs KVM lacks it */
		p += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
}

static void *allocate(void *ctx, size_t size)
{
	(void)ctx;
	return malloc(size);
}

static void release(void *ctx, void *p, size_t size)
{
	(void)ctx, (void)size;
	free(p);
}

static const struct net_ops ops = {
        .now_ns = now_ns, .entropy = entropy, .alloc = allocate, .free = release};

void user_watch(struct user_net *un, struct loop_source *src, uint32_t events)
{
	vmm_err_info_t ei;
	if (!events)
		loop_del(un->loop, src);
	else if (src->added)
		loop_mod(un->loop, src, events);
	else
		(void)!loop_add(un->loop, src, events, &ei);
}

/* ---- frames to the guest ---- */

/* False: it needs what the guest's driver does not do (it has changed meanwhile). */
static bool make_header(const struct user_net *un, const struct pkt *p, struct virtio_net_hdr_v1 *h)
{
	uint32_t has = atomic_load_explicit(&un->offloads, memory_order_relaxed);
	*h = (struct virtio_net_hdr_v1){.num_buffers = 1};
	if (!(p->flags & PKT_CSUM_PARTIAL)) {
		h->flags = has & NET_OFFLOAD_CSUM ? VIRTIO_NET_HDR_F_DATA_VALID : 0;
		return true;
	}
	h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h->csum_start = p->csum_start;
	h->csum_offset = p->csum_off;
	if (p->gso_type == PKT_GSO_NONE)
		return has & NET_OFFLOAD_CSUM;
	bool v4 = p->gso_type == PKT_GSO_TCP4;
	uint8_t offset = 5 << 4;
	(void)pkt_read(p, p->csum_start + 12u, &offset, 1);
	h->gso_type = v4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
	h->gso_size = p->gso_size;
	h->hdr_len = (uint16_t)(p->csum_start + (offset >> 4) * 4u);
	return has & (v4 ? NET_OFFLOAD_TSO4 : NET_OFFLOAD_TSO6);
}

/* False: there is no room at the moment. Everything else ends the packet. */
static bool send_frame(struct user_net *un, const struct pkt *p)
{
	struct virtio_net_hdr_v1 h;
	struct net_piece pieces[PKT_FRAGS + 1];
	struct iovec iov[PKT_FRAGS + 2] = {{&h, sizeof(h)}};
	if (!make_header(un, p, &h))
		return true;
	unsigned n = pkt_pieces(p, pieces, PKT_FRAGS + 1);
	for (unsigned i = 0; i < n; i++)
		iov[i + 1] = (struct iovec){(void *)(uintptr_t)pieces[i].data, pieces[i].len};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n + 1};
	return sendmsg(un->wire.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
}

static void watch_wire(struct user_net *un)
{
	user_watch(un, &un->wire, un->queue ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void output(void *ctx, struct pkt *p)
{
	struct user_net *un = ctx;
	if (un->queue || !send_frame(un, p)) {
		if (un->queued == QUEUE_MAX) {
			pkt_free(p);
			return;
		}
		p->next = NULL;
		*un->queue_tail = p;
		un->queue_tail = &p->next;
		if (un->queued++ == 0)
			watch_wire(un);
		return;
	}
	pkt_free(p);
}

static void send_queue(struct user_net *un)
{
	while (un->queue && send_frame(un, un->queue)) {
		struct pkt *p = un->queue;
		un->queue = p->next;
		un->queued--;
		pkt_free(p);
	}
	if (un->queue)
		return;
	un->queue_tail = &un->queue;
	watch_wire(un);
}

/* ---- frames from the guest ---- */

static void answer_dhcp(struct user_net *un, const uint8_t *frame, size_t len)
{
	uint8_t answer[USER_DHCP_MAX];
	size_t n = user_dhcp_answer(&un->cfg, our_mac, frame, len, answer);
	struct pkt *p = n ? pkt_from(un->st, answer, (uint32_t)n) : NULL;
	if (p)
		output(un, p);
}

/* To who sent the solicitation ASKED, or to all nodes if that is NULL. */
static void advertise(struct user_net *un, const uint8_t *asked)
{
	uint8_t frame[USER_RA_LEN];
	user_ra_make(&un->cfg, our_mac, asked, user_has_way6(), frame);
	struct pkt *p = pkt_from(un->st, frame, sizeof(frame));
	if (p)
		output(un, p);
}

/*
 * RFC 4861, 6.2.4 and 6.2.6, but that there is no other router whose advertisements ours could
 * meet: none is put off, and the interval is always the same. Who has never asked is not told.
 */
static void answer_solicitation(struct user_net *un, const uint8_t *frame)
{
	advertise(un, frame);
	if (un->advertise_ns == UINT64_MAX)
		un->advertise_ns = clock_now_ns() + ADVERTISE_NS;
}

/* When to look again; UINT64_MAX: not at all. */
static uint64_t advertise_in_turn(struct user_net *un, uint64_t now)
{
	if (now >= un->advertise_ns) {
		un->advertise_ns = now + ADVERTISE_NS;
		advertise(un, NULL);
	}
	return un->advertise_ns;
}

/* HEAD has the frame's first INLINE bytes, the rest is in un->spare. */
static struct pkt *make_pkt(struct user_net *un, const uint8_t *head, uint32_t len)
{
	if (len <= INLINE)
		return pkt_from(un->st, head, len);
	struct pkt *p = pkt_from(un->st, head, INLINE);
	if (!p)
		return NULL;
	(void)pkt_add(p, un->spare, 0, len - INLINE);
	net_buf_unref(un->st, un->spare);
	un->spare = NULL;
	return p;
}

/*
 * What a driver left to be done (a checksum, segments) nobody has to do: the frame goes from memory
 * to memory. The header is checked by not being needed.
 */
static bool receive(struct user_net *un)
{
	struct virtio_net_hdr_v1 h;
	uint8_t head[INLINE];
	if (!un->spare)
		un->spare = net_buf_alloc(un->st, USER_BUFFER);
	if (!un->spare)
		return false;
	struct iovec iov[3] = {
	        {&h, sizeof(h)}, {head, sizeof(head)}, {un->spare->data, un->spare->size}};
	ssize_t n = readv(un->wire.fd, iov, 3);
	if (n < (ssize_t)(sizeof(h) + ETH_LEN))
		return n >= 0;
	uint32_t len = (uint32_t)n - (uint32_t)sizeof(h), at_hand = len < INLINE ? len : INLINE;
	if (user_dhcp_is(head, at_hand)) {
		answer_dhcp(un, head, at_hand);
		return true;
	}
	if (un->cfg.ipv6 && user_ra_is_asked(head, at_hand)) {
		answer_solicitation(un, head);
		return true;
	}
	struct pkt *p = make_pkt(un, head, len);
	if (!p)
		return true;
	if (h.flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID))
		p->flags |= PKT_CSUM_VALID;
	net_input(un->nif, p);
	return true;
}

/* A driver that has come meanwhile, or changed its mind, sends something before it hears anything.
 */
static void take_offloads(struct user_net *un)
{
	uint32_t has = atomic_load_explicit(&un->offloads, memory_order_relaxed);
	net_if_set_offloads(un->nif, (has & NET_OFFLOAD_CSUM ? NET_IF_CSUM_TX : 0) |
	                                     (has & NET_OFFLOAD_TSO4 ? NET_IF_TSO4 : 0) |
	                                     (has & NET_OFFLOAD_TSO6 ? NET_IF_TSO6 : 0));
}

static void wire_ready(void *ctx, uint32_t events)
{
	struct user_net *un = ctx;
	take_offloads(un);
	if (events & EPOLLOUT)
		send_queue(un);
	if (events & (EPOLLHUP | EPOLLERR)) {
		user_watch(un, &un->wire, 0);
		return;
	}
	for (unsigned i = 0; i < BURST && receive(un); i++)
		;
}

/* ---- the thread ---- */

static void do_nothing(void *ctx)
{
	(void)ctx;
}

/* After each round: what the stack has to say, and when it wants to be asked again. */
static void turn(struct user_net *un)
{
	net_poll(un->st);
	uint64_t at = net_next_deadline(un->st), now = clock_now_ns();
	uint64_t sweep = user_dgram_sweep(un, now), ad = advertise_in_turn(un, now);
	at = at < sweep ? at : sweep;
	at = at < ad ? at : ad;
	if (at == UINT64_MAX)
		loop_timer_cancel(un->loop, &un->timer);
	else
		loop_timer_set(un->loop, &un->timer, at);
}

static void forward_ready(void *ctx, uint32_t events)
{
	struct user_forward *f = ctx;
	(void)events;
	if (f->udp)
		user_dgram_forward(f);
	else
		user_tcp_accept(f);
}

static void *thread_main(void *arg)
{
	struct user_net *un = arg;
	(void)pthread_setname_np(pthread_self(), "vmm-net");
	if (sandbox_filter_load(&un->filters, SANDBOX_NET) != 0)
		return NULL; /* then there is no network */
	turn(un);
	/* The last round is for what the guest sent before the stop. */
	for (bool last = false; !last;) {
		last = atomic_load(&un->stopping);
		loop_run_once(un->loop, last ? 0 : -1);
		turn(un);
	}
	/* Here, as it resets connections, which no other thread's filter allows. */
	user_tcp_stop(un);
	user_dgram_stop(un);
	return NULL;
}

static vmm_err_t start(struct net_backend *b, const struct sandbox_filters *filters,
                       vmm_err_info_t *ei)
{
	struct user_net *un = (struct user_net *)b;
	un->filters = *filters;
	int err = thread_start(&un->thread, thread_main, un);
	if (err)
		return err_sys(ei, err, "net", "cannot start the network's thread");
	un->running = true;
	return VMM_OK;
}

/* ---- the backend ---- */

static void set_offloads(struct net_backend *b, uint32_t offloads)
{
	atomic_store_explicit(&((struct user_net *)b)->offloads, offloads, memory_order_relaxed);
}

static bool set_queue(struct net_backend *b, unsigned q, bool on)
{
	(void)b, (void)on;
	return q == 0;
}

static void set_link(struct net_backend *b, bool up)
{
	(void)b, (void)up; /* the card neither sends nor receives meanwhile */
}

static void stop_thread(struct user_net *un)
{
	if (!un->running)
		return;
	atomic_store(&un->stopping, true);
	loop_post(un->loop, &un->stop);
	(void)pthread_join(un->thread, NULL);
	un->running = false;
}

static void destroy(struct net_backend *b)
{
	struct user_net *un = (struct user_net *)b;
	stop_thread(un);
	if (un->st) {
		while (un->queue) {
			struct pkt *p = un->queue;
			un->queue = p->next;
			pkt_free(p);
		}
		if (un->spare)
			net_buf_unref(un->st, un->spare);
		net_stack_destroy(un->st);
	}
	for (unsigned i = 0; i < un->forward_count; i++)
		if (un->forward[i].source.fd >= 0)
			(void)close(un->forward[i].source.fd);
	if (un->loop)
		loop_destroy(un->loop);
	if (un->b.fd[0] >= 0)
		(void)close(un->b.fd[0]);
	if (un->wire.fd >= 0)
		(void)close(un->wire.fd);
	free(un);
}

static const struct net_backend_ops backend_ops = {.set_offloads = set_offloads,
                                                   .set_queue = set_queue,
                                                   .set_link = set_link,
                                                   .start = start,
                                                   .destroy = destroy};

/* ---- opening ---- */

static vmm_err_t explain_bind(const char *rule, int err, vmm_err_info_t *ei)
{
	if (err == EADDRINUSE)
		return err_sys_as(ei, VMM_E_BUSY, err, "hostfwd",
		                  "'%.80s': another program has that port of the host; name a free "
		                  "one",
		                  rule);
	if (err == EACCES || err == EPERM)
		return err_sys_as(ei, VMM_E_PERM, err, "hostfwd",
		                  "'%.80s': this user may not use that port; ports from 1024 on "
		                  "are free for all",
		                  rule);
	if (err == EADDRNOTAVAIL)
		return err_sys_as(ei, VMM_E_INVAL, err, "hostfwd",
		                  "'%.80s': the host has no such address", rule);
	return err_sys(ei, err, "hostfwd", "'%.80s': cannot listen", rule);
}

static vmm_err_t open_forward(struct user_net *un, const char *rule, vmm_err_info_t *ei)
{
	const int on = 1;
	if (un->forward_count == USER_FORWARDS_MAX)
		return err_set(ei, VMM_E_LIMIT, "hostfwd", "more than %u rules", USER_FORWARDS_MAX);
	struct user_forward *f = &un->forward[un->forward_count++];
	f->source.fd = -1;
	vmm_err_t err = user_parse_forward(&un->cfg, rule, f, ei);
	if (err)
		return err;
	int fd = socket(f->at.any.sa_family,
	                (f->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(ei, errno, "hostfwd", "'%.80s': cannot make a socket", rule);
	f->un = un;
	f->source = (struct loop_source){.fd = fd, .ready = forward_ready, .ctx = f};
	/* Only what is in TIME-WAIT is meant: who listens there keeps the port. */
	if (!f->udp)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, &f->at.any, user_sockaddr_len(&f->at)) != 0 ||
	    (!f->udp && listen(fd, BACKLOG) != 0))
		return explain_bind(rule, errno, ei);
	return loop_add(un->loop, &f->source, EPOLLIN, ei);
}

static vmm_err_t open_wire(struct user_net *un, vmm_err_info_t *ei)
{
	const int size = PAIR_BYTES;
	int fd[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) != 0)
		return err_sys(ei, errno, "net", "cannot make a pair of sockets");
	for (unsigned i = 0; i < 2; i++) {
		/* As large as this user may. */
		if (setsockopt(fd[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0)
			(void)setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	}
	un->b.fd[0] = fd[0];
	un->wire = (struct loop_source){.fd = fd[1], .ready = wire_ready, .ctx = un};
	return loop_add(un->loop, &un->wire, EPOLLIN, ei);
}

/* The gateway's global address before the name server's: what the gateway begins comes from it. */
static bool add_addresses(struct user_net *un)
{
	const struct user_config *c = &un->cfg;
	const struct net_addr gateway = user_addr(c->gateway);
	return net_if_add_addr(un->nif, &gateway, c->prefix) == 0 &&
	       (!c->ipv6 || (net_if_add_addr(un->nif, &user_linklocal, USER_PREFIX6) == 0 &&
	                     net_if_add_addr(un->nif, &c->gateway6, USER_PREFIX6) == 0 &&
	                     net_if_add_addr(un->nif, &c->dns6, USER_PREFIX6) == 0));
}

static bool open_stack(struct user_net *un)
{
	const struct net_cfg cfg = {.ops = &ops, .ctx = un, .no_ipv6 = !un->cfg.ipv6};
	struct net_if_cfg nif = {.name = "guest",
	                         .link = NET_LINK_ETHER,
	                         .mtu = un->cfg.mtu,
	                         .flags = NET_IF_ANY_ADDR | NET_IF_NO_DAD | NET_IF_ROUTER,
	                         .output = output,
	                         .ctx = un};
	memcpy(nif.mac, our_mac, sizeof(our_mac));
	un->st = net_stack_create(&cfg);
	un->nif = un->st ? net_if_add(un->st, &nif) : NULL;
	return un->nif && add_addresses(un) && user_tcp_start(un) && user_dgram_start(un);
}

vmm_err_t user_open(const struct user_opts *opts, struct net_backend **out, vmm_err_info_t *ei)
{
	*out = NULL;
	struct user_net *un = calloc(1, sizeof(*un));
	if (!un)
		return err_set(ei, VMM_E_NOMEM, "net", "out of memory");
	un->b = (struct net_backend){.ops = &backend_ops, .name = "user", .queue_count = 1};
	un->b.offloads = NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6;
	un->advertise_ns = UINT64_MAX;
	un->b.fd[0] = un->wire.fd = -1;
	un->queue_tail = &un->queue;
	un->timer = (struct loop_timer){.expired = do_nothing};
	un->stop = (struct loop_task){.run = do_nothing};
	vmm_err_t err = user_configure(&un->cfg, opts, ei);
	if (!err)
		err = loop_create(&un->loop, ei);
	if (!err)
		err = open_wire(un, ei);
	if (!err && !open_stack(un))
		err = err_set(ei, VMM_E_NOMEM, "net", "out of memory for a protocol stack");
	for (unsigned i = 0; !err && i < opts->hostfwd_count; i++)
		err = open_forward(un, opts->hostfwd[i], ei);
	if (err) {
		destroy(&un->b);
		return err;
	}
	*out = &un->b;
	return VMM_OK;
}
