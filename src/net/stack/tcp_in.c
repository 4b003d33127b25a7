/* A segment for a connection (RFC 9293, 3.10.7.3 and 3.10.7.4). */
#include "net/stack/tcp.h"

#define PAWS_IDLE_NS   (24ull * 86400 * NS_PER_SEC) /* RFC 7323, 5.5 */
#define CHALLENGE_RATE 1000u /* a second for the whole stack (RFC 5961, 7 and 10) */
#define OOW_PER_SECOND 2u    /* answers to one peer's segments outside the window */

void tcp_challenge(struct tcp *t)
{
	struct net_stack *st = t->s.st;
	/* The burst varies: a count that others can drain is a side channel (CVE-2016-5696). */
	uint32_t burst = CHALLENGE_RATE / 2 + stack_random(st) % CHALLENGE_RATE;
	if (!bucket_take(&t->oow, st->now, OOW_PER_SECOND, 4) ||
	    !bucket_take(&st->challenge_bucket, st->now, CHALLENGE_RATE, burst))
		return;
	st->stats.tcp_challenge++;
	tcp_send_ack(t);
}

#define UTO_MIN_S 100u /* RFC 1122, 4.2.3.5 */
#define UTO_MAX_S 7200u

/* RFC 5482, 3.1: the peer says how long it will wait. */
static void take_uto(struct tcp *t, uint32_t remote_s)
{
	if (t->opt.uto_s && remote_s && !t->opt.uto_fixed)
		t->opt.user_timeout_ms =
		        1000 *
		        min_u32(UTO_MAX_S, max_u32(UTO_MIN_S, max_u32(t->opt.uto_s, remote_s)));
}

/* ---- SYN-SENT ---- */

void tcp_begin(struct tcp *t, uint32_t wnd, uint32_t room, uint32_t uto_s)
{
	t->rcv_nxt = t->rcv_acked = t->rcv_up = t->syn.irs + 1;
	t->rcv_adv = t->rcv_nxt + room;
	t->snd_wnd = t->max_wnd = wnd;
	take_uto(t, uto_s);
	tcp_sync_mss(t);
	t->rcv_mss = min_u32(t->mss, t->syn.mss_adv);
}

/* Our SYN has been acknowledged. */
static void established(struct tcp *t)
{
	struct net_stack *st = t->s.st;
	struct ack_news news = {.rtt_us = -1, .sack_rtt_us = -1};
	tx_cleaned(t, t->syn.iss + 1, &news);
	if (!t->retransmits)
		tcp_rtt_sample(t, news.rtt_us);
	tcp_disarm(t, TT_RTX);
	/* RFC 5681, 3.1: a lost SYN means one segment. */
	t->cwnd = t->retransmits ? t->mss : TCP_IW_SEGS * t->mss;
	t->retransmits = t->backoff = 0;
	t->quick = 16;
	t->uto_send = t->opt.uto_s != 0;
	t->rcv_space_ns = t->rcv_rtt_ns = st->now;
	t->rcv_rtt_seq = t->rcv_nxt;
	t->rcv_space = t->s.opt.rcvbuf / 4;
	t->snd_up = t->snd_sml = t->snd_una;
	t->last_rcv_ns = t->progress_ns = st->now;
	t->opt.cc->init(t);
	tcp_set_state(t, t->fin_wanted ? NET_TCP_FIN_WAIT1 : NET_TCP_ESTABLISHED);
	tcp_keep_restart(t);
}

static void syn_sent(struct tcp *t, struct tcp_seg *g)
{
	/* RFC 7323: an echo of what was never sent is as bad as an acknowledgment of it. */
	bool bad_echo = g->o.has_ts && t->ts.ok && !(g->flags & TCP_RST) && g->o.ts_ecr &&
	                seq_lt(tcp_clock_ms(t->s.st) + t->ts.off, g->o.ts_ecr);
	if ((g->flags & TCP_ACK) &&
	    (seq_le(g->ack, t->syn.iss) || seq_lt(t->snd_nxt, g->ack) || bad_echo)) {
		tcp_reset_for(t->s.st, g);
		return;
	}
	if (g->flags & TCP_RST) {
		if (g->flags & TCP_ACK)
			tcp_finish(t, NET_ECONNREFUSED);
		return;
	}
	if (!(g->flags & TCP_SYN))
		return;
	uint32_t room = tcp_rcv_space(t);
	tcp_meet(t->s.st, &t->syn, &t->ts, g);
	t->snd_wl1 = g->seq;
	t->snd_wl2 = g->ack;
	tcp_begin(t, g->wnd, room, g->o.uto_s);
	if (!(g->flags & TCP_ACK)) { /* both at once (3.5, figure 8) */
		t->ecn.syn_ect = g->m->tos & ECN_MASK;
		ecn_begin(&t->ecn, t->ecn.mode == ECN_OFF ? ECN_OFF : ecn_of_syn(t->s.st, g));
		tcp_set_state(t, NET_TCP_SYN_RCVD);
		tcp_send_syn(t);
		return;
	}
	bool marked = ecn_take_synack(t, g);
	established(t);
	if (marked)
		tcp_enter_cwr(t);
	if (tcp_hop_ok(t))
		neigh_confirm(&t->hop);
	t->ack_now = true;
	if (t->ecn.mode == ECN_ACCURATE)
		ecn_handshake_ack(t, tcp_send_ack);
	/* Data or FIN on the SYN-ACK is treated as any other (3.10.7.3). */
	g->flags &= (uint16_t)~TCP_SYN;
	g->seq++;
	if (g->len || (g->flags & TCP_FIN))
		tcp_take_data(t, g);
	tcp_want_output(t);
}

