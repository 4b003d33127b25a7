/* What goes out: segments, when to send how much, acknowledgments, probes and resets. */
#include "net/stack/tcp.h"

#define OUTPUT_BUDGET 256u /* segments of one call */
#define CORK_NS       (200 * NS_PER_MS)

/* The payload of a full segment that carries the options of now. */
static uint32_t current_mss(struct tcp *t)
{
	uint8_t opts[40];
	uint32_t room = 0;
	if (t->nrsacks || t->dsack || t->uto_send || t->ecn.mode == ECN_ACCURATE)
		room = tcp_put_options(t, opts, false) - (t->ts.ok ? 12 : 0);
	return t->mss > room + TCP_MSS_FLOOR / 2 ? t->mss - room : max_u32(t->mss, 1);
}

/* Gives P its header. Returns what IP is told, where the connection knows no more. */
static struct ip_tx push_header(struct pkt *p, const struct tcp_reply *r)
{
	uint32_t hlen = TCP_HLEN + r->optlen;
	uint8_t *h = pkt_push(p, hlen);
	put_be16(h, r->pair->lport);
	put_be16(h + 2, r->pair->rport);
	put_be32(h + TCP_SEQ, r->seq);
	put_be32(h + TCP_ACKNO, r->ack);
	put_be16(h + TCP_OFF, hlen / 4 << 12 | r->flags);
	put_be16(h + TCP_WND, r->wnd);
	put_be16(h + TCP_UP, 0);
	if (r->optlen)
		mem_copy(h + TCP_HLEN, r->opts, r->optlen);
	pkt_csum_later(p, TCP_CSUM, &r->pair->laddr, &r->pair->raddr, PROTO_TCP);
	return (struct ip_tx){.src = r->pair->laddr,
	                      .dst = r->pair->raddr,
	                      .df = true,
	                      .forge = true,
	                      .proto = PROTO_TCP,
	                      .tos = r->tos};
}

/* The window field; what is announced is remembered. ALIGN up, so that the edge never recedes. */
static uint32_t announce(struct tcp *t, uint16_t flags)
{
	if (flags & TCP_SYN) {
		uint32_t wnd = min_u32(tcp_rcv_space(t), 0xffff);
		if (wnd > t->syn.mss_adv)
			wnd -= wnd % t->syn.mss_adv; /* as Linux: 64240 with an MSS of 1460 */
		if (flags & TCP_ACK)
			t->rcv_adv = t->rcv_nxt + wnd;
		return wnd;
	}
	if (flags & TCP_RST && !(flags & TCP_ACK))
		return 0;
	uint32_t wnd = tcp_rcv_wnd(t);
	uint32_t field =
	        min_u32((wnd + (1u << t->syn.rcv_wscale) - 1) >> t->syn.rcv_wscale, 0xffff);
	t->rcv_adv = seq_max(t->rcv_adv, t->rcv_nxt + (field << t->syn.rcv_wscale));
	return field;
}

static void ack_sent(struct tcp *t)
{
	if (t->quick && t->rcv_acked != t->rcv_nxt)
		t->quick--;
	t->rcv_acked = t->rcv_nxt;
	t->ack_now = t->ack_wanted = t->dsack = t->uto_send = false;
	if (t->ecn.mode)
		ecn_ack_sent(t);
	tcp_disarm(t, TT_DELACK);
}

