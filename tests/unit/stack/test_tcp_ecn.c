/* Accurate congestion notification (RFC 9768), seen by a peer made by hand: what is agreed, what is
 * told of marks, what is believed of the peer's word for them. */
#include <check.h>
#include <string.h>

#include "rig.h"
#include "suite.h"

static struct tseg in;
static uint8_t data[200000];
#define MSS 1000u

/* IP-ECN fields */
enum { NOT_ECT, ECT1, ECT0, CE };

/* How a SYN's or SYN-ACK's field is told (tables 2 and 3). */
static const unsigned told[4] = {CWR, CWR | ECE, AE, AE | CWR};

/* The flags of a counter that has been raised N times. */
static unsigned ace(unsigned n)
{
	return (5 + n) % 8 * ECE;
}

static const struct peer_opts accurate = {
        .mss = MSS, .sack = true, .ws = 7, .wnd = 2000, .accecn = true, .rtt_ns = 100 * MS};

static struct rig *start_as(struct peer *p, const struct peer_opts *o, unsigned setting)
{
	struct rig_opts ro = {.crafted = true, .cfg.ecn = (uint8_t)setting};
	struct rig *r = rig_new(&ro);
	peer_connect(p, r, o);
	drop_out(r);
	return r;
}

static struct rig *start(struct peer *p)
{
	return start_as(p, &accurate, NET_ECN_WHEN_ASKED);
}

static struct net_tcp_info info_of(struct net_sock *s)
{
	struct net_tcp_info i;
	ck_assert_int_eq(net_tcp_info(s, &i), 0);
	return i;
}

static struct net_tcp_info info(const struct peer *p)
{
	return info_of(p->s);
}

/* N segments of data go out and are taken from the wire. */
static void flight(struct peer *p, unsigned n)
{
	ck_assert_int_eq(net_send(p->s, data, n * MSS, 0, NULL), n * MSS);
	for (unsigned i = 0; i < n; i++) {
		ck_assert(peer_take(p, &in));
		ck_assert_uint_eq(in.len, MSS);
	}
}

/* The peer acknowledges N segments with ACE raised to MARKS in all, and an option if KIND. */
static void ack(struct peer *p, unsigned n, unsigned marks, unsigned kind, unsigned fields,
                const uint32_t *counters)
{
	uint8_t o[40];
	uint32_t len = kind ? opt_accecn(o, kind, fields, counters) : 0;
	p->ace = ace(marks);
	p->ack += n * MSS;
	peer_ack(p, p->ack, o, len);
}

/* A data segment of the peer's, LEN bytes, with the IP-ECN field ECT. */
static void data_in(struct peer *p, unsigned ect, uint32_t len)
{
	struct tseg s = tseg_of(p->sport, p->dport, ACK | p->ace, p->seq, p->ack);
	s.tos = (uint8_t)ect;
	s.data = data;
	s.len = len;
	craft(p->r, &s);
	p->seq += len;
}

static bool ect_of_new_data(struct peer *p)
{
	ck_assert_int_eq(net_send(p->s, data, 100, 0, NULL), 100);
	ck_assert(peer_take(p, &in));
	ck_assert_uint_eq(in.len, 100);
	p->ack += 100;
	return in.tos & 3;
}

/* ---- the handshake ---- */

/* Whatever asks for it, and whatever became of the SYN's IP-ECN field (tables 2 and 5; 3.1.3). */
START_TEST(server_agrees_and_tells_what_became_of_the_syn)
{
	static const unsigned asks[] = {ACE, ECE, CWR, AE, AE | ECE, AE | CWR};
	for (unsigned k = 0; k < 6; k++)
		for (unsigned ect = 0; ect < 4; ect++) {
			struct rig_opts o = {.crafted = true};
			struct rig *r = rig_new(&o);
			struct net_sock *l = listen_on(&r->h[0], 80, 5), *s;
			struct tseg a = tseg_of(4000, 80, SYN | asks[k], 100, 0);
			a.tos = (uint8_t)ect;
			craft(r, &a);
			ck_assert(take(r, &in));
			ck_assert_uint_eq(in.flags, SYN | ACK | told[ect]);
			ck_assert_uint_eq(in.tos & 3, NOT_ECT);
			ck_assert_uint_eq(in.ecn_kind, 174);
			ck_assert_uint_eq(in.ecn_fields, 3);
			ck_assert_uint_eq(in.ecn[0], 1);
			ck_assert_uint_eq(in.ecn[1], 0);
			ck_assert_uint_eq(in.ecn[2], 1);
			a = tseg_of(4000, 80, ACK | told[NOT_ECT], 101, in.seq + 1);
			craft(r, &a);
			ck_assert_int_eq(net_accept(l, &s, NULL), 0);
			ck_assert(info_of(s).accecn);
			ck_assert_int_eq(net_send(s, data, 100, 0, NULL), 100);
			ck_assert(take(r, &in));
			ck_assert_uint_eq(in.tos & 3, ECT0);
			/* A marked SYN does not count (3.2.2.2). */
			ck_assert_uint_eq(in.flags & ACE, ace(0));
			rig_free(r);
		}
}
END_TEST

START_TEST(server_falls_back)
{
	static const struct {
		unsigned setting, asked, answer;
		bool classic;
	} t[] = {{NET_ECN_WHEN_ASKED, ECE | CWR, ECE, true},
	         {NET_ECN_WHEN_ASKED, 0, 0, false},
	         {NET_ECN_ASK_ACCURATE, ECE | CWR, ECE, true},
	         {NET_ECN_CLASSIC, ACE, ECE, true},
	         {NET_ECN_CLASSIC, AE, 0, false},
	         {NET_ECN_NEVER, ACE, 0, false}};
	for (unsigned k = 0; k < sizeof(t) / sizeof(t[0]); k++) {
		struct rig_opts o = {.crafted = true, .cfg.ecn = (uint8_t)t[k].setting};
		struct rig *r = rig_new(&o);
		struct net_sock *l = listen_on(&r->h[0], 80, 5), *s;
		struct tseg a = tseg_of(4000, 80, SYN | t[k].asked, 100, 0);
		craft(r, &a);
		ck_assert(take(r, &in));
		ck_assert_uint_eq(in.flags, SYN | ACK | t[k].answer);
		ck_assert_uint_eq(in.ecn_kind, 0);
		a = tseg_of(4000, 80, ACK, 101, in.seq + 1);
		craft(r, &a);
		ck_assert_int_eq(net_accept(l, &s, NULL), 0);
		ck_assert(!info_of(s).accecn);
		ck_assert_uint_eq(!!(info_of(s).tcpi_options & NET_TCPI_OPT_ECN), t[k].classic);
		ck_assert_int_eq(net_send(s, data, 100, 0, NULL), 100);
		ck_assert(take(r, &in));
		ck_assert_uint_eq(in.tos & 3, t[k].classic ? ECT0 : NOT_ECT);
		rig_free(r);
	}
}
END_TEST