/* ---- acceptability ---- */

/* RFC 7323, 5.3. True: drop. */
static bool paws_drops(struct tcp *t, const struct tcp_seg *g)
{
	if (!t->ts.ok || (g->flags & TCP_RST))
		return false;
	if (!g->o.has_ts) /* RFC 7323, 3.2; a keepalive of ours is answered with one */
		return true;
	if (ts_step(&t->ts, g) >= 0 || t->s.st->now - t->ts.recent_ns > PAWS_IDLE_NS)
		return false;
	t->s.st->stats.tcp_paws++;
	if (g->len)
		tcp_dsack(t, g->seq, seg_end(g));
	tcp_challenge(t);
	return true;
}

/* 3.10.7.4, first: the four cases. */
static bool acceptable(const struct tcp *t, const struct tcp_seg *g)
{
	uint32_t wnd = t->rcv_adv - t->rcv_nxt, len = seg_end(g) - g->seq;
	if (len == 0)
		return wnd == 0 ? g->seq == t->rcv_nxt : g->seq - t->rcv_nxt < wnd;
	if (wnd == 0)
		return false;
	return g->seq - t->rcv_nxt < wnd || seg_end(g) - 1 - t->rcv_nxt < wnd ||
	       (seq_lt(g->seq, t->rcv_nxt) && seq_lt(t->rcv_nxt, seg_end(g)));
}

static void cut_front(struct tcp_seg *g, uint32_t n)
{
	if (g->flags & TCP_SYN) {
		g->flags &= (uint16_t)~TCP_SYN;
		g->seq++;
		n--;
	}
	n = min_u32(n, g->len);
	pkt_trim_front(g->p, n);
	g->seq += n;
	g->len -= n;
}

/* Keep what is in the window. */
static void trim(struct tcp *t, struct tcp_seg *g)
{
	if (seq_lt(g->seq, t->rcv_nxt)) {
		uint32_t old = t->rcv_nxt - g->seq;
		if (g->len)
			tcp_dsack(t, g->seq, g->seq + min_u32(g->len, old));
		cut_front(g, old);
	}
	uint32_t wnd = t->rcv_adv - g->seq;
	if (seg_end(g) - g->seq > wnd) {
		g->flags &= (uint16_t)~TCP_FIN;
		if (g->len > wnd) {
			pkt_trim_to(g->p, wnd);
			g->len = wnd;
		}
		t->ack_now = true;
	}
}

/* RFC 5961, 3.2 and 4.2. True: the segment is used up. */
static bool reset_or_syn(struct tcp *t, struct tcp_seg *g)
{
	if (g->flags & TCP_RST) {
		if (g->seq != t->rcv_nxt) {
			tcp_challenge(t);
			return true;
		}
		bool done = t->state == NET_TCP_CLOSING || t->state == NET_TCP_LAST_ACK;
		int err = t->state == NET_TCP_SYN_RCVD     ? NET_ECONNREFUSED
		          : t->state == NET_TCP_CLOSE_WAIT ? NET_EPIPE
		                                           : NET_ECONNRESET;
		tcp_finish(t, done ? 0 : err);
	} else if (g->flags & TCP_SYN) {
		tcp_challenge(t);
	}
	return g->flags & (TCP_RST | TCP_SYN);
}