/* Give a segment its header and hand it to IP. AGAIN: it is sent once more. */
static int finish(struct tcp *t, struct pkt *p, uint32_t seq, uint16_t flags, bool again, bool ect)
{
	struct net_stack *st = t->s.st;
	uint8_t opts[40];
	if (!tcp_hop_ok(t) && !tcp_route(t)) {
		pkt_free(p);
		return -NET_ENETUNREACH;
	}
	uint32_t wnd = announce(t, flags);
	if (t->ecn.mode && !(flags & (TCP_SYN | TCP_RST)))
		flags |= ecn_flags(t);
	if (t->ecn.mode == ECN_ACCURATE && (flags & TCP_CWR))
		p->gso_ecn = PKT_CWR_ALL;
	struct tcp_reply hdr = {&t->n.pair, seq, 0, wnd, 0, flags, t->s.opt.tos, NULL, opts};
	if (ect)
		hdr.tos |= ECN_ECT0;
	if (flags & TCP_SYN)
		hdr.optlen = tcp_put_syn_options(opts, st, &t->syn, &t->ts, t->opt.uto_s, false);
	else
		hdr.optlen = tcp_put_options(t, opts, again || flags & TCP_RST);
	if (flags & TCP_ACK)
		hdr.ack = t->rcv_nxt;
	bool data = p->len > 0;
	struct ip_tx tx = push_header(p, &hdr);
	tx.hop = t->hop;
	tx.routed = true;
	tx.ttl = t->s.opt.ttl;
	if (t->urg_out && data && seq_lt(seq, t->snd_up)) {
		uint8_t *h = p->room + p->head;
		h[TCP_FLAGS] |= TCP_URG;
		put_be16(h + TCP_UP, min_u32(t->snd_up - seq, 0xffff));
	}
	if (flags & TCP_ACK)
		ack_sent(t);
	st->stats.tcp_out++;
	t->segs_out++;
	t->last_sent_ns = st->now;
	return ip_send(st, p, &tx);
}

/* A segment of LEN bytes of the queue from SEQ on, to be cut into pieces of MSS. Returns the bytes
 * that went out, or -1. */
static long xmit(struct tcp *t, uint32_t seq, uint32_t len, uint16_t flags, bool fresh,
                 uint32_t mss)
{
	struct pkt *p = pkt_alloc(t->s.st, PKT_ROOM);
	if (!p)
		return -1;
	uint32_t got = len ? bytq_to_pkt(&t->sndq, seq - t->snd_una, len, p) : 0;
	if (got < len) { /* more slices than a packet holds: fewer bytes */
		if (got > mss) {
			got -= got % mss;
			pkt_trim_to(p, got);
		}
		flags &= (uint16_t) ~(TCP_FIN | TCP_PSH);
	}
	if (len && !got) {
		pkt_free(p);
		return -1;
	}
	if (got > mss) {
		p->gso_size = (uint16_t)mss;
		p->gso_type = addr_is_v4(&t->s.remote.addr) ? PKT_GSO_TCP4 : PKT_GSO_TCP6;
	}
	if (t->ecn.cwr && fresh && got) {
		flags |= TCP_CWR;
		p->gso_ecn = PKT_CWR_FIRST;
		t->ecn.cwr = false;
	}
	if (got) {
		t->quick = 0; /* a conversation: acknowledgments ride on the answers */
		t->data_out++;
		t->bytes_out += got;
	}
	bool ect = t->ecn.mode != ECN_OFF && !t->ecn.no_ect && fresh && got;
	if (finish(t, p, seq, flags, !fresh, ect) == -NET_EMSGSIZE) {
		(void)tcp_route(t);
		tcp_sync_mss(t);
	}
	return (long)got;
}

void tcp_send_ack(struct tcp *t)
{
	struct pkt *p = t->state >= NET_TCP_SYN_RCVD ? pkt_alloc(t->s.st, PKT_ROOM) : NULL;
	if (p)
		(void)finish(t, p, t->snd_nxt, TCP_ACK, false, false);
	else
		tcp_arm(t, TT_DELACK, t->s.st->now + TCP_DELACK_NS);
}

void tcp_send_syn(struct tcp *t)
{
	uint16_t flags = TCP_SYN;
	bool first = !t->tx_head;
	if (t->state == NET_TCP_SYN_RCVD)
		flags |= TCP_ACK | ecn_answer_flags(t->ecn.mode, t->ecn.syn_ect);
	else
		flags |= ecn_syn_flags(t);
	if (first && !tx_add(t, t->syn.iss, t->syn.iss + 1, TCP_SYN)) {
		tcp_arm_rtx(t, RTX_RTO, TCP_RTO_INIT_US);
		return;
	}
	t->snd_nxt = t->syn.iss + 1;
	if (!first)
		t->tx_head->retx = 1;
	struct pkt *p = pkt_alloc(t->s.st, PKT_ROOM);
	if (p)
		(void)finish(t, p, t->syn.iss, flags, !first, false);
	tcp_arm_backed_off(t, RTX_RTO);
}

