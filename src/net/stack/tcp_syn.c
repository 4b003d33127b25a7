/*
 * Passive opening: requests are small until the handshake is over (RFC 4987, 3.3), and take no
 * memory at all once there are too many (SYN cookies, 3.6).
 */
#include "net/stack/tcp.h"

#define COOKIE_PERIOD_NS (64 * NS_PER_SEC)
#define COOKIE_LIFE      2u /* periods */
#define COOKIE_USE_NS    (2 * 60 * NS_PER_SEC)
#define COOKIE_TS_BITS   6u

static const uint16_t cookie_mss[8] = {216, 536, 1220, 1300, 1400, 1440, 1460, 8960};

/* ---- answers ---- */

static uint32_t first_window(const struct net_stack *st, uint16_t mss)
{
	uint32_t wnd = min_u32(st->cfg.tcp_rcvbuf, 0xffff);
	return wnd > mss ? wnd - wnd % mss : wnd;
}

static void send_syn_ack(const struct tcp_req *r, uint16_t ecn, uint32_t uto_s, bool accecn)
{
	uint8_t opts[40];
	struct tcp_reply a = {.pair = &r->m.n.pair,
	                      .seq = r->syn.iss,
	                      .ack = r->syn.irs + 1,
	                      .wnd = first_window(r->m.st, r->syn.mss_adv),
	                      .flags = (uint16_t)(TCP_SYN | TCP_ACK | ecn),
	                      .tos = r->lsn->s.opt.tos,
	                      .nif = net_if_by_index(r->m.st, r->ifindex),
	                      .opts = opts};
	a.optlen = tcp_put_syn_options(opts, r->m.st, &r->syn, &r->m.ts, uto_s, accecn);
	tcp_send_reply(r->m.st, &a);
}

static void answer(struct tcp_req *r)
{
	/* RFC 9768, 3.2.3.2.2: first the option goes, then the whole offer. */
	bool silent = r->ecn == ECN_ACCURATE && r->sent > 1, first = !r->sent++;
	r->no_ect |= silent;
	if (first)
		r->sent_ns = r->m.st->now;
	send_syn_ack(r, silent ? 0 : ecn_answer_flags(r->ecn, r->syn_ect), r->lsn->opt.uto_s,
	             first && r->ecn == ECN_ACCURATE);
}

static void req_timer(struct timer *tm)
{
	struct tcp_req *r = container_of(tm, struct tcp_req, m.timer);
	if (r->deferred || r->sent > TCP_SYNACK_RETRIES) {
		tcp_mini_free(&r->m);
		return;
	}
	timer_arm(r->m.st, tm, r->m.st->now + (NS_PER_SEC << r->sent));
	answer(r);
}

void tcp_reqs_drop(struct tcp *lsn)
{
	for (struct tcp_mini *m = lsn->s.st->tcp->minis[TNODE_REQ].old, *next; m; m = next) {
		next = m->next;
		if (to_req(m)->lsn == lsn)
			tcp_mini_free(m);
	}
}

/* ---- a SYN ---- */

/* What is remembered of a SYN. */
static struct tcp_req request(struct tcp *lsn, const struct tcp_seg *g)
{
	struct net_stack *st = lsn->s.st;
	struct hop hop = {.nif = g->m->nif};
	(void)route_lookup(st, &g->m->src, g->m->nif, &hop);
	struct tcp_req r = {.m = {.n = {.pair = g->pair, .kind = TNODE_REQ},
	                          .st = st,
	                          .timer = {.fire = req_timer},
	                          .ts = {.ok = true, .off = tcp_ts_offset(st, &g->pair)}},
	                    .lsn = lsn,
	                    .syn = tcp_offer(st),
	                    .wnd = g->wnd,
	                    .uto_s = g->o.uto_s,
	                    .ifindex = g->m->nif->index,
	                    .ecn = (uint8_t)ecn_of_syn(st, g),
	                    .syn_ect = g->m->tos & ECN_MASK};
	tcp_meet(st, &r.syn, &r.m.ts, g);
	r.syn.iss = tcp_isn(st, &g->pair);
	r.syn.mss_adv = tcp_mss_adv(hop.nif, &g->m->src, lsn->opt.mss_user);
	return r;
}

/* ---- cookies ---- */

