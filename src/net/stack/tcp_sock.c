/* TCP's side of the socket calls (RFC 9293, 3.9 and 3.10). */
#include "net/stack/tcp.h"

#define SNDBUF_DEFAULT (128u * 1024)
#define BACKLOG_MAX    4096u

struct net_sock *tcp_create(struct net_stack *st)
{
	struct net_sock *s = sock_new(st, NET_STREAM, sizeof(struct tcp));
	if (!s)
		return NULL;
	struct tcp *t = to_tcp(s);
	for (unsigned i = 0; i < TT_COUNT; i++)
		t->at[i] = TIMER_NEVER;
	t->timer.fire = tcp_timer_fire;
	t->n.kind = TNODE_CONN;
	t->opt.cc = st->cfg.cc ? cc_find(st->cfg.cc) : NULL;
	if (!t->opt.cc)
		t->opt.cc = &cc_cubic;
	t->rto_us = TCP_RTO_INIT_US;
	t->ssthresh = TCP_INFINITE;
	t->s.opt.sndbuf = SNDBUF_DEFAULT;
	t->s.opt.rcvbuf = st->cfg.tcp_rcvbuf;
	t->mss = TCP_MSS_DEFAULT4;
	t->syn = tcp_offer(st);
	t->ts.ok = true;
	t->opt.keep_idle_s = TCP_KEEPIDLE_S;
	t->opt.keep_intvl_s = TCP_KEEPINTVL_S;
	t->opt.keep_cnt = TCP_KEEPCNT;
	t->syncnt = TCP_SYN_RETRIES;
	t->rack_mult = 1;
	t->opt.pacing = st->cfg.pacing;
	t->ecn.mode = st->cfg.ecn == NET_ECN_ASK            ? ECN_CLASSIC
	              : st->cfg.ecn == NET_ECN_ASK_ACCURATE ? ECN_ACCURATE
	                                                    : ECN_OFF;
	return s;
}

void tcp_destroy(struct net_sock *s)
{
	struct tcp *t = to_tcp(s);
	if (t->lsn) {
		tcp_reqs_drop(t);
		for (struct tcp *c = t->lsn->head; c; c = c->acc_next)
			c->parent = NULL;
		stack_free(s->st, t->lsn, sizeof(*t->lsn));
	}
	tcp_free(t);
}

bool tcp_listens(const struct net_sock *s)
{
	return to_tcp(s)->state == NET_TCP_LISTEN;
}

/* ---- names ---- */

/* Is the pair free? A remnant that cannot be confused with a new connection makes way. */
static bool pair_free(struct tcp *t)
{
	struct tnode *n = tcp_hash_find(t->s.st, &t->n.pair);
	struct tcp_tw *w = n && n->kind == TNODE_TW ? to_tw(n) : NULL;
	/* As Linux's tcp_tw_reuse: our own clock has moved on, so the peer can tell old from new.
	 */
	if (!w || !w->m.ts.ok || t->s.st->now - w->m.ts.recent_ns <= NS_PER_SEC)
		return !n;
	tcp_mini_free(&w->m);
	return true;
}

/* RFC 6056, 3.3.3: a keyed hash of the destination, and a counter. */
static bool pick_pair(struct tcp *t)
{
	struct net_stack *st = t->s.st;
	uint32_t range = PORT_EPHEMERAL_MAX - PORT_EPHEMERAL_MIN + 1;
	uint32_t offset = (uint32_t)hash_sip(&st->key[KEY_PORT], &t->n.pair.raddr, 16);
	for (uint32_t i = 0; i < range; i++) {
		uint32_t k = (offset + ++st->tcp->port_next) % range;
		t->n.pair.lport = (uint16_t)(PORT_EPHEMERAL_MIN + k);
		if (pair_free(t))
			return true;
	}
	return false;
}

