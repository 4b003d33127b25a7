/* Opening: handshakes, options, refusals, floods (RFC 9293, 3.5; RFC 4987; RFC 6528). */
#include <check.h>
#include <string.h>

#include "rig.h"
#include "suite.h"

static struct tseg in;

static struct rig *start(void)
{
	struct rig_opts o = {.crafted = true};
	return rig_new(&o);
}

static struct net_sock *connecting(struct rig *r, struct tseg *syn)
{
	struct net_sock *s;
	struct net_endpoint to = ep("10.0.0.2", 99);
	ck_assert_int_eq(net_socket(r->h[0].st, NET_STREAM, &s), 0);
	ck_assert_int_eq(net_connect(s, &to), -NET_EINPROGRESS);
	ck_assert(take(r, syn));
	return s;
}

static uint8_t state(struct net_sock *s)
{
	struct net_tcp_info i;
	ck_assert_int_eq(net_tcp_info(s, &i), 0);
	return i.tcpi_state; /* Linux's numbers */
}
#define L_ESTABLISHED 1
#define L_SYN_SENT    2
#define L_SYN_RECV    3
#define L_CLOSE       7
#define L_CLOSE_WAIT  8

static void swallow(void *ctx, struct pkt *p)
{
	(void)ctx;
	pkt_free(p);
}

/* The very bytes of Linux: MSS, SACK-permitted, timestamps, NOP, window scale; 64240. */
START_TEST(syn_looks_like_linux)
{
	struct rig *r = start();
	connecting(r, &in);
	static const uint8_t shape[] = {2, 4, 0x05, 0xb4, 4, 2, 8, 10};
	ck_assert_uint_eq(in.flags, SYN);
	ck_assert_uint_eq(in.optlen, 20);
	ck_assert_mem_eq(in.opts, shape, sizeof(shape));
	ck_assert_uint_eq(in.opts[16], 1);
	ck_assert_uint_eq(in.opts[17], 3);
	ck_assert_uint_eq(in.ws, 7);
	ck_assert_uint_eq(in.wnd, 64240);
	rig_free(r);
}
END_TEST

START_TEST(active_open)
{
	struct rig *r = start();
	struct net_sock *s = connecting(r, &in);
	struct tseg a = tseg_of(99, in.sport, SYN | ACK, 5000, in.seq + 1);
	craft(r, &a);
	uint32_t iss = in.seq;
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.flags, ACK);
	ck_assert_uint_eq(in.seq, iss + 1);
	ck_assert_uint_eq(in.ack, 5001);
	ck_assert_uint_eq(in.optlen, 0); /* the peer had no timestamps */
	ck_assert_uint_eq(state(s), L_ESTABLISHED);
	ck_assert(net_ready(s) & NET_EV_OUT);
	rig_free(r);
}
END_TEST

START_TEST(syn_ack_of_something_else_is_reset)
{
	struct rig *r = start();
	struct net_sock *s = connecting(r, &in);
	struct tseg a = tseg_of(99, in.sport, SYN | ACK, 5000, in.seq + 77);
	craft(r, &a);
	uint32_t bad = a.ack;
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.flags, RST);
	ck_assert_uint_eq(in.seq, bad);
	ck_assert_uint_eq(state(s), L_SYN_SENT);
	rig_free(r);
}
END_TEST

START_TEST(refused_by_reset)
{
	struct rig *r = start();
	struct net_sock *s = connecting(r, &in);
	struct tseg a = tseg_of(99, in.sport, RST, 0, 0); /* without ACK: anybody could */
	craft(r, &a);
	ck_assert_uint_eq(state(s), L_SYN_SENT);
	a = tseg_of(99, in.sport, RST | ACK, 0, in.seq + 1);
	craft(r, &a);
	int64_t err;
	ck_assert_uint_eq(state(s), L_CLOSE);
	ck_assert(net_ready(s) & NET_EV_ERR);
	ck_assert_int_eq(net_get(s, NET_SO_ERROR, &err), 0);
	ck_assert_int_eq(err, NET_ECONNREFUSED);
	rig_free(r);
}
END_TEST

