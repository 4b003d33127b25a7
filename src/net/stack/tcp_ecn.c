/*
 * Congestion marks: who may send ECN-capable packets, what the peer is told of the marks that came
 * in, and what its feedback means. RFC 3168, and RFC 9768 (AccECN), whose sections are named here.
 */
#include "net/stack/tcp.h"

#define BYTES_MASK 0xffffffu  /* a counter on the wire has 24 bits */
#define LATE_BYTES (1u << 23) /* beyond, a first option's counters may have wrapped */
#define THINNED    4u         /* segments an ACK covers on average: it is no accident (as Linux) */
#define ALL_CE_MAX 4u         /* round trips with nothing but marks (3.2.2.3) */
#define BEACONS    3u         /* options in a round trip in which no counter moves (as Linux) */

/* Tables 2 and 3: how the IP-ECN field of a SYN or SYN-ACK is told. */
static const uint16_t handshake_ace[4] = {[0] = TCP_CWR,
                                          [ECN_ECT1] = TCP_CWR | TCP_ECE,
                                          [ECN_ECT0] = TCP_AE,
                                          [ECN_CE] = TCP_AE | TCP_CWR};

/* Which counter a field of the option is, by its order: r_bytes' index. */
static const uint8_t field_of[2][3] = {{ECN_ECT0 - 1, ECN_CE - 1, ECN_ECT1 - 1},
                                       {ECN_ECT1 - 1, ECN_CE - 1, ECN_ECT0 - 1}};

static uint32_t ace_of(uint16_t flags)
{
	return (uint32_t)(flags & TCP_ACE) >> TCP_ACE_SHIFT;
}

/* ---- the handshake ---- */

void ecn_begin(struct tcp_ecn *e, enum ecn_mode mode)
{
	e->mode = (uint8_t)mode;
	e->r_cep = e->s_cep = ECN_CEP_INIT;
	for (unsigned i = 0; i < 3; i++)
		e->r_bytes[i] = e->s_bytes[i] = i != ECN_CE - 1;
}

/* 3.1.1 to 3.1.3; RFC 3168, 6.1.1: a classic request in a packet that is itself marked is void. */
enum ecn_mode ecn_of_syn(const struct net_stack *st, const struct tcp_seg *g)
{
	uint16_t asked = g->flags & TCP_ACE, both = TCP_ECE | TCP_CWR;
	if (st->cfg.ecn == NET_ECN_NEVER || !asked)
		return ECN_OFF;
	if (asked != both && st->cfg.ecn != NET_ECN_CLASSIC)
		return ECN_ACCURATE;
	return (asked & both) == both && !(g->m->tos & ECN_MASK) ? ECN_CLASSIC : ECN_OFF;
}

/* 3.1.4.1; RFC 3168, 6.1.1.1: retries go without. */
uint16_t ecn_syn_flags(const struct tcp *t)
{
	if (t->ecn.mode == ECN_ACCURATE && t->retransmits < 2)
		return TCP_ACE;
	return t->ecn.mode == ECN_CLASSIC && !t->retransmits ? TCP_ECE | TCP_CWR : 0;
}

uint16_t ecn_answer_flags(enum ecn_mode mode, uint8_t syn_ect)
{
	return mode == ECN_ACCURATE ? handshake_ace[syn_ect] : mode == ECN_CLASSIC ? TCP_ECE : 0;
}

/* 3.2.2.3: what is said of a packet that went out as Not-ECT. True: it was marked. */
static bool judge_handshake(struct tcp_ecn *e, uint32_t ace)
{
	static const uint32_t changed = 1u << 3 | 1u << 4 | 1u << 6;
	if (changed >> ace & 1)
		e->no_ect = true;
	return ace == 6;
}

/* 3.2.2.1, note 1, and 3.2.2.4: a counter that cannot be zero is. */
static void distrust(struct tcp_ecn *e)
{
	e->no_ect = e->deaf = true;
}