void tcp_abort(struct tcp *t, int err)
{
	bool may = t->state > NET_TCP_SYN_SENT;
	struct pkt *p = may ? pkt_alloc(t->s.st, PKT_ROOM) : NULL;
	if (p) {
		t->s.st->stats.tcp_rst_out++;
		(void)finish(t, p, t->snd_nxt, TCP_RST | TCP_ACK, false, false);
	}
	tcp_finish(t, err);
}

/* RFC 9293, 3.8.6.1: an octet beyond the window (or the FIN), so that the peer says its window.
 * A keepalive (3.8.4) is the octet below, without data. */
void tcp_send_probe(struct tcp *t, bool keepalive)
{
	uint32_t seq = t->snd_una - 1;
	struct pkt *p = pkt_alloc(t->s.st, PKT_ROOM);
	if (!p)
		return;
	uint8_t flags = TCP_ACK;
	if (!keepalive && t->snd_una == t->snd_nxt) {
		if (t->sndq.len)
			(void)bytq_to_pkt(&t->sndq, 0, 1, p);
		else if (t->fin_wanted && !t->fin_sent)
			flags |= TCP_FIN;
		t->probe_out = p->len || (flags & TCP_FIN);
		seq = t->snd_nxt;
	}
	(void)finish(t, p, seq, flags, true, false);
}

/* Send X again, at most MAX bytes of it; what is left becomes a segment of its own. */
bool tcp_retransmit(struct tcp *t, struct txseg *x, uint32_t max)
{
	struct net_stack *st = t->s.st;
	uint32_t mss = current_mss(t), len = x->end - x->seq;
	if (x->flags & TCP_SYN) {
		tcp_send_syn(t);
		return true;
	}
	max = max_u32(max - max % mss, mss);
	if (len > max && !tx_split(t, x, x->seq + max))
		return false;
	len = min_u32(len, max);
	uint8_t flags = (uint8_t)(TCP_ACK | (x->flags & (TCP_FIN | TCP_PSH)));
	uint32_t data = len - (x->flags & TCP_FIN ? 1 : 0);
	plp_sent_again(t, x);
	long n = xmit(t, x->seq, data, flags, false, mss);
	if (n < 0)
		return false;
	if ((uint32_t)n < data && !tx_split(t, x, x->seq + (uint32_t)n))
		return false;
	tx_set_state(t, x, TX_FLYING);
	x->sent_ns = st->now;
	if (x->retx < 255)
		x->retx++;
	st->stats.tcp_retrans++;
	t->total_retx++;
	t->bytes_retx += (uint32_t)n;
	if (t->undo_marker) {
		t->undo_retrans = t->undo_retrans < 0 ? 1 : t->undo_retrans + 1;
		if (!t->undo_stamp_ms)
			t->undo_stamp_ms = st->now / NS_PER_MS | 1;
	}
	t->prr_out += x->end - x->seq;
	return true;
}

/* ---- how much new data ---- */

/* What one packet may carry: a millisecond's worth, as Linux's tcp_tso_autosize. */
static uint32_t burst_limit(const struct tcp *t, uint32_t mss)
{
	uint32_t max = tcp_hop_ok(t) ? t->hop.nif->cfg.gso_max : mss;
	if (t->urg_out)
		return mss;
	if (t->srtt_us) {
		uint64_t rate = (uint64_t)t->cwnd * 2000000 / t->srtt_us; /* bytes/s */
		max = (uint32_t)min_u64(max, max_u64(rate / 1024, 2 * mss));
	}
	return max_u32(max - max % mss, mss);
}