START_TEST(simultaneous_open)
{
	struct rig *r = start();
	struct net_sock *s = connecting(r, &in);
	uint32_t iss = in.seq;
	struct tseg a = tseg_of(99, in.sport, SYN, 5000, 0);
	craft(r, &a);
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.flags, SYN | ACK);
	ck_assert_uint_eq(in.seq, iss);
	ck_assert_uint_eq(in.ack, 5001);
	ck_assert_uint_eq(state(s), L_SYN_RECV);
	a = tseg_of(99, in.sport, SYN | ACK, 5000, iss + 1); /* figure 8 */
	craft(r, &a);
	ck_assert_uint_eq(state(s), L_ESTABLISHED);
	rig_free(r);
}
END_TEST

/* An active open that became SYN-RECEIVED is refused; a passive one goes back to LISTEN. */
START_TEST(syn_received_remembers_where_it_came_from)
{
	struct rig *r = start();
	struct net_sock *s = connecting(r, &in);
	struct tseg a = tseg_of(99, in.sport, SYN, 5000, 0);
	craft(r, &a);
	a = tseg_of(99, in.sport, RST | ACK, 5001, in.seq + 1);
	craft(r, &a);
	ck_assert_uint_eq(state(s), L_CLOSE);
	drop_out(r);
	struct net_sock *l = listen_on(&r->h[0], 80, 5);
	a = tseg_of(1111, 80, SYN, 100, 0);
	craft(r, &a);
	ck_assert(take(r, &in));
	a = tseg_of(1111, 80, RST, 101, 0);
	craft(r, &a);
	ck_assert(!take(r, &in));
	a = tseg_of(1111, 80, ACK, 101, in.seq + 1);
	craft(r, &a);
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.flags, RST);
	ck_assert(!net_ready(l));
	rig_free(r);
}
END_TEST

START_TEST(listener_and_closed_port_answer_as_the_rfc_says)
{
	struct rig *r = start();
	listen_on(&r->h[0], 80, 5);
	struct tseg a = tseg_of(1111, 81, SYN, 100, 0);
	craft(r, &a);
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.flags, RST | ACK);
	ck_assert_uint_eq(in.seq, 0);
	ck_assert_uint_eq(in.ack, 101);
	ck_assert_uint_eq(in.wnd, 0);
	a = tseg_of(1111, 81, ACK, 100, 777);
	craft(r, &a);
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.flags, RST);
	ck_assert_uint_eq(in.seq, 777);
	a = tseg_of(1111, 81, RST, 100, 777);
	craft(r, &a);
	ck_assert(!take(r, &in));
	a = tseg_of(1111, 80, RST, 100, 0);
	craft(r, &a);
	ck_assert(!take(r, &in));
	a = tseg_of(1111, 80, ACK, 100, 777);
	craft(r, &a);
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.flags, RST);
	a = tseg_of(1111, 80, FIN, 100, 0);
	craft(r, &a);
	ck_assert(!take(r, &in));
	rig_free(r);
}
END_TEST

START_TEST(syn_ack_is_repeated_with_backoff)
{
	struct rig *r = start();
	listen_on(&r->h[0], 80, 5);
	struct tseg a = tseg_of(1111, 80, SYN, 100, 0);
	craft(r, &a);
	uint64_t began = r->now;
	unsigned n = 0;
	for (unsigned s = 0; s < 130; s++) {
		rig_run(r, SEC);
		while (take(r, &in)) {
			ck_assert_uint_eq(in.flags, SYN | ACK);
			n++;
		}
	}
	ck_assert_uint_eq(n, 6);
	ck_assert_uint_gt(r->now, began);
	a = tseg_of(1111, 80, ACK, 101, in.seq + 1); /* too late */
	craft(r, &a);
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.flags, RST);
	rig_free(r);
}
END_TEST

