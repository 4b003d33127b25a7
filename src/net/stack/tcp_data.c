/*
 * Data that arrives: the reassembly queue, the blocks to acknowledge selectively (RFC 2018, 2883),
 * the window to announce, when to acknowledge, FIN.
 */
#include "net/stack/tcp.h"

void tcp_clear_rx(struct tcp *t)
{
	while (t->ooo) {
		struct seg *s = t->ooo;
		t->ooo = s->next;
		seg_free(t->s.st, s);
	}
	t->ooo_count = 0;
	t->nrsacks = 0;
}

void tcp_dsack(struct tcp *t, uint32_t start, uint32_t end)
{
	ecn_ack_missed(t, start);
	if (!t->syn.sack_ok)
		return;
	t->dsack = true;
	t->dup = (struct tcp_range){start, end};
}

/* ---- the window ---- */

uint32_t tcp_rcv_space(const struct tcp *t)
{
	uint32_t cap = t->syn.wscale_ok ? 0xffffu << t->syn.rcv_wscale : 0xffffu;
	uint32_t room = t->s.opt.rcvbuf > t->rcvq.len ? t->s.opt.rcvbuf - t->rcvq.len : 0;
	return min_u32(room, cap);
}

/* The window to announce now: the right edge never moves left (MUST-14... RFC 9293, 3.8.6), and
 * moves right only by steps that are worth it (3.8.6.2.2). */
uint32_t tcp_rcv_wnd(const struct tcp *t)
{
	uint32_t now = t->rcv_adv - t->rcv_nxt, want = tcp_rcv_space(t);
	uint32_t step = min_u32(t->rcv_mss ? t->rcv_mss : 1, t->s.opt.rcvbuf / 2);
	uint32_t unit = (1u << t->syn.rcv_wscale) - 1;
	if (want <= now || want - now < step)
		want = now;
	else
		want &= ~unit;
	return want < now ? now : want;
}

/* The buffer grows with what the reader takes in a round trip, as Linux's does. */
static void grow_buffer(struct tcp *t)
{
	struct net_stack *st = t->s.st;
	uint64_t rtt_us = t->rcv_rtt_us ? t->rcv_rtt_us : t->srtt_us;
	if (t->s.opt.rcvbuf_fixed || st->now - t->rcv_space_ns < max_u64(rtt_us, 1000) * NS_PER_US)
		return;
	if (t->rcv_copied > t->rcv_space) {
		uint64_t want = 2ull * t->rcv_copied + 16ull * t->rcv_mss;
		want += want * (t->rcv_copied - t->rcv_space) / (t->rcv_space + 1);
		if (want > t->s.opt.rcvbuf)
			t->s.opt.rcvbuf = (uint32_t)min_u64(want, st->cfg.tcp_rcvbuf_max);
		t->rcv_space = t->rcv_copied;
	}
	t->rcv_copied = 0;
	t->rcv_space_ns = st->now;
}

/* LEN bytes have been read. */
void tcp_read_some(struct tcp *t, uint32_t len)
{
	bytq_drop(t->s.st, &t->rcvq, len);
	t->rcv_copied += len;
	grow_buffer(t);
	if (t->state < NET_TCP_ESTABLISHED || t->fin_rcvd)
		return;
	uint32_t now = t->rcv_adv - t->rcv_nxt;
	if (now >= t->s.opt.rcvbuf - t->s.opt.rcvbuf / 4 && now >= t->rcv_mss)
		return; /* there is nothing to gain */
	uint32_t gain = tcp_rcv_wnd(t) - now;
	if ((gain >= 2 * t->rcv_mss && gain >= t->s.opt.rcvbuf / 4) ||
	    gain >= t->s.opt.rcvbuf / 2 ||
	    (now < t->rcv_mss && gain >= min_u32(t->rcv_mss, t->s.opt.rcvbuf / 2))) {
		t->ack_now = true;
		tcp_want_output(t);
	}
}

/* ---- blocks ---- */

/* Forget the blocks that touch [start, end]. */
static void drop_blocks(struct tcp *t, uint32_t start, uint32_t end)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < t->nrsacks; i++)
		if (seq_lt(t->rsack[i].end, start) || seq_lt(end, t->rsack[i].start))
			t->rsack[kept++] = t->rsack[i];
	t->nrsacks = (uint8_t)kept;
}

