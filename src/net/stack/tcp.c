/* TCP: the table of connections, the way in for segments and errors, the end of a connection. */
#include "net/stack/tcp.h"

#define BUCKETS_MIN 256u

int tcp_init(struct net_stack *st)
{
	struct tcp_table *tt = stack_zalloc(st, sizeof(*tt));
	if (!tt)
		return -NET_ENOMEM;
	st->tcp = tt;
	tt->port_next = (uint16_t)stack_random(st);
	while (tt->wscale < TCP_WSCALE_MAX && st->cfg.tcp_rcvbuf_max >> tt->wscale > 0xffff)
		tt->wscale++;
	tt->bucket = stack_zalloc(st, BUCKETS_MIN * sizeof(struct tnode *));
	if (!tt->bucket)
		return -NET_ENOMEM;
	tt->mask = BUCKETS_MIN - 1;
	return 0;
}

void tcp_exit(struct net_stack *st)
{
	struct tcp_table *tt = st->tcp;
	if (!tt)
		return;
	while (tt->minis[TNODE_TW].old)
		tcp_mini_free(tt->minis[TNODE_TW].old);
	if (tt->bucket)
		stack_free(st, tt->bucket, (tt->mask + 1) * sizeof(struct tnode *));
	stack_free(st, tt, sizeof(*tt));
	st->tcp = NULL;
}

/* ---- the table ---- */

/* Returns the length: of a family's addresses only what differs. */
static inline size_t put_pair(uint8_t *out, const struct tcp_pair *p)
{
	size_t n = addr_is_v4(&p->raddr) ? 4 : 16;
	put_be16(out, p->lport);
	put_be16(out + 2, p->rport);
	mem_copy(out + 4, p->laddr.b + 16 - n, n);
	mem_copy(out + 4 + n, p->raddr.b + 16 - n, n);
	return 4 + 2 * n;
}

uint64_t tcp_pair_hash(const struct hash_key *key, const struct tcp_pair *pair, uint64_t more)
{
	uint8_t in[44];
	size_t n = put_pair(in, pair);
	mem_copy(in + n, &more, sizeof(more));
	return hash_sip(key, in, more ? n + sizeof(more) : n);
}

static uint32_t table_hash(struct net_stack *st, const struct tcp_pair *pair)
{
	uint8_t in[36];
	return (uint32_t)hash_table(&st->key[KEY_TABLE], in, put_pair(in, pair));
}

/* Twice as many buckets; without memory for it, chains get longer. */
static void grow(struct net_stack *st)
{
	struct tcp_table *tt = st->tcp;
	uint32_t old = tt->mask + 1;
	struct tnode **fresh = stack_zalloc(st, 2 * old * sizeof(struct tnode *));
	if (!fresh)
		return;
	struct tnode **from = tt->bucket;
	tt->bucket = fresh;
	tt->mask = 2 * old - 1;
	for (uint32_t i = 0; i < old; i++)
		while (from[i]) {
			struct tnode *n = from[i];
			from[i] = n->next;
			struct tnode **to = &tt->bucket[n->hash & tt->mask];
			n->next = *to;
			*to = n;
		}
	stack_free(st, from, old * sizeof(struct tnode *));
}

static bool same_pair(const struct tcp_pair *a, const struct tcp_pair *b)
{
	return a->lport == b->lport && a->rport == b->rport && addr_eq(&a->raddr, &b->raddr) &&
	       addr_eq(&a->laddr, &b->laddr);
}

bool tcp_hash_add(struct net_stack *st, struct tnode *n)
{
	struct tcp_table *tt = st->tcp;
	n->hash = table_hash(st, &n->pair);
	for (const struct tnode *o = tt->bucket[n->hash & tt->mask]; o; o = o->next)
		if (same_pair(&o->pair, &n->pair))
			return false;
	if (tt->count > tt->mask && tt->mask < 1u << 20)
		grow(st);
	struct tnode **at = &tt->bucket[n->hash & tt->mask];
	n->next = *at;
	*at = tt->last = n;
	n->hashed = true;
	tt->count++;
	return true;
}

void tcp_hash_del(struct net_stack *st, struct tnode *n)
{
	if (!n->hashed)
		return;
	list_remove(st->tcp->bucket[n->hash & st->tcp->mask], n, next);
	if (st->tcp->last == n)
		st->tcp->last = NULL;
	n->hashed = false;
	st->tcp->count--;
}

struct tnode *tcp_hash_find(struct net_stack *st, const struct tcp_pair *pair)
{
	struct tnode *n = st->tcp->last;
	if (n && same_pair(&n->pair, pair)) /* packets come in trains */
		return n;
	n = st->tcp->bucket[table_hash(st, pair) & st->tcp->mask];
	while (n && !same_pair(&n->pair, pair))
		n = n->next;
	if (n)
		st->tcp->last = n;
	return n;
}

