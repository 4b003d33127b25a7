/*
 * Loss: detection by time (RACK-TLP, RFC 8985) or, without SACK, by duplicate acknowledgments
 * (RFC 5681, 6582); the window during recovery (PRR, RFC 6937); timeouts and their undoing
 * (F-RTO, RFC 5682; DSACK, RFC 3708; timestamps, RFC 3522).
 */
#include "net/stack/tcp.h"

/* ---- RACK ---- */

static bool sent_after(uint64_t t1, uint32_t seq1, uint64_t t2, uint32_t seq2)
{
	return t1 > t2 || (t1 == t2 && seq_lt(seq2, seq1));
}

/* RFC 8985, 6.2, step 2: X has been delivered. */
void rack_update(struct tcp *t, const struct txseg *x)
{
	uint32_t rtt = (uint32_t)min_u64((t->s.st->now - x->sent_ns) / NS_PER_US, UINT32_MAX);
	/* Faster than the path can be: that was the original, not the retransmission. */
	if (x->retx && rtt < t->min_rtt_us)
		return;
	t->rack_rtt_us = rtt;
	if (sent_after(x->sent_ns, x->end, t->rack_xmit_ns, t->rack_end)) {
		t->rack_xmit_ns = x->sent_ns;
		t->rack_end = x->end;
	}
}

/* Step 4: how long a segment may be overtaken. */
static uint32_t reo_wnd(struct tcp *t)
{
	if (t->rack_dsack && seq_le(t->rack_dsack_round, t->snd_una)) {
		t->rack_dsack = false;
		t->rack_dsack_round = t->snd_nxt;
		t->rack_mult = (uint8_t)min_u32(t->rack_mult + 1u, 255);
		t->rack_persist = 16;
	}
	if (!t->reord_seen &&
	    (t->ca_state >= CA_RECOVERY || t->sacked >= TCP_DUPTHRESH * (uint32_t)t->mss))
		return 0;
	uint64_t wnd = (uint64_t)t->min_rtt_us * (t->rack_mult ? t->rack_mult : 1) / 4;
	return (uint32_t)min_u64(wnd, t->srtt_us);
}

/* Step 5; again when the youngest suspect has waited long enough. */
static void rack_detect(struct tcp *t)
{
	uint64_t now = t->s.st->now, wait = 0;
	uint64_t limit = (uint64_t)t->rack_rtt_us + reo_wnd(t);
	if (!t->rack_xmit_ns)
		return;
	for (struct txseg *x = t->tx_head; x; x = x->next) {
		if (x->state != TX_FLYING ||
		    !sent_after(t->rack_xmit_ns, t->rack_end, x->sent_ns, x->end))
			continue;
		uint64_t age = (now - x->sent_ns) / NS_PER_US;
		if (age >= limit)
			tx_set_state(t, x, TX_LOST);
		else
			wait = max_u64(wait, limit - age);
	}
	if (wait)
		tcp_arm_rtx(t, RTX_REO, wait + 1);
}

/* ---- entering and leaving ---- */

static void remember_window(struct tcp *t)
{
	t->prior_cwnd = t->cwnd;
	t->prior_ssthresh = t->ssthresh;
	t->undo_marker = t->snd_una ? t->snd_una : 1;
	t->undo_retrans = -1;
	t->undo_stamp_ms = 0;
}

static void begin_prr(struct tcp *t)
{
	t->prr_delivered = t->prr_out = 0;
	t->prr_cwnd = t->cwnd;
	t->high_seq = t->snd_nxt;
}

static uint32_t reduced(struct tcp *t, bool marked)
{
	return max_u32(t->opt.cc->ssthresh(t, marked), 2u * t->mss);
}

/* All is lost, and the window with it. FRTO: which is to be proved. */
static void begin_again(struct tcp *t, bool frto)
{
	tx_set_all(t, TX_FLYING, TX_LOST);
	t->cwnd = t->mss;
	t->ca_state = CA_LOSS;
	t->high_seq = t->snd_nxt;
	t->frto = frto;
}