static int name_connection(struct tcp *t, const struct net_endpoint *remote)
{
	struct net_sock *s = &t->s;
	struct net_stack *st = s->st;
	s->remote = *remote;
	if (!tcp_route(t))
		return -NET_ENETUNREACH;
	struct net_addr src = s->local.addr;
	if (addr_is_any(&src) && !route_source(st, t->hop.nif, &remote->addr, &src))
		return -NET_EADDRNOTAVAIL;
	if (addr_is_v4(&src) != addr_is_v4(&remote->addr))
		return -NET_EAFNOSUPPORT;
	t->n.pair = (struct tcp_pair){src, remote->addr, s->local.port, remote->port};
	if (s->bound && s->local.port ? !pair_free(t) : !pick_pair(t))
		return -NET_EADDRNOTAVAIL;
	if (!tcp_hash_add(st, &t->n))
		return -NET_EADDRNOTAVAIL;
	s->local.addr = src;
	s->local.port = t->n.pair.lport;
	s->bound = s->connected = true;
	return 0;
}

int tcp_connect(struct net_sock *s, const struct net_endpoint *remote)
{
	struct tcp *t = to_tcp(s);
	if (s->err)
		return sock_take_err(s);
	if (t->state == NET_TCP_SYN_SENT || t->state == NET_TCP_SYN_RCVD)
		return -NET_EALREADY;
	if (t->state != NET_TCP_CLOSED || s->connected)
		return -NET_EISCONN;
	/* MUST-60..: no group, no wildcard, no port 0. */
	if (!remote->port || addr_is_any(&remote->addr))
		return -NET_EINVAL;
	if (addr_is_mcast(&remote->addr) || addr_is_bcast4(&remote->addr))
		return -NET_ENETUNREACH;
	if (!sock_allowed(s, NET_OP_CONNECT, &s->local, remote))
		return -NET_EACCES;
	int err = name_connection(t, remote);
	if (err)
		return err;
	t->syn.iss = tcp_isn(s->st, &t->n.pair);
	t->ts.off = tcp_ts_offset(s->st, &t->n.pair);
	t->snd_una = t->snd_nxt = t->snd_up = t->high_seq = t->syn.iss;
	t->progress_ns = s->st->now;
	t->syn.mss_adv = tcp_mss_adv(t->hop.nif, &remote->addr, t->opt.mss_user);
	tcp_set_state(t, NET_TCP_SYN_SENT);
	tcp_send_syn(t);
	return -NET_EINPROGRESS;
}

/* ---- listeners ---- */

int net_listen(struct net_sock *s, unsigned backlog)
{
	struct tcp *t = to_tcp(s);
	struct net_stack *st = s->st;
	if (s->type != NET_STREAM)
		return -NET_EOPNOTSUPP;
	stack_now(st);
	if (t->state == NET_TCP_LISTEN) {
		t->lsn->backlog = min_u32(backlog, BACKLOG_MAX);
		return 0;
	}
	if (t->state != NET_TCP_CLOSED || s->connected)
		return -NET_EINVAL;
	if (!sock_allowed(s, NET_OP_LISTEN, &s->local, NULL))
		return -NET_EACCES;
	int err = s->bound ? 0 : sock_bind(s, &(struct net_endpoint){.port = 0});
	if (err)
		return err;
	/* Two with SO_REUSEADDR may be bound, but only one listens. */
	if (sock_port_taken(s, &s->local))
		return -NET_EADDRINUSE;
	t->lsn = stack_zalloc(st, sizeof(*t->lsn));
	if (!t->lsn)
		return -NET_ENOMEM;
	t->lsn->backlog = min_u32(backlog, BACKLOG_MAX);
	t->acc_next = st->tcp->listeners;
	st->tcp->listeners = t;
	t->state = NET_TCP_LISTEN;
	return 0;
}

int net_on_syn(struct net_sock *listener, net_syn_fn fn, void *ctx)
{
	struct tcp *t = to_tcp(listener);
	if (listener->type != NET_STREAM || t->state != NET_TCP_LISTEN)
		return -NET_EINVAL;
	t->lsn->on_syn = fn;
	t->lsn->on_syn_ctx = ctx;
	return 0;
}

int net_accept(struct net_sock *s, struct net_sock **out, struct net_endpoint *peer)
{
	struct tcp *t = to_tcp(s);
	if (s->type != NET_STREAM || t->state != NET_TCP_LISTEN)
		return s->type == NET_STREAM ? -NET_EINVAL : -NET_EOPNOTSUPP;
	struct tcp_lsn *l = t->lsn;
	while (l->head) {
		struct tcp *c = l->head;
		queue_pop(l->head, l->tail, acc_next);
		l->count--;
		c->parent = c->acc_next = NULL;
		if (c->state == NET_TCP_CLOSED && !c->rcvq.len) { /* it came and went */
			tcp_want_output(c);
			continue;
		}
		c->s.open = true;
		*out = &c->s;
		if (peer)
			*peer = c->s.remote;
		return 0;
	}
	return -NET_EAGAIN;
}

