/* What is in flight: the list of segments, and what acknowledgments say of it (RFC 2018, 6675). */
#include "net/stack/tcp.h"

static uint32_t size_of(const struct txseg *x)
{
	return x->end - x->seq;
}

struct txseg *tx_add(struct tcp *t, uint32_t seq, uint32_t end, uint8_t flags)
{
	struct txseg *x = stack_zalloc(t->s.st, sizeof(*x));
	if (!x)
		return NULL;
	x->seq = seq;
	x->end = end;
	x->flags = flags;
	x->sent_ns = t->s.st->now;
	x->prev = t->tx_tail;
	queue_add(t->tx_head, t->tx_tail, x, next);
	return x;
}

void tx_remove(struct tcp *t, struct txseg *x)
{
	queue_remove(t->tx_head, t->tx_tail, x);
	stack_free(t->s.st, x, sizeof(*x));
}

void tx_clear(struct tcp *t)
{
	while (t->tx_head)
		tx_remove(t, t->tx_head);
	t->sacked = t->lost = 0;
}

/* X becomes two, the second of which begins at AT. False: no memory. */
bool tx_split(struct tcp *t, struct txseg *x, uint32_t at)
{
	struct txseg *y = stack_alloc(t->s.st, sizeof(*y));
	if (!y)
		return false;
	*y = *x;
	y->seq = at;
	y->prev = x;
	x->next = y;
	x->end = at;
	if (y->next)
		y->next->prev = y;
	else
		t->tx_tail = y;
	x->flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	y->flags &= (uint8_t)~TCP_SYN;
	return true;
}

void tx_set_state(struct tcp *t, struct txseg *x, enum tx_state state)
{
	uint32_t n = size_of(x);
	if (x->state == TX_SACKED && t->syn.sack_ok)
		t->sacked -= n;
	else if (x->state == TX_LOST)
		t->lost -= n;
	if (state == TX_SACKED && t->syn.sack_ok)
		t->sacked += n;
	else if (state == TX_LOST)
		t->lost += n;
	x->state = (uint8_t)state;
}

void tx_set_all(struct tcp *t, enum tx_state from, enum tx_state to)
{
	for (struct txseg *x = t->tx_head; x; x = x->next)
		if (x->state == from)
			tx_set_state(t, x, to);
}

/* A sent segment that was never retransmitted arrived behind a later one: the path reorders. */
static void note_reordering(struct tcp *t, const struct txseg *x)
{
	if (!x->retx && t->rack_fack && seq_lt(x->seq, t->rack_fack) && t->sacked)
		t->reord_seen = true;
}

static void delivered(struct tcp *t, struct txseg *x, struct ack_news *news)
{
	news->delivered += size_of(x);
	t->delivered += size_of(x);
	news->pkts += (size_of(x) + t->mss - 1) / t->mss;
	if (x->retx)
		news->retx_acked = true;
	/* An acknowledgment of what went out before the timeout, and was not sent again. */
	else if (seq_le(x->end, t->high_seq))
		news->orig_acked = true;
	rack_update(t, x);
}

/* Take away what ACK covers. */
void tx_cleaned(struct tcp *t, uint32_t ack, struct ack_news *news)
{
	struct net_stack *st = t->s.st;
	uint32_t data = 0;
	while (t->tx_head && seq_lt(t->tx_head->seq, ack)) {
		struct txseg *x = t->tx_head;
		if (seq_lt(ack, x->end) && !tx_split(t, x, ack)) {
			/* No memory to be exact: the rest is taken for sent at the same time. */
			break;
		}
		if (!x->retx && !news->first_sent_ns)
			news->first_sent_ns = x->sent_ns;
		if (x->state != TX_SACKED || !t->syn.sack_ok) {
			note_reordering(t, x);
			delivered(t, x, news);
		}
		if (x->retx)
			news->retx_acked = true;
		tx_set_state(t, x, TX_FLYING);
		data += size_of(x);
		if (x->flags & TCP_SYN)
			data--;
		if ((x->flags & TCP_FIN) && x->end == ack) {
			t->fin_acked = true;
			data--;
		}
		t->snd_una = x->end;
		tx_remove(t, x);
	}
	bytq_drop(st, &t->sndq, data);
	t->bytes_acked += data;
	news->acked += data;
	if (news->first_sent_ns && !news->retx_acked)
		news->rtt_us = (int64_t)((st->now - news->first_sent_ns) / NS_PER_US);
}

/* RFC 2883, 4: the first block tells of a duplicate if it lies below the ACK or inside the second.
 */
static bool take_dsack(struct tcp *t, const struct tcp_seg *g, struct ack_news *news)
{
	uint32_t start = g->o.sack[0].start, end = g->o.sack[0].end;
	bool inside = g->o.nsacks > 1 && seq_le(g->o.sack[1].start, start) &&
	              seq_le(end, g->o.sack[1].end);
	if (!seq_lt(start, g->ack) && !inside)
		return false;
	/* Only of what was sent, and not long ago. */
	if (seq_le(end, start) || seq_lt(t->snd_nxt, end) ||
	    t->snd_una - start > max_u32(t->max_wnd, 0xffff))
		return true;
	news->dsack = true;
	t->dsacks_in++;
	t->rack_dsack = true;
	if (t->undo_marker && t->undo_retrans > 0 && seq_le(t->undo_marker, start))
		t->undo_retrans--;
	return true;
}

/* Neighbours that have both arrived become one: the list stays as short as there are holes. */
static struct txseg *merge_back(struct tcp *t, struct txseg *x)
{
	struct txseg *p = x->prev;
	if (!p || p->state != TX_SACKED || (p->flags & TCP_SYN))
		return x;
	p->end = x->end;
	p->flags |= x->flags;
	p->retx |= x->retx;
	tx_remove(t, x);
	return p;
}

static void sack_range(struct tcp *t, uint32_t start, uint32_t end, struct ack_news *news)
{
	for (struct txseg *x = t->tx_head; x && seq_lt(x->seq, end); x = x->next) {
		if (seq_le(x->end, start) || x->state == TX_SACKED)
			continue;
		if (seq_lt(x->seq, start)) {
			if (!tx_split(t, x, start))
				return;
			continue;
		}
		if (seq_lt(end, x->end) && !tx_split(t, x, end))
			return;
		note_reordering(t, x);
		delivered(t, x, news);
		if (!x->retx)
			news->sack_rtt_us = (int64_t)((t->s.st->now - x->sent_ns) / NS_PER_US);
		tx_set_state(t, x, TX_SACKED);
		news->sacked_new = true;
		x = merge_back(t, x);
	}
}

void tcp_take_sacks(struct tcp *t, const struct tcp_seg *g, struct ack_news *news)
{
	if (!t->syn.sack_ok || !g->o.nsacks)
		return;
	uint32_t fack = t->rack_fack;
	for (unsigned i = take_dsack(t, g, news); i < g->o.nsacks; i++) {
		uint32_t start = g->o.sack[i].start, end = g->o.sack[i].end;
		if (seq_le(end, start) || seq_lt(start, t->snd_una) || seq_lt(t->snd_nxt, end))
			continue;
		sack_range(t, start, end, news);
		if (!fack || seq_lt(fack, end))
			fack = end;
	}
	t->rack_fack = fack;
}