START_TEST(syn_is_repeated_for_three_minutes)
{
	struct rig *r = start();
	struct net_sock *s = connecting(r, &in);
	uint64_t began = r->now, gap = 0, last = r->now;
	unsigned n = 0;
	while (state(s) == L_SYN_SENT && r->now - began < 600 * SEC) {
		rig_run(r, 100 * MS);
		if (!take(r, &in))
			continue;
		ck_assert_uint_eq(in.flags, SYN);
		ck_assert_uint_ge(r->now - last, gap * 19 / 10);
		gap = r->now - last;
		last = r->now;
		n++;
	}
	ck_assert_uint_ge(r->now - began, 180 * SEC);
	ck_assert_uint_eq(n, 7);
	int64_t err;
	net_get(s, NET_SO_ERROR, &err);
	ck_assert_int_eq(err, NET_ETIMEDOUT);
	rig_free(r);
}
END_TEST

START_TEST(mss_of_the_listener_is_announced)
{
	struct rig *r = start();
	struct net_sock *s = listen_on(&r->h[0], 80, 1);
	struct tseg a = tseg_of(99, 80, SYN, 5000, 0);
	int64_t v;
	ck_assert_int_eq(net_set(s, NET_TCP_MAXSEG, 1100), 0);
	ck_assert_int_eq(net_get(s, NET_TCP_MAXSEG, &v), 0);
	ck_assert_int_eq(v, 1100);
	a.optlen = opt_mss(a.opts, 1460);
	craft(r, &a);
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.flags, SYN | ACK);
	ck_assert_uint_eq(in.mss, 1100);
	net_close(s);
	rig_free(r);
}
END_TEST

START_TEST(mss_default_and_floor)
{
	static const struct {
		uint16_t told;
		unsigned used;
	} cases[] = {{0, 536}, {1460, 1460}, {9000, 1460}, {1, 48}, {65535, 1460}, {100, 100}};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig *r = start();
		struct net_sock *s = connecting(r, &in);
		struct tseg a = tseg_of(99, in.sport, SYN | ACK, 5000, in.seq + 1);
		if (cases[i].told)
			a.optlen = opt_mss(a.opts, cases[i].told);
		craft(r, &a);
		ck_assert(take(r, &in));
		static uint8_t data[4000];
		ck_assert_int_eq(net_send(s, data, sizeof(data), 0, NULL), sizeof(data));
		ck_assert(take(r, &in));
		ck_assert_uint_eq(in.len, cases[i].used);
		ck_assert_uint_eq(in.mss, 0); /* MUST-65 */
		rig_free(r);
	}
}
END_TEST

/* Lengths that cannot be, options nobody knows, no alignment, all in a SYN. */
START_TEST(strange_options_are_survived)
{
	static const struct {
		uint8_t len, bytes[12];
	} opts[] = {
	        {3, {2, 0, 0}},        {2, {2, 1}},
	        {4, {2, 200, 5, 180}}, {1, {8}},
	        {4, {254, 4, 1, 2}},   {8, {1, 1, 1, 2, 4, 5, 180, 0}},
	        {4, {3, 3, 200, 0}},   {6, {30, 2, 2, 4, 5, 180}},
	};
	struct rig *r = start();
	listen_on(&r->h[0], 80, 50);
	for (unsigned i = 0; i < sizeof(opts) / sizeof(opts[0]); i++) {
		struct tseg a = tseg_of((uint16_t)(2000 + i), 80, SYN, 100, 0);
		memcpy(a.opts, opts[i].bytes, opts[i].len);
		a.optlen = opts[i].len;
		craft(r, &a);
		ck_assert(take(r, &in));
		ck_assert_uint_eq(in.flags, SYN | ACK);
		ck_assert_uint_eq(in.ack, 101);
	}
	rig_free(r);
}
END_TEST

START_TEST(initial_numbers_are_keyed_and_move_with_time)
{
	struct rig *r = start();
	listen_on(&r->h[0], 80, 500);
	uint32_t last = 0, same = 0;
	for (unsigned i = 0; i < 50; i++) {
		struct tseg a = tseg_of((uint16_t)(2000 + i), 80, SYN, 100, 0);
		craft(r, &a);
		ck_assert(take(r, &in));
		same += in.seq - last < 1000000;
		last = in.seq;
	}
	ck_assert_uint_lt(same, 3); /* other ports, other places */
	rig_free(r);
	/* The same pair later: a larger number, by the clock of 4 us. */
	r = start();
	struct net_sock *s;
	struct net_endpoint from = {.port = 7777}, to = ep("10.0.0.2", 99);
	uint32_t iss[2];
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(net_socket(r->h[0].st, NET_STREAM, &s), 0);
		ck_assert_int_eq(net_bind(s, &from), 0);
		ck_assert_int_eq(net_connect(s, &to), -NET_EINPROGRESS);
		ck_assert(take(r, &in));
		iss[i] = in.seq;
		net_abort(s);
		rig_run(r, SEC);
	}
	ck_assert_uint_eq(iss[1] - iss[0], 250000);
	rig_free(r);
}
END_TEST