static struct net_sock *connecting(struct rig *r)
{
	struct net_sock *s;
	struct net_endpoint to = ep("10.0.0.2", 99);
	ck_assert_int_eq(net_socket(r->h[0].st, NET_STREAM, &s), 0);
	ck_assert_int_eq(net_connect(s, &to), -NET_EINPROGRESS);
	ck_assert(take(r, &in));
	return s;
}

/* Each answer that there can be to a SYN that asks (table 2). */
START_TEST(client_follows_the_answer)
{
	for (unsigned n = 0; n < 8; n++) {
		bool off = n == 0 || n == 7, classic = n == 1, mangled = n == 3 || n == 4 || n == 6;
		struct rig_opts o = {.crafted = true, .cfg.ecn = NET_ECN_ASK_ACCURATE};
		struct rig *r = rig_new(&o);
		struct net_sock *s = connecting(r);
		ck_assert_uint_eq(in.flags, SYN | ACE);
		ck_assert_uint_eq(in.ecn_kind, 0); /* 3.2.3.2.1 */
		ck_assert_uint_eq(in.tos & 3, NOT_ECT);
		struct tseg a = tseg_of(99, in.sport, SYN | ACK | n * ECE, 5000, in.seq + 1);
		craft(r, &a);
		ck_assert(take(r, &in));
		ck_assert_uint_eq(in.flags, ACK | (off || classic ? 0 : told[NOT_ECT]));
		struct net_tcp_info i = info_of(s);
		ck_assert_uint_eq(i.accecn, !off && !classic);
		ck_assert_uint_eq(!!(i.tcpi_options & NET_TCPI_OPT_ECN), !off);
		/* 3.2.2.3: the SYN was Not-ECT, and something else is said of it. */
		ck_assert_uint_eq(i.tcpi_accecn_fail_mode & 1, mangled);
		/* A mark is answered even so. */
		ck_assert_uint_eq(i.tcpi_ca_state, n == 6 ? 2 : 0);
		ck_assert_int_eq(net_send(s, data, 100, 0, NULL), 100);
		ck_assert(take(r, &in));
		ck_assert_uint_eq(in.tos & 3, off || mangled ? NOT_ECT : ECT0);
		ck_assert_uint_eq(in.flags & ACE, off || classic ? 0 : ace(0));
		rig_free(r);
	}
}
END_TEST

/* 3.2.2.1: the ACK of a SYN-ACK, and of each repetition, tells of its IP-ECN field; a mark counts,
 * but once. 3.2.3.2.1: the option is on that ACK and on the first data. */
START_TEST(client_tells_what_became_of_the_syn_ack)
{
	for (unsigned ect = 0; ect < 4; ect++) {
		struct rig_opts o = {.crafted = true, .cfg.ecn = NET_ECN_ASK_ACCURATE};
		struct rig *r = rig_new(&o);
		struct net_sock *s = connecting(r);
		struct tseg a = tseg_of(99, in.sport, SYN | ACK | CWR, 5000, in.seq + 1);
		a.tos = (uint8_t)ect;
		for (unsigned k = 0; k < 3; k++) {
			craft(r, &a);
			ck_assert(take(r, &in));
			ck_assert_uint_eq(in.flags, ACK | told[ect]);
			ck_assert_uint_eq(in.ecn_kind != 0, k < 2);
			ck_assert_uint_eq(in.len, 0);
		}
		ck_assert_uint_eq(info_of(s).tcpi_received_ce, ect == CE);
		ck_assert_int_eq(net_send(s, data, 100, 0, NULL), 100);
		ck_assert(take(r, &in));
		ck_assert_uint_eq(in.flags & ACE, ace(ect == CE));
		rig_free(r);
	}
}
END_TEST

START_TEST(first_data_of_a_client_has_the_option)
{
	struct rig_opts o = {.crafted = true, .cfg.ecn = NET_ECN_ASK_ACCURATE};
	struct rig *r = rig_new(&o);
	struct net_sock *s = connecting(r);
	struct tseg a = tseg_of(99, in.sport, SYN | ACK | CWR, 5000, in.seq + 1);
	craft(r, &a);
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.ecn_kind, 174);
	ck_assert_uint_eq(in.ecn[0], 1);
	ck_assert_int_eq(net_send(s, data, 3000, 0, NULL), 3000);
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.ecn_kind, 174);
	uint32_t first = in.seq;
	drop_out(r);
	ck_assert_int_eq(net_set(s, NET_TCP_NODELAY, 1), 0);
	ck_assert_int_eq(net_send(s, data, 100, 0, NULL), 100);
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.ecn_kind, 0);
	rig_run(r, 1500 * MS); /* 3.2.3.2.2: sent again without */
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.seq, first);
	ck_assert_uint_eq(in.ecn_kind, 0);
	ck_assert_uint_eq(in.tos & 3, NOT_ECT);
	rig_free(r);
}
END_TEST

/* 3.1.4.1: asked for twice, then not at all. */
START_TEST(syn_is_repeated_without)
{
	struct rig_opts o = {.crafted = true, .cfg.ecn = NET_ECN_ASK_ACCURATE};
	struct rig *r = rig_new(&o);
	struct net_sock *s = connecting(r);
	uint32_t iss = in.seq;
	for (unsigned k = 0; k < 4; k++) {
		ck_assert_uint_eq(in.flags, SYN | (k < 2 ? ACE : 0));
		ck_assert_uint_eq(in.seq, iss);
		rig_run(r, (1100 * MS) << k);
		ck_assert(take(r, &in));
	}
	/* The answer to the first comes after all: that is agreed (3.1.4.1). */
	struct tseg a = tseg_of(99, in.sport, SYN | ACK | CWR, 5000, iss + 1);
	craft(r, &a);
	ck_assert(info_of(s).accecn);
	ck_assert_uint_eq(info_of(s).tcpi_accecn_fail_mode, 0);
	rig_free(r);
}
END_TEST

