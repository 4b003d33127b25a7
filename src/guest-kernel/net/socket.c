/* Sockets that wait. See socket.h. */
#include "guest-kernel/net/socket.h"

#include <string.h>

#include "guest-kernel/core/kernel.h"

static void on_event(void *ctx, struct net_sock *s, unsigned events)
{
	struct ksock *k = ctx;
	(void)s;
	(void)events;
	unsigned long flags = spin_lock_irqsave(&k->lock);
	k->events++;
	waitq_wake_all(&k->wait);
	spin_unlock_irqrestore(&k->lock, flags);
}

struct waiting {
	const struct ksock *k;
	uint32_t seen;
};

static bool has_news(void *ctx)
{
	const struct waiting *w = ctx;
	return w->k->events != w->seen;
}

static uint64_t end_of_patience(const struct ksock *k)
{
	uint64_t patience = __atomic_load_n(&k->patience_ns, __ATOMIC_RELAXED);
	return patience == FOREVER ? FOREVER : arch_now_ns() + patience;
}

/* A call of the stack, tried until it does not say 'again'. */
struct call {
	long (*fn)(struct net_sock *s, struct call *c);
	void *data;
	size_t len;
	const struct net_endpoint *to;
	struct net_endpoint *from;
	struct net_sock *out;
};

static long repeat(struct ksock *k, struct call *c)
{
	uint64_t end = end_of_patience(k);
	for (;;) {
		struct waiting w = {k, 0};
		netd_enter(k->net);
		unsigned long flags = spin_lock_irqsave(&k->lock);
		w.seen = k->events;
		spin_unlock_irqrestore(&k->lock, flags);
		long r = c->fn(k->sock, c);
		netd_leave(k->net);
		if (r != -NET_EAGAIN)
			return r;
		if (__atomic_load_n(&k->patience_ns, __ATOMIC_RELAXED) == 0 ||
		    !waitq_wait(&k->wait, &k->lock, has_news, &w, end))
			return -NET_ETIMEDOUT;
	}
}

static struct ksock *wrap(struct netd *n, struct net_sock *s)
{
	struct ksock *k = mem_alloc(sizeof(*k));
	if (!k)
		return NULL;
	*k = (struct ksock){.net = n, .sock = s, .patience_ns = FOREVER};
	spin_init_named(&k->lock, "socket");
	waitq_init(&k->wait);
	net_on_event(s, on_event, k);
	return k;
}

int ksock_open(struct netd *n, enum net_sock_type type, struct ksock **out)
{
	const struct net_hooks *h = n->hooks;
	struct net_sock *s = NULL;
	void *label = NULL;
	netd_enter(n);
	int err = h && h->create && !h->create(h->ctx, type, &label) ? -NET_EACCES : 0;
	if (!err)
		err = net_socket(n->stack, type, &s);
	*out = err ? NULL : wrap(n, s);
	if (!err && !*out) {
		net_close(s);
		err = -NET_ENOMEM;
	}
	if (!err)
		net_set_label(s, label);
	netd_leave(n);
	return err;
}

static void finish(struct ksock *k, void (*how)(struct net_sock *))
{
	if (!k)
		return;
	netd_enter(k->net);
	net_on_event(k->sock, NULL, NULL);
	how(k->sock);
	netd_leave(k->net);
	mem_free(k);
}

void ksock_close(struct ksock *k)
{
	finish(k, net_close);
}

void ksock_abort(struct ksock *k)
{
	finish(k, net_abort);
}

int ksock_bind(struct ksock *k, const struct net_endpoint *local)
{
	netd_enter(k->net);
	int err = net_bind(k->sock, local);
	netd_leave(k->net);
	return err;
}

int ksock_listen(struct ksock *k, unsigned backlog)
{
	netd_enter(k->net);
	int err = net_listen(k->sock, backlog);
	netd_leave(k->net);
	return err;
}

static long try_accept(struct net_sock *s, struct call *c)
{
	return net_accept(s, &c->out, c->from);
}

int ksock_accept(struct ksock *k, struct ksock **out, struct net_endpoint *peer)
{
	struct call c = {.fn = try_accept, .from = peer};
	long err = repeat(k, &c);
	if (err < 0)
		return (int)err;
	netd_enter(k->net);
	*out = wrap(k->net, c.out);
	if (!*out)
		net_abort(c.out);
	netd_leave(k->net);
	return *out ? 0 : -NET_ENOMEM;
}

static long begin_connect(struct net_sock *s, struct call *c)
{
	return net_connect(s, c->to);
}

/* Connected, failed, or still at it. */
static long see_connect(struct net_sock *s, struct call *c)
{
	int64_t err = 0;
	unsigned ready = net_ready(s);
	(void)c;
	(void)net_get(s, NET_SO_ERROR, &err);
	if (err)
		return -err;
	if (ready & (NET_EV_ERR | NET_EV_HUP))
		return -NET_ECONNREFUSED;
	return ready & NET_EV_OUT ? 0 : -NET_EAGAIN;
}

int ksock_connect(struct ksock *k, const struct net_endpoint *remote)
{
	struct call c = {.fn = begin_connect, .to = remote};
	long err = repeat(k, &c);
	c.fn = see_connect;
	return (int)(err == -NET_EINPROGRESS ? repeat(k, &c) : err);
}