/* RFC 9293, 3.7.4 and 3.8.6.2.1: may LEN bytes, less than a segment, go now? */
static bool short_ok(struct tcp *t, uint32_t len, uint32_t avail)
{
	bool waiting = seq_lt(t->snd_una, t->snd_sml) && seq_le(t->snd_sml, t->snd_nxt);
	if (len < avail) /* the window is too small: half of the largest, or nothing */
		return len >= t->max_wnd / 2;
	if (t->fin_wanted || (t->urg_out && seq_lt(t->snd_nxt, t->snd_up)))
		return true;
	if (t->cork || t->more) {
		if (t->at[TT_PACE] == TIMER_NEVER)
			tcp_arm(t, TT_PACE, t->s.st->now + CORK_NS);
		return false;
	}
	return t->opt.nodelay || !waiting;
}

/* The bytes to send next, 0: none. *ZERO: only the peer's window is in the way. */
static uint32_t next_len(struct tcp *t, uint32_t quota, uint32_t mss, bool *zero)
{
	uint32_t avail = t->sndq.len - (t->snd_nxt - t->snd_una);
	uint32_t edge = t->snd_una + t->snd_wnd;
	uint32_t wnd = seq_lt(t->snd_nxt, edge) ? edge - t->snd_nxt : 0;
	uint32_t len = min_u32(avail, wnd);
	if (!avail)
		return 0;
	if (!len) {
		*zero = true;
		return 0;
	}
	if (len > mss)
		len = min_u32(len, burst_limit(t, mss));
	if (len > quota) {
		len = quota - quota % mss;
		t->cwnd_limited = true;
		if (!len)
			return 0;
	}
	bool tail_waits = len > mss && len % mss && !short_ok(t, len % mss, len % mss);
	if (len > mss && (len < avail || tail_waits))
		len -= len % mss;
	else if (len < mss && !short_ok(t, len, avail)) {
		*zero = len < avail;
		return 0;
	}
	return len;
}

static bool send_new(struct tcp *t, uint32_t len, uint32_t mss)
{
	uint32_t seq = t->snd_nxt, after = t->snd_nxt - t->snd_una + len;
	bool last = after == t->sndq.len, fin = last && t->fin_wanted;
	uint8_t flags = (last && len ? TCP_PSH : 0) | (fin ? TCP_FIN : 0);
	struct txseg *x = tx_add(t, seq, seq + len + fin, flags);
	if (!x)
		return false;
	t->snd_nxt = x->end;
	long n = xmit(t, seq, len, flags | TCP_ACK, true, mss);
	if (n < 0 || (uint32_t)n < len) {
		uint32_t sent = n < 0 ? 0 : (uint32_t)n;
		x->end = t->snd_nxt = seq + sent;
		x->flags = 0;
		fin = false;
		if (!sent) {
			tx_remove(t, x);
			return false;
		}
		len = sent;
	}
	t->fin_sent |= fin;
	if (len < mss || len % mss)
		t->snd_sml = t->snd_nxt;
	t->probe_out = false;
	t->prr_out += len;
	return true;
}

static void pace(struct tcp *t, uint32_t sent)
{
	if (!t->opt.pacing || !t->srtt_us || !sent)
		return;
	/* Twice the rate in slow start, 1.2 times after it, as Linux. */
	uint64_t rate =
	        (uint64_t)t->cwnd * (t->cwnd < t->ssthresh / 2 ? 2000000u : 1200000u) / t->srtt_us;
	t->pace_ns = max_u64(t->pace_ns, t->s.st->now) + sent * NS_PER_SEC / (rate ? rate : 1);
}

enum step { STEP_MORE, STEP_DONE, STEP_ZERO };