/* 3.2.3.2.2 and 3.1.5: first the option goes, then the offer; after that nothing is ECN-capable,
 * and yet the peer is told of marks. */
START_TEST(syn_ack_is_repeated_without)
{
	struct rig_opts o = {.crafted = true};
	struct rig *r = rig_new(&o);
	struct net_sock *l = listen_on(&r->h[0], 80, 5), *s;
	struct tseg a = tseg_of(4000, 80, SYN | ACE, 100, 0);
	craft(r, &a);
	for (unsigned k = 0; k < 3; k++) {
		ck_assert(take(r, &in));
		ck_assert_uint_eq(in.flags, SYN | ACK | (k < 2 ? CWR : 0));
		ck_assert_uint_eq(in.ecn_kind, k == 0 ? 174 : 0);
		if (k < 2)
			rig_run(r, (1100 * MS) << k);
	}
	a = tseg_of(4000, 80, ACK | CWR, 101, in.seq + 1);
	craft(r, &a);
	ck_assert_int_eq(net_accept(l, &s, NULL), 0);
	ck_assert(info_of(s).accecn);
	ck_assert_uint_eq(info_of(s).tcpi_accecn_fail_mode,
	                  NET_ACCECN_ACE_FAIL_SEND | NET_ACCECN_OPT_FAIL_SEND);
	a = tseg_of(4000, 80, ACK | AE | ECE, 101, in.seq + 1);
	a.tos = CE, a.data = data, a.len = 100;
	craft(r, &a);
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.flags & ACE, ace(1));
	ck_assert_uint_eq(in.ecn_kind, 0);
	ck_assert_int_eq(net_send(s, data, 100, 0, NULL), 100);
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.tos & 3, NOT_ECT);
	rig_free(r);
}
END_TEST

/* 3.2.3.2.2: unless the peer's options come through, which is worth another try. */
START_TEST(option_is_tried_again_where_the_peer_has_it)
{
	static const uint32_t v[3] = {1, 0, 1};
	struct rig_opts o = {.crafted = true};
	struct rig *r = rig_new(&o);
	struct net_sock *l = listen_on(&r->h[0], 80, 5), *s;
	struct tseg a = tseg_of(4000, 80, SYN | ACE, 100, 0);
	craft(r, &a);
	ck_assert(take(r, &in));
	rig_run(r, 1100 * MS);
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.ecn_kind, 0);
	a = tseg_of(4000, 80, ACK | CWR, 101, in.seq + 1);
	a.optlen = opt_accecn(a.opts, 174, 3, v);
	craft(r, &a);
	ck_assert_int_eq(net_accept(l, &s, NULL), 0);
	ck_assert_uint_eq(info_of(s).tcpi_accecn_fail_mode, 0);
	ck_assert_int_eq(net_send(s, data, 100, 0, NULL), 100);
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.ecn_kind, 174);
	rig_free(r);
}
END_TEST

/* The order of a SYN-ACK's options is Linux's. */
START_TEST(syn_ack_has_the_option_before_sack_permitted)
{
	for (unsigned ts = 0; ts < 2; ts++) {
		struct rig_opts o = {.crafted = true};
		struct rig *r = rig_new(&o);
		listen_on(&r->h[0], 80, 5);
		struct tseg a = tseg_of(4000, 80, SYN | ACE, 100, 0);
		a.optlen = opt_mss(a.opts, MSS);
		a.optlen += opt_sackok(a.opts + a.optlen);
		if (ts)
			a.optlen += opt_ts(a.opts + a.optlen, 7, 0);
		a.optlen += opt_ws(a.opts + a.optlen, 7);
		craft(r, &a);
		ck_assert(take(r, &in));
		ck_assert_uint_eq(in.optlen, ts ? 32 : 24);
		ck_assert_uint_eq(in.opts[ts ? 16 : 4], 174);
		ck_assert_uint_eq(in.opts[ts ? 4 : 18], 4);
		ck_assert_uint_eq(in.opts[ts ? 29 : 21], 3);
		rig_free(r);
	}
}
END_TEST

/* 3.1.5: the first SYN decides; the latest is told of; one without flags forbids ECT; one of the
 * other kind ends it. */
START_TEST(syns_of_several_kinds)
{
	static const struct {
		unsigned first, second, answer;
	} t[] = {{ACE, 0, SYN | ACK | CWR},
	         {ACE, ECE | CWR, RST | ACK},
	         {ECE | CWR, ACE, RST | ACK},
	         {0, ACE, SYN | ACK},
	         {0, ECE | CWR, SYN | ACK}};
	for (unsigned k = 0; k < sizeof(t) / sizeof(t[0]); k++) {
		struct rig_opts o = {.crafted = true};
		struct rig *r = rig_new(&o);
		struct net_sock *l = listen_on(&r->h[0], 80, 5), *s;
		struct tseg a = tseg_of(4000, 80, SYN | t[k].first, 100, 0);
		craft(r, &a);
		ck_assert(take(r, &in));
		a.flags = SYN | t[k].second;
		craft(r, &a);
		ck_assert(take(r, &in));
		ck_assert_uint_eq(in.flags, t[k].answer);
		a = tseg_of(4000, 80, ACK | (t[k].first == ACE ? CWR : 0), 101, in.seq + 1);
		craft(r, &a);
		if (t[k].answer & RST) {
			ck_assert_int_eq(net_accept(l, &s, NULL), -NET_EAGAIN);
		} else {
			ck_assert_int_eq(net_accept(l, &s, NULL), 0);
			ck_assert_uint_eq(info_of(s).accecn, t[k].first == ACE);
			ck_assert_int_eq(net_send(s, data, 100, 0, NULL), 100);
			ck_assert(take(r, &in));
			ck_assert_uint_eq(in.tos & 3, NOT_ECT);
		}
		rig_free(r);
	}
}
END_TEST