/* 3.2.3.1: what the option says. False: nothing that can be relied on. *CE: bytes newly marked. */
static bool take_option(struct tcp *t, const struct tcp_seg *g, uint32_t *ce)
{
	struct tcp_ecn *e = &t->ecn;
	const struct tcp_opts *o = &g->o;
	*ce = 0;
	if (!o->ecn_fields || e->opt_bad)
		return false;
	if (!e->opt_seen) { /* 3.2.3.2.4: zero is nobody's beginning */
		e->opt_bad = !o->ecn[0] || (o->ecn_fields == 3 && !o->ecn[2]) ||
		             t->bytes_acked >= LATE_BYTES;
		e->opt_seen = !e->opt_bad;
	}
	for (unsigned i = 0; e->opt_seen && i < o->ecn_fields; i++) {
		unsigned which = field_of[o->ecn_order][i];
		uint32_t delta = (o->ecn[i] - e->s_bytes[which]) & BYTES_MASK;
		if (delta > BYTES_MASK / 2) /* older than what is known */
			continue;
		e->s_bytes[which] += delta;
		if (which == ECN_CE - 1)
			*ce = delta;
	}
	return e->opt_seen;
}

/* Table 2. True: the SYN was marked. */
bool ecn_take_synack(struct tcp *t, const struct tcp_seg *g)
{
	struct tcp_ecn *e = &t->ecn;
	uint32_t ace = ace_of(g->flags), ce;
	if (e->mode == ECN_CLASSIC && (ace & 3) != 1)
		e->mode = ECN_OFF;
	if (e->mode != ECN_ACCURATE)
		return false;
	if (ace < 2 || ace == 7) {
		e->mode = ace == 1 ? ECN_CLASSIC : ECN_OFF;
		return false;
	}
	ecn_begin(e, ECN_ACCURATE);
	e->client = true;
	e->opt_due = 2; /* 3.2.3.2.1: this ACK, and the first data */
	ecn_synack_again(t, g);
	(void)take_option(t, g, &ce);
	return judge_handshake(e, ace);
}

/* 3.2.2.2: a marked SYN-ACK counts, but only once. */
void ecn_synack_again(struct tcp *t, const struct tcp_seg *g)
{
	struct tcp_ecn *e = &t->ecn;
	e->syn_ect = g->m->tos & ECN_MASK;
	if (e->syn_ect == ECN_CE && !e->syn_marked)
		e->r_cep++;
	e->syn_marked |= e->syn_ect == ECN_CE;
}

/* The ACK of our SYN-ACK (3.2.2.1, table 4). True: the SYN-ACK was marked. */
bool ecn_take_third(struct tcp *t, struct tcp_seg *g)
{
	struct tcp_ecn *e = &t->ecn;
	uint32_t ace = ace_of(g->flags), ce;
	if (e->mode != ECN_ACCURATE || g->no_ace)
		return false;
	/* 3.2.3.2.2: options pass one way, so the other way is tried again (as Linux). */
	if (take_option(t, g, &ce))
		e->opt_off = false;
	if (g->len || g->o.nsacks || (g->flags & TCP_FIN))
		return false; /* a counter like any other */
	g->no_ace = true;
	if (ace == 0)
		distrust(e);
	bool marked = judge_handshake(e, ace);
	e->s_cep += marked;
	return marked && !e->deaf;
}

/* A cookie remembers no mode; the ACE field of its ACK has a value that others do not send (5.1).
 */
enum ecn_mode ecn_of_cookie(const struct net_stack *st, const struct tcp_seg *g)
{
	bool may = st->cfg.ecn != NET_ECN_NEVER && st->cfg.ecn != NET_ECN_CLASSIC;
	return may && ace_of(g->flags) > 1 ? ECN_ACCURATE : ECN_OFF;
}

/* ---- as the receiver of data ---- */