static void enter_recovery(struct tcp *t)
{
	if (plp_only_loss(t))
		return;
	t->s.st->stats.tcp_fast_recovery++;
	if (t->ca_state < CA_CWR) {
		remember_window(t);
		t->ssthresh = reduced(t, false);
	}
	if (t->opt.cc->no_recovery) {
		begin_again(t, false);
		return;
	}
	begin_prr(t);
	t->ca_state = CA_RECOVERY;
}

void tcp_enter_cwr(struct tcp *t)
{
	if (t->ca_state >= CA_CWR)
		return;
	t->prior_ssthresh = 0;
	t->undo_marker = 0;
	t->ssthresh = reduced(t, true);
	begin_prr(t);
	t->ca_state = CA_CWR;
	t->ecn.cwr = t->ecn.mode == ECN_CLASSIC;
}

static void undo(struct tcp *t)
{
	t->s.st->stats.tcp_undo++;
	t->cwnd = max_u32(t->cwnd, t->prior_cwnd);
	t->ssthresh = max_u32(t->ssthresh, t->prior_ssthresh);
	t->undo_marker = 0;
	t->frto = false;
	t->ca_state = CA_OPEN;
	tx_set_all(t, TX_LOST, TX_FLYING);
}

/* Every retransmission was reported as a duplicate, or the ACK answers what went out before the
 * first one. */
static bool was_spurious(const struct tcp *t, const struct ack_news *news)
{
	bool echo_older =
	        t->ts.ok && t->undo_stamp_ms && news->first_sent_ns == 0 && news->rtt_us > 0 &&
	        news->advanced &&
	        t->s.st->now / NS_PER_MS - (uint64_t)news->rtt_us / 1000 < t->undo_stamp_ms;
	return t->undo_marker && (t->undo_retrans == 0 || echo_older);
}

static void leave(struct tcp *t, const struct ack_news *news)
{
	if (was_spurious(t, news))
		undo(t);
	else if (t->ca_state != CA_LOSS) /* RFC 6937: the window ends at ssthresh */
		t->cwnd = t->ssthresh;
	if (t->rack_persist && !--t->rack_persist) /* RFC 8985, 6.2, step 4: 16 recoveries */
		t->rack_mult = 1;
	t->undo_marker = 0;
	t->frto = false;
	t->ca_state = CA_OPEN;
}

/* ---- without SACK ---- */

static void lose_head(struct tcp *t)
{
	struct txseg *x = t->tx_head;
	if (!x || x->state == TX_LOST)
		return;
	if (x->end - x->seq > t->mss && !tx_split(t, x, x->seq + t->mss))
		return;
	tx_set_state(t, x, TX_LOST);
}

/* What duplicates say has left the network counts as if it were SACKed. */
static void count_dups(struct tcp *t, struct ack_news *news)
{
	if (news->dup) {
		t->dupacks++;
		news->delivered += t->mss;
	} else if (news->advanced) {
		uint32_t segs = news->acked / t->mss, told = t->dupacks * t->mss;
		/* What the duplicates stood for was counted with them (RFC 6937, 4). */
		news->delivered -=
		        min_u32(told, news->delivered - min_u32(news->delivered, t->mss));
		t->dupacks -= min_u32(t->dupacks, segs > 1 ? segs - 1 : 0);
		if (t->ca_state <= CA_CWR)
			t->dupacks = 0;
	}
	uint32_t out = t->snd_nxt - t->snd_una - t->lost;
	t->sacked = min_u32(t->dupacks * t->mss, out > t->mss ? out - t->mss : 0);
}

/* ---- the state machine ---- */

static bool has_new_data(const struct tcp *t)
{
	return seq_lt(t->snd_nxt, tcp_snd_end(t)) && seq_lt(t->snd_nxt, t->snd_una + t->snd_wnd) &&
	       !t->fin_sent;
}

