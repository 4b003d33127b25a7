/* Acknowledgments: validity (RFC 5961, 5.2), the peer's window, round-trip times (RFC 6298, 7323).
 */
#include "net/stack/tcp.h"

#define MIN_RTT_LIFE_NS (300 * NS_PER_SEC) /* Linux's tcp_min_rtt_wlen */

/* RFC 6298, 2. */
void tcp_rtt_sample(struct tcp *t, int64_t rtt)
{
	if (rtt < 0)
		return;
	uint32_t r = (uint32_t)min_u64((uint64_t)rtt, TCP_RTO_MAX_US);
	if (!t->srtt_us) {
		t->srtt_us = r ? r : 1;
		t->rttvar_us = r / 2;
	} else {
		uint32_t delta = r > t->srtt_us ? r - t->srtt_us : t->srtt_us - r;
		t->rttvar_us = t->rttvar_us - t->rttvar_us / 4 + delta / 4;
		t->srtt_us = max_u32(t->srtt_us - t->srtt_us / 8 + r / 8, 1);
	}
	uint64_t now = t->s.st->now;
	if (!t->min_rtt_us || r <= t->min_rtt_us || now - t->min_rtt_ns > MIN_RTT_LIFE_NS) {
		t->min_rtt_us = r ? r : 1;
		t->min_rtt_ns = now;
	}
	t->backoff = 0; /* RFC 6298, 5: a fresh sample ends the backing off */
	uint64_t rto = (uint64_t)t->srtt_us + max_u32(4 * t->rttvar_us, TCP_RTO_MIN_US);
	t->rto_us = (uint32_t)min_u64(rto, TCP_RTO_MAX_US);
}

uint32_t tcp_echo_us(const struct tcp *t, const struct tcp_seg *g)
{
	uint32_t ms = tcp_clock_ms(t->s.st) + t->ts.off - g->o.ts_ecr;
	bool sane = t->ts.ok && g->o.has_ts && g->o.ts_ecr && ms < 600000;
	return sane ? max_u32(ms, 1) * 1000 : 0;
}

/* Karn: never from what was retransmitted, unless the echo says which one it was. */
static void sample_rtt(struct tcp *t, const struct tcp_seg *g, struct ack_news *news)
{
	int64_t rtt = news->rtt_us;
	if (rtt < 0)
		rtt = news->sack_rtt_us;
	if (rtt < 0 && news->acked && tcp_echo_us(t, g))
		rtt = tcp_echo_us(t, g);
	news->rtt_us = rtt;
	tcp_rtt_sample(t, rtt);
}

/* RFC 9293, 3.10.7.4: SND.WL1, SND.WL2. */
static void take_window(struct tcp *t, const struct tcp_seg *g, struct ack_news *news)
{
	uint32_t wnd = g->wnd << t->syn.snd_wscale;
	if (!(seq_lt(t->snd_wl1, g->seq) || (t->snd_wl1 == g->seq && seq_le(t->snd_wl2, g->ack))))
		return;
	t->snd_wl1 = g->seq;
	t->snd_wl2 = g->ack;
	if (wnd != t->snd_wnd) {
		news->wnd_moved = true;
		if (!t->snd_wnd && t->rtx_kind == RTX_PERSIST)
			tcp_disarm(t, TT_RTX);
		t->snd_wnd = wnd;
		t->max_wnd = max_u32(t->max_wnd, wnd);
		sock_notify(&t->s);
	}
}

/* The peer took the byte (or FIN) of a window probe. */
static void absorb_probe(struct tcp *t)
{
	t->probe_out = false;
	if (t->sndq.len) {
		bytq_drop(t->s.st, &t->sndq, 1);
		t->bytes_acked++;
	} else {
		t->fin_sent = t->fin_acked = true;
	}
	t->snd_una++;
	t->snd_nxt++;
	t->progress_ns = t->s.st->now;
}

static void advance(struct tcp *t, const struct tcp_seg *g, struct ack_news *news)
{
	news->advanced = true;
	tx_cleaned(t, g->ack, news);
	if (!t->tx_head)
		t->rack_fack = 0;
	plp_acked(t);
	t->retransmits = 0;
	t->progress_ns = t->s.st->now;
	if (t->urg_out && seq_le(t->snd_up, t->snd_una))
		t->urg_out = false;
	if (!t->urg_out)
		t->snd_up = t->snd_una;
	if (tcp_hop_ok(t))
		neigh_confirm(&t->hop);
	sock_notify(&t->s);
}

/* RFC 7323, 4.3: the timestamp of what lies at the left edge of the window. */
static void remember_timestamp(struct tcp *t, struct tcp_seg *g)
{
	if (t->ts.ok && g->o.has_ts && seq_le(g->seq, t->rcv_acked) && ts_step(&t->ts, g) >= 0) {
		g->ts_moved = g->o.ts_val != t->ts.recent;
		t->ts.recent = g->o.ts_val;
		t->ts.recent_ns = t->s.st->now;
	}
}

bool tcp_take_ack(struct tcp *t, struct tcp_seg *g)
{
	struct ack_news news = {.prior_flight = t->snd_nxt - t->snd_una,
	                        .prior_lost = t->lost,
	                        .rtt_us = -1,
	                        .sack_rtt_us = -1};
	if (t->probe_out && g->ack == t->snd_nxt + 1 && t->snd_nxt == t->snd_una)
		absorb_probe(t);
	bool old = seq_lt(g->ack, t->snd_una);
	/* Of what was never sent, or too old. Nothing of such a segment is believed. */
	if (seq_lt(t->snd_nxt, g->ack) || (old && t->snd_una - g->ack > max_u32(t->max_wnd, 1))) {
		tcp_challenge(t);
		return false;
	}
	remember_timestamp(t, g);
	if (old) { /* overtaken: what it says of later data may still be news, and its own data */
		tcp_take_sacks(t, g, &news);
		if (news.sacked_new)
			tcp_recovery(t, &news);
		return true;
	}
	t->last_ack_ns = t->s.st->now;
	take_window(t, g, &news);
	t->probes = 0;
	if (g->ack != t->snd_una)
		advance(t, g, &news);
	news.dup = !news.advanced && !g->len && !news.wnd_moved && t->tx_head &&
	           !(g->flags & (TCP_SYN | TCP_FIN));
	tcp_take_sacks(t, g, &news);
	if (t->ecn.mode)
		ecn_take_feedback(t, g, &news);
	sample_rtt(t, g, &news);
	tlp_ack(t, &news, g);
	if (news.prior_flight)
		tcp_recovery(t, &news);
	if (news.advanced && t->rtx_kind != RTX_PERSIST)
		tcp_rearm_rto(t);
	tcp_want_output(t);
	return true;
}
