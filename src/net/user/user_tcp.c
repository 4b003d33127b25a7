/*
 * TCP of the user-mode network. A connection of the guest's is not answered before the host has
 * made the same one; from then on bytes, ends and resets go from one to the other. Received data is
 * written from where the stack has it, and what the host sends is read into buffers that the stack
 * keeps until the guest has acknowledged them.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "net/user/user_priv.h"

#define PIECES 16
#define TURNS  16u /* reads or writes of one connection before the others' turn */

enum tcp_state {
	HOST_CONNECTING, /* the host's side is under way, the guest waits */
	GUEST_ACCEPTING, /* the host's side is there, the guest's handshake goes on */
	GUEST_CONNECTING,
	OPEN,
};

struct user_tcp {
	struct loop_source host;
	struct user_net *un;
	struct user_tcp *next, *prev;
	enum tcp_state state;
	struct net_sock *s;                /* NULL: not there yet */
	uint64_t request;                  /* the deferred one */
	struct net_endpoint local, remote; /* as the guest has them: the server, itself */
	bool guest_ended, host_ended;
	struct net_frag out[PIECES]; /* on their way to the host: out[out_at .. out_count) */
	unsigned out_at, out_count;
	struct net_buf *in; /* on its way to the guest, or NULL */
	uint32_t in_off, in_len;
};

static void drop_out(struct user_tcp *t)
{
	for (; t->out_at < t->out_count; t->out_at++)
		net_buf_unref(t->un->st, t->out[t->out_at].buf);
	t->out_at = t->out_count = 0;
}

static void on_guest(void *ctx, struct net_sock *s, unsigned events);