/* True: go on with the segment, which is trimmed to the window. */
static bool check_sequence(struct tcp *t, struct tcp_seg *g)
{
	/* The SYN-ACK of a simultaneous opening repeats the SYN (3.5, figure 8). */
	if (t->state == NET_TCP_SYN_RCVD &&
	    (g->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == (TCP_SYN | TCP_ACK) &&
	    g->seq == t->syn.irs && g->ack == t->snd_nxt) {
		cut_front(g, 1);
		g->no_ace = true;
	}
	if (paws_drops(t, g))
		return false;
	bool fits = acceptable(t, g);
	/* MUST-66: with a window of zero, RST, URG and ACK are still looked at. */
	if (!fits && t->rcv_adv == t->rcv_nxt && g->seq == t->rcv_nxt &&
	    !(g->flags & (TCP_SYN | TCP_RST))) {
		pkt_trim_to(g->p, 0);
		g->len = 0;
		g->flags &= (uint16_t)~TCP_FIN;
		t->ack_now = true;
		fits = true;
	}
	/* A probe of a keepalive sender: one below, to be answered at once. */
	if (!fits) {
		if (g->flags & TCP_RST)
			return false;
		if (g->len && seq_le(seg_end(g), t->rcv_nxt)) {
			/* All old: a retransmission. Answer each, the peer needs it (MUST-38...).
			 */
			tcp_dsack(t, g->seq, seg_end(g));
			tcp_send_ack(t);
		} else if (t->ecn.client && g->seq == t->syn.irs &&
		           (g->flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK)) {
			ecn_synack_again(t, g);
			ecn_handshake_ack(t, tcp_challenge);
		} else {
			tcp_challenge(t);
		}
		return false;
	}
	if (reset_or_syn(t, g))
		return false;
	trim(t, g);
	return true;
}

/* ---- what comes after the ACK ---- */

static bool finish_handshake(struct tcp *t, struct tcp_seg *g)
{
	if (seq_le(g->ack, t->snd_una) || seq_lt(t->snd_nxt, g->ack)) {
		tcp_reset_for(t->s.st, g);
		return false;
	}
	t->snd_wnd = g->wnd << t->syn.snd_wscale;
	t->snd_wl1 = g->seq;
	t->snd_wl2 = g->ack;
	established(t);
	if (ecn_take_third(t, g))
		tcp_enter_cwr(t);
	return true;
}

/* 3.8.5: the urgent pointer only ever moves forward. */
static void take_urgent(struct tcp *t, const struct tcp_seg *g)
{
	if (!(g->flags & TCP_URG) || t->fin_rcvd || t->state > NET_TCP_FIN_WAIT2)
		return;
	/* RFC 6093: as everybody does it, the pointer points behind the last urgent byte. */
	uint32_t up = g->seq + g->up;
	if (seq_le(up, t->rcv_nxt) || (t->urg_in && seq_le(up, t->rcv_up)))
		return;
	t->rcv_up = up;
	t->urg_in = true;
	sock_notify(&t->s);
}

static void our_fin_acked(struct tcp *t)
{
	if (t->state == NET_TCP_FIN_WAIT1) {
		tcp_set_state(t, NET_TCP_FIN_WAIT2);
		if (!t->s.open) /* nobody will read: do not wait for ever */
			tcp_arm(t, TT_KEEP, t->s.st->now + TCP_MSL2_NS);
	} else if (t->state == NET_TCP_CLOSING) {
		tcp_time_wait(t);
	} else if (t->state == NET_TCP_LAST_ACK) {
		tcp_finish(t, 0);
	}
}

/* Data for whom nobody reads any more: the peer is told (MUST-43... RFC 9293, 3.6.1 by RST). */
static bool unread(struct tcp *t, const struct tcp_seg *g)
{
	if (t->s.open || !g->len || t->parent ||
	    (t->state != NET_TCP_FIN_WAIT1 && t->state != NET_TCP_FIN_WAIT2))
		return false;
	tcp_reset_for(t->s.st, g);
	tcp_finish(t, 0);
	return true;
}

static void after_ack(struct tcp *t, struct tcp_seg *g)
{
	if (t->fin_acked) {
		t->fin_acked = false;
		our_fin_acked(t);
		if (t->state == NET_TCP_CLOSED)
			return;
	}
	take_urgent(t, g);
	if (unread(t, g))
		return;
	if (g->len || (g->flags & TCP_FIN))
		tcp_take_data(t, g);
}

void tcp_segment(struct tcp *t, struct tcp_seg *g)
{
	t->last_rcv_ns = t->s.st->now;
	t->keep_probes = 0;
	if (t->state == NET_TCP_SYN_SENT) {
		syn_sent(t, g);
		return;
	}
	if (t->state == NET_TCP_CLOSED) {
		tcp_reset_for(t->s.st, g);
		return;
	}
	uint32_t bytes = g->len;
	if (!check_sequence(t, g)) {
		if (t->state != NET_TCP_CLOSED)
			tcp_want_output(t);
		return;
	}
	if (!(g->flags & TCP_ACK))
		return;
	if (t->state == NET_TCP_SYN_RCVD && !finish_handshake(t, g))
		return;
	if (!tcp_take_ack(t, g))
		return;
	take_uto(t, g->o.uto_s);
	if (t->ecn.mode)
		ecn_received(t, g, bytes);
	after_ack(t, g);
	if (t->state != NET_TCP_CLOSED)
		tcp_want_output(t);
}
