/*
 * The stub resolver (RFC 1035; RFC 5452): each try from a random port with a random identifier, the
 * servers in turn, over TCP when the answer does not fit a datagram.
 */
#include "net/stack/dns_msg.h"
#include "net/stack/sock.h"

#define SERVERS_MAX 3u
#define ROUNDS      2u
#define WAIT_NS     (3 * NS_PER_SEC)
#define TCP_MSG_MAX 4096u

struct query {
	struct query *next;
	struct net_stack *st;
	struct timer timer;
	struct net_sock *sock;
	net_dns_fn fn;
	void *ctx;
	unsigned type, tries;
	uint16_t id;
	bool tcp, asked;
	uint32_t qlen, got;
	uint8_t qname[DNS_NAME_MAX + 1];
	uint8_t buf[TCP_MSG_MAX];
};

struct dns {
	struct net_endpoint server[SERVERS_MAX];
	unsigned servers;
	struct query *queries;
};

static void drop_sock(struct query *q)
{
	if (q->sock)
		net_close(q->sock);
	q->sock = NULL;
}

static void query_free(struct query *q)
{
	list_remove(q->st->dns->queries, q, next);
	timer_disarm(&q->st->timers, &q->timer);
	drop_sock(q);
	stack_free(q->st, q, sizeof(*q));
}

static void finish(struct query *q, int err, struct dns_answer *a)
{
	net_dns_fn fn = q->fn;
	void *ctx = q->ctx;
	if (a)
		net_sort_destinations(q->st, a->addr, a->count);
	query_free(q);
	fn(ctx, err, a ? a->addr : NULL, a ? a->count : 0);
}

static void try_next(struct query *q);

/* The next server may do better, or there is none: ERR. */
static void try_again(struct query *q, int err)
{
	if (q->tries >= ROUNDS * q->st->dns->servers)
		finish(q, err, NULL);
	else
		try_next(q);
}

static void take(struct query *q, struct dns_answer *a)
{
	if (a->truncated && !q->tcp) {
		q->tcp = true;
		q->tries--;
		try_next(q);
	} else if (a->rcode == 0 || a->rcode == 3) {
		finish(q, a->count ? 0 : -NET_ENOENT, a);
	} else { /* this server cannot */
		try_again(q, -NET_EPROTO);
	}
}

static void on_udp(void *ctx, struct net_sock *s, unsigned events)
{
	struct query *q = ctx;
	struct dns_answer a;
	long n;
	(void)events;
	for (unsigned i = 0; i < 16; i++) {
		n = net_recv(s, q->buf, sizeof(q->buf), 0, NULL);
		if (n == -NET_EAGAIN)
			return;
		if (n < 0) { /* nobody listens there */
			try_again(q, -NET_ETIMEDOUT);
			return;
		}
		if (dns_parse(q->buf, (uint32_t)n, q->id, q->qname, q->qlen, q->type, &a)) {
			take(q, &a);
			return;
		}
	}
	sock_notify(s);
}

static void on_tcp(void *ctx, struct net_sock *s, unsigned events)
{
	struct query *q = ctx;
	struct dns_answer a;
	uint8_t msg[DNS_QUERY_MAX + 2];
	if ((events & NET_EV_OUT) && !q->asked && !(events & NET_EV_ERR)) {
		uint32_t n = dns_build(q->id, q->qname, q->qlen, q->type, msg + 2);
		put_be16(msg, n);
		q->asked = net_send(s, msg, n + 2, 0, NULL) > 0;
	}
	long n = net_recv(s, q->buf + q->got, sizeof(q->buf) - q->got, 0, NULL);
	if (n == -NET_EAGAIN || n == -NET_ENOTCONN)
		return;
	if (n > 0)
		q->got += (uint32_t)n;
	uint32_t want = q->got >= 2 ? get_be16(q->buf) : 0;
	if (want && q->got >= want + 2) {
		if (dns_parse(q->buf + 2, want, q->id, q->qname, q->qlen, q->type, &a))
			take(q, &a);
		else
			finish(q, -NET_EPROTO, NULL);
	} else if (n <= 0 || q->got == sizeof(q->buf)) {
		finish(q, -NET_EPROTO, NULL);
	}
}

static void try_next(struct query *q)
{
	struct net_stack *st = q->st;
	struct dns *d = st->dns;
	uint8_t msg[DNS_QUERY_MAX];
	const struct net_endpoint *to = &d->server[q->tries % d->servers];
	drop_sock(q);
	q->tries++;
	q->id = (uint16_t)stack_random(st);
	q->got = 0;
	q->asked = false;
	timer_arm(st, &q->timer, st->now + WAIT_NS * (q->tcp ? 3 : 1));
	if (net_socket(st, q->tcp ? NET_STREAM : NET_DGRAM, &q->sock) < 0)
		return; /* the timer tries again */
	net_on_event(q->sock, q->tcp ? on_tcp : on_udp, q);
	if (net_connect(q->sock, to) == 0 && !q->tcp) {
		uint32_t n = dns_build(q->id, q->qname, q->qlen, q->type, msg);
		(void)net_send(q->sock, msg, n, 0, NULL);
	}
}

static void query_timer(struct timer *t)
{
	try_again(container_of(t, struct query, timer), -NET_ETIMEDOUT);
}

int net_dns_servers(struct net_stack *st, const struct net_endpoint *servers, unsigned count)
{
	if (count > SERVERS_MAX)
		return -NET_EINVAL;
	if (!st->dns)
		st->dns = stack_zalloc(st, sizeof(*st->dns));
	if (!st->dns)
		return -NET_ENOMEM;
	/* A query that is under way counts in servers: fewer of them must not divide by zero. */
	if (!count && st->dns->queries)
		return -NET_EINVAL;
	st->dns->servers = count;
	for (unsigned i = 0; i < count; i++) {
		st->dns->server[i] = servers[i];
		if (!servers[i].port)
			st->dns->server[i].port = 53;
	}
	return 0;
}

int net_dns_query(struct net_stack *st, const char *name, unsigned type, net_dns_fn fn, void *ctx)
{
	if (!st->dns || !st->dns->servers)
		return -NET_ENETUNREACH;
	if (type != NET_DNS_A && type != NET_DNS_AAAA)
		return -NET_EINVAL;
	struct query *q = stack_zalloc(st, sizeof(*q));
	if (!q)
		return -NET_ENOMEM;
	q->qlen = dns_encode_name(name, q->qname);
	if (!q->qlen) {
		stack_free(st, q, sizeof(*q));
		return -NET_EINVAL;
	}
	stack_now(st);
	q->st = st;
	q->fn = fn;
	q->ctx = ctx;
	q->type = type;
	q->timer.fire = query_timer;
	q->next = st->dns->queries;
	st->dns->queries = q;
	timer_arm(st, &q->timer, st->now); /* from net_poll, like every later step */
	return 0;
}

void dns_free(struct net_stack *st)
{
	if (!st->dns)
		return;
	while (st->dns->queries)
		query_free(st->dns->queries);
	stack_free(st, st->dns, sizeof(*st->dns));
	st->dns = NULL;
}