START_TEST(no_connection_to_groups_or_nobody)
{
	static const char *const bad[] = {"224.0.0.1", "255.255.255.255", "0.0.0.0"};
	struct rig *r = start();
	struct net_sock *s;
	for (unsigned i = 0; i < 3; i++) {
		struct net_endpoint to = ep(bad[i], 80);
		ck_assert_int_eq(net_socket(r->h[0].st, NET_STREAM, &s), 0);
		ck_assert_int_lt(net_connect(s, &to), 0);
		ck_assert_uint_eq(state(s), L_CLOSE);
		net_close(s);
	}
	ck_assert(!take(r, &in));
	rig_free(r);
}
END_TEST

/* A SYN from a group, or to one, is not answered at all. */
START_TEST(groups_get_no_answer)
{
	struct rig *r = start();
	listen_on(&r->h[0], 80, 5);
	uint8_t p[40] = {0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10,   0,   0, 2, 10, 0, 0, 1,
	                 4,    4, 0, 80, 0, 0, 0, 9, 0,  0, 0, 0, 0x50, SYN, 1, 0, 0,  0, 0, 0};
	static const uint8_t src[][4] = {{224, 0, 0, 5},
	                                 {255, 255, 255, 255},
	                                 {0, 0, 0, 0},
	                                 {10, 0, 0, 255},
	                                 {127, 0, 0, 1}};
	static const uint8_t dst[][4] = {{224, 0, 0, 1}, {255, 255, 255, 255}, {10, 0, 0, 255}};
	for (unsigned i = 0; i < 5; i++) {
		memcpy(p + 12, src[i], 4);
		fix_csums(p, 40);
		inject_ip(r, p, 40);
		ck_assert(!take(r, &in));
	}
	p[12] = 10, p[13] = p[14] = 0, p[15] = 2;
	for (unsigned i = 0; i < 3; i++) {
		memcpy(p + 16, dst[i], 4);
		fix_csums(p, 40);
		inject_ip(r, p, 40);
		ck_assert(!take(r, &in));
	}
	rig_free(r);
}
END_TEST

START_TEST(backlog_is_respected)
{
	struct rig *r = start();
	struct net_sock *l = listen_on(&r->h[0], 80, 1), *s;
	for (unsigned i = 0; i < 3; i++) {
		struct tseg a = tseg_of((uint16_t)(3000 + i), 80, SYN, 100, 0);
		craft(r, &a);
		if (!take(r, &in)) {
			ck_assert_uint_eq(i, 2); /* as Linux: backlog + 1 */
			break;
		}
		a = tseg_of((uint16_t)(3000 + i), 80, ACK, 101, in.seq + 1);
		craft(r, &a);
		drop_out(r);
	}
	ck_assert_int_eq(net_accept(l, &s, NULL), 0);
	ck_assert_int_eq(net_accept(l, &s, NULL), 0);
	ck_assert_int_eq(net_accept(l, &s, NULL), -NET_EAGAIN);
	rig_free(r);
}
END_TEST