static enum step step(struct tcp *t, uint32_t mss)
{
	uint32_t flight = tcp_flight(t);
	uint32_t quota = t->cwnd > flight ? t->cwnd - flight : 0, before = t->snd_nxt;
	struct txseg *x = t->lost && !t->frto_new ? t->tx_head : NULL;
	while (x && x->state != TX_LOST)
		x = x->next;
	if (t->frto_new)
		quota = max_u32(quota, mss);
	if (x) {
		uint32_t size = x->end - x->seq;
		uint32_t max = max_u32(min_u32(quota, burst_limit(t, mss)), mss);
		uint32_t len = min_u32(max, size);
		if ((quota < min_u32(mss, size) && flight) || !tcp_retransmit(t, x, max))
			return STEP_DONE;
		pace(t, len);
		return STEP_MORE;
	}
	/* RFC 3042: without SACK, two duplicates each let one new segment out. */
	if (t->fin_sent)
		return STEP_DONE;
	bool zero = false;
	uint32_t len = next_len(t, quota, mss, &zero);
	bool fin_waits = t->fin_wanted && t->snd_nxt - t->snd_una == t->sndq.len;
	if (!len && !(fin_waits && (t->snd_wnd || t->snd_nxt != t->snd_una)))
		return zero || fin_waits ? STEP_ZERO : STEP_DONE;
	if (!send_new(t, len, mss))
		return STEP_DONE;
	if (t->frto_new)
		t->frto_new--;
	pace(t, t->snd_nxt - before);
	return t->snd_nxt == before ? STEP_DONE : STEP_MORE;
}

/* RFC 5681, 4.1: after an idle time, what was learnt of the path is old. */
static void restart_after_idle(struct tcp *t)
{
	uint64_t idle_us = (t->s.st->now - t->last_sent_ns) / NS_PER_US;
	if (t->snd_nxt != t->snd_una || !t->last_sent_ns || idle_us <= t->rto_us || !t->sndq.len)
		return;
	uint32_t floor = min_u32(t->cwnd, TCP_IW_SEGS * t->mss);
	t->ssthresh = max_u32(t->ssthresh, t->cwnd / 4 * 3);
	for (; idle_us > t->rto_us && t->cwnd > floor; idle_us -= t->rto_us)
		t->cwnd /= 2;
	t->cwnd = max_u32(t->cwnd, floor);
	if (t->opt.cc->restart)
		t->opt.cc->restart(t);
}

static void send_all(struct tcp *t)
{
	uint32_t mss = current_mss(t), before = t->snd_nxt;
	enum step r = STEP_MORE;
	restart_after_idle(t);
	t->cwnd_limited = false;
	uint32_t probe = plp_probe(t, mss);
	if (probe && !send_new(t, probe, probe))
		t->plp.size = 0;
	for (unsigned i = 0; r == STEP_MORE && i < OUTPUT_BUDGET; i++) {
		if (t->opt.pacing && t->pace_ns > t->s.st->now) {
			tcp_arm(t, TT_PACE, t->pace_ns);
			t->cwnd_limited = true;
			break;
		}
		r = step(t, mss);
	}
	if (r == STEP_MORE && !(t->opt.pacing && t->pace_ns > t->s.st->now))
		tcp_want_output(t);
	if (t->snd_nxt != before) {
		t->max_flight = t->snd_nxt - t->snd_una;
		if (!t->progress_ns || before == t->snd_una)
			t->progress_ns = t->s.st->now;
		tlp_arm(t);
	} else if (t->tx_head && t->rtx_kind == RTX_NONE) {
		tcp_rearm_rto(t);
	}
	if (r == STEP_ZERO && !t->tx_head && t->rtx_kind == RTX_NONE)
		tcp_arm_backed_off(t, RTX_PERSIST);
}

void tcp_output(struct tcp *t)
{
	if (t->state < NET_TCP_ESTABLISHED || t->state == NET_TCP_TIME_WAIT)
		return;
	if (!tcp_hop_ok(t)) {
		(void)tcp_route(t);
		tcp_sync_mss(t);
	}
	if (t->fin_wanted || t->sndq.len || t->tx_head)
		send_all(t);
	if (t->ack_now)
		tcp_send_ack(t);
}

void tcp_push(struct tcp *t)
{
	bool corked = t->cork;
	t->cork = t->more = false;
	tcp_output(t);
	t->cork = corked;
}

void tcp_send_reply(struct net_stack *st, const struct tcp_reply *r)
{
	struct pkt *p = pkt_alloc(st, PKT_ROOM);
	if (!p)
		return;
	struct ip_tx tx = push_header(p, r);
	tx.hop.nif = if_back(r->nif, &tx.dst);
	st->stats.tcp_rst_out += r->flags & TCP_RST ? 1 : 0;
	st->stats.tcp_out++;
	(void)ip_send(st, p, &tx);
}
