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

uint32_t tcp_first_window(const struct net_stack *st, uint16_t mss)
{
	uint32_t wnd = min_u32(st->cfg.tcp_rcvbuf, 0xffff);
	return wnd > mss ? wnd - wnd % mss : wnd;
}

static void send_syn_ack(const struct tcp_req *r, uint16_t ecn, uint32_t uto_s, bool accecn)
{
	uint8_t opts[40];
	struct tcp_reply a = {.pair = &r->n.pair,
	                      .seq = r->syn.iss,
	                      .ack = r->syn.irs + 1,
	                      .wnd = tcp_first_window(r->st, r->syn.mss_adv),
	                      .flags = (uint16_t)(TCP_SYN | TCP_ACK | ecn),
	                      .tos = r->lsn->s.opt.tos,
	                      .nif = net_if_by_index(r->st, r->ifindex),
	                      .opts = opts};
	a.optlen = tcp_put_syn_options(opts, r->st, &r->syn, &r->ts, uto_s, accecn);
	tcp_send_reply(r->st, &a);
}

static void answer(struct tcp_req *r)
{
	/* RFC 9768, 3.2.3.2.2: first the option goes, then the whole offer. */
	bool silent = r->ecn == ECN_ACCURATE && r->sent > 1, first = !r->sent++;
	r->no_ect |= silent;
	if (first)
		r->sent_ns = r->st->now;
	send_syn_ack(r, silent ? 0 : ecn_answer_flags(r->ecn, r->syn_ect), r->lsn->opt.uto_s,
	             first && r->ecn == ECN_ACCURATE);
}

static void req_timer(struct timer *tm)
{
	struct tcp_req *r = container_of(tm, struct tcp_req, timer);
	if (r->deferred || r->sent > TCP_SYNACK_RETRIES) {
		tcp_req_free(r);
		return;
	}
	timer_arm(r->st, tm, r->st->now + (NS_PER_SEC << r->sent));
	answer(r);
}

void tcp_req_free(struct tcp_req *r)
{
	struct net_stack *st = r->st;
	tcp_hash_del(st, &r->n);
	timer_disarm(&st->timers, &r->timer);
	queue_remove(st->tcp->req_old, st->tcp->req_new, r);
	r->lsn->lsn->reqs--;
	st->tcp->reqs--;
	stack_free(st, r, sizeof(*r));
}

void tcp_reqs_drop(struct tcp *lsn)
{
	for (struct tcp_req *r = lsn->s.st->tcp->req_old, *next; r; r = next) {
		next = r->next;
		if (r->lsn == lsn)
			tcp_req_free(r);
	}
}

/* ---- a SYN ---- */

/* What is remembered of a SYN. */
static struct tcp_req request(struct tcp *lsn, const struct tcp_seg *g)
{
	struct net_stack *st = lsn->s.st;
	struct hop hop = {.nif = g->m->nif};
	(void)route_lookup(st, &g->m->src, g->m->nif, &hop);
	struct tcp_req r = {.n = {.pair = g->pair, .kind = TNODE_REQ},
	                    .lsn = lsn,
	                    .st = st,
	                    .timer = {.fire = req_timer},
	                    .syn = tcp_offer(st),
	                    .ts = {.ok = true, .off = tcp_ts_offset(st, &g->pair)},
	                    .wnd = g->wnd,
	                    .uto_s = g->o.uto_s,
	                    .ifindex = g->m->nif->index,
	                    .ecn = (uint8_t)ecn_of_syn(st, g),
	                    .syn_ect = g->m->tos & ECN_MASK};
	tcp_meet(st, &r.syn, &r.ts, g);
	r.syn.iss = tcp_isn(st, &g->pair);
	r.syn.mss_adv = tcp_mss_adv(hop.nif, &g->m->src);
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
	uint32_t now = tcp_clock_ms(r->st) + r->ts.off;
	uint32_t bits = (r->syn.wscale_ok ? r->syn.snd_wscale : 15u) | (r->syn.sack_ok ? 16u : 0) |
	                (r->ecn == ECN_CLASSIC ? 32u : 0);
	uint32_t ts = (now & ~((1u << COOKIE_TS_BITS) - 1)) | bits;
	r->ts.off += (seq_lt(now, ts) ? ts - (1u << COOKIE_TS_BITS) : ts) - now;
}