static void close_listener(struct tcp *t)
{
	struct net_stack *st = t->s.st;
	list_remove(st->tcp->listeners, t, acc_next);
	tcp_reqs_drop(t);
	while (t->lsn->head) {
		struct tcp *c = t->lsn->head;
		t->lsn->head = c->acc_next;
		c->parent = c->acc_next = NULL;
		if (c->state == NET_TCP_CLOSED)
			tcp_want_output(c);
		tcp_abort(c, 0);
	}
	stack_free(st, t->lsn, sizeof(*t->lsn));
	t->lsn = NULL;
	t->state = NET_TCP_CLOSED;
}

/* ---- close ---- */

static void start_close(struct tcp *t)
{
	t->fin_wanted = true;
	if (t->state == NET_TCP_ESTABLISHED)
		tcp_set_state(t, NET_TCP_FIN_WAIT1);
	else if (t->state == NET_TCP_CLOSE_WAIT)
		tcp_set_state(t, NET_TCP_LAST_ACK);
	tcp_output(t);
}

void tcp_close(struct net_sock *s, bool abort)
{
	struct tcp *t = to_tcp(s);
	bool unread = t->rcvq.len > 0;
	s->open = false;
	bytq_clear(s->st, &t->rcvq);
	if (t->state == NET_TCP_LISTEN)
		close_listener(t);
	if (t->state == NET_TCP_CLOSED) {
		s->bound = false;
		tcp_want_output(t);
	} else if (abort || s->opt.reset_on_close || unread || t->state == NET_TCP_SYN_SENT) {
		/* RFC 2525, 2.17: data that nobody has read is lost, and the peer must know. */
		tcp_abort(t, 0);
	} else if (!t->fin_wanted) {
		start_close(t);
	} else if (t->state == NET_TCP_FIN_WAIT2) {
		tcp_arm(t, TT_KEEP, s->st->now + TCP_MSL2_NS);
	}
}

int tcp_shutdown(struct net_sock *s, enum net_how how)
{
	struct tcp *t = to_tcp(s);
	if (t->state < NET_TCP_SYN_RCVD)
		return -NET_ENOTCONN;
	if (how != NET_SHUT_WR) {
		t->rd_shut = true;
		sock_notify(s);
	}
	if (how != NET_SHUT_RD && !t->fin_wanted)
		start_close(t);
	return 0;
}

/* ---- data ---- */

static long send_room(struct tcp *t, size_t len, unsigned flags)
{
	struct net_sock *s = &t->s;
	if (s->err)
		return sock_take_err(s);
	if (t->state == NET_TCP_SYN_SENT || t->state == NET_TCP_SYN_RCVD)
		return -NET_EAGAIN;
	if ((t->state != NET_TCP_ESTABLISHED && t->state != NET_TCP_CLOSE_WAIT) || t->fin_wanted)
		return t->state == NET_TCP_CLOSED && !s->connected ? -NET_ENOTCONN : -NET_EPIPE;
	if (!sock_may_move(s, NET_OP_SEND, &s->local, &s->remote))
		return -NET_EACCES;
	t->more = flags & NET_MSG_MORE;
	if (t->sndq.len >= t->s.opt.sndbuf)
		return len ? -NET_EAGAIN : 0;
	return (long)min_u64(t->s.opt.sndbuf - t->sndq.len, len);
}

static void sent(struct tcp *t, unsigned flags)
{
	if (flags & NET_MSG_OOB) {
		t->snd_up = tcp_snd_end(t);
		t->urg_out = true;
	}
	if (t->snd_nxt == t->snd_una)
		t->progress_ns = t->s.st->now;
	tcp_output(t);
}

long tcp_send(struct net_sock *s, const void *data, size_t len, unsigned flags)
{
	struct tcp *t = to_tcp(s);
	long room = send_room(t, len, flags);
	if (room <= 0)
		return room;
	uint32_t n = bytq_copy_in(s->st, &t->sndq, data, (uint32_t)room);
	if (!n)
		return -NET_ENOBUFS;
	sent(t, flags);
	return (long)n;
}