START_TEST(syn_flood_is_answered_with_cookies)
{
	struct rig *r = start();
	struct net_sock *l = listen_on(&r->h[0], 80, 8), *s;
	for (unsigned i = 0; i < 5000; i++) {
		struct tseg a = tseg_of((uint16_t)(1000 + i), 80, SYN, 100 + i, 0);
		craft(r, &a);
		ck_assert(take(r, &in));
	}
	ck_assert_uint_lt(r->h[0].blocks, 100); /* no memory for each */
	struct tseg a = tseg_of(60000, 80, SYN, 900, 0);
	a.optlen = opt_mss(a.opts, 1400);
	a.optlen += opt_sackok(a.opts + a.optlen);
	a.optlen += opt_ts(a.opts + a.optlen, 1234, 0);
	a.optlen += opt_ws(a.opts + a.optlen, 5);
	craft(r, &a);
	ck_assert(take(r, &in));
	ck_assert(in.has_ts);
	struct tseg b = tseg_of(60000, 80, ACK, 901, in.seq + 2); /* guessed */
	b.optlen = opt_ts(b.opts, 1235, in.ts_val);
	craft(r, &b);
	ck_assert_int_eq(net_accept(l, &s, NULL), -NET_EAGAIN);
	b.ack = in.seq + 1;
	craft(r, &b);
	ck_assert_int_eq(net_accept(l, &s, NULL), 0);
	struct net_tcp_info i;
	net_tcp_info(s, &i);
	ck_assert_uint_eq(i.tcpi_snd_wscale, 5);
	ck_assert_uint_eq(i.tcpi_options & 3, 3);
	ck_assert_uint_eq(i.tcpi_snd_mss, 1400 - 12);
	rig_free(r);
}
END_TEST

START_TEST(old_cookies_are_worth_nothing)
{
	struct rig_opts o = {.crafted = true, .cfg.syn_cookies = 2};
	struct rig *r = rig_new(&o);
	struct net_sock *l = listen_on(&r->h[0], 80, 8), *s;
	struct tseg a = tseg_of(60000, 80, SYN, 900, 0);
	craft(r, &a);
	ck_assert(take(r, &in));
	uint32_t cookie = in.seq;
	rig_run(r, 200 * SEC);
	a = tseg_of(60001, 80, SYN, 900, 0);
	craft(r, &a);
	drop_out(r);
	a = tseg_of(60000, 80, ACK, 901, cookie + 1);
	craft(r, &a);
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.flags, RST);
	ck_assert_int_eq(net_accept(l, &s, NULL), -NET_EAGAIN);
	rig_free(r);
}
END_TEST

START_TEST(listeners_do_not_disturb_connections)
{
	struct rig *r = start();
	struct peer p;
	peer_connect(&p, r, &(struct peer_opts){.ws = -1});
	struct net_sock *l = listen_on(&r->h[0], 81, 5), *s;
	struct net_endpoint dup = {.port = 81}, one = ep("10.0.0.1", 81),
	                    other = ep("127.0.0.1", 82);
	ck_assert_int_eq(net_socket(r->h[0].st, NET_STREAM, &s), 0);
	ck_assert_int_eq(net_bind(s, &dup), -NET_EADDRINUSE);
	ck_assert_int_eq(net_bind(s, &one), -NET_EADDRINUSE);
	ck_assert_int_eq(net_bind(s, &other), 0);
	ck_assert_int_eq(net_listen(s, 5), 0); /* several at once */
	ck_assert_uint_eq(state(p.s), L_ESTABLISHED);
	net_close(l);
	rig_free(r);
}
END_TEST

static enum net_syn verdict;
static uint64_t asked;

static enum net_syn on_syn(void *ctx, uint64_t id, const struct net_endpoint *local,
                           const struct net_endpoint *remote)
{
	(void)ctx;
	ck_assert_uint_eq(remote->port, 1111);
	asked = id;
	ck_assert_uint_eq(local->port, 4444);
	return verdict;
}