/* RFC 6528: M + F(localip, localport, remoteip, remoteport, secret), M ticks every 4 µs. */
uint32_t tcp_isn(struct net_stack *st, const struct tcp_pair *pair)
{
	return (uint32_t)(tcp_pair_hash(&st->key[KEY_ISN], pair, 0) + st->now / 4000);
}

/* RFC 7323, 5.4 and 7.1: an offset of its own for each pair of hosts, so that a peer learns
 * nothing of other connections or of the time since boot. */
uint32_t tcp_ts_offset(struct net_stack *st, const struct tcp_pair *pair)
{
	struct tcp_pair hosts = {.laddr = pair->laddr, .raddr = pair->raddr};
	return (uint32_t)(tcp_pair_hash(&st->key[KEY_ISN], &hosts, 0) >> 32);
}

/* ---- in ---- */

static bool parse(struct tcp_seg *g)
{
	const struct ip_meta *m = g->m;
	uint8_t h[60];
	if (m->l4_len < TCP_HLEN || !pkt_read(g->p, m->l4_off, h, min_u32(m->l4_len, sizeof(h))))
		return false;
	uint32_t hlen = (h[TCP_OFF] >> 4) * 4u;
	if (hlen < TCP_HLEN || hlen > m->l4_len || !ip_csum_ok(m))
		return false;
	g->pair = (struct tcp_pair){m->dst, m->src, get_be16(h + 2), get_be16(h)};
	g->seq = get_be32(h + TCP_SEQ);
	g->ack = get_be32(h + TCP_ACKNO);
	g->flags = get_be16(h + TCP_OFF) & (TCP_AE | 0xffu);
	g->wnd = get_be16(h + TCP_WND);
	g->up = get_be16(h + TCP_UP);
	g->len = m->l4_len - hlen;
	tcp_parse_options(h + TCP_HLEN, hlen - TCP_HLEN, &g->o);
	return true;
}

static void to_listener(struct net_stack *st, struct tcp_seg *g)
{
	struct tcp *best = NULL;
	unsigned top = 0;
	for (struct tcp *t = st->tcp->listeners; t; t = t->acc_next) {
		unsigned n = sock_score(&t->s, &g->m->dst, g->pair.lport, g->m->nif);
		if (n > top) {
			top = n;
			best = t;
		}
	}
	if (best)
		tcp_listen_input(best, g);
	else
		tcp_reset_for(st, g);
}

