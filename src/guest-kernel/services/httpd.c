/* The HTTP server. See httpd.h. */
#include "guest-kernel/services/httpd.h"

#include <string.h>

#include "guest-kernel/net/socket.h"
#include "guest-kernel/services/http.h"

struct conn {
	struct httpd *httpd;
	struct ksock *sock;
	struct net_endpoint peer;
	size_t have; /* of text */
	char text[HTTP_HEAD_MAX + 1];
	char head[256];
	char page[HTTPD_PAGE_BYTES];
};

static void count(uint64_t *counter)
{
	(void)__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

static bool reply(struct conn *c, int status, const char *type, size_t len, bool keep, bool head)
{
	const char *allow = status == 405 ? "Allow: GET, HEAD\r\n" : "";
	size_t n = fmt(c->head, sizeof(c->head),
	               "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %lu\r\n"
	               "Cache-Control: no-store\r\n%sConnection: %s\r\n\r\n",
	               status, http_reason(status), type, (unsigned long)len, allow,
	               keep ? "keep-alive" : "close");
	return ksock_send(c->sock, c->head, n, NULL) >= 0 &&
	       (head || len == 0 || ksock_send(c->sock, c->page, len, NULL) >= 0);
}

static bool reply_error(struct conn *c, int status, bool keep, bool head)
{
	count(&c->httpd->errors);
	size_t n = fmt(c->page, sizeof(c->page), "%d %s\n", status, http_reason(status));
	return reply(c, status, "text/plain; charset=utf-8", n, keep, head);
}

static bool allowed(const struct conn *c, const struct http_request *r)
{
	const struct net_hooks *h = c->sock->net->hooks;
	return !h || !h->http || h->http(h->ctx, &c->peer, r->method, r->path);
}

/* One that is kept, though nothing may ever come on it, must leave room for another. */
static bool is_kept(const struct conn *c, const struct http_request *r)
{
	struct httpd *h = c->httpd;
	unsigned long flags = spin_lock_irqsave(&h->lock);
	bool room = h->conns < HTTPD_CONNS;
	spin_unlock_irqrestore(&h->lock, flags);
	return r->keep_alive && room;
}

/* True: the connection goes on. */
static bool answer(struct conn *c, const struct http_request *r)
{
	struct system *sys = c->httpd->sys;
	const char *type = "text/html; charset=utf-8";
	bool keep = is_kept(c, r);
	size_t n;
	count(&c->httpd->requests);
	if (!allowed(c, r))
		return reply_error(c, 403, keep, r->head) && keep;
	if (strcmp(r->path, "/") == 0) {
		n = page_status(sys, c->page, sizeof(c->page));
	} else if (strcmp(r->path, "/metrics") == 0) {
		type = "text/plain; version=0.0.4; charset=utf-8";
		n = page_metrics(sys, c->page, sizeof(c->page));
	} else {
		return reply_error(c, 404, keep, r->head) && keep;
	}
	return reply(c, 200, type, n, keep, r->head) && keep;
}

/* Reads on until a request is complete: its length, 0 if the client is gone, or minus a status. */
static int next_request(struct conn *c, struct http_request *r)
{
	uint64_t end = arch_now_ns() + HTTPD_PATIENCE_NS;
	for (;;) {
		int n = http_parse(c->text, c->have, r);
		if (n != 0)
			return n;
		uint64_t now = arch_now_ns();
		c->sock->patience_ns = now < end ? end - now : 1;
		long got = ksock_recv(c->sock, c->text + c->have, HTTP_HEAD_MAX - c->have, NULL);
		if (got == -NET_ETIMEDOUT && c->have > 0)
			return -408;
		if (got <= 0)
			return 0;
		c->have += (size_t)got;
	}
}

static void serve(struct conn *c)
{
	bool more = true;
	while (more && !__atomic_load_n(&c->httpd->stopping, __ATOMIC_RELAXED)) {
		struct http_request r;
		int n = next_request(c, &r);
		c->sock->patience_ns = HTTPD_PATIENCE_NS;
		if (n <= 0) {
			if (n < 0)
				(void)reply_error(c, -n, false, false);
			break;
		}
		c->have -= (size_t)n;
		memmove(c->text, c->text + n, c->have);
		more = answer(c, &r);
	}
}

static void leave(struct httpd *h)
{
	unsigned long flags = spin_lock_irqsave(&h->lock);
	h->conns--;
	waitq_wake_one(&h->room);
	spin_unlock_irqrestore(&h->lock, flags);
}

static bool enter(void *ctx)
{
	struct httpd *h = ctx;
	bool room = h->conns < HTTPD_CONNS;
	if (room)
		h->conns++;
	return room;
}

static bool is_empty(void *ctx)
{
	const struct httpd *h = ctx;
	return h->conns == 0;
}

static void conn_main(void *arg)
{
	struct conn *c = arg;
	struct httpd *h = c->httpd;
	serve(c);
	ksock_close(c->sock);
	mem_free(c);
	leave(h);
}

/* The request is read first, though in vain: with it unread, to close is to reset, and a client
 * that is reset may never see the answer. */
static void turn_away(struct ksock *s, uint64_t deadline_ns)
{
	static const char text[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"
	                           "Content-Length: 0\r\nConnection: close\r\n\r\n";
	char request[512];
	uint64_t now = arch_now_ns();
	s->patience_ns = now < deadline_ns ? deadline_ns - now : 0;
	(void)ksock_recv(s, request, sizeof(request), NULL);
	s->patience_ns = 0;
	(void)ksock_send(s, text, sizeof(text) - 1, NULL);
	ksock_close(s);
}

/* There is room for it. False: but there is no memory. */
static bool begin(struct httpd *h, struct ksock *s, const struct net_endpoint *peer)
{
	struct conn *c = mem_alloc(sizeof(*c));
	if (!c)
		return false;
	c->httpd = h;
	c->sock = s;
	c->peer = *peer;
	struct task *t = task_start("http", PRIO_DEFAULT, conn_main, c);
	if (t)
		task_detach(t);
	else
		mem_free(c);
	return t;
}

static void take(struct httpd *h, struct ksock *s, const struct net_endpoint *peer)
{
	uint64_t deadline = arch_now_ns() + HTTPD_HASTE_NS;
	count(&h->connections);
	bool room = waitq_wait(&h->room, &h->lock, enter, h, deadline);
	if (room && begin(h, s, peer))
		return;
	if (room)
		leave(h);
	count(&h->refused);
	turn_away(s, deadline);
}

static void accept_main(void *arg)
{
	struct httpd *h = arg;
	while (!__atomic_load_n(&h->stopping, __ATOMIC_RELAXED)) {
		struct net_endpoint peer;
		struct ksock *s;
		int err = ksock_accept(h->listener, &s, &peer);
		if (err == 0)
			take(h, s, &peer);
		else if (err == -NET_ENOMEM)
			task_sleep(10 * NS_PER_MS);
		else if (err != -NET_ETIMEDOUT)
			break;
	}
}

bool httpd_start(struct httpd *h, struct system *sys, unsigned port, const char **why)
{
	struct net_endpoint here = {.port = (uint16_t)port};
	*h = (struct httpd){.sys = sys};
	spin_init_named(&h->lock, "httpd");
	waitq_init(&h->room);
	int err = ksock_open(&sys->net, NET_STREAM, &h->listener);
	if (!err)
		err = ksock_bind(h->listener, &here);
	if (!err)
		err = ksock_listen(h->listener, 64);
	if (err) {
		*why = net_error_text(err);
		ksock_close(h->listener);
		return false;
	}
	h->task = task_start("httpd", PRIO_DEFAULT, accept_main, h);
	if (h->task)
		return true;
	*why = "no memory for a task";
	ksock_close(h->listener);
	return false;
}

void httpd_stop(struct httpd *h)
{
	__atomic_store_n(&h->stopping, true, __ATOMIC_RELAXED);
	ksock_interrupt(h->listener);
	task_join(h->task);
	ksock_close(h->listener);
	(void)waitq_wait(&h->room, &h->lock, is_empty, h, FOREVER);
}