/* RFC 5682, 3.1: was the timeout spurious? */
static void judge_timeout(struct tcp *t, const struct ack_news *news)
{
	if (was_spurious(t, news) || (t->frto && news->orig_acked)) {
		undo(t);
	} else if (!t->frto) {
		return;
	} else if (seq_lt(t->high_seq, t->snd_nxt)) {
		if (news->sacked_new || news->dup)
			t->frto = false;
	} else if (news->advanced && has_new_data(t)) {
		t->high_seq = t->snd_nxt;
		t->frto_new = 2;
	} else {
		t->frto = false;
	}
}

static void prr(struct tcp *t, const struct ack_news *news)
{
	uint32_t flight = tcp_flight(t);
	t->prr_delivered += news->delivered;
	int64_t send;
	if (flight > t->ssthresh) {
		uint64_t share = (uint64_t)t->prr_delivered * t->ssthresh;
		send = (int64_t)((share + t->prr_cwnd - 1) / t->prr_cwnd) - t->prr_out;
	} else {
		int64_t limit =
		        max_u32(t->prr_delivered > t->prr_out ? t->prr_delivered - t->prr_out : 0,
		                news->delivered);
		if (news->advanced && !news->newly_lost)
			limit += t->mss; /* SSRB; otherwise CRB, as Linux */
		send = (int64_t)t->ssthresh - flight;
		if (send > limit)
			send = limit;
	}
	int64_t least = t->prr_out ? 0 : t->mss;
	if (send < least)
		send = least;
	t->cwnd = flight + (uint32_t)send;
}

static void react(struct tcp *t, struct ack_news *news)
{
	if (t->ca_state == CA_LOSS) {
		judge_timeout(t, news);
	} else if (t->ca_state == CA_RECOVERY) {
		if (news->advanced && was_spurious(t, news))
			undo(t);
		else if (news->advanced && !t->syn.sack_ok)
			lose_head(t); /* RFC 6582, 3.2 (3): a partial acknowledgment */
	} else if (t->syn.sack_ok && t->lost) {
		enter_recovery(t);
	} else if (!t->syn.sack_ok && t->dupacks >= TCP_DUPTHRESH &&
	           seq_le(t->high_seq, t->snd_una)) {
		enter_recovery(t);
		lose_head(t);
	} else if (t->ca_state != CA_CWR) {
		t->ca_state = t->sacked || t->dupacks ? CA_DISORDER : CA_OPEN;
	}
}

/* Whether the window grows: only one that was used (RFC 7661). */
static void grow(struct tcp *t, const struct ack_news *news)
{
	if (!news->acked || t->ca_state == CA_RECOVERY || t->ca_state == CA_CWR || news->ece)
		return;
	bool slow_start = t->cwnd < t->ssthresh;
	if (!t->cwnd_limited && !(slow_start && t->cwnd < 2 * t->max_flight))
		return;
	/* What SACK told of before has had its say, as Linux. */
	t->opt.cc->acked(t, min_u32(news->acked, news->delivered),
	                 news->rtt_us >= 0 ? (uint32_t)news->rtt_us : 0);
	t->cwnd = min_u32(t->cwnd, t->s.st->cfg.tcp_sndbuf_max * 2);
	if (!t->s.opt.sndbuf_fixed)
		t->s.opt.sndbuf =
		        max_u32(t->s.opt.sndbuf, min_u32(2 * t->cwnd, t->s.st->cfg.tcp_sndbuf_max));
}

void tcp_recovery(struct tcp *t, struct ack_news *news)
{
	if (!t->syn.sack_ok)
		count_dups(t, news);
	bool passed = t->syn.sack_ok || t->ca_state == CA_CWR
	                      ? seq_le(t->high_seq, t->snd_una)
	                      : seq_lt(t->high_seq, t->snd_una) || !t->tx_head;
	if (t->ca_state >= CA_CWR && news->advanced && passed &&
	    !(t->ca_state == CA_LOSS && t->frto && seq_lt(t->snd_una, t->snd_nxt) &&
	      news->orig_acked))
		leave(t, news);
	if (t->syn.sack_ok && (t->sacked || t->ca_state >= CA_RECOVERY))
		rack_detect(t);
	react(t, news);
	news->newly_lost = t->lost > news->prior_lost ? t->lost - news->prior_lost : 0;
	if (news->ece && t->ca_state < CA_CWR && seq_le(t->high_seq, t->snd_una))
		tcp_enter_cwr(t);
	if (t->ca_state == CA_RECOVERY || t->ca_state == CA_CWR)
		prr(t, news);
	else
		grow(t, news);
}