/* The block around SEQ goes to the front (RFC 2018, 4). */
static void note_block(struct tcp *t, uint32_t seq)
{
	uint32_t start = seq, end = seq;
	for (const struct seg *s = t->ooo; s && seq_le(s->seq, seq_max(end, seq)); s = s->next) {
		if (s->seq != end || s == t->ooo)
			start = s->seq;
		end = s->seq + s->f.len;
	}
	if (!seq_lt(seq, end)) /* there was no memory for it */
		return;
	drop_blocks(t, start, end);
	if (t->nrsacks == TCP_SACKS)
		t->nrsacks--;
	mem_move(&t->rsack[1], &t->rsack[0], t->nrsacks * sizeof(t->rsack[0]));
	t->rsack[0] = (struct tcp_range){start, end};
	t->nrsacks++;
}

/* ---- the reassembly queue ---- */

/* A slice of BUF for the gap that begins at *AT. Small slices of large buffers are copied, and what
 * is in none. */
static bool put_slice(struct tcp *t, struct seg **at, struct net_buf *buf, const uint8_t *data,
                      uint32_t len, uint32_t seq)
{
	struct net_stack *st = t->s.st;
	struct net_buf *copy = NULL;
	if (!buf || buf->size > 4 * len + 1024) {
		buf = copy = net_buf_alloc(st, len);
		if (!copy)
			return false;
		data = mem_copy(copy->data, data, len);
	}
	struct seg *s = seg_new(st, buf, (uint32_t)(data - buf->data), len);
	if (copy)
		net_buf_unref(st, copy);
	if (!s)
		return false;
	s->seq = seq;
	s->next = *at;
	*at = s;
	t->ooo_count++;
	return true;
}

/* [seq, seq + len) is at DATA, in BUF if it is in any: only what is not there yet. Returns how many
 * bytes were new. */
static uint32_t fill_gaps(struct tcp *t, struct net_buf *buf, const uint8_t *data, uint32_t len,
                          uint32_t seq)
{
	struct seg **at = &t->ooo;
	uint32_t fresh = 0;
	while (len) {
		while (*at && seq_le((*at)->seq + (*at)->f.len, seq))
			at = &(*at)->next;
		if (*at && seq_le((*at)->seq, seq)) {
			uint32_t skip = min_u32(len, (*at)->seq + (*at)->f.len - seq);
			data += skip;
			seq += skip;
			len -= skip;
			continue;
		}
		uint32_t n = *at ? min_u32(len, (*at)->seq - seq) : len;
		if (t->ooo_count >= TCP_OOO_MAX || !put_slice(t, at, buf, data, n, seq)) {
			t->s.st->stats.tcp_pruned++;
			break;
		}
		fresh += n;
		data += n;
		seq += n;
		len -= n;
	}
	return fresh;
}

static void queue_ooo(struct tcp *t, struct tcp_seg *g)
{
	const struct pkt *p = g->p;
	uint32_t seq = g->seq, fresh = 0;
	t->s.st->stats.tcp_ooo++;
	t->ooo_in++;
	t->ack_now = true;
	if (g->len == 0)
		return;
	for (unsigned i = 0; i <= p->nfrags; i++) {
		struct net_piece x = pkt_piece(p, i);
		fresh += fill_gaps(t, i ? p->frag[i - 1].buf : NULL, x.data, x.len, seq);
		seq += x.len;
	}
	if (fresh == 0)
		tcp_dsack(t, g->seq, g->seq + g->len);
	note_block(t, g->seq);
}

/* What has become contiguous moves to the reader's queue. */
static void pull_ooo(struct tcp *t)
{
	while (t->ooo && seq_le(t->ooo->seq, t->rcv_nxt)) {
		struct seg *s = t->ooo;
		uint32_t old = min_u32(t->rcv_nxt - s->seq, s->f.len), n = s->f.len - old;
		if (old && !t->dsack) /* what came now has some of it again (RFC 2883, 4.2) */
			tcp_dsack(t, s->seq, s->seq + old);
		if (n) {
			uint32_t got = bytq_add_rx(t->s.st, &t->rcvq, s->f.buf, s->f.off + old, n);
			t->rcv_nxt += got;
			if (got < n)
				return;
		}
		t->ooo = s->next;
		t->ooo_count--;
		seg_free(t->s.st, s);
	}
	drop_blocks(t, t->rcv_nxt - (1u << 30), t->rcv_nxt); /* no window is larger */
}

/* ---- in order ---- */