static void count_marks(struct tcp *t, const struct tcp_seg *g, uint32_t bytes)
{
	struct tcp_ecn *e = &t->ecn;
	uint32_t size = g->p ? g->p->gso_size : 0, n = size ? (bytes + size - 1) / size : 1;
	bool waits = bytes || t->rcv_nxt != t->rcv_acked;
	e->r_cep += n;
	e->ce_waiting += n;
	/* 3.2.2.5.1: when marks begin, and for every second one; for marks of ACKs, every third. */
	if ((bytes && !e->was_ce) || e->ce_waiting >= (waits ? 2 : 3))
		t->ack_now = true;
}

/* An acceptable segment, which had BYTES of data before it was trimmed. */
void ecn_received(struct tcp *t, const struct tcp_seg *g, uint32_t bytes)
{
	struct tcp_ecn *e = &t->ecn;
	uint8_t ect = g->m->tos & ECN_MASK;
	if (e->mode == ECN_CLASSIC && g->len) {
		if (g->flags & TCP_CWR)
			e->echo = false;
		if (ect == ECN_CE)
			e->echo = t->ack_now = true;
	}
	if (e->mode != ECN_ACCURATE)
		return;
	if (ect == ECN_CE)
		count_marks(t, g, bytes);
	e->was_ce = ect == ECN_CE;
	if (!ect)
		return;
	e->edge |= ect != e->last_ect;
	e->last_ect = ect;
	if (!bytes)
		return;
	if (e->edge || ect == ECN_CE)
		e->opt_due = 2; /* 3.2.3.3: the second tells which counter moves now */
	t->ack_now |= e->edge;  /* not only when marks begin, as Linux */
	e->edge = false;
	e->r_bytes[ect - 1] += bytes;
	e->moved |= (uint8_t)(1u << ect);
}

/* The peer has sent again what it had an acknowledgment of, as if it did not get it. If it does so
 * even after one with the option, that may be why: it is new to somebody on the way (3.2.3.2.2; as
 * Linux). */
void ecn_ack_missed(struct tcp *t, uint32_t seq)
{
	struct tcp_ecn *e = &t->ecn;
	e->opt_off |= e->dup_told && seq == e->dup_seq;
	e->dup = true;
	e->dup_seq = seq;
	if (!e->opt_due)
		e->opt_due = 1;
}

void ecn_ack_sent(struct tcp *t)
{
	struct tcp_ecn *e = &t->ecn;
	e->ce_waiting = 0;
	e->dup_told = e->dup && e->opt_put;
	e->dup = false;
	if (!e->opt_put)
		return;
	e->opt_put = false;
	if (e->opt_due)
		e->opt_due--;
	e->moved = 0;
	e->opt_ns = t->s.st->now;
}

/* What a segment without SYN and RST says. */
uint16_t ecn_flags(const struct tcp *t)
{
	const struct tcp_ecn *e = &t->ecn;
	if (e->mode == ECN_CLASSIC)
		return e->echo ? TCP_ECE : 0;
	if (e->mode != ECN_ACCURATE)
		return 0;
	return e->handshake ? handshake_ace[e->syn_ect]
	                    : (uint16_t)((e->r_cep << TCP_ACE_SHIFT) & TCP_ACE);
}

/* The ACK of a SYN-ACK tells of that one's IP-ECN field, not the counter (3.2.2.1). */
void ecn_handshake_ack(struct tcp *t, void (*send)(struct tcp *))
{
	t->ecn.handshake = t->ecn.mode == ECN_ACCURATE;
	send(t);
	t->ecn.handshake = false;
}

uint32_t ecn_write_option(uint8_t *o, unsigned order, unsigned fields, const uint32_t bytes[3])
{
	uint32_t len = 2 + 3 * fields;
	o[0] = (uint8_t)(order ? TCPOPT_ACCECN1 : TCPOPT_ACCECN0);
	o[1] = (uint8_t)len;
	for (unsigned i = 0; i < fields; i++) {
		uint32_t v = bytes[field_of[order][i]];
		o[2 + 3 * i] = (uint8_t)(v >> 16);
		put_be16(o + 3 + 3 * i, v & 0xffff);
	}
	while (len % 4)
		o[len++] = TCPOPT_NOP;
	return len;
}