static void demux(struct net_stack *st, struct tcp_seg *g)
{
	struct tnode *n = tcp_hash_find(st, &g->pair);
	if (!n) {
		to_listener(st, g);
	} else if (n->kind == TNODE_REQ) {
		tcp_req_input(container_of(n, struct tcp_req, m.n), g);
	} else if (n->kind == TNODE_TW) {
		tcp_tw_input(to_tw(n), g);
		/* A new SYN may have ended the old connection (RFC 6191). */
		if ((g->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN &&
		    !tcp_hash_find(st, &g->pair))
			to_listener(st, g);
	} else {
		struct tcp *t = container_of(n, struct tcp, n);
		t->segs_in++;
		tcp_segment(t, g);
	}
}

void tcp_input(const struct ip_meta *m)
{
	struct net_stack *st = m->nif->st;
	struct tcp_seg g = {.p = m->p, .m = m};
	st->stats.tcp_in++;
	/* RFC 9293, MUST-57: nothing to or from a group. */
	if (!parse(&g)) {
		st->stats.tcp_bad++;
	} else if (!m->group && !addr_is_any(&m->src)) {
		pkt_trim_front(g.p, m->l4_off + m->l4_len - g.len);
		demux(st, &g);
	}
}

/* RFC 9293, 3.5.2 and 3.10.7.1. */
void tcp_reset_for(struct net_stack *st, const struct tcp_seg *g)
{
	bool ack = g->flags & TCP_ACK;
	struct tcp_reply r = {.pair = &g->pair,
	                      .seq = ack ? g->ack : 0,
	                      .ack = ack ? 0 : seg_end(g),
	                      .flags = TCP_RST | (ack ? 0 : TCP_ACK),
	                      .nif = g->m->nif};
	if (!(g->flags & TCP_RST))
		tcp_send_reply(st, &r);
}

/* ---- ICMP (RFC 5927) ---- */

static void conn_error(struct tcp *t, const struct icmp_err *e)
{
	/* Only who sees the connection's packets knows a sequence number that is in flight. */
	if (t->state == NET_TCP_LISTEN || seq_lt(e->seq, t->snd_una) ||
	    seq_lt(t->snd_nxt, e->seq) || (e->seq == t->snd_nxt && t->snd_nxt != t->snd_una))
		return;
	if (e->mtu) {
		bool news = e->mtu < max_u32(t->pmtu, t->plp.size) &&
		            pmtu_set(t->s.st, &e->dst, e->mtu);
		if (news && e->mtu < t->pmtu) { /* else it is about a probe */
			(void)tcp_route(t);
			plp_limit(t, t->pmtu, true);
			/* What was too large is lost for certain; no congestion is to blame. */
			tx_set_all(t, TX_FLYING, TX_LOST);
			tcp_want_output(t);
		}
		return;
	}
	if (t->state == NET_TCP_SYN_SENT && e->hard)
		tcp_finish(t, e->err);
	/* RFC 1122, 4.2.3.9 and RFC 5461: an established connection outlives it. */
}

void tcp_error(struct net_stack *st, const struct icmp_err *e)
{
	struct tcp_pair pair = {e->src, e->dst, e->sport, e->dport};
	struct tnode *n = tcp_hash_find(st, &pair);
	if (n && n->kind == TNODE_CONN)
		conn_error(container_of(n, struct tcp, n), e);
	else if (n && n->kind == TNODE_REQ && e->mtu)
		(void)pmtu_set(st, &e->dst, e->mtu);
}

/* ---- routes ---- */

bool tcp_route(struct tcp *t)
{
	struct net_stack *st = t->s.st;
	struct net_if *bound =
	        net_if_by_index(st, t->s.local.ifindex ? t->s.local.ifindex : t->s.remote.ifindex);
	t->route_gen = 0;
	if (!route_lookup(st, &t->s.remote.addr, bound, &t->hop))
		return false;
	t->route_gen = st->route_gen;
	t->pmtu = pmtu_get(t->hop.nif, &t->s.remote.addr);
	if (t->plp.cap)
		t->pmtu = min_u32(t->pmtu, t->plp.cap);
	return true;
}

void tcp_sync_mss(struct tcp *t)
{
	uint32_t headers = tcp_headers(&t->s.remote.addr);
	uint32_t mss = t->pmtu > headers ? t->pmtu - headers : TCP_MSS_FLOOR;
	mss = min_u32(mss, tcp_mss_limit(t));
	mss = max_u32(mss, TCP_MSS_FLOOR);
	t->mss = (uint16_t)min_u32(mss - (t->ts.ok ? 12 : 0), 65000);
}

/* ---- the end ---- */

void tcp_set_state(struct tcp *t, enum net_tcp_state state)
{
	t->state = (uint8_t)state;
	sock_notify(&t->s);
}

void tcp_want_output(struct tcp *t)
{
	struct tcp_table *tt = t->s.st->tcp;
	if (t->out_queued)
		return;
	t->out_queued = true;
	queue_add(tt->out_head, tt->out_tail, t, out_next);
}

void tcp_poll(struct net_stack *st)
{
	struct tcp_table *tt = st->tcp;
	struct tcp *t = tt->out_head;
	tt->out_head = tt->out_tail = NULL;
	while (t) {
		struct tcp *next = t->out_next;
		t->out_queued = false;
		if (t->state == NET_TCP_CLOSED && !t->s.open && !t->parent)
			tcp_free(t);
		else
			tcp_output(t);
		t = next;
	}
}

/* All but what has arrived in order. */
static void let_go(struct tcp *t)
{
	struct net_stack *st = t->s.st;
	tcp_hash_del(st, &t->n);
	timer_disarm(&st->timers, &t->timer);
	tx_clear(t);
	bytq_clear(st, &t->sndq);
	tcp_clear_rx(t);
}

/* The connection is over. What has arrived can still be read; the memory goes in tcp_poll, when
 * nobody up the stack has the pointer any more. */
void tcp_finish(struct tcp *t, int err)
{
	if (t->state == NET_TCP_CLOSED)
		return;
	t->s.err = (uint16_t)err;
	for (unsigned i = 0; i < TT_COUNT; i++)
		t->at[i] = TIMER_NEVER;
	let_go(t);
	tcp_set_state(t, NET_TCP_CLOSED);
	tcp_want_output(t);
}

void tcp_free(struct tcp *t)
{
	struct net_stack *st = t->s.st;
	if (t->out_queued)
		queue_cut(st->tcp->out_head, st->tcp->out_tail, t, out_next);
	let_go(t);
	bytq_clear(st, &t->rcvq);
	sock_free(&t->s, sizeof(*t));
}