/* The user-mode network's listener: every address, every port, answered when it says so. */
START_TEST(transparent_listener_defers)
{
	struct rig_opts o = {.crafted = true, .if_flags = NET_IF_ANY_ADDR};
	struct rig *r = rig_new(&o);
	struct net_sock *l, *s;
	struct net_endpoint any = {.port = 0}, local;
	ck_assert_int_eq(net_socket(r->h[0].st, NET_STREAM, &l), 0);
	ck_assert_int_eq(net_set(l, NET_SO_TRANSPARENT, 1), 0);
	ck_assert_int_eq(net_bind(l, &any), 0);
	ck_assert_int_eq(net_listen(l, 100), 0);
	ck_assert_int_eq(net_on_syn(l, on_syn, NULL), 0);
	uint8_t p[40] = {0x45, 0, 0,  40,  0,    0,   0, 0,    64,   6,    0, 0, 10, 0,
	                 0,    2, 93, 184, 216,  34,  4, 0x57, 0x11, 0x5c, 0, 0, 0,  9,
	                 0,    0, 0,  0,   0x50, SYN, 1, 0,    0,    0,    0, 0};
	fix_csums(p, 40);
	verdict = NET_SYN_DEFER;
	inject_ip(r, p, 40);
	ck_assert(!take(r, &in));
	rig_run(r, SEC);
	ck_assert(net_syn_decide(r->h[0].st, asked, NET_SYN_ACCEPT));
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.flags, SYN | ACK);
	p[27] = 10;
	p[33] = ACK;
	p[28] = (uint8_t)((in.seq + 1) >> 24), p[29] = (uint8_t)((in.seq + 1) >> 16);
	p[30] = (uint8_t)((in.seq + 1) >> 8), p[31] = (uint8_t)(in.seq + 1);
	fix_csums(p, 40);
	inject_ip(r, p, 40);
	ck_assert_int_eq(net_accept(l, &s, NULL), 0);
	ck_assert_int_eq(net_name(s, &local, NULL), 0);
	ck_assert_uint_eq(local.port, 4444);
	struct net_addr want = ip("93.184.216.34");
	ck_assert_mem_eq(&local.addr, &want, sizeof(want));
	net_abort(s);
	drop_out(r);
	p[33] = SYN;
	verdict = NET_SYN_RESET;
	fix_csums(p, 40);
	inject_ip(r, p, 40);
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.flags, RST | ACK);
	verdict = NET_SYN_DEFER;
	inject_ip(r, p, 40);
	ck_assert(net_syn_decide(r->h[0].st, asked, NET_SYN_RESET));
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.flags, RST | ACK);
	ck_assert(!net_syn_decide(r->h[0].st, asked, NET_SYN_RESET));
	rig_free(r);
}
END_TEST

START_TEST(bad_checksum_is_silence)
{
	struct rig *r = start();
	listen_on(&r->h[0], 80, 5);
	struct tseg a = tseg_of(1111, 80, SYN, 100, 0);
	a.bad_csum = true;
	craft(r, &a);
	ck_assert(!take(r, &in));
	ck_assert_uint_eq(net_stack_stats(r->h[0].st)->tcp_bad, 1);
	rig_free(r);
}
END_TEST

START_TEST(unreachable_port_refuses_but_network_does_not)
{
	struct rig *r = start();
	struct net_sock *s = connecting(r, &in);
	uint8_t p[56] = {0x45, 0, 0, 56, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1, 3};
	uint8_t *q = p + 28;
	q[0] = 0x45;
	q[3] = 40;
	q[9] = 6;
	memcpy(q + 12, (uint8_t[]){10, 0, 0, 1, 10, 0, 0, 2}, 8);
	q[20] = (uint8_t)(in.sport >> 8);
	q[21] = (uint8_t)in.sport;
	q[23] = 99;
	for (unsigned k = 0; k < 4; k++)
		q[24 + k] = (uint8_t)(in.seq >> (24 - 8 * k));
	for (unsigned code = 0; code < 2; code++) { /* net, host */
		p[21] = (uint8_t)code;
		fix_csums(p, 56);
		inject_ip(r, p, 56);
		ck_assert_uint_eq(state(s), L_SYN_SENT);
	}
	p[20] = 4, p[21] = 0; /* source quench: dead */
	fix_csums(p, 56);
	inject_ip(r, p, 56);
	ck_assert_uint_eq(state(s), L_SYN_SENT);
	p[20] = 3, p[21] = 3;
	q[27] ^= 1; /* a sequence number that was never sent */
	fix_csums(p, 56);
	inject_ip(r, p, 56);
	ck_assert_uint_eq(state(s), L_SYN_SENT);
	q[27] ^= 1;
	fix_csums(p, 56);
	inject_ip(r, p, 56);
	ck_assert_uint_eq(state(s), L_CLOSE);
	rig_free(r);
}
END_TEST

