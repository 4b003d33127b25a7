/* TIME-WAIT in a small form: late segments are answered (RFC 9293, 3.10.7.4), resets are not
 * believed (RFC 1337), a new SYN may begin again (RFC 6191). */
#include "net/stack/tcp.h"

static void tw_timer(struct timer *tm)
{
	tcp_tw_free(container_of(tm, struct tcp_tw, timer));
}

void tcp_tw_free(struct tcp_tw *w)
{
	struct net_stack *st = w->st;
	struct tcp_table *tt = st->tcp;
	tcp_hash_del(st, &w->n);
	timer_disarm(&st->timers, &w->timer);
	queue_remove(tt->tw_old, tt->tw_new, w);
	tt->tws--;
	stack_free(st, w, sizeof(*w));
}

/* The connection is replaced by its remnant; without memory for that it simply ends. */
void tcp_time_wait(struct tcp *t)
{
	struct net_stack *st = t->s.st;
	struct tcp_table *tt = st->tcp;
	while (tt->tws >= st->cfg.tw_max)
		tcp_tw_free(tt->tw_old);
	struct tcp_tw *w = stack_zalloc(st, sizeof(*w));
	if (!w) {
		tcp_finish(t, 0);
		return;
	}
	*w = (struct tcp_tw){.n = t->n,
	                     .st = st,
	                     .timer = {.fire = tw_timer},
	                     .ts = t->ts,
	                     .snd_nxt = t->snd_nxt,
	                     .rcv_nxt = t->rcv_nxt,
	                     .tos = t->s.opt.tos,
	                     .prev = tt->tw_new};
	w->wnd = min_u32((t->rcv_adv - t->rcv_nxt) >> t->syn.rcv_wscale, 0xffff);
	w->n.kind = TNODE_TW;
	w->n.hashed = false;
	tcp_finish(t, 0);
	(void)tcp_hash_add(st, &w->n);
	queue_add(tt->tw_old, tt->tw_new, w, next);
	tt->tws++;
	timer_arm(st, &w->timer, st->now + TCP_MSL2_NS);
}

static void tw_ack(struct tcp_tw *w, struct net_if *nif)
{
	uint8_t opts[12] = {TCPOPT_NOP, TCPOPT_NOP};
	struct tcp_reply r = {.pair = &w->n.pair,
	                      .seq = w->snd_nxt,
	                      .ack = w->rcv_nxt,
	                      .wnd = w->wnd,
	                      .flags = TCP_ACK,
	                      .tos = w->tos,
	                      .opts = opts,
	                      .optlen = w->ts.ok ? 12 : 0,
	                      .nif = nif};
	(void)tcp_put_ts(opts + 2, w->st, &w->ts);
	tcp_send_reply(w->st, &r);
}

void tcp_tw_input(struct tcp_tw *w, struct tcp_seg *g)
{
	struct net_stack *st = w->st;
	int32_t step = ts_step(&w->ts, g);
	if (g->flags & TCP_RST) /* RFC 1337: no assassination */
		return;
	if ((g->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN &&
	    (step > 0 || (step == 0 && seq_lt(w->rcv_nxt, g->seq)))) {
		tcp_tw_free(w);
		return;
	}
	if (g->flags & TCP_FIN && step >= 0) /* our ACK of it was lost */
		timer_arm(st, &w->timer, st->now + TCP_MSL2_NS);
	if ((g->len || (g->flags & (TCP_SYN | TCP_FIN)) || g->seq != w->rcv_nxt) &&
	    bucket_take(&w->rate, st->now, 2, 4))
		tw_ack(w, g->m->nif);
}