START_TEST(latest_syn_is_told_of)
{
	struct rig_opts o = {.crafted = true};
	struct rig *r = rig_new(&o);
	listen_on(&r->h[0], 80, 5);
	struct tseg a = tseg_of(4000, 80, SYN | ACE, 100, 0);
	craft(r, &a);
	ck_assert(take(r, &in));
	a.tos = CE;
	craft(r, &a);
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.flags, SYN | ACK | told[CE]);
	rig_free(r);
}
END_TEST

/* Each ACK that there can be of a SYN-ACK (table 4). */
START_TEST(third_segment_is_judged)
{
	for (unsigned n = 0; n < 8; n++) {
		struct rig_opts o = {.crafted = true};
		struct rig *r = rig_new(&o);
		struct net_sock *l = listen_on(&r->h[0], 80, 5);
		struct peer p = {.r = r, .sport = 4000, .dport = 80, .wnd = 65535, .seq = 101};
		struct tseg a = tseg_of(4000, 80, SYN | ACE, 100, 0);
		a.optlen = opt_mss(a.opts, MSS);
		craft(r, &a);
		ck_assert(take(r, &in));
		p.ack = in.seq + 1;
		p.ace = n * ECE;
		peer_send(&p, ACK, NULL, 0);
		ck_assert_int_eq(net_accept(l, &p.s, NULL), 0);
		bool mangled = n == 0 || n == 3 || n == 4 || n == 6;
		ck_assert_uint_eq(info(&p).tcpi_accecn_fail_mode & 1, mangled);
		ck_assert_uint_eq(info(&p).tcpi_ca_state, n == 6 ? 2 : 0);
		ck_assert_uint_eq(ect_of_new_data(&p), !mangled);
		/* With zero, no feedback is believed; in other cases marks are answered. */
		rig_run(r, 50 * MS);
		p.ace = ace(n == 6 ? 2 : 1);
		peer_send(&p, ACK, NULL, 0);
		ck_assert_uint_eq(info(&p).tcpi_delivered_ce, 1);
		ck_assert_uint_eq(info(&p).tcpi_snd_ssthresh < 20, n != 0);
		rig_free(r);
	}
}
END_TEST

/* One with data has the counter already. */
START_TEST(third_segment_with_data_is_a_counter)
{
	struct rig_opts o = {.crafted = true};
	struct rig *r = rig_new(&o);
	struct net_sock *l = listen_on(&r->h[0], 80, 5), *s;
	struct tseg a = tseg_of(4000, 80, SYN | ACE, 100, 0);
	craft(r, &a);
	ck_assert(take(r, &in));
	a = tseg_of(4000, 80, ACK | ace(1), 101,
	            in.seq + 1); /* six: a marked SYN-ACK in the other code */
	a.data = data, a.len = 100;
	craft(r, &a);
	ck_assert_int_eq(net_accept(l, &s, NULL), 0);
	ck_assert_uint_eq(info_of(s).tcpi_accecn_fail_mode, 0);
	ck_assert_uint_eq(info_of(s).tcpi_ca_state, 0);
	rig_free(r);
}
END_TEST

/* 3.1.2: two who call each other answer as servers do. */
START_TEST(simultaneous_opening)
{
	struct rig_opts o = {.crafted = true, .cfg.ecn = NET_ECN_ASK_ACCURATE};
	struct rig *r = rig_new(&o);
	struct net_sock *s = connecting(r);
	uint32_t iss = in.seq;
	struct tseg a = tseg_of(99, in.sport, SYN | ACE, 5000, 0);
	a.tos = ECT0;
	craft(r, &a);
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.flags, SYN | ACK | told[ECT0]);
	a = tseg_of(99, in.dport ? in.sport : 0, SYN | ACK | CWR, 5000, iss + 1);
	craft(r, &a);
	ck_assert_uint_eq(info_of(s).tcpi_state, 1);
	ck_assert(info_of(s).accecn);
	ck_assert_uint_eq(info_of(s).tcpi_accecn_fail_mode, 0);
	rig_free(r);
}
END_TEST

/* 5.1: a cookie says nothing of it, the ACK does. */
START_TEST(cookies_remember_it_by_the_ack)
{
	for (unsigned k = 0; k < 6; k++) {
		bool accurate_syn = k < 2, ts = k & 1, classic = k == 2 || k == 3;
		struct rig_opts o = {.crafted = true, .cfg.syn_cookies = 2};
		struct rig *r = rig_new(&o);
		struct net_sock *l = listen_on(&r->h[0], 80, 5), *s;
		struct tseg a = tseg_of(4000, 80,
		                        SYN | (accurate_syn ? ACE
		                               : classic    ? ECE | CWR
		                                            : 0),
		                        100, 0);
		a.tos = accurate_syn ? CE : NOT_ECT;
		a.optlen = ts ? opt_ts(a.opts, 7, 0) : 0;
		craft(r, &a);
		ck_assert(take(r, &in));
		ck_assert_uint_eq(in.flags, SYN | ACK |
		                                    (accurate_syn    ? told[CE]
		                                     : classic && ts ? ECE
		                                                     : 0));
		ck_assert_uint_eq(in.ecn_kind, accurate_syn ? 174 : 0);
		a = tseg_of(4000, 80, ACK | (accurate_syn ? told[NOT_ECT] : 0), 101, in.seq + 1);
		a.optlen = ts ? opt_ts(a.opts, 8, in.ts_val) : 0;
		craft(r, &a);
		ck_assert_int_eq(net_accept(l, &s, NULL), 0);
		ck_assert_uint_eq(info_of(s).accecn, accurate_syn);
		ck_assert_uint_eq(!!(info_of(s).tcpi_options & NET_TCPI_OPT_ECN),
		                  accurate_syn || (classic && ts));
		ck_assert_int_eq(net_send(s, data, 100, 0, NULL), 100);
		ck_assert(take(r, &in));
		ck_assert_uint_eq(in.tos & 3, accurate_syn || (classic && ts) ? ECT0 : NOT_ECT);
		rig_free(r);
	}
}
END_TEST

/* ---- as the receiver ---- */