long net_send_buf(struct net_sock *s, struct net_buf *buf, uint32_t off, uint32_t len)
{
	struct tcp *t = to_tcp(s);
	if (s->type != NET_STREAM)
		return -NET_EOPNOTSUPP;
	if (off > buf->size || len > buf->size - off)
		return -NET_EINVAL;
	stack_now(s->st);
	long room = send_room(t, len, 0);
	if (room <= 0)
		return room;
	if (!bytq_add(s->st, &t->sndq, buf, off, (uint32_t)room))
		return -NET_ENOBUFS;
	sent(t, 0);
	return room;
}

/* -1: nothing yet; 0: the end; else how many bytes can be read in one go. */
static long readable(struct tcp *t)
{
	struct net_sock *s = &t->s;
	if (!sock_may_move(s, NET_OP_RECV, &s->local, &s->remote))
		return -NET_EACCES;
	if (t->rcvq.len) {
		uint32_t n = t->rcvq.len, mark = t->rcv_up - 1;
		if (t->urg_in && seq_lt(tcp_read_seq(t), mark)) /* reading stops at the mark */
			n = min_u32(n, mark - tcp_read_seq(t));
		return (long)n;
	}
	if (s->err)
		return sock_take_err(s);
	if (t->fin_rcvd || t->rd_shut || (t->state == NET_TCP_CLOSED && s->connected))
		return 0;
	return t->state < NET_TCP_SYN_SENT ? -NET_ENOTCONN : -NET_EAGAIN;
}

static void was_read(struct tcp *t, uint32_t n)
{
	tcp_read_some(t, n);
	if (t->urg_in && seq_le(t->rcv_up, tcp_read_seq(t)))
		t->urg_in = false;
}

long tcp_recv(struct net_sock *s, void *data, size_t len, unsigned flags)
{
	struct tcp *t = to_tcp(s);
	long n = readable(t);
	if (n <= 0)
		return n;
	n = (long)min_u64((uint64_t)n, len);
	bytq_peek(&t->rcvq, data, (uint32_t)n);
	if (!(flags & NET_MSG_PEEK))
		was_read(t, (uint32_t)n);
	return n;
}

int net_recv_bufs(struct net_sock *s, struct net_frag *out, unsigned max)
{
	struct tcp *t = to_tcp(s);
	long n = s->type == NET_STREAM ? readable(t) : -NET_EOPNOTSUPP;
	if (n <= 0)
		return (int)n;
	uint32_t left = (uint32_t)n, taken = 0;
	unsigned count = 0;
	for (struct seg *q = t->rcvq.head; q && left && count < max; q = q->next) {
		uint32_t len = min_u32(left, q->f.len);
		net_buf_ref(q->f.buf);
		out[count++] = (struct net_frag){q->f.buf, q->f.off, len};
		left -= len;
		taken += len;
	}
	was_read(t, taken);
	return (int)count;
}

unsigned tcp_ready(const struct net_sock *s)
{
	const struct tcp *t = to_tcp(s);
	unsigned ev = s->err ? NET_EV_ERR : 0;
	if (t->state == NET_TCP_LISTEN)
		return ev | (t->lsn->count ? NET_EV_IN : 0);
	if (t->rcvq.len || t->fin_rcvd || t->rd_shut || s->err)
		ev |= NET_EV_IN;
	if (t->fin_rcvd || t->rd_shut)
		ev |= NET_EV_RDHUP;
	if (t->urg_in)
		ev |= NET_EV_PRI;
	if (t->state == NET_TCP_CLOSED)
		return ev | NET_EV_HUP | NET_EV_OUT | (s->connected ? NET_EV_IN : 0);
	if ((t->state == NET_TCP_ESTABLISHED || t->state == NET_TCP_CLOSE_WAIT) && !t->fin_wanted &&
	    t->sndq.len < t->s.opt.sndbuf - t->s.opt.sndbuf / 3)
		ev |= NET_EV_OUT;
	if (t->fin_rcvd && t->fin_wanted)
		ev |= NET_EV_HUP;
	return ev;
}