/* 24 bits that only we can know. */
static uint32_t cookie_hash(struct net_stack *st, const struct tcp_pair *pair, uint32_t irs,
                            uint32_t period)
{
	return tcp_pair_hash(&st->key[KEY_COOKIE], pair, (uint64_t)irs << 32 | period) & 0xffffffu;
}

/* The rest of the options travels in the low bits of our timestamp. */
static void options_to_ts(struct tcp_req *r)
{
	uint32_t now = tcp_clock_ms(r->m.st) + r->m.ts.off;
	uint32_t bits = (r->syn.wscale_ok ? r->syn.snd_wscale : 15u) | (r->syn.sack_ok ? 16u : 0) |
	                (r->ecn == ECN_CLASSIC ? 32u : 0);
	uint32_t ts = (now & ~((1u << COOKIE_TS_BITS) - 1)) | bits;
	r->m.ts.off += (seq_lt(now, ts) ? ts - (1u << COOKIE_TS_BITS) : ts) - now;
}

static void cookie_reply(struct tcp *lsn, const struct tcp_seg *g)
{
	struct net_stack *st = lsn->s.st;
	struct tcp_req r = request(lsn, g);
	unsigned i = 7;
	while (i && cookie_mss[i] > r.syn.mss_peer)
		i--;
	if (!r.m.ts.ok) { /* nowhere to keep them */
		r.syn.wscale_ok = r.syn.sack_ok = false;
		r.ecn = r.ecn == ECN_ACCURATE ? ECN_ACCURATE : ECN_OFF;
	}
	/* The number: 5 bits of the period, 3 bits of MSS, and the hash. */
	uint32_t period = (uint32_t)(st->now / COOKIE_PERIOD_NS);
	r.syn.iss = cookie_hash(st, &r.m.n.pair, r.syn.irs, period << 3 | i) | i << 24 |
	            (period & 31) << 27;
	st->tcp->cookie_seen_ns = st->now ? st->now : 1;
	st->stats.tcp_cookie_sent++;
	options_to_ts(&r);
	send_syn_ack(&r, ecn_answer_flags(r.ecn, r.syn_ect), 0, r.ecn == ECN_ACCURATE);
}

static bool cookie_valid(struct net_stack *st, const struct tcp_seg *g)
{
	uint32_t now = (uint32_t)(st->now / COOKIE_PERIOD_NS), cookie = g->ack - 1;
	uint32_t age = (now - (cookie >> 27)) & 31, mss = cookie >> 24 & 7;
	if (age >= COOKIE_LIFE)
		return false;
	return cookie_hash(st, &g->pair, g->seq - 1, (now - age) << 3 | mss) ==
	       (cookie & 0xffffffu);
}

static void options_from_ts(struct tcp_req *r, const struct tcp_seg *g)
{
	uint32_t bits = r->m.ts.ok ? g->o.ts_ecr & ((1u << COOKIE_TS_BITS) - 1) : 15;
	r->syn.wscale_ok = (bits & 15) <= TCP_WSCALE_MAX;
	r->syn.snd_wscale = r->syn.wscale_ok ? bits & 15 : 0;
	r->syn.rcv_wscale = r->syn.wscale_ok ? r->m.st->tcp->wscale : 0;
	r->syn.sack_ok = bits & 16;
	r->ecn = (uint8_t)(bits & 32 ? ECN_CLASSIC : ecn_of_cookie(r->m.st, g));
}

/* ---- requests ---- */

static bool queue_full(const struct tcp *lsn)
{
	return lsn->lsn->count > lsn->lsn->backlog;
}

static void take_request(struct tcp *lsn, const struct tcp_seg *g, enum net_syn verdict,
                         uint64_t id)
{
	struct net_stack *st = lsn->s.st;
	struct tcp_req *r = stack_alloc(st, sizeof(*r));
	if (!r)
		return;
	*r = request(lsn, g);
	r->id = id;
	r->deferred = verdict == NET_SYN_DEFER;
	if (!tcp_mini_add(&r->m, (r->deferred ? 127 : 1) * NS_PER_SEC))
		stack_free(st, r, sizeof(*r));
	else if (!r->deferred)
		answer(r);
}