static void told_bytes(unsigned kind, uint32_t first, uint32_t ce, uint32_t last)
{
	ck_assert_uint_eq(in.ecn_kind, kind);
	ck_assert_uint_eq(in.ecn_fields, 3);
	ck_assert_uint_eq(in.ecn[0], first);
	ck_assert_uint_eq(in.ecn[1], ce);
	ck_assert_uint_eq(in.ecn[2], last);
}

START_TEST(marks_are_counted_and_told)
{
	struct peer p;
	struct rig *r = start(&p);
	data_in(&p, ECT0, 100);
	rig_run(r, 50 * MS);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.flags, ACK | ace(0));
	told_bytes(174, 1, 0, 101);
	drop_out(r);
	uint32_t ce = 0;
	for (unsigned n = 1; n <= 20; n++) {
		data_in(&p, CE, 10 * n);
		ce += 10 * n;
		rig_run(r, 50 * MS);
		ck_assert(peer_take(&p, &in));
		ck_assert_uint_eq(in.flags, ACK | ace(n));
		told_bytes(174, 1, ce, 101);
		ck_assert(!take(r, &in));
	}
	data_in(&p, ECT1, 7);
	rig_run(r, 50 * MS);
	ck_assert(peer_take(&p, &in));
	told_bytes(174, 8, ce, 101);
	ck_assert_uint_eq(info(&p).tcpi_received_ce, 20);
	ck_assert_uint_eq(info(&p).tcpi_received_e1_bytes, 7);
	ck_assert_uint_eq(info(&p).tcpi_received_e0_bytes, 100);
	/* Nothing has moved since: once more after a change, then no option. */
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(net_send(p.s, data, MSS, 0, NULL), MSS);
		ck_assert(peer_take(&p, &in));
		ck_assert_uint_eq(in.ecn_kind, i ? 0 : 174);
		ck_assert_uint_eq(in.flags & ACE, ace(20));
		drop_out(r);
	}
	rig_free(r);
}
END_TEST

/* 3.2.2.5.1. */
START_TEST(marks_are_acknowledged_at_once)
{
	struct peer p;
	struct rig *r = start(&p);
	for (unsigned i = 0; i < 40; i++) /* leaves the phase of quick ACKs behind */
		data_in(&p, ECT0, 500);
	rig_run(r, SEC);
	drop_out(r);
	data_in(&p, ECT0, 100);
	ck_assert(!take(r, &in)); /* delayed */
	data_in(&p, CE, 100);
	ck_assert(take(r, &in)); /* marks begin */
	data_in(&p, CE, 100);
	ck_assert(!take(r, &in));
	data_in(&p, CE, 100);
	ck_assert(take(r, &in)); /* two since the last ACK */
	data_in(&p, ECT0, 100);
	ck_assert(take(r, &in)); /* they end */
	data_in(&p, ECT0, 100);
	ck_assert(!take(r, &in));
	data_in(&p, NOT_ECT, 100); /* as what is sent again: that is no change */
	data_in(&p, ECT0, 100);
	ck_assert(!take(r, &in));
	data_in(&p, ECT1, 100);
	ck_assert(take(r, &in));
	rig_run(r, SEC);
	drop_out(r);
	/* Marked ACKs: every third is answered. */
	for (unsigned i = 0; i < 9; i++) {
		struct tseg s = tseg_of(p.sport, p.dport, ACK | p.ace, p.seq, p.ack);
		s.tos = CE;
		craft(r, &s);
		ck_assert_uint_eq(take(r, &in), i % 3 == 2);
	}
	ck_assert_uint_eq(in.flags, ACK | ace(12));
	ck_assert_uint_eq(in.nsacks, 0);
	rig_free(r);
}
END_TEST

START_TEST(unacceptable_segments_do_not_count)
{
	struct peer p;
	struct rig *r = start(&p);
	struct tseg s = tseg_of(p.sport, p.dport, ACK | p.ace, p.seq + 10000000, p.ack);
	s.tos = CE, s.data = data, s.len = 100;
	craft(r, &s);
	s.seq = p.seq, s.ack = p.ack + 50000;
	craft(r, &s);
	s.ack = p.ack, s.bad_csum = true;
	craft(r, &s);
	ck_assert_uint_eq(info(&p).tcpi_received_ce, 0);
	ck_assert_uint_eq(info(&p).tcpi_received_ce_bytes, 0);
	rig_free(r);
}
END_TEST

/* The peer's data beyond its Nth hole, with SACK blocks of ours and timestamps. */
static void data_beyond(struct peer *p, unsigned n, unsigned ect, const uint32_t block[1][2])
{
	struct tseg s = tseg_of(p->sport, p->dport, ACK | p->ace, p->seq + n * 2000, p->ack);
	s.optlen = opt_ts(s.opts, p->ts_val, p->ts_ecr);
	if (block)
		s.optlen += opt_sack(s.opts + s.optlen, 1, block);
	s.tos = (uint8_t)ect;
	s.data = data, s.len = 100;
	craft(p->r, &s);
	ck_assert(take(p->r, &in));
	ck_assert_uint_le(in.optlen, 40);
}

/* 3.2.3.3: two SACK blocks come before the option, and the option before a third; it is cut to what
 * has moved, and not there if that has no room. */