static void cookie_reply(struct tcp *lsn, const struct tcp_seg *g)
{
	struct net_stack *st = lsn->s.st;
	struct tcp_req r = request(lsn, g);
	unsigned i = 7;
	while (i && cookie_mss[i] > r.syn.mss_peer)
		i--;
	if (!r.ts.ok) { /* nowhere to keep them */
		r.syn.wscale_ok = r.syn.sack_ok = false;
		r.ecn = r.ecn == ECN_ACCURATE ? ECN_ACCURATE : ECN_OFF;
	}
	/* The number: 5 bits of the period, 3 bits of MSS, and the hash. */
	uint32_t period = (uint32_t)(st->now / COOKIE_PERIOD_NS);
	r.syn.iss = cookie_hash(st, &r.n.pair, r.syn.irs, period << 3 | i) | i << 24 |
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
	uint32_t bits = r->ts.ok ? g->o.ts_ecr & ((1u << COOKIE_TS_BITS) - 1) : 15;
	r->syn.wscale_ok = (bits & 15) <= TCP_WSCALE_MAX;
	r->syn.snd_wscale = r->syn.wscale_ok ? bits & 15 : 0;
	r->syn.rcv_wscale = r->syn.wscale_ok ? r->st->tcp->wscale : 0;
	r->syn.sack_ok = bits & 16;
	r->ecn = (uint8_t)(bits & 32 ? ECN_CLASSIC : ecn_of_cookie(r->st, g));
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
	if (!tcp_hash_add(st, &r->n)) {
		stack_free(st, r, sizeof(*r));
		return;
	}
	r->prev = st->tcp->req_new;
	queue_add(st->tcp->req_old, st->tcp->req_new, r, next);
	lsn->lsn->reqs++;
	st->tcp->reqs++;
	r->deferred = verdict == NET_SYN_DEFER;
	timer_arm(st, &r->timer, st->now + (r->deferred ? 127 : 1) * NS_PER_SEC);
	if (!r->deferred)
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
	bool flood = st->tcp->reqs >= st->cfg.syn_backlog || st->cfg.syn_cookies == 2 ||
	             lsn->lsn->reqs > lsn->lsn->backlog;
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
	struct tcp *t = tcp_from_req(&r);
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
	struct tcp_req *r = st->tcp->req_old;
	stack_now(st);
	while (r && (r->id != id || !r->deferred))
		r = r->next;
	if (!r)
		return false;
	if (decision == NET_SYN_ACCEPT) {
		r->deferred = false;
		timer_arm(st, &r->timer, st->now + NS_PER_SEC);
		answer(r);
		return true;
	}
	if (decision == NET_SYN_RESET) {
		struct tcp_reply rst = {.pair = &r->n.pair,
		                        .ack = r->syn.irs + 1,
		                        .flags = TCP_RST | TCP_ACK,
		                        .nif = net_if_by_index(st, r->ifindex)};
		tcp_send_reply(st, &rst);
	}
	tcp_req_free(r);
	return true;
}

/* ---- the third segment ---- */

/* RFC 9768, 3.1.5: a valid SYN once more, which changes no mode. False: it asks for another kind,
 * so nobody can know which the two will use; it has been reset. */
static bool syn_again(struct tcp_req *r, const struct tcp_seg *g)
{
	enum ecn_mode asked = ecn_of_syn(r->st, g);
	if (r->ecn != ECN_OFF && asked != ECN_OFF && asked != r->ecn) {
		tcp_reset_for(r->st, g);
		return false;
	}
	r->syn_ect = g->m->tos & ECN_MASK;
	r->no_ect |= r->ecn == ECN_ACCURATE && asked == ECN_OFF;
	return true;
}

/* True: the segment is no good for the request, and has been answered if it had to be. */
static bool req_refuses(struct tcp_req *r, const struct tcp_seg *g)
{
	struct net_stack *st = r->st;
	uint32_t wnd = tcp_first_window(st, r->syn.mss_adv);
	uint32_t first = g->seq - (r->syn.irs + 1), last = first + (seg_end(g) - g->seq) - 1;
	bool in_window = first < wnd || (seg_end(g) != g->seq && last < wnd);
	if ((g->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN && g->seq == r->syn.irs) {
		if (!syn_again(r, g))
			tcp_req_free(r);
		else if (!r->deferred && bucket_take(&r->rate, st->now, 2, 2))
			answer(r); /* it was lost, or is slow */
		return true;
	}
	if (!in_window || ts_step(&r->ts, g) < 0) {
		if (!(g->flags & TCP_RST) && !r->deferred && bucket_take(&r->rate, st->now, 2, 2))
			answer(r);
		return true;
	}
	if (g->flags & TCP_RST) {
		if (g->seq == r->syn.irs + 1)
			tcp_req_free(r); /* RFC 9293, 3.10.7.4: back to LISTEN */
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
		r->st->stats.tcp_listen_drop++;
		return;
	}
	struct tcp *t = tcp_from_req(r);
	if (!t)
		return;
	tcp_req_free(r);
	complete(lsn, t, g);
}