static void syn_input(struct tcp *lsn, const struct tcp_seg *g)
{
	struct net_stack *st = lsn->s.st;
	struct net_endpoint local = {g->m->dst, g->pair.lport, g->m->nif->index};
	struct net_endpoint remote = {g->m->src, g->pair.rport, g->m->nif->index};
	if (!sock_allowed(&lsn->s, NET_OP_ACCEPT, &local, &remote)) {
		tcp_reset_for(st, g);
		return;
	}
	bool flood = st->tcp->minis[TNODE_REQ].count >= st->cfg.syn_backlog ||
	             st->cfg.syn_cookies == 2 || lsn->lsn->reqs > lsn->lsn->backlog;
	if (queue_full(lsn) || (flood && (st->cfg.syn_cookies == 1 || lsn->lsn->on_syn))) {
		st->stats.tcp_listen_drop++;
		return;
	}
	if (flood) {
		cookie_reply(lsn, g);
		return;
	}
	enum net_syn verdict = NET_SYN_ACCEPT;
	uint64_t id = ++st->tcp->next_req_id;
	if (lsn->lsn->on_syn)
		verdict = lsn->lsn->on_syn(lsn->lsn->on_syn_ctx, id, &local, &remote);
	if (verdict == NET_SYN_RESET)
		tcp_reset_for(st, g);
	else if (verdict != NET_SYN_DROP)
		take_request(lsn, g, verdict, id);
}

static struct tcp *from_request(const struct tcp_req *r)
{
	struct net_stack *st = r->m.st;
	const struct tcp *lsn = r->lsn;
	struct net_sock *s = tcp_create(st);
	if (!s)
		return NULL;
	struct tcp *t = to_tcp(s);
	const struct tcp_pair *pair = &r->m.n.pair;
	t->n.pair = *pair;
	s->local = (struct net_endpoint){pair->laddr, pair->lport, lsn->s.local.ifindex};
	s->remote = (struct net_endpoint){pair->raddr, pair->rport, 0};
	if (if_back(net_if_by_index(st, r->ifindex), &pair->raddr))
		s->remote.ifindex = r->ifindex;
	s->connected = s->bound = s->reuse = true;
	s->opt = lsn->s.opt;
	s->label = lsn->s.label;
	if (!tcp_route(t)) {
		tcp_free(t);
		return NULL;
	}
	t->state = NET_TCP_SYN_RCVD;
	t->opt = lsn->opt;
	t->syn = r->syn;
	t->ts = r->m.ts;
	t->ts.recent_ns = st->now;
	ecn_begin(&t->ecn, r->ecn);
	t->ecn.no_ect = r->no_ect;
	t->ecn.opt_off = r->sent > 1; /* the SYN-ACK with the option was not answered */
	t->snd_una = t->high_seq = t->syn.iss;
	t->snd_nxt = t->snd_up = t->syn.iss + 1;
	t->progress_ns = st->now;
	tcp_begin(t, r->wnd, first_window(st, t->syn.mss_adv), r->uto_s);
	/* The SYN-ACK was the request's; its time is the first round trip. */
	struct txseg *x = tx_add(t, t->syn.iss, t->syn.iss + 1, TCP_SYN);
	if (!x) {
		tcp_free(t);
		return NULL;
	}
	x->sent_ns = r->sent_ns ? r->sent_ns : st->now;
	x->retx = r->sent != 1;
	return t;
}

static void complete(struct tcp *lsn, struct tcp *t, struct tcp_seg *g)
{
	struct tcp_lsn *l = lsn->lsn;
	if (!tcp_hash_add(lsn->s.st, &t->n)) {
		tcp_free(t);
		return;
	}
	t->parent = lsn;
	queue_add(l->head, l->tail, t, acc_next);
	l->count++;
	sock_notify(&lsn->s);
	t->segs_in++;
	tcp_segment(t, g);
}

/* True: the ACK carries a cookie of ours, and was used. */
static bool cookie_check(struct tcp *lsn, struct tcp_seg *g)
{
	struct net_stack *st = lsn->s.st;
	uint64_t seen = st->tcp->cookie_seen_ns;
	if (!seen || st->now - seen > COOKIE_USE_NS)
		return false;
	if (!cookie_valid(st, g)) {
		st->stats.tcp_cookie_bad++;
		return false;
	}
	st->stats.tcp_cookie_ok++;
	if (queue_full(lsn))
		return true;
	struct tcp_req r = request(lsn, g);
	r.syn.irs = g->seq - 1;
	r.syn.iss = g->ack - 1;
	r.syn.mss_peer = cookie_mss[r.syn.iss >> 24 & 7];
	options_from_ts(&r, g);
	struct tcp *t = from_request(&r);
	if (t)
		complete(lsn, t, g);
	return true;
}

