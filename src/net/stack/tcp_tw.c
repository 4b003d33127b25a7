/* What the small forms of connections have in common, and TIME-WAIT in a small form: late segments
 * are answered (RFC 9293, 3.10.7.4), resets are not believed (RFC 1337), a new SYN may begin again
 * (RFC 6191). */
#include "net/stack/tcp.h"

bool tcp_mini_add(struct tcp_mini *m, uint64_t life_ns)
{
	struct net_stack *st = m->st;
	struct tcp_minis *kind = &st->tcp->minis[m->n.kind];
	if (!tcp_hash_add(st, &m->n))
		return false;
	m->prev = kind->young;
	queue_add(kind->old, kind->young, m, next);
	kind->count++;
	if (m->n.kind == TNODE_REQ)
		to_req(m)->lsn->lsn->reqs++;
	timer_arm(st, &m->timer, st->now + life_ns);
	return true;
}

void tcp_mini_free(struct tcp_mini *m)
{
	struct net_stack *st = m->st;
	struct tcp_minis *kind = &st->tcp->minis[m->n.kind];
	bool req = m->n.kind == TNODE_REQ;
	tcp_hash_del(st, &m->n);
	timer_disarm(&st->timers, &m->timer);
	queue_remove(kind->old, kind->young, m);
	kind->count--;
	if (req)
		to_req(m)->lsn->lsn->reqs--;
	stack_free(st, m, req ? sizeof(struct tcp_req) : sizeof(struct tcp_tw));
}

static void tw_timer(struct timer *tm)
{
	tcp_mini_free(container_of(tm, struct tcp_mini, timer));
}

/* The connection is replaced by its remnant; without memory for that it simply ends. */
void tcp_time_wait(struct tcp *t)
{
	struct net_stack *st = t->s.st;
	const struct tcp_minis *others = &st->tcp->minis[TNODE_TW];
	while (others->count >= st->cfg.tw_max)
		tcp_mini_free(others->old);
	struct tcp_tw *w = stack_zalloc(st, sizeof(*w));
	if (!w) {
		tcp_finish(t, 0);
		return;
	}
	*w = (struct tcp_tw){.m = {.n = t->n, .st = st, .timer = {.fire = tw_timer}, .ts = t->ts},
	                     .snd_nxt = t->snd_nxt,
	                     .rcv_nxt = t->rcv_nxt,
	                     .tos = t->s.opt.tos};
	w->wnd = min_u32((t->rcv_adv - t->rcv_nxt) >> t->syn.rcv_wscale, 0xffff);
	w->m.n.kind = TNODE_TW;
	w->m.n.hashed = false;
	tcp_finish(t, 0);
	BUG_ON(!tcp_mini_add(&w->m, TCP_MSL2_NS));
}

static void tw_ack(struct tcp_tw *w, struct net_if *nif)
{
	uint8_t opts[12] = {TCPOPT_NOP, TCPOPT_NOP};
	struct tcp_reply r = {.pair = &w->m.n.pair,
	                      .seq = w->snd_nxt,
	                      .ack = w->rcv_nxt,
	                      .wnd = w->wnd,
	                      .flags = TCP_ACK,
	                      .tos = w->tos,
	                      .opts = opts,
	                      .optlen = w->m.ts.ok ? 12 : 0,
	                      .nif = nif};
	(void)tcp_put_ts(opts + 2, w->m.st, &w->m.ts);
	tcp_send_reply(w->m.st, &r);
}

void tcp_tw_input(struct tcp_tw *w, struct tcp_seg *g)
{
	struct net_stack *st = w->m.st;
	int32_t step = ts_step(&w->m.ts, g);
	if (g->flags & TCP_RST) /* RFC 1337: no assassination */
		return;
	if ((g->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN &&
	    (step > 0 || (step == 0 && seq_lt(w->rcv_nxt, g->seq)))) {
		tcp_mini_free(&w->m);
		return;
	}
	if (g->flags & TCP_FIN && step >= 0) /* our ACK of it was lost */
		timer_arm(st, &w->m.timer, st->now + TCP_MSL2_NS);
	if ((g->len || (g->flags & (TCP_SYN | TCP_FIN)) || g->seq != w->rcv_nxt) &&
	    bucket_take(&w->m.rate, st->now, 2, 4))
		tw_ack(w, g->m->nif);
}