void rack_timeout(struct tcp *t)
{
	struct ack_news news = {.prior_lost = t->lost};
	rack_detect(t);
	if (t->lost > news.prior_lost && t->ca_state < CA_RECOVERY)
		enter_recovery(t);
	news.newly_lost = t->lost - news.prior_lost;
	if (t->ca_state == CA_RECOVERY)
		prr(t, &news);
	if (t->rtx_kind != RTX_REO)
		tcp_rearm_rto(t);
}

/* ---- timeouts ---- */

void tcp_enter_loss(struct tcp *t)
{
	bool fresh = t->ca_state <= CA_DISORDER || seq_le(t->high_seq, t->snd_una) ||
	             (t->ca_state == CA_LOSS && !t->retransmits);
	if (fresh) {
		remember_window(t);
		if (t->ca_state != CA_LOSS || !t->retransmits)
			t->ssthresh = reduced(t, false);
	}
	/* A head that the peer once said it had: it has thrown it away (RFC 2018, 8). */
	bool reneged = t->tx_head && t->tx_head->state == TX_SACKED;
	if (reneged)
		t->s.st->stats.tcp_reneg++;
	t->dupacks = 0;
	if (!t->syn.sack_ok)
		t->sacked = 0;
	if (reneged)
		tx_set_all(t, TX_SACKED, TX_LOST);
	begin_again(t, fresh && !reneged && t->snd_nxt != t->snd_una);
	t->frto_new = 0;
	if (t->opt.cc->restart)
		t->opt.cc->restart(t);
}

/* RFC 8985, 7.2: a probe after two round trips of silence. */
void tlp_arm(struct tcp *t)
{
	if (!t->syn.sack_ok || !t->srtt_us || t->ca_state > CA_DISORDER || t->tlp_end ||
	    t->sacked || !t->tx_head) {
		tcp_rearm_rto(t);
		return;
	}
	uint64_t pto = 2ull * t->srtt_us;
	/* The peer may be delaying the ACK of one segment. */
	pto += t->snd_nxt - t->snd_una <= t->mss ? TCP_RTO_MIN_US : 2000;
	tcp_arm_rtx(t, RTX_TLP, min_u64(pto, t->rto_us));
}

void tlp_timeout(struct tcp *t)
{
	t->s.st->stats.tcp_tlp++;
	t->tlp_retx = false;
	if (has_new_data(t)) {
		t->frto_new = 1;
	} else if (t->tx_tail && t->tx_tail->state == TX_FLYING) {
		struct txseg *x = t->tx_tail;
		if (x->end - x->seq > t->mss && tx_split(t, x, x->end - t->mss))
			x = x->next;
		t->tlp_retx = tcp_retransmit(t, x, t->mss);
	}
	if (t->frto_new)
		tcp_output(t);
	t->tlp_end = t->snd_nxt ? t->snd_nxt : 1;
	t->frto_new = 0;
	tcp_rearm_rto(t);
}

/* RFC 8985, 7.4: what became of the probe. */
void tlp_ack(struct tcp *t, const struct ack_news *news, const struct tcp_seg *g)
{
	if (!t->tlp_end || seq_lt(g->ack, t->tlp_end))
		return;
	if (!t->tlp_retx || news->dsack) {
		t->tlp_end = 0; /* nothing was lost: both copies arrived, or it was new data */
		return;
	}
	/* An ACK of exactly the probe may have been the original's; its DSACK then follows. */
	if (g->ack == t->tlp_end && !news->advanced && !news->dup)
		return;
	bool repaired = seq_lt(t->tlp_end, g->ack) || !news->dup;
	t->tlp_end = 0;
	if (repaired && t->ca_state < CA_CWR) {
		tcp_enter_cwr(t);
		t->ecn.cwr = false;
	}
}