/* What was answered, or is connected, has no pointer to an interface that is gone. */
START_TEST(an_interface_goes_while_a_request_waits)
{
	struct rig *r = start();
	struct net_if_cfg other = {.name = "other", .link = NET_LINK_IP, .output = swallow};
	struct net_addr a = ip("10.0.0.1");
	struct net_sock *l = listen_on(&r->h[0], 80, 5), *s;
	struct tseg g = tseg_of(1111, 80, SYN, 100, 0);
	craft(r, &g);
	ck_assert(take(r, &in));
	net_if_remove(r->h[0].nif);
	rig_run(r, 2 * SEC); /* it is answered once more, where there is no way */
	ck_assert(!take(r, &in));
	r->h[0].nif = net_if_add(r->h[0].st, &other);
	ck_assert_int_eq(net_if_add_addr(r->h[0].nif, &a, 24), 0);
	g = tseg_of(1111, 80, ACK, 101, in.seq + 1);
	craft(r, &g);
	ck_assert_int_eq(net_accept(l, &s, NULL), 0);
	rig_free(r);
}
END_TEST

START_TEST(an_interface_goes_under_a_connection)
{
	struct rig *r = start();
	struct peer p;
	struct peer_opts po = {.mss = 1460, .ws = -1};
	struct net_if_cfg other = {.name = "other", .link = NET_LINK_IP, .output = swallow};
	struct net_addr a = ip("10.0.0.1");
	peer_connect(&p, r, &po);
	ck_assert_int_eq(net_send(p.s, "x", 1, 0, NULL), 1);
	rig_poll(r);
	net_if_remove(r->h[0].nif);
	r->h[0].nif = net_if_add(r->h[0].st, &other);
	ck_assert_int_eq(net_if_add_addr(r->h[0].nif, &a, 24), 0);
	p.ack++;
	peer_send(&p, ACK, NULL, 0);
	struct net_tcp_info i;
	ck_assert_int_eq(net_tcp_info(p.s, &i), 0);
	ck_assert_uint_eq(i.tcpi_bytes_acked, 1);
	rig_free(r);
}
END_TEST

START_TEST(what_nobody_accepted_goes_with_the_stack)
{
	struct rig *r = start();
	struct net_sock *l = listen_on(&r->h[0], 80, 5);
	struct tseg g = tseg_of(1111, 80, SYN, 100, 0);
	craft(r, &g);
	ck_assert(take(r, &in));
	g = tseg_of(1111, 80, ACK, 101, in.seq + 1);
	craft(r, &g);
	ck_assert(net_ready(l) & NET_EV_IN);
	rig_free(r);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("tcp_open");
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, syn_looks_like_linux);
	tcase_add_test(tc, active_open);
	tcase_add_test(tc, syn_ack_of_something_else_is_reset);
	tcase_add_test(tc, refused_by_reset);
	tcase_add_test(tc, simultaneous_open);
	tcase_add_test(tc, syn_received_remembers_where_it_came_from);
	tcase_add_test(tc, listener_and_closed_port_answer_as_the_rfc_says);
	tcase_add_test(tc, syn_ack_is_repeated_with_backoff);
	tcase_add_test(tc, syn_is_repeated_for_three_minutes);
	tcase_add_test(tc, mss_of_the_listener_is_announced);
	tcase_add_test(tc, mss_default_and_floor);
	tcase_add_test(tc, strange_options_are_survived);
	tcase_add_test(tc, initial_numbers_are_keyed_and_move_with_time);
	tcase_add_test(tc, no_connection_to_groups_or_nobody);
	tcase_add_test(tc, groups_get_no_answer);
	tcase_add_test(tc, backlog_is_respected);
	tcase_add_test(tc, syn_flood_is_answered_with_cookies);
	tcase_add_test(tc, old_cookies_are_worth_nothing);
	tcase_add_test(tc, listeners_do_not_disturb_connections);
	tcase_add_test(tc, transparent_listener_defers);
	tcase_add_test(tc, bad_checksum_is_silence);
	tcase_add_test(tc, unreachable_port_refuses_but_network_does_not);
	tcase_add_test(tc, an_interface_goes_while_a_request_waits);
	tcase_add_test(tc, an_interface_goes_under_a_connection);
	tcase_add_test(tc, what_nobody_accepted_goes_with_the_stack);
	return suite_run("stack/tcp_open", tc);
}
