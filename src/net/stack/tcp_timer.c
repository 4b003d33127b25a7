/* The timers of a connection: four deadlines behind one node of the instance's heap. */
#include "net/stack/tcp.h"

void tcp_arm(struct tcp *t, enum tcp_timer which, uint64_t at_ns)
{
	t->at[which] = at_ns;
	/* A node that fires too early costs less than moving it with every segment. */
	if (!t->timer.armed || at_ns < t->timer.when_ns)
		timer_arm(t->s.st, &t->timer, at_ns);
}

void tcp_disarm(struct tcp *t, enum tcp_timer which)
{
	t->at[which] = TIMER_NEVER;
	if (which == TT_RTX)
		t->rtx_kind = RTX_NONE;
}

void tcp_arm_rtx(struct tcp *t, enum rtx_kind kind, uint64_t in_us)
{
	t->rtx_kind = (uint8_t)kind;
	tcp_arm(t, TT_RTX, t->s.st->now + min_u64(in_us, TCP_RTO_MAX_US) * NS_PER_US);
}

void tcp_arm_backed_off(struct tcp *t, enum rtx_kind kind)
{
	tcp_arm_rtx(t, kind, (uint64_t)t->rto_us << t->backoff);
}

/* RFC 6298, 5.5: twice as long, within what a time-out can be. */
static void back_off(struct tcp *t)
{
	if (t->backoff < TCP_BACKOFF_MAX)
		t->backoff++;
}

/* RFC 6298, 5. RACK's timer is earlier, and is followed by this one. */
void tcp_rearm_rto(struct tcp *t)
{
	if (!t->tx_head)
		tcp_disarm(t, TT_RTX);
	else if (t->rtx_kind != RTX_REO)
		tcp_arm_backed_off(t, RTX_RTO);
}

void tcp_keep_restart(struct tcp *t)
{
	if (t->opt.keepalive && t->state >= NET_TCP_ESTABLISHED)
		tcp_arm(t, TT_KEEP, t->s.st->now + t->opt.keep_idle_s * NS_PER_SEC);
	else if (t->state != NET_TCP_FIN_WAIT2 || t->s.open)
		tcp_disarm(t, TT_KEEP);
}

/* ---- retransmission ---- */

/* RFC 9293, 3.8.3 (R2) and RFC 5482. */
static bool gave_up(struct tcp *t, uint32_t tries)
{
	uint64_t waited = t->s.st->now - t->progress_ns;
	uint32_t limit = !tcp_synchronized(t)     ? t->syncnt
	                 : t->s.open || t->parent ? TCP_RETRIES
	                                          : TCP_ORPHAN_RETRIES;
	bool over = t->opt.user_timeout_ms ? waited >= t->opt.user_timeout_ms * NS_PER_MS
	                                   : tries >= limit;
	if (over)
		tcp_finish(t, NET_ETIMEDOUT);
	return over;
}

static void rto_expired(struct tcp *t)
{
	struct net_stack *st = t->s.st;
	if (!t->tx_head || gave_up(t, t->retransmits))
		return;
	st->stats.tcp_rto++;
	if (!(t->tx_head->flags & TCP_SYN)) {
		tcp_enter_loss(t);
		t->uto_send = t->opt.uto_s != 0; /* what said it may be among the lost */
		plp_suspect(t);
	}
	if (t->retransmits < UINT8_MAX)
		t->retransmits++;
	if (t->tx_head->flags & TCP_SYN) {
		back_off(t);
		t->total_retx++;
		tcp_send_syn(t);
		return;
	}
	/* A window that is shut says that the peer lives: MUST-35 asks for patience. */
	if (!t->snd_wnd && st->now - t->last_ack_ns < 2ull * TCP_RTO_MAX_US * NS_PER_US)
		t->retransmits = 1;
	t->tlp_end = 0;
	(void)tcp_retransmit(t, t->tx_head, t->mss);
	back_off(t);
	if (t->retransmits > 3) /* perhaps the way has changed */
		t->route_gen = 0;
	tcp_rearm_rto(t);
}

/* RFC 9293, 3.8.6.1: for ever, as long as somebody answers. */
static void persist_expired(struct tcp *t)
{
	bool wants = t->sndq.len || (t->fin_wanted && !t->fin_sent);
	if (t->tx_head || !wants || (t->probes && gave_up(t, t->probes)))
		return;
	bool shut = t->snd_wnd == 0;
	if (t->probes < UINT8_MAX)
		t->probes++;
	back_off(t);
	if (shut) {
		tcp_send_probe(t, false);
	} else { /* a little window, and the sender waited long enough (3.8.6.2.1, case 4) */
		uint32_t max = t->max_wnd;
		t->max_wnd = 0;
		tcp_output(t);
		t->max_wnd = max;
	}
	if (t->rtx_kind == RTX_NONE)
		tcp_arm_backed_off(t, RTX_PERSIST);
}

static void (*const rtx_expired[])(struct tcp *t) = {[RTX_RTO] = rto_expired,
                                                     [RTX_TLP] = tlp_timeout,
                                                     [RTX_REO] = rack_timeout,
                                                     [RTX_PERSIST] = persist_expired};

/* ---- the others ---- */

static void keep_expired(struct tcp *t)
{
	struct net_stack *st = t->s.st;
	if (t->state == NET_TCP_FIN_WAIT2 && !t->s.open) { /* an orphan has waited for 2 MSL */
		tcp_finish(t, 0);
		return;
	}
	if (!t->opt.keepalive || t->state < NET_TCP_ESTABLISHED)
		return;
	uint64_t idle = st->now - t->last_rcv_ns, limit = t->opt.keep_idle_s * NS_PER_SEC;
	/* Data in flight or waiting is its own probe. */
	if (t->tx_head || t->sndq.len) {
		tcp_keep_restart(t);
		return;
	}
	if (idle < limit && !t->keep_probes) {
		tcp_arm(t, TT_KEEP, t->last_rcv_ns + limit);
		return;
	}
	bool over = t->opt.user_timeout_ms
	                    ? idle >= t->opt.user_timeout_ms * NS_PER_MS && t->keep_probes
	                    : t->keep_probes >= t->opt.keep_cnt;
	if (over) {
		tcp_abort(t, NET_ETIMEDOUT);
		return;
	}
	t->keep_probes++;
	tcp_send_probe(t, true);
	tcp_arm(t, TT_KEEP, st->now + t->opt.keep_intvl_s * NS_PER_SEC);
}

static void expire(struct tcp *t, enum tcp_timer which)
{
	t->at[which] = TIMER_NEVER;
	if (which == TT_RTX) {
		enum rtx_kind kind = t->rtx_kind;
		t->rtx_kind = RTX_NONE;
		rtx_expired[kind](t);
	} else if (which == TT_DELACK) {
		t->ack_now = true;
	} else if (which == TT_KEEP) {
		keep_expired(t);
	} else {
		t->more = false;
		if (t->cork && !t->opt.pacing) /* a cork holds for 200 ms at most */
			tcp_push(t);
	}
}

void tcp_timer_fire(struct timer *tm)
{
	struct tcp *t = container_of(tm, struct tcp, timer);
	for (unsigned i = 0; i < TT_COUNT && t->state != NET_TCP_CLOSED; i++)
		if (t->at[i] <= t->s.st->now)
			expire(t, i);
	if (t->state == NET_TCP_CLOSED)
		return;
	uint64_t next = TIMER_NEVER;
	for (unsigned i = 0; i < TT_COUNT; i++)
		next = min_u64(next, t->at[i]);
	timer_arm(t->s.st, &t->timer, next);
	tcp_want_output(t);
}