START_TEST(sack_has_precedence)
{
	static const struct peer_opts o = {
	        .mss = MSS, .sack = true, .ts = true, .ws = 7, .wnd = 2000, .accecn = true};
	static const struct {
		unsigned ect, kind, nsacks;
		uint32_t first, ce;
	} t[] = {{ECT0, 172, 2, 201, 0}, {CE, 174, 2, 1, 100}, {ECT1, 174, 2, 101, 100}};
	struct peer p;
	struct rig *r = start_as(&p, &o, NET_ECN_WHEN_ASKED);
	data_beyond(&p, 1, ECT0, NULL);
	told_bytes(174, 1, 0, 101);
	ck_assert_uint_eq(in.nsacks, 1);
	for (unsigned i = 0; i < 3; i++) {
		data_beyond(&p, i + 2, t[i].ect, NULL);
		ck_assert_uint_eq(in.nsacks, t[i].nsacks);
		ck_assert_uint_eq(in.ecn_kind, t[i].kind);
		ck_assert_uint_eq(in.ecn_fields, 2);
		ck_assert_uint_eq(in.ecn[0], t[i].first);
		ck_assert_uint_eq(in.ecn[1], t[i].ce);
	}
	/* What is sent again has no option, so that two counters have moved at the next ACK. */
	ck_assert_int_eq(net_send(p.s, data, 5000, 0, NULL), 5000);
	rig_run(r, 20 * MS);
	drop_out(r);
	uint32_t lost[1][2] = {{p.ack + 2000, p.ack + 5000}};
	data_beyond(&p, 5, ECT0, lost);
	ck_assert_uint_eq(in.seq, p.ack);
	ck_assert_uint_gt(in.len, 0);
	ck_assert_uint_eq(in.ecn_kind, 0);
	rig_run(r, MS);
	while (take(r, &in))
		ck_assert_uint_gt(in.len, 0);
	data_beyond(&p, 6, ECT1, NULL);
	ck_assert_uint_eq(in.len, 0);
	ck_assert_uint_eq(in.nsacks, 3);
	ck_assert_uint_eq(in.ecn_kind, 0);
	rig_free(r);
}
END_TEST

/* The option where nothing of the peer's has arrived: three times in a round trip, once it is known
 * that the peer sends it as well. */
START_TEST(option_goes_out_now_and_then)
{
	static const uint32_t v[3] = {1, 0, 1};
	struct peer p;
	struct rig *r = start(&p); /* round trips of 100 ms */
	ck_assert_int_eq(net_set(p.s, NET_TCP_NODELAY, 1), 0);
	for (unsigned i = 0; i < 8; i++) {
		ck_assert_int_eq(net_send(p.s, data, 100, 0, NULL), 100);
		ck_assert(peer_take(&p, &in));
		ck_assert_uint_eq(in.ecn_kind != 0, i == 1 || i == 4 || i == 7);
		if (in.ecn_kind)
			told_bytes(174, 1, 0, 1);
		rig_run(r, 12 * MS);
		p.ack += 100;
		uint8_t o[40];
		if (i == 0)
			peer_ack(&p, p.ack, o, opt_accecn(o, 174, 3, v));
	}
	rig_free(r);
}
END_TEST

/* 100 bytes from BACK bytes ago once more; whether the answer has the option. */
static bool again(struct peer *p, uint32_t back)
{
	p->seq -= back;
	data_in(p, ECT0, 100);
	p->seq += back - 100;
	ck_assert(peer_take(p, &in));
	ck_assert_uint_eq(in.len, 0);
	return in.ecn_kind;
}

/* 3.2.3.2.2: when the same data comes a third time although it was acknowledged with the option, it
 * goes without, for good; ACKs that get lost now and then are no reason. */
START_TEST(option_that_is_eaten_is_given_up)
{
	for (unsigned sack = 0; sack < 2; sack++) {
		struct peer_opts o = accurate;
		o.sack = sack;
		struct peer p;
		struct rig *r = start_as(&p, &o, NET_ECN_WHEN_ASKED);
		for (unsigned i = 0; i < 10; i++) {
			data_in(&p, ECT0, 100);
			rig_run(r, 50 * MS);
			ck_assert(peer_take(&p, &in));
			ck_assert(in.ecn_kind);
			ck_assert(again(&p, 100));
		}
		ck_assert(again(&p, 200)); /* other data */
		ck_assert(again(&p, 100));
		ck_assert_int_eq(net_send(p.s, data, 100, 0, NULL), 100);
		ck_assert(peer_take(&p, &in)); /* has acknowledged it, without the option */
		ck_assert_uint_eq(in.ecn_kind, 0);
		ck_assert(again(&p, 100));
		ck_assert_uint_eq(info(&p).tcpi_accecn_fail_mode, 0);
		ck_assert(!again(&p, 100));
		ck_assert_uint_eq(info(&p).tcpi_accecn_fail_mode, NET_ACCECN_OPT_FAIL_SEND);
		data_in(&p, ECT0, 100);
		rig_run(r, 50 * MS);
		ck_assert(peer_take(&p, &in));
		ck_assert_uint_eq(in.ecn_kind, 0);
		rig_free(r);
	}
}
END_TEST

/* 3.3.4: a device that cuts segments takes CWR from all but the first, which would be six more
 * marks: while the counter has that bit, the stack cuts them itself. */
START_TEST(counter_with_cwr_is_cut_here)
{
	struct rig_opts ro = {.crafted = true, .tso = true};
	struct rig *r = rig_new(&ro);
	struct peer p;
	peer_connect(&p, r, &accurate);
	drop_out(r);
	for (unsigned marks = 0; marks < 8; marks++) {
		bool cwr = ace(marks) & CWR, whole = false;
		ck_assert_int_eq(net_send(p.s, data, 6 * MSS, 0, NULL), 6 * MSS);
		for (const struct frame *f = r->out; f; f = f->next)
			whole |= f->gso_type != PKT_GSO_NONE;
		ck_assert_uint_eq(whole, !cwr);
		unsigned got = 0;
		while (peer_take(&p, &in)) {
			ck_assert_uint_eq(in.flags & ACE, ace(marks));
			got += in.len;
		}
		ck_assert_uint_eq(got, 6 * MSS);
		p.ack += got;
		data_in(&p, CE, 100);
		rig_run(r, 50 * MS);
		drop_out(r);
	}
	rig_free(r);
}
END_TEST

/* ---- as the sender ---- */

START_TEST(feedback_reduces_once_in_a_round)
{
	struct peer p;
	struct rig *r = start(&p);
	flight(&p, 10);
	uint32_t cwnd = info(&p).tcpi_snd_cwnd;
	rig_run(r, 50 * MS);
	ack(&p, 1, 1, 0, 0, NULL);
	uint32_t ssthresh = info(&p).tcpi_snd_ssthresh;
	ck_assert_uint_eq(info(&p).tcpi_ca_state, 2);
	ck_assert_uint_lt(ssthresh, cwnd);
	ck_assert_uint_ge(ssthresh, cwnd / 2);
	ack(&p, 3, 3, 0, 0, NULL);
	ck_assert_uint_eq(info(&p).tcpi_snd_ssthresh, ssthresh);
	ck_assert_uint_eq(info(&p).tcpi_delivered_ce, 3);
	ack(&p, 6, 3, 0, 0, NULL);
	ck_assert_uint_eq(info(&p).tcpi_ca_state, 0);
	ck_assert_uint_eq(info(&p).tcpi_snd_cwnd, ssthresh);
	flight(&p, 4);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq(in.flags & ACE, ace(0)); /* CWR is not for saying so (3.1.5) */
	ack(&p, 4, 4, 0, 0, NULL);                         /* the next round's */
	ck_assert_uint_lt(info(&p).tcpi_snd_ssthresh, ssthresh);
	rig_free(r);
}
END_TEST