/* 3.2.3.3: on every ACK of what was counted; now and then besides, if the peer does so too. */
static bool option_due(const struct tcp *t)
{
	const struct tcp_ecn *e = &t->ecn;
	uint64_t since = t->s.st->now - e->opt_ns;
	return e->opt_due || e->moved || (e->opt_seen && since * BEACONS >= t->srtt_us * 1000ull);
}

/* All three counters, in the order that Linux has; in less ROOM, the first two of an order that has
 * all that moved, or none. */
uint32_t ecn_put_option(struct tcp *t, uint8_t *o, uint32_t room)
{
	struct tcp_ecn *e = &t->ecn;
	bool all = room >= 12, ect0 = e->moved & 1u << ECN_ECT0, ect1 = e->moved & 1u << ECN_ECT1;
	e->opt_put = e->mode == ECN_ACCURATE && !e->opt_off && room >= 8 &&
	             (all || !ect0 || !ect1) && option_due(t);
	return e->opt_put ? ecn_write_option(o, all || !ect0, all ? 3 : 2, e->r_bytes) : 0;
}

/* ---- as the sender of data ---- */

/* 3.2.2.3: a path that marks everything says nothing by it. */
static void watch_for_noise(struct tcp *t, uint32_t marks, uint32_t pkts)
{
	struct tcp_ecn *e = &t->ecn;
	if (e->all_ce >= ALL_CE_MAX || !pkts)
		return;
	e->all_ce_broken |= marks < pkts;
	if (e->all_ce_broken || seq_lt(t->snd_una, e->round_end))
		return;
	e->round_end = t->snd_nxt;
	if (++e->all_ce == ALL_CE_MAX)
		distrust(e);
}

/* How often the three bits have gone round while PKTS segments were delivered (3.2.2.5.2): as often
 * as the option's bytes need; without options as often as can be, unless every ACK covers that
 * many. */
static uint32_t marks_told(struct tcp *t, uint32_t ace, uint32_t pkts, bool told, uint32_t ce)
{
	struct tcp_ecn *e = &t->ecn;
	uint32_t n = (ace - e->s_cep) & 7;
	bool guess = !e->opt_seen && e->pkts_avg <= 8 * THINNED;
	while (n + 8 <= pkts && (told ? n * t->mss < ce : guess))
		n += 8;
	return n;
}

static void take_counters(struct tcp *t, const struct tcp_seg *g, struct ack_news *news)
{
	struct tcp_ecn *e = &t->ecn;
	uint32_t ace = ace_of(g->flags), pkts = news->pkts, ce;
	bool told = take_option(t, g, &ce);
	if (!e->heard && ace == 0)
		distrust(e);
	e->heard = true;
	if (pkts)
		e->pkts_avg = e->pkts_avg ? e->pkts_avg - e->pkts_avg / 8 + pkts : 8 * pkts;
	uint32_t n = marks_told(t, ace, pkts, told, ce);
	e->s_cep += n;
	t->delivered_ce += n;
	e->opt_marks += n;
	e->opt_pkts += pkts;
	/* 3.2.3.2.5: bytes were marked and yet no packet was; somebody has changed the one or the
	 * other. */
	if (ce && !e->opt_marks && e->opt_pkts < 8)
		e->no_ect = true;
	if (told)
		e->opt_marks = e->opt_pkts = 0;
	watch_for_noise(t, n, pkts);
	news->ece = (n || ce) && !e->deaf;
}

/* What an ACK that is not old says of marks. */
void ecn_take_feedback(struct tcp *t, const struct tcp_seg *g, struct ack_news *news)
{
	if (t->ecn.mode == ECN_CLASSIC && (g->flags & TCP_ECE)) {
		news->ece = true;
		t->delivered_ce += news->pkts;
	}
	/* One that brings nothing new may have been overtaken (appendix A.1). */
	if (t->ecn.mode == ECN_ACCURATE && !g->no_ace &&
	    (news->advanced || news->sacked_new || g->ts_moved))
		take_counters(t, g, news);
}