static uint32_t append(struct tcp *t, struct pkt *p)
{
	struct net_stack *st = t->s.st;
	uint32_t own = (uint32_t)(p->head_end - p->head), done = 0;
	if (own)
		done = bytq_copy_in(st, &t->rcvq, p->room + p->head, own);
	for (unsigned i = 0; done >= own && i < p->nfrags; i++) {
		const struct net_frag *f = &p->frag[i];
		uint32_t n = bytq_add_rx(st, &t->rcvq, f->buf, f->off, f->len);
		done += n;
		if (n < f->len)
			break;
	}
	return done;
}

static void take_fin(struct tcp *t)
{
	t->rcv_nxt++;
	if (t->rcv_adv == t->rcv_nxt - 1) /* a FIN needs no window to be acknowledged */
		t->rcv_adv = t->rcv_nxt;
	t->fin_rcvd = true;
	t->ack_now = true;
	tcp_clear_rx(t);
	if (t->state == NET_TCP_ESTABLISHED) {
		tcp_set_state(t, NET_TCP_CLOSE_WAIT);
	} else if (t->state == NET_TCP_FIN_WAIT1) {
		tcp_set_state(t, NET_TCP_CLOSING);
	} else {
		tcp_send_ack(t);
		tcp_time_wait(t);
	}
}

/* The receiver's round trip: from a window's beginning to its end (as Linux), or by timestamps. */
static void measure_rtt(struct tcp *t, const struct tcp_seg *g)
{
	if (t->ts.ok && g->o.ts_ecr && g->len >= t->rcv_mss) {
		uint32_t us = tcp_echo_us(t, g);
		t->rcv_rtt_us = us ? us : t->rcv_rtt_us;
		return;
	}
	if (seq_lt(t->rcv_nxt, t->rcv_rtt_seq))
		return;
	if (t->rcv_rtt_ns)
		t->rcv_rtt_us =
		        (uint32_t)min_u64((t->s.st->now - t->rcv_rtt_ns) / NS_PER_US, 60000000);
	t->rcv_rtt_ns = t->s.st->now;
	t->rcv_rtt_seq = t->rcv_adv;
}

static void decide_ack(struct tcp *t, const struct tcp_seg *g, bool filled)
{
	uint32_t size = g->p->gso_size ? g->p->gso_size : g->len;
	if (size > t->rcv_mss || (size > t->rcv_mss / 2 && g->len <= t->syn.mss_adv))
		t->rcv_mss = min_u32(max_u32(size, TCP_MSS_FLOOR), t->syn.mss_adv);
	if (t->ooo || filled || t->quick || t->quickack ||
	    t->rcv_nxt - t->rcv_acked >= 2 * t->rcv_mss) {
		t->ack_now = true;
		return;
	}
	if (!t->ack_wanted) {
		t->ack_wanted = true;
		tcp_arm(t, TT_DELACK, t->s.st->now + TCP_DELACK_NS);
	}
}

static void in_order(struct tcp *t, struct tcp_seg *g)
{
	uint32_t was = t->rcv_nxt;
	bool filled = t->ooo != NULL;
	t->rcv_nxt += append(t, g->p);
	t->data_in++;
	if (t->ooo)
		pull_ooo(t);
	t->bytes_in += t->rcv_nxt - was;
	measure_rtt(t, g);
	decide_ack(t, g, filled);
	sock_notify(&t->s);
}

void tcp_take_data(struct tcp *t, struct tcp_seg *g)
{
	if (t->fin_rcvd || (t->state != NET_TCP_ESTABLISHED && t->state != NET_TCP_FIN_WAIT1 &&
	                    t->state != NET_TCP_FIN_WAIT2)) {
		t->ack_now = true;
		return;
	}
	/* The first FIN says where the stream ends. */
	if (t->fin_known && seq_lt(t->fin_seq, g->seq + g->len)) {
		if (seq_le(t->fin_seq, g->seq)) {
			t->ack_now = true;
			return;
		}
		g->len = t->fin_seq - g->seq;
		pkt_trim_to(g->p, g->len);
	}
	if ((g->flags & TCP_FIN) && !t->fin_known) {
		uint32_t at = g->seq + g->len;
		const struct seg *last = t->ooo;
		while (last && last->next)
			last = last->next;
		if (!last || seq_le(last->seq + last->f.len, at)) {
			t->fin_known = true;
			t->fin_seq = at;
		}
	}
	if (g->seq != t->rcv_nxt)
		queue_ooo(t, g);
	else if (g->len)
		in_order(t, g);
	if (t->fin_known && t->rcv_nxt == t->fin_seq)
		take_fin(t);
}