/* Appendix A.1: what has been overtaken says nothing. */
START_TEST(superseded_feedback_is_ignored)
{
	struct peer p;
	struct rig *r = start(&p);
	flight(&p, 6);
	ack(&p, 4, 0, 0, 0, NULL);
	uint32_t now = p.ack;
	p.ack -= 2 * MSS;
	ack(&p, 0, 2, 0, 0, NULL); /* older */
	p.ack = now;
	ack(&p, 0, 2, 0, 0, NULL); /* perhaps older */
	ck_assert_uint_eq(info(&p).tcpi_delivered_ce, 0);
	ack(&p, 2, 0, 0, 0, NULL);
	ck_assert_uint_eq(info(&p).tcpi_delivered_ce, 0);
	rig_free(r);
}
END_TEST

/* 3.2.2.5.2: three bits may have gone round. Without options as often as can be, with them as often
 * as the bytes need. */
START_TEST(counter_that_may_have_wrapped)
{
	static const uint32_t none[2] = {9001, 0}, nine[2] = {1, 9000}, one[2] = {9001, 1000};
	static const struct {
		unsigned covers, ace;
		const uint32_t *counters;
		uint32_t marks;
	} t[] = {{7, 1, NULL, 1},  {9, 1, NULL, 9}, {10, 0, NULL, 8}, {10, 3, NULL, 3},
	         {10, 0, none, 0}, {10, 1, one, 1}, {10, 1, nine, 9}};
	for (unsigned k = 0; k < sizeof(t) / sizeof(t[0]); k++) {
		struct peer p;
		struct rig *r = start(&p);
		for (unsigned i = 0; i < 5; i++) { /* an ACK for each: none is missing here */
			flight(&p, 1);
			ack(&p, 1, 0, 0, 0, NULL);
		}
		flight(&p, 10);
		ack(&p, t[k].covers, t[k].ace, t[k].counters ? 172 : 0, 2, t[k].counters);
		ck_assert_uint_eq(info(&p).tcpi_delivered_ce, t[k].marks);
		rig_free(r);
	}
}
END_TEST

START_TEST(acks_that_always_cover_much_are_no_wrap)
{
	struct peer p;
	struct rig *r = start(&p);
	for (unsigned i = 0; i < 20; i++) {
		flight(&p, 10);
		ack(&p, 10, 0, 0, 0, NULL);
	}
	ck_assert_uint_eq(info(&p).tcpi_delivered_ce, 0);
	ck_assert_uint_eq(info(&p).tcpi_ca_state, 0);
	rig_free(r);
}
END_TEST

START_TEST(option_in_every_form)
{
	static const struct {
		unsigned kind, n;
		uint32_t v[3], e1, e0, ce;
	} t[] = {{172, 0, {0}, 0, 0, 0},
	         {172, 1, {2001}, 0, 2000, 0},
	         {172, 2, {1001, 1000}, 0, 1000, 1000},
	         {172, 3, {1001, 500, 501}, 500, 1000, 500},
	         {174, 1, {2001}, 2000, 0, 0},
	         {174, 2, {1001, 1000}, 1000, 0, 1000},
	         {174, 3, {501, 500, 1001}, 500, 1000, 500}};
	for (unsigned k = 0; k < sizeof(t) / sizeof(t[0]); k++) {
		struct peer p;
		struct rig *r = start(&p);
		flight(&p, 2);
		ack(&p, 2, t[k].ce ? 1 : 0, t[k].kind, t[k].n, t[k].v);
		struct net_tcp_info i = info(&p);
		ck_assert_uint_eq(i.tcpi_accecn_opt_seen, t[k].n > 0);
		ck_assert_uint_eq(i.tcpi_delivered_e1_bytes, t[k].e1);
		ck_assert_uint_eq(i.tcpi_delivered_e0_bytes, t[k].e0);
		ck_assert_uint_eq(i.tcpi_delivered_ce_bytes, t[k].ce);
		ck_assert_uint_eq(i.tcpi_accecn_fail_mode, 0);
		rig_free(r);
	}
}
END_TEST

/* 3.2.3: of another length, the whole fields count; a length that cannot be is no option. */
START_TEST(option_of_odd_lengths)
{
	struct peer p;
	struct rig *r = start(&p);
	flight(&p, 4);
	uint8_t o[40] = {172, 6, 0, 0x03, 0xe9, 0xaa, 1, 1};
	p.ack += MSS;
	peer_ack(&p, p.ack, o, 8);
	ck_assert_uint_eq(info(&p).tcpi_delivered_e0_bytes, 1000);
	uint8_t tall[20] = {174, 16, 0, 0, 1, 0, 0, 0, 0, 0x07, 0xd1, 9, 9, 9, 9, 9, 1, 1, 1, 1};
	p.ack += MSS;
	peer_ack(&p, p.ack, tall, 20);
	ck_assert_uint_eq(info(&p).tcpi_delivered_e0_bytes, 2000);
	uint8_t cut[4] = {172, 11, 0, 9};
	p.ack += MSS;
	peer_ack(&p, p.ack, cut, 4);
	ck_assert_uint_eq(info(&p).tcpi_delivered_e0_bytes, 2000);
	ck_assert_uint_eq(info(&p).tcpi_unacked, 1);
	rig_free(r);
}
END_TEST