static long try_send(struct net_sock *s, struct call *c)
{
	return net_send(s, c->data, c->len, 0, c->to);
}

long ksock_send(struct ksock *k, const void *data, size_t len, const struct net_endpoint *to)
{
	struct call c = {.fn = try_send, .to = to, .len = len};
	size_t done = 0;
	do {
		c.data = (uint8_t *)(uintptr_t)data + done;
		c.len = len - done;
		long r = repeat(k, &c);
		if (r < 0)
			return r;
		done += (size_t)r;
	} while (done < len);
	return (long)len;
}

static long try_recv(struct net_sock *s, struct call *c)
{
	return net_recv(s, c->data, c->len, 0, c->from);
}

long ksock_recv(struct ksock *k, void *data, size_t len, struct net_endpoint *from)
{
	struct call c = {.fn = try_recv, .data = data, .len = len, .from = from};
	return repeat(k, &c);
}

static long try_skip(struct net_sock *s, struct call *c)
{
	struct net_stack *st = c->data;
	struct net_frag frag[16];
	long total = 0;
	while ((size_t)total < c->len) {
		int n = net_recv_bufs(s, frag, sizeof(frag) / sizeof(frag[0]));
		if (n <= 0)
			return total ? total : n;
		for (int i = 0; i < n; i++) {
			total += frag[i].len;
			net_buf_unref(st, frag[i].buf);
		}
	}
	return total;
}

long ksock_skip(struct ksock *k, size_t max)
{
	struct call c = {.fn = try_skip, .data = k->net->stack, .len = max};
	return repeat(k, &c);
}

static long try_send_buf(struct net_sock *s, struct call *c)
{
	return net_send_buf(s, c->data, 0, (uint32_t)c->len);
}

long ksock_send_buf(struct ksock *k, struct net_buf *buf, uint32_t len)
{
	struct call c = {.fn = try_send_buf, .data = buf, .len = len};
	return repeat(k, &c);
}

int ksock_shutdown(struct ksock *k, enum net_how how)
{
	netd_enter(k->net);
	int err = net_shutdown(k->sock, how);
	netd_leave(k->net);
	return err;
}

void ksock_interrupt(struct ksock *k)
{
	__atomic_store_n(&k->patience_ns, 0, __ATOMIC_RELAXED);
	on_event(k, k->sock, 0);
}

/* ---- names ---- */

struct query {
	struct spinlock lock;
	struct waitq wait;
	bool done;
	int err;
	struct net_addr *out;
	unsigned count;
};

static void on_answer(void *ctx, int err, const struct net_addr *addrs, unsigned count)
{
	struct query *q = ctx;
	unsigned long flags = spin_lock_irqsave(&q->lock);
	q->count = count < NET_DNS_MAX ? count : NET_DNS_MAX;
	q->err = err;
	memcpy(q->out, addrs, err ? 0 : q->count * sizeof(*addrs));
	q->done = true;
	waitq_wake_all(&q->wait);
	spin_unlock_irqrestore(&q->lock, flags);
}

static bool is_done(void *ctx)
{
	const struct query *q = ctx;
	return q->done;
}

int resolve_all(struct netd *n, const char *name, unsigned type, struct net_addr *out)
{
	struct query q = {.out = out};
	spin_init_named(&q.lock, "query");
	waitq_init(&q.wait);
	netd_enter(n);
	int err = net_dns_query(n->stack, name, type, on_answer, &q);
	netd_leave(n);
	if (err)
		return err;
	/* The resolver has a time-out of its own: it always answers. */
	(void)waitq_wait(&q.wait, &q.lock, is_done, &q, FOREVER);
	return q.err ? q.err : (int)q.count;
}

int resolve(struct netd *n, const char *name, struct net_addr *out)
{
	struct net_addr found[NET_DNS_MAX];
	if (net_addr_parse(name, out) == 0)
		return 0;
	int r = resolve_all(n, name, NET_DNS_A, found);
	if (r == 0 || r == -NET_ENOENT)
		r = resolve_all(n, name, NET_DNS_AAAA, found);
	if (r <= 0)
		return r ? r : -NET_ENOENT;
	*out = found[0];
	return 0;
}

const char *net_error_text(long err)
{
	static const struct {
		int err;
		const char *text;
	} texts[] = {
	        {NET_EACCES, "the policy does not allow it"},
	        {NET_EADDRINUSE, "the address is in use"},
	        {NET_EADDRNOTAVAIL, "no such address here"},
	        {NET_ECONNABORTED, "the connection was given up"},
	        {NET_ECONNREFUSED, "connection refused"},
	        {NET_ECONNRESET, "connection reset by the peer"},
	        {NET_EHOSTUNREACH, "no answer on the way there"},
	        {NET_EINVAL, "not valid"},
	        {NET_ENETUNREACH, "no route there"},
	        {NET_ENOBUFS, "memory is out"},
	        {NET_ENOENT, "no such name"},
	        {NET_ENOMEM, "memory is out"},
	        {NET_EPIPE, "the connection is closed"},
	        {NET_EPROTO, "the answer makes no sense"},
	        {NET_ETIMEDOUT, "no answer in time"},
	};
	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (texts[i].err == -err)
			return texts[i].text;
	}
	return "failed";
}