/* RFC 9293, 3.10.7.2. */
void tcp_listen_input(struct tcp *lsn, struct tcp_seg *g)
{
	if (g->flags & TCP_RST)
		return;
	if (g->flags & TCP_ACK) {
		if (!(g->flags & TCP_SYN) && cookie_check(lsn, g))
			return;
		tcp_reset_for(lsn->s.st, g);
		return;
	}
	/* SYN with FIN is nobody's opening: dropped, as Linux does. */
	if ((g->flags & (TCP_SYN | TCP_FIN)) == TCP_SYN)
		syn_input(lsn, g);
}

bool net_syn_decide(struct net_stack *st, uint64_t id, enum net_syn decision)
{
	struct tcp_mini *m = st->tcp->minis[TNODE_REQ].old;
	stack_now(st);
	while (m && (to_req(m)->id != id || !to_req(m)->deferred))
		m = m->next;
	if (!m)
		return false;
	struct tcp_req *r = to_req(m);
	if (decision == NET_SYN_ACCEPT) {
		r->deferred = false;
		timer_arm(st, &r->m.timer, st->now + NS_PER_SEC);
		answer(r);
		return true;
	}
	if (decision == NET_SYN_RESET) {
		struct tcp_reply rst = {.pair = &r->m.n.pair,
		                        .ack = r->syn.irs + 1,
		                        .flags = TCP_RST | TCP_ACK,
		                        .nif = net_if_by_index(st, r->ifindex)};
		tcp_send_reply(st, &rst);
	}
	tcp_mini_free(&r->m);
	return true;
}

/* ---- the third segment ---- */

/* RFC 9768, 3.1.5: a valid SYN once more, which changes no mode. False: it asks for another kind,
 * so nobody can know which the two will use; it has been reset. */
static bool syn_again(struct tcp_req *r, const struct tcp_seg *g)
{
	enum ecn_mode asked = ecn_of_syn(r->m.st, g);
	if (r->ecn != ECN_OFF && asked != ECN_OFF && asked != r->ecn) {
		tcp_reset_for(r->m.st, g);
		return false;
	}
	r->syn_ect = g->m->tos & ECN_MASK;
	r->no_ect |= r->ecn == ECN_ACCURATE && asked == ECN_OFF;
	return true;
}

/* True: the segment is no good for the request, and has been answered if it had to be. */
static bool req_refuses(struct tcp_req *r, const struct tcp_seg *g)
{
	struct net_stack *st = r->m.st;
	uint32_t wnd = first_window(st, r->syn.mss_adv);
	uint32_t first = g->seq - (r->syn.irs + 1), last = first + (seg_end(g) - g->seq) - 1;
	bool in_window = first < wnd || (seg_end(g) != g->seq && last < wnd);
	if ((g->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN && g->seq == r->syn.irs) {
		if (!syn_again(r, g))
			tcp_mini_free(&r->m);
		else if (!r->deferred && bucket_take(&r->m.rate, st->now, 2, 2))
			answer(r); /* it was lost, or is slow */
		return true;
	}
	if (!in_window || ts_step(&r->m.ts, g) < 0) {
		if (!(g->flags & TCP_RST) && !r->deferred && bucket_take(&r->m.rate, st->now, 2, 2))
			answer(r);
		return true;
	}
	if (g->flags & TCP_RST) {
		if (g->seq == r->syn.irs + 1)
			tcp_mini_free(&r->m); /* RFC 9293, 3.10.7.4: back to LISTEN */
		return true;
	}
	if (r->deferred || !(g->flags & TCP_ACK) || (g->flags & TCP_SYN))
		return true;
	if (g->ack != r->syn.iss + 1) {
		tcp_reset_for(st, g);
		return true;
	}
	return false;
}

void tcp_req_input(struct tcp_req *r, struct tcp_seg *g)
{
	struct tcp *lsn = r->lsn;
	if (req_refuses(r, g))
		return;
	if (queue_full(lsn)) {
		r->m.st->stats.tcp_listen_drop++;
		return;
	}
	struct tcp *t = from_request(r);
	if (!t)
		return;
	tcp_mini_free(&r->m);
	complete(lsn, t, g);
}