START_TEST(option_of_zeros_is_ignored)
{
	static const uint32_t zeros[3] = {0, 0, 0}, later[2] = {3001, 0};
	for (unsigned n = 1; n <= 3; n += 2) {
		struct peer p;
		struct rig *r = start(&p);
		flight(&p, 3);
		ack(&p, 1, 0, 174, n, zeros);
		ack(&p, 2, 0, 172, 2, later);
		ck_assert_uint_eq(info(&p).tcpi_accecn_opt_seen, 0);
		ck_assert_uint_eq(info(&p).tcpi_accecn_fail_mode, NET_ACCECN_OPT_FAIL_RECV);
		ck_assert_uint_eq(info(&p).tcpi_delivered_e0_bytes, 0);
		rig_free(r);
	}
}
END_TEST

/* 3.2.2.4: the first counter is not zero, unless somebody has made it so. */
START_TEST(zeroed_counter_is_distrusted)
{
	struct peer p;
	struct rig *r = start(&p);
	flight(&p, 2);
	p.ace = 0;
	p.ack += 2 * MSS;
	peer_send(&p, ACK, NULL, 0);
	ck_assert_uint_eq(info(&p).tcpi_accecn_fail_mode,
	                  NET_ACCECN_ACE_FAIL_SEND | NET_ACCECN_ACE_FAIL_RECV);
	ck_assert_uint_eq(info(&p).tcpi_ca_state, 0);
	ck_assert(!ect_of_new_data(&p));
	data_in(&p, CE, 100); /* its own marks it hears of even so */
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.flags & ACE, ace(1));
	rig_free(r);
}
END_TEST

/* 3.2.3.2.5. */
START_TEST(marked_bytes_without_a_marked_packet_end_it)
{
	static const uint32_t v[2] = {1001, 1000};
	struct peer p;
	struct rig *r = start(&p);
	flight(&p, 2);
	ack(&p, 2, 0, 172, 2, v);
	ck_assert_uint_eq(info(&p).tcpi_accecn_fail_mode, NET_ACCECN_ACE_FAIL_SEND);
	ck_assert_uint_eq(info(&p).tcpi_ca_state, 2); /* it may still be true */
	ck_assert(!ect_of_new_data(&p));
	rig_free(r);
}
END_TEST

/* 3.2.2.3: four round trips of nothing but marks are noise. */
START_TEST(path_that_marks_everything_is_not_believed)
{
	struct peer p;
	struct rig *r = start(&p);
	unsigned marks = 0;
	for (unsigned round = 0; round < 4; round++) {
		ck_assert_uint_eq(info(&p).tcpi_accecn_fail_mode, 0);
		flight(&p, 2);
		rig_run(r, 20 * MS);
		marks += 2;
		ack(&p, 2, marks, 0, 0, NULL);
	}
	ck_assert_uint_eq(info(&p).tcpi_accecn_fail_mode,
	                  NET_ACCECN_ACE_FAIL_SEND | NET_ACCECN_ACE_FAIL_RECV);
	rig_free(r);
}
END_TEST

/* A peer that says whatever it likes of marks: the window stays what it can be, and data flows. */
START_TEST(lies_do_no_harm)
{
	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct peer p;
		struct rig *r = start(&p);
		uint64_t x = seed;
		unsigned got = 0;
		for (unsigned i = 0; i < 300; i++) {
			(void)net_send(p.s, data, 3 * MSS, 0, NULL);
			while (peer_take(&p, &in))
				if (in.seq == p.ack) {
					p.ack += in.len;
					got += in.len;
				}
			const uint32_t v[3] = {rig_rand(&x), rig_rand(&x), rig_rand(&x)};
			uint8_t o[40];
			p.ace = rig_rand(&x) % 8 * ECE;
			uint32_t n =
			        opt_accecn(o, rig_rand(&x) % 2 ? 172 : 174, rig_rand(&x) % 4, v);
			peer_ack(&p, p.ack, o, rig_rand(&x) % 3 ? n : 0);
			rig_run(r, 10 * MS);
		}
		ck_assert_uint_ge(got, 300 * MSS);
		ck_assert_uint_ge(info(&p).tcpi_snd_cwnd, 1);
		ck_assert_uint_le(info(&p).tcpi_delivered_ce, 8 * 300);
		rig_free(r);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("tcp_ecn");
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, server_agrees_and_tells_what_became_of_the_syn);
	tcase_add_test(tc, server_falls_back);
	tcase_add_test(tc, client_follows_the_answer);
	tcase_add_test(tc, client_tells_what_became_of_the_syn_ack);
	tcase_add_test(tc, first_data_of_a_client_has_the_option);
	tcase_add_test(tc, syn_is_repeated_without);
	tcase_add_test(tc, syn_ack_is_repeated_without);
	tcase_add_test(tc, option_is_tried_again_where_the_peer_has_it);
	tcase_add_test(tc, syn_ack_has_the_option_before_sack_permitted);
	tcase_add_test(tc, syns_of_several_kinds);
	tcase_add_test(tc, latest_syn_is_told_of);
	tcase_add_test(tc, third_segment_is_judged);
	tcase_add_test(tc, third_segment_with_data_is_a_counter);
	tcase_add_test(tc, simultaneous_opening);
	tcase_add_test(tc, cookies_remember_it_by_the_ack);
	tcase_add_test(tc, marks_are_counted_and_told);
	tcase_add_test(tc, marks_are_acknowledged_at_once);
	tcase_add_test(tc, unacceptable_segments_do_not_count);
	tcase_add_test(tc, sack_has_precedence);
	tcase_add_test(tc, option_goes_out_now_and_then);
	tcase_add_test(tc, option_that_is_eaten_is_given_up);
	tcase_add_test(tc, counter_with_cwr_is_cut_here);
	tcase_add_test(tc, feedback_reduces_once_in_a_round);
	tcase_add_test(tc, superseded_feedback_is_ignored);
	tcase_add_test(tc, counter_that_may_have_wrapped);
	tcase_add_test(tc, acks_that_always_cover_much_are_no_wrap);
	tcase_add_test(tc, option_in_every_form);
	tcase_add_test(tc, option_of_odd_lengths);
	tcase_add_test(tc, option_of_zeros_is_ignored);
	tcase_add_test(tc, zeroed_counter_is_distrusted);
	tcase_add_test(tc, marked_bytes_without_a_marked_packet_end_it);
	tcase_add_test(tc, path_that_marks_everything_is_not_believed);
	tcase_add_test(tc, lies_do_no_harm);
	return suite_run("stack/tcp_ecn", tc);
}