/* The guest's side is the caller's business. */
static void free_tcp(struct user_tcp *t, bool reset_host)
{
	struct user_net *un = t->un;
	const struct linger now = {.l_onoff = 1, .l_linger = 0};
	user_watch(un, &t->host, 0);
	if (reset_host)
		(void)setsockopt(t->host.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	(void)close(t->host.fd);
	drop_out(t);
	if (t->in)
		net_buf_unref(un->st, t->in);
	if (t->prev)
		t->prev->next = t->next;
	else
		un->tcps = t->next;
	if (t->next)
		t->next->prev = t->prev;
	un->tcp_count--;
	free(t);
}

static void kill_tcp(struct user_tcp *t)
{
	if (t->s) {
		net_on_event(t->s, NULL, NULL);
		net_abort(t->s);
	}
	free_tcp(t, true);
}

/* ---- open connections ---- */

enum moved { MOVED_ALL, MOVED_LATER, MOVED_DEAD };

static enum moved write_out(struct user_tcp *t)
{
	struct iovec iov[PIECES];
	struct msghdr msg = {.msg_iov = iov};
	for (unsigned i = t->out_at; i < t->out_count; i++)
		iov[msg.msg_iovlen++] =
		        (struct iovec){t->out[i].buf->data + t->out[i].off, t->out[i].len};
	ssize_t n = sendmsg(t->host.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? MOVED_LATER : MOVED_DEAD;
	for (size_t left = (size_t)n; left > 0;) {
		struct net_frag *f = &t->out[t->out_at];
		size_t part = left < f->len ? left : f->len;
		f->off += (uint32_t)part;
		f->len -= (uint32_t)part;
		left -= part;
		if (f->len == 0) {
			net_buf_unref(t->un->st, f->buf);
			t->out_at++;
		}
	}
	return t->out_at == t->out_count ? MOVED_ALL : MOVED_LATER;
}

/* From the guest to the host, as far as both go. */
static enum moved to_host(struct user_tcp *t)
{
	for (unsigned i = 0; i < TURNS; i++) {
		enum moved m = t->out_at < t->out_count ? write_out(t) : MOVED_ALL;
		if (m != MOVED_ALL)
			return m;
		t->out_at = t->out_count = 0;
		if (t->guest_ended)
			return MOVED_ALL;
		int n = net_recv_bufs(t->s, t->out, PIECES);
		if (n < 0)
			return n == -NET_EAGAIN ? MOVED_ALL : MOVED_DEAD;
		t->out_count = (unsigned)n;
		if (n == 0) {
			t->guest_ended = true;
			(void)shutdown(t->host.fd, SHUT_WR);
		}
	}
	return MOVED_LATER;
}

/* What has been read, into a buffer that the stack may keep. */
static bool keep(struct user_tcp *t, struct net_buf *big, uint32_t len)
{
	struct user_net *un = t->un;
	if (len > USER_SMALL) {
		un->spare = NULL;
		t->in = big;
	} else {
		t->in = net_buf_alloc(un->st, len);
		if (!t->in)
			return false;
		memcpy(t->in->data, big->data, len);
	}
	t->in_off = 0;
	t->in_len = len;
	return true;
}

static enum moved read_in(struct user_tcp *t)
{
	struct user_net *un = t->un;
	if (!un->spare)
		un->spare = net_buf_alloc(un->st, USER_BUFFER);
	if (!un->spare)
		return MOVED_DEAD;
	ssize_t n = recv(t->host.fd, un->spare->data, USER_BUFFER, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? MOVED_ALL : MOVED_DEAD;
	if (n > 0)
		return keep(t, un->spare, (uint32_t)n) ? MOVED_LATER : MOVED_DEAD;
	t->host_ended = true;
	(void)net_shutdown(t->s, NET_SHUT_WR);
	return MOVED_ALL;
}

/* From the host to the guest. */
static enum moved to_guest(struct user_tcp *t)
{
	for (unsigned i = 0; i < TURNS; i++) {
		if (t->in) {
			long n = net_send_buf(t->s, t->in, t->in_off, t->in_len);
			if (n < 0)
				return n == -NET_EAGAIN ? MOVED_LATER : MOVED_DEAD;
			t->in_off += (uint32_t)n;
			t->in_len -= (uint32_t)n;
			if (t->in_len > 0)
				return MOVED_LATER;
			net_buf_unref(t->un->st, t->in);
			t->in = NULL;
		}
		if (t->host_ended || !(net_ready(t->s) & NET_EV_OUT))
			return MOVED_ALL;
		enum moved m = read_in(t);
		if (m != MOVED_LATER)
			return m;
	}
	return MOVED_LATER;
}

/* Both ways, then see who has to wake us, or whether it is over. */
static void move(struct user_tcp *t)
{
	enum moved out = to_host(t), in = to_guest(t);
	if (out == MOVED_DEAD || in == MOVED_DEAD) {
		kill_tcp(t);
		return;
	}
	bool sent = t->out_at == t->out_count, received = !t->in;
	if (t->guest_ended && t->host_ended && sent && received) {
		net_on_event(t->s, NULL, NULL);
		net_close(t->s);
		free_tcp(t, false);
		return;
	}
	uint32_t events = 0;
	if (!t->host_ended && received && net_ready(t->s) & NET_EV_OUT)
		events |= EPOLLIN;
	if (out == MOVED_LATER)
		events |= EPOLLOUT;
	user_watch(t->un, &t->host, events);
}

/* ---- a connection of the guest's begins ---- */

static void host_connected(struct user_tcp *t)
{
	struct user_net *un = t->un;
	int err = 0;
	socklen_t len = sizeof(err);
	(void)getsockopt(t->host.fd, SOL_SOCKET, SO_ERROR, &err, &len);
	user_watch(un, &t->host, 0);
	t->state = GUEST_ACCEPTING;
	if (!net_syn_decide(un->st, t->request, err ? NET_SYN_RESET : NET_SYN_ACCEPT) || err)
		free_tcp(t, true);
}

static void on_host(void *ctx, uint32_t events)
{
	struct user_tcp *t = ctx;
	(void)events;
	if (t->state == HOST_CONNECTING)
		host_connected(t);
	else if (t->state == OPEN)
		move(t);
}

static void on_guest(void *ctx, struct net_sock *s, unsigned events)
{
	struct user_tcp *t = ctx;
	(void)s;
	if (t->state == GUEST_CONNECTING && events & (NET_EV_ERR | NET_EV_HUP)) {
		kill_tcp(t);
		return;
	}
	t->state = OPEN;
	move(t);
}

static struct user_tcp *make_tcp(struct user_net *un, int fd)
{
	struct user_tcp *t = un->tcp_count < USER_TCP_MAX ? calloc(1, sizeof(*t)) : NULL;
	if (!t)
		return NULL;
	const int on = 1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	t->un = un;
	t->host = (struct loop_source){.fd = fd, .ready = on_host, .ctx = t};
	t->next = un->tcps;
	if (t->next)
		t->next->prev = t;
	un->tcps = t;
	un->tcp_count++;
	return t;
}

/* The host's side of a connection; -1 (errno): it cannot even be begun. */
static int connect_host(const union user_sockaddr *target)
{
	int fd = socket(target->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, &target->any, user_sockaddr_len(target)) == 0 ||
	    errno == EINPROGRESS)
		return fd;
	(void)close(fd);
	return -1;
}

static enum net_syn on_syn(void *ctx, uint64_t id, const struct net_endpoint *local,
                           const struct net_endpoint *remote)
{
	struct user_net *un = ctx;
	union user_sockaddr target;
	if (un->tcp_count >= USER_TCP_MAX)
		return NET_SYN_DROP;
	if (!user_target(&un->cfg, local, &target) || user_leads_home(&un->cfg, &target))
		return NET_SYN_RESET;
	int fd = connect_host(&target);
	if (fd < 0)
		return NET_SYN_RESET;
	struct user_tcp *t = make_tcp(un, fd);
	if (!t) {
		(void)close(fd);
		return NET_SYN_DROP;
	}
	t->request = id;
	t->local = *local;
	t->remote = *remote;
	user_watch(un, &t->host, EPOLLOUT);
	return NET_SYN_DEFER;
}

static struct user_tcp *find_accepting(struct user_net *un, const struct net_sock *s)
{
	struct net_endpoint local, remote;
	if (net_name(s, &local, &remote) != 0)
		return NULL;
	/* That free_tcp has taken what it freed out of the list, the analyzer does not see. */
	for (struct user_tcp *t = un->tcps; t; t = t->next)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		if (t->state == GUEST_ACCEPTING && user_same(&t->remote, &remote) &&
		    user_same(&t->local, &local))
			return t;
	return NULL;
}

static void on_listener(void *ctx, struct net_sock *listener, unsigned events)
{
	struct user_net *un = ctx;
	struct net_sock *s;
	(void)events;
	while (net_accept(listener, &s, NULL) == 0) {
		struct user_tcp *t = find_accepting(un, s);
		if (!t) {
			net_abort(s);
			continue;
		}
		t->s = s;
		t->state = OPEN;
		net_on_event(s, on_guest, t);
		move(t);
	}
}

/* ---- a connection of the host's begins ---- */

void user_tcp_accept(struct user_forward *f)
{
	struct user_net *un = f->un;
	int fd = accept4(f->source.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	struct user_tcp *t = make_tcp(un, fd);
	if (!t) {
		(void)close(fd);
		return;
	}
	t->state = GUEST_CONNECTING;
	if (net_socket(un->st, NET_STREAM, &t->s) != 0) {
		t->s = NULL;
		kill_tcp(t);
		return;
	}
	net_on_event(t->s, on_guest, t);
	/* From the gateway's address, the first of its family, and a port that no remnant has. */
	int err = net_connect(t->s, &f->guest);
	if (err && err != -NET_EINPROGRESS)
		kill_tcp(t);
}

/* ---- */

bool user_tcp_start(struct user_net *un)
{
	const struct net_endpoint any = {.port = 0};
	return net_socket(un->st, NET_STREAM, &un->listener) == 0 &&
	       net_set(un->listener, NET_SO_TRANSPARENT, 1) == 0 &&
	       net_bind(un->listener, &any) == 0 && net_listen(un->listener, USER_TCP_MAX) == 0 &&
	       net_on_syn(un->listener, on_syn, un) == 0 &&
	       (net_on_event(un->listener, on_listener, un), true);
}

void user_tcp_stop(struct user_net *un)
{
	for (struct user_tcp *t = un->tcps, *next; t; t = next) {
		next = t->next;
		kill_tcp(t);
	}
}
