/* An established connection against a peer made by hand: data, windows, urgent data, closing,
 * attacks, timers (RFC 9293, 3.6 to 3.10; 5961; 1337; 6191; 7323; 5482). */
#include <check.h>
#include <string.h>

#include "rig.h"
#include "suite.h"

static struct tseg in;
static uint8_t data[70000];

#define L_ESTABLISHED 1
#define L_FIN_WAIT1   4
#define L_FIN_WAIT2   5
#define L_CLOSE       7
#define L_CLOSE_WAIT  8
#define L_LAST_ACK    9
#define L_CLOSING     11

static struct rig *start(struct peer *p, const struct peer_opts *o)
{
	struct rig_opts ro = {.crafted = true};
	struct rig *r = rig_new(&ro);
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + (i >> 8));
	peer_connect(p, r, o);
	drop_out(r);
	return r;
}
static const struct peer_opts plain = {.ws = -1};
static const struct peer_opts modern = {.ts = true, .sack = true, .ws = 7, .wnd = 512};

static uint8_t state(struct net_sock *s)
{
	struct net_tcp_info i;
	ck_assert_int_eq(net_tcp_info(s, &i), 0);
	return i.tcpi_state;
}

static struct tseg raw(const struct peer *p, unsigned flags, uint32_t seq, uint32_t ack)
{
	struct tseg s;
	memset(&s, 0, offsetof(struct tseg, copy));
	s.sport = p->sport;
	s.dport = p->dport;
	s.flags = flags;
	s.seq = seq;
	s.ack = ack;
	s.wnd = p->wnd;
	if (p->ts)
		s.optlen = opt_ts(s.opts, p->ts_val, p->ts_ecr);
	return s;
}

static void expect_data(struct net_sock *s, uint32_t from, uint32_t len)
{
	static uint8_t buf[70000];
	uint32_t got = 0;
	long n;
	while (got < len && (n = net_recv(s, buf + got, len - got, 0, NULL)) > 0)
		got += (uint32_t)n;
	ck_assert_uint_eq(got, len);
	ck_assert_mem_eq(buf, data + from, len);
}

/* ---- receiving ---- */

START_TEST(every_order_of_pieces_gives_the_same_bytes)
{
	/* Four pieces that overlap, in all 24 orders, whole and doubled. */
	static const uint32_t piece[4][2] = {{0, 700}, {500, 600}, {1000, 500}, {1400, 600}};
	for (unsigned perm = 0; perm < 48; perm++) {
		struct peer p;
		struct rig *r = start(&p, perm & 1 ? &modern : &plain);
		unsigned left[4] = {0, 1, 2, 3}, k = perm / 2;
		for (unsigned n = 4; n > 0; n--) {
			unsigned i = k % n;
			k /= n;
			struct tseg s = raw(&p, ACK, p.seq + piece[left[i]][0], p.ack);
			s.data = data + piece[left[i]][0];
			s.len = piece[left[i]][1];
			craft(r, &s);
			craft(r, &s);
			memmove(left + i, left + i + 1, (4 - i - 1) * sizeof(left[0]));
		}
		expect_data(p.s, 0, 2000);
		rig_run(r, SEC);
		while (take(r, &in))
			;
		ck_assert_uint_eq(in.ack, p.seq + 2000);
		rig_free(r);
	}
}
END_TEST

START_TEST(random_overlaps_give_the_same_bytes)
{
	for (unsigned round = 0; round < 30; round++) {
		struct peer p;
		struct rig *r = start(&p, &modern);
		uint64_t rng = round + 1;
		for (unsigned i = 0; i < 400; i++) {
			uint32_t off = rig_rand(&rng) % 20000, len = rig_rand(&rng) % 1400 + 1;
			struct tseg s = raw(&p, ACK, p.seq + off, p.ack);
			s.data = data + off;
			s.len = len;
			craft(r, &s);
			drop_out(r);
		}
		for (uint32_t off = 0; off < 20000; off += 1000) {
			struct tseg s = raw(&p, ACK, p.seq + off, p.ack);
			s.data = data + off;
			s.len = 1000;
			craft(r, &s);
			drop_out(r);
		}
		expect_data(p.s, 0, 20000);
		rig_free(r);
	}
}
END_TEST

START_TEST(sack_blocks_name_what_arrived)
{
	struct peer p;
	struct rig *r = start(&p, &modern);
	struct tseg s = raw(&p, ACK, p.seq + 1000, p.ack);
	s.data = data + 1000;
	s.len = 500;
	craft(r, &s);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.ack, p.seq);
	ck_assert_uint_eq(in.nsacks, 1);
	ck_assert_uint_eq(in.sack[0][0], p.seq + 1000);
	ck_assert_uint_eq(in.sack[0][1], p.seq + 1500);
	s = raw(&p, ACK, p.seq + 3000, p.ack);
	s.data = data + 3000;
	s.len = 500;
	craft(r, &s);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.nsacks, 2);
	ck_assert_uint_eq(in.sack[0][0], p.seq + 3000); /* the most recent first */
	ck_assert_uint_eq(in.sack[1][0], p.seq + 1000);
	s = raw(&p, ACK, p.seq + 1500, p.ack);
	s.data = data + 1500;
	s.len = 1500;
	craft(r, &s);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.nsacks, 1); /* they have met */
	ck_assert_uint_eq(in.sack[0][0], p.seq + 1000);
	ck_assert_uint_eq(in.sack[0][1], p.seq + 3500);
	/* RFC 2883: an old piece again is reported first. */
	craft(r, &s);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.nsacks, 2);
	ck_assert_uint_eq(in.sack[0][0], p.seq + 1500);
	ck_assert_uint_eq(in.sack[0][1], p.seq + 3000);
	rig_free(r);
}
END_TEST

/* RFC 2883, 4.2: what arrives in order has some of what waits, out of order, once more. */
START_TEST(overlap_with_what_waits_is_told)
{
	struct peer p;
	struct rig *r = start(&p, &modern);
	for (unsigned i = 1; i <= 3; i++) { /* 100 of 200 */
		struct tseg s = raw(&p, ACK, p.seq + 200 * i, p.ack);
		s.optlen = opt_ts(s.opts, p.ts_val, p.ts_ecr);
		s.data = data;
		s.len = 100;
		craft(r, &s);
	}
	drop_out(r);
	struct tseg s = raw(&p, ACK, p.seq, p.ack);
	s.optlen = opt_ts(s.opts, p.ts_val, p.ts_ecr);
	s.data = data;
	s.len = 550;
	craft(r, &s);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.ack, p.seq + 550);
	ck_assert_uint_eq(in.nsacks, 2); /* the first duplicate, and what waits still */
	ck_assert_uint_eq(in.sack[0][0], p.seq + 200);
	ck_assert_uint_eq(in.sack[0][1], p.seq + 300);
	ck_assert_uint_eq(in.sack[1][0], p.seq + 600);
	ck_assert_uint_eq(in.sack[1][1], p.seq + 700);
	rig_free(r);
}
END_TEST

START_TEST(old_data_is_acknowledged_again)
{
	struct peer p;
	struct rig *r = start(&p, &modern);
	uint32_t first = p.seq;
	peer_send(&p, ACK, data, 100);
	drop_out(r);
	struct tseg s = raw(&p, ACK, first, p.ack);
	s.data = data;
	s.len = 100;
	craft(r, &s);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.ack, p.seq);
	ck_assert_uint_eq(in.nsacks, 1);
	ck_assert_uint_eq(in.sack[0][0], first);
	rig_free(r);
}
END_TEST

START_TEST(acks_are_delayed_but_not_long)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	ck_assert_int_eq(net_send(p.s, data, 1, 0, NULL), 1); /* a conversation */
	ck_assert(peer_take(&p, &in));
	p.ack++;
	peer_send(&p, ACK, data, 10);
	ck_assert(!take(r, &in));
	rig_run(r, 499 * MS);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.ack, p.seq);
	/* Two full segments at once. */
	peer_send(&p, ACK, data, 1460);
	peer_send(&p, ACK, data, 1460);
	ck_assert(peer_take(&p, &in));
	rig_free(r);
}
END_TEST

/* Segments that are given in one go are answered by one ACK. */
START_TEST(acks_are_aggregated)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	for (unsigned i = 0; i < 10; i++) {
		uint8_t b[140] = {0x45, 0, 0,  140, 0, 0, 0,  0, 64, 6,
		                  0,    0, 10, 0,   0, 2, 10, 0, 0,  1};
		uint32_t seq = p.seq + i * 100;
		uint8_t *t = b + 20;
		t[0] = (uint8_t)(p.sport >> 8), t[1] = (uint8_t)p.sport, t[3] = 80;
		for (unsigned k = 0; k < 4; k++) {
			t[4 + k] = (uint8_t)(seq >> (24 - 8 * k));
			t[8 + k] = (uint8_t)(p.ack >> (24 - 8 * k));
		}
		t[12] = 0x50, t[13] = ACK, t[14] = 0xff;
		fix_csums(b, 140);
		net_input(r->h[0].nif, pkt_from(r->h[0].st, b, 140));
	}
	ck_assert(!take(r, &in));
	net_poll(r->h[0].st);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.ack, p.seq + 1000);
	ck_assert(!take(r, &in));
	rig_free(r);
}
END_TEST

START_TEST(window_closes_opens_in_steps_and_never_shrinks)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	uint32_t edge = 0;
	ck_assert_int_eq(net_set(p.s, NET_SO_RCVBUF, 20000), 0);
	while (p.seq - p.iss - 1 < 64240) {
		peer_send(&p, ACK, data + (p.seq - p.iss - 1), 1460);
		while (peer_take(&p, &in)) {
			ck_assert(!edge || (int32_t)(in.ack + in.wnd - edge) >= 0);
			edge = in.ack + in.wnd;
		}
	}
	rig_run(r, SEC);
	while (peer_take(&p, &in))
		;
	ck_assert_uint_eq(in.wnd, 0);
	expect_data(p.s, 0, 44300); /* still more than the buffer wants */
	rig_poll(r);
	ck_assert(!take(r, &in)); /* no silly window */
	expect_data(p.s, 44300, 15000);
	rig_poll(r);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_ge(in.wnd, 1460);
	rig_free(r);
}
END_TEST

START_TEST(zero_window_still_hears)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	ck_assert_int_eq(net_set(p.s, NET_SO_RCVBUF, 20000), 0);
	for (unsigned i = 0; i < 44; i++)
		peer_send(&p, ACK, data, 1460);
	drop_out(r);
	/* Data into the shut window: acknowledged as not taken; its ACK counts. */
	ck_assert_int_eq(net_send(p.s, data, 500, 0, NULL), 500);
	ck_assert(peer_take(&p, &in));
	struct tseg s = raw(&p, ACK | URG, p.seq, p.ack + 500);
	s.up = 5;
	s.data = data;
	s.len = 1;
	craft(r, &s);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.ack, p.seq);
	ck_assert_uint_eq(in.wnd, 0);
	ck_assert(net_ready(p.s) & NET_EV_PRI);
	struct net_tcp_info i;
	net_tcp_info(p.s, &i);
	ck_assert_uint_eq(i.tcpi_unacked, 0);
	s = raw(&p, RST, p.seq, 0);
	craft(r, &s);
	ck_assert_uint_eq(state(p.s), L_CLOSE);
	rig_free(r);
}
END_TEST

START_TEST(urgent_data_is_announced_and_counted)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	int64_t v;
	struct tseg s = raw(&p, ACK | URG, p.seq, p.ack);
	s.up = 100; /* more than this segment has */
	s.data = data;
	s.len = 40;
	craft(r, &s);
	ck_assert(net_ready(p.s) & NET_EV_PRI);
	ck_assert_int_eq(net_get(p.s, NET_TCP_URGENT, &v), 0);
	ck_assert_int_eq(v, 100);
	p.seq += 40;
	peer_send(&p, ACK, data + 40, 80);
	static uint8_t buf[200];
	ck_assert_int_eq(net_recv(p.s, buf, 200, 0, NULL), 99); /* up to the mark */
	ck_assert_int_eq(net_get(p.s, NET_TCP_ATMARK, &v), 0);
	ck_assert_int_eq(v, 1);
	ck_assert_int_eq(net_recv(p.s, buf + 99, 101, 0, NULL), 21);
	ck_assert_mem_eq(buf, data, 120);
	ck_assert(!(net_ready(p.s) & NET_EV_PRI));
	/* And ours: the pointer is that of the first byte that is not urgent. */
	drop_out(r);
	ck_assert_int_eq(net_send(p.s, data, 10, NET_MSG_OOB, NULL), 10);
	ck_assert(peer_take(&p, &in));
	ck_assert(in.flags & URG);
	ck_assert_uint_eq(in.up, 10);
	rig_free(r);
}
END_TEST

/* ---- sending ---- */

START_TEST(nagle_waits_and_can_be_switched_off)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	ck_assert_int_eq(net_send(p.s, data, 10, 0, NULL), 10);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.len, 10);
	ck_assert(in.flags & PSH);
	ck_assert_int_eq(net_send(p.s, data, 20, 0, NULL), 20);
	ck_assert(!take(r, &in));
	p.ack += 10;
	peer_send(&p, ACK, NULL, 0);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.len, 20);
	ck_assert_int_eq(net_set(p.s, NET_TCP_NODELAY, 1), 0);
	ck_assert_int_eq(net_send(p.s, data, 5, 0, NULL), 5);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.len, 5);
	rig_free(r);
}
END_TEST

/* To set TCP_NODELAY is to send what waits, a cork or not (tcp(7)); the cork goes on. */
START_TEST(nodelay_sends_what_a_cork_holds)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	ck_assert_int_eq(net_set(p.s, NET_TCP_CORK, 1), 0);
	ck_assert_int_eq(net_send(p.s, data, 10, 0, NULL), 10);
	ck_assert(!take(r, &in));
	ck_assert_int_eq(net_set(p.s, NET_TCP_NODELAY, 1), 0);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.len, 10);
	p.ack += 10;
	peer_send(&p, ACK, NULL, 0);
	ck_assert_int_eq(net_send(p.s, data, 20, 0, NULL), 20);
	ck_assert(!take(r, &in));
	ck_assert_int_eq(net_set(p.s, NET_TCP_CORK, 0), 0);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.len, 20);
	rig_free(r);
}
END_TEST

START_TEST(sender_avoids_silly_windows)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	static uint8_t big[9000];
	p.wnd = 3000;
	peer_send(&p, ACK, NULL, 0);
	ck_assert_int_eq(net_send(p.s, big, sizeof(big), 0, NULL), sizeof(big));
	uint32_t got = 0;
	while (peer_take(&p, &in))
		got += in.len;
	ck_assert_uint_eq(got, 2920); /* 80 bytes are not worth a segment */
	p.ack += 1460;
	p.wnd = 1600; /* 140 beyond what is in flight */
	peer_send(&p, ACK, NULL, 0);
	ck_assert(!take(r, &in));
	p.ack += 1460;
	p.wnd = 1460;
	peer_send(&p, ACK, NULL, 0);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.len, 1460);
	rig_free(r);
}
END_TEST

START_TEST(large_windows_are_unsigned)
{
	struct peer p;
	static const struct peer_opts wide = {.ts = true, .sack = true, .ws = 14, .wnd = 65535};
	struct rig *r = start(&p, &wide);
	struct net_tcp_info i;
	p.wnd = 65535;
	peer_send(&p, ACK, NULL, 0);
	net_tcp_info(p.s, &i);
	ck_assert_uint_eq(i.tcpi_snd_wnd, 65535u << 14);
	ck_assert_int_eq(net_send(p.s, data, 1000, 0, NULL), 1000);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.len, 1000);
	rig_free(r);
}
END_TEST

START_TEST(zero_window_is_probed_without_end)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	p.wnd = 0;
	peer_send(&p, ACK, NULL, 0);
	ck_assert_int_eq(net_send(p.s, data, 5000, 0, NULL), 5000);
	ck_assert(!take(r, &in));
	uint64_t began = r->now, last = r->now, gap = 0;
	unsigned probes = 0;
	while (r->now - began < 4 * 3600 * SEC) {
		rig_run(r, 50 * MS);
		if (!peer_take(&p, &in))
			continue;
		ck_assert_uint_eq(in.len, 1);
		ck_assert_uint_eq(in.seq, p.ack);
		if (probes < 6)
			ck_assert_uint_ge(r->now - last, gap);
		gap = r->now - last;
		last = r->now;
		probes++;
		peer_send(&p, ACK, NULL, 0);
	}
	ck_assert_uint_eq(state(p.s), L_ESTABLISHED);
	ck_assert_uint_gt(probes, 100);
	p.wnd = 65535;
	peer_send(&p, ACK, NULL, 0);
	uint32_t got = 0;
	while (peer_take(&p, &in))
		got += in.len;
	ck_assert_uint_eq(got, 5000);
	rig_free(r);
}
END_TEST

START_TEST(probe_that_is_taken_counts)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	p.wnd = 0;
	peer_send(&p, ACK, NULL, 0);
	ck_assert_int_eq(net_send(p.s, data, 100, 0, NULL), 100);
	rig_run(r, 2 * SEC);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.len, 1);
	drop_out(r);
	p.ack++;
	p.wnd = 1000;
	peer_send(&p, ACK, NULL, 0);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.seq, p.ack);
	ck_assert_uint_eq(in.len, 99);
	ck_assert_mem_eq(in.data, data + 1, 99);
	rig_free(r);
}
END_TEST

START_TEST(shrunk_window_is_survived)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	ck_assert_int_eq(net_send(p.s, data, 14600, 0, NULL), 14600);
	drop_out(r);
	p.wnd = 1000; /* the right edge moves left, over what was sent */
	p.ack += 1460;
	peer_send(&p, ACK, NULL, 0);
	drop_out(r);
	rig_run(r, 3 * SEC);
	ck_assert(peer_take(&p, &in)); /* what was sent is still retransmitted */
	ck_assert_uint_eq(in.seq, p.ack);
	p.ack += 13140;
	p.wnd = 65535;
	peer_send(&p, ACK, NULL, 0);
	ck_assert_uint_eq(state(p.s), L_ESTABLISHED);
	struct net_tcp_info i;
	net_tcp_info(p.s, &i);
	ck_assert_uint_eq(i.tcpi_unacked, 0);
	rig_free(r);
}
END_TEST

/* ---- closing ---- */

START_TEST(half_close)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	ck_assert_int_eq(net_shutdown(p.s, NET_SHUT_WR), 0);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.flags, FIN | ACK);
	ck_assert_uint_eq(state(p.s), L_FIN_WAIT1);
	p.ack++;
	peer_send(&p, ACK, NULL, 0);
	ck_assert_uint_eq(state(p.s), L_FIN_WAIT2);
	rig_run(r, 7200 * SEC); /* as long as it likes: the socket is open */
	peer_send(&p, ACK, data, 1000);
	expect_data(p.s, 0, 1000);
	ck_assert_int_eq(net_send(p.s, data, 1, 0, NULL), -NET_EPIPE);
	drop_out(r);
	peer_send(&p, FIN | ACK, NULL, 0);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.ack, p.seq);
	ck_assert_int_eq(net_recv(p.s, data, 1, 0, NULL), 0);
	rig_free(r);
}
END_TEST

START_TEST(passive_close)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	peer_send(&p, FIN | ACK, data, 10);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.ack, p.seq);
	ck_assert_uint_eq(state(p.s), L_CLOSE_WAIT);
	expect_data(p.s, 0, 10);
	static uint8_t b[1];
	ck_assert_int_eq(net_recv(p.s, b, 1, 0, NULL), 0);
	ck_assert_int_eq(net_send(p.s, data, 50, 0, NULL), 50); /* still may send */
	ck_assert(peer_take(&p, &in));
	p.ack += 50;
	peer_send(&p, ACK, NULL, 0);
	struct net_sock *s = p.s;
	ck_assert_int_eq(net_shutdown(s, NET_SHUT_WR), 0);
	ck_assert(peer_take(&p, &in));
	ck_assert(in.flags & FIN);
	ck_assert_uint_eq(state(s), L_LAST_ACK);
	p.ack++;
	peer_send(&p, ACK, NULL, 0);
	ck_assert_uint_eq(state(s), L_CLOSE);
	rig_free(r);
}
END_TEST

START_TEST(simultaneous_close)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	ck_assert_int_eq(net_shutdown(p.s, NET_SHUT_WR), 0);
	ck_assert(peer_take(&p, &in));
	peer_send(&p, FIN | ACK, NULL, 0); /* does not acknowledge ours */
	ck_assert_uint_eq(state(p.s), L_CLOSING);
	ck_assert(peer_take(&p, &in));
	p.ack++;
	peer_send(&p, ACK, NULL, 0);
	ck_assert_uint_eq(state(p.s), L_CLOSE); /* and a remnant waits */
	struct tseg s = raw(&p, FIN | ACK, p.seq - 1, p.ack);
	craft(r, &s);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.ack, p.seq);
	rig_free(r);
}
END_TEST

static void into_time_wait(struct peer *p)
{
	net_close(p->s);
	ck_assert(peer_take(p, &in));
	p->ack++;
	peer_send(p, FIN | ACK, NULL, 0);
	drop_out(p->r);
}

static unsigned waiting;

static void count_tw(void *ctx, const struct net_conn *c)
{
	(void)ctx;
	waiting += c->state == NET_TCP_TIME_WAIT;
}

static unsigned in_time_wait(struct rig *r)
{
	waiting = 0;
	net_conns(r->h[0].st, count_tw, NULL);
	return waiting;
}

START_TEST(time_wait_lasts_and_is_not_assassinated)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	into_time_wait(&p);
	ck_assert_uint_eq(in_time_wait(r), 1);
	struct tseg s = raw(&p, RST, p.seq, 0); /* RFC 1337 */
	craft(r, &s);
	ck_assert_uint_eq(in_time_wait(r), 1);
	s = raw(&p, ACK, p.seq - 100, p.ack);
	s.data = data;
	s.len = 10;
	craft(r, &s);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.ack, p.seq);
	rig_run(r, 59 * SEC);
	ck_assert_uint_eq(in_time_wait(r), 1);
	s = raw(&p, FIN | ACK, p.seq - 1, p.ack); /* again: the wait begins anew */
	craft(r, &s);
	rig_run(r, 59 * SEC);
	ck_assert_uint_eq(in_time_wait(r), 1);
	rig_run(r, 2 * SEC);
	ck_assert_uint_eq(in_time_wait(r), 0);
	rig_free(r);
}
END_TEST

/* RFC 6191: a later timestamp begins a new connection, an earlier one does not. */
START_TEST(time_wait_ends_for_a_newer_syn)
{
	struct peer p;
	struct rig *r = start(&p, &modern);
	into_time_wait(&p);
	listen_on(&r->h[0], 80, 5);
	struct tseg s = raw(&p, SYN, p.seq - 5000, 0);
	s.optlen = opt_ts(s.opts, p.ts_val - 10, 0);
	craft(r, &s);
	ck_assert_uint_eq(in_time_wait(r), 1);
	drop_out(r);
	s.optlen = opt_ts(s.opts, p.ts_val + 10, 0);
	craft(r, &s);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.flags, SYN | ACK);
	ck_assert_uint_eq(in_time_wait(r), 0);
	rig_free(r);
}
END_TEST

START_TEST(unread_data_at_close_is_a_reset)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	peer_send(&p, ACK, data, 100);
	drop_out(r);
	net_close(p.s);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.flags, RST | ACK);
	ck_assert(!in.has_ts);
	rig_free(r);
	r = start(&p, &modern);
	peer_send(&p, ACK, data, 100);
	drop_out(r);
	rig_run(r, SEC);
	net_close(p.s);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.flags, RST | ACK);
	ck_assert(in.has_ts && in.ts_ecr == p.ts_val); /* as Linux: RFC 7323, 3.2 leaves it open */
	rig_free(r);
}
END_TEST

/* What comes after that is still for who reads, as Linux has it. */
START_TEST(end_of_reading_is_no_end_of_data)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	ck_assert_int_eq(net_shutdown(p.s, NET_SHUT_RD), 0);
	ck_assert_int_eq(net_recv(p.s, data, 100, 0, NULL), 0);
	peer_send(&p, ACK, data, 100);
	ck_assert_int_eq(net_recv(p.s, data, 100, 0, NULL), 100);
	ck_assert_int_eq(net_recv(p.s, data, 100, 0, NULL), 0);
	ck_assert_int_eq(net_send(p.s, data, 10, 0, NULL), 10);
	rig_free(r);
}
END_TEST

START_TEST(data_for_nobody_is_a_reset)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	net_close(p.s);
	ck_assert(peer_take(&p, &in));
	p.ack++;
	peer_send(&p, ACK, data, 100);
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.flags, RST); /* as where there is no connection at all */
	ck_assert_uint_eq(in.seq, p.ack);
	rig_free(r);
}
END_TEST

START_TEST(orphan_in_fin_wait_2_ends)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	net_close(p.s);
	ck_assert(peer_take(&p, &in));
	p.ack++;
	peer_send(&p, ACK, NULL, 0);
	unsigned before = r->h[0].blocks;
	rig_run(r, 61 * SEC);
	ck_assert_uint_lt(r->h[0].blocks, before);
	rig_free(r);
}
END_TEST

START_TEST(fin_out_of_order_waits_for_the_data)
{
	struct peer p;
	struct rig *r = start(&p, &modern);
	struct tseg s = raw(&p, FIN | ACK, p.seq + 100, p.ack);
	s.data = data + 100;
	s.len = 50;
	craft(r, &s);
	ck_assert_uint_eq(state(p.s), L_ESTABLISHED);
	s = raw(&p, ACK, p.seq, p.ack);
	s.data = data;
	s.len = 100;
	craft(r, &s);
	ck_assert_uint_eq(state(p.s), L_CLOSE_WAIT);
	expect_data(p.s, 0, 150);
	rig_free(r);
}
END_TEST

/* ---- attacks ---- */

START_TEST(blind_reset_is_challenged)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	struct tseg s = raw(&p, RST, p.seq + 1000, 0); /* in the window, not exact */
	craft(r, &s);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.flags, ACK);
	ck_assert_uint_eq(in.ack, p.seq);
	s.seq = p.seq + 100000; /* outside: nothing */
	craft(r, &s);
	ck_assert(!take(r, &in));
	s.seq = p.seq - 1;
	craft(r, &s);
	ck_assert(!take(r, &in));
	ck_assert_uint_eq(state(p.s), L_ESTABLISHED);
	s.seq = p.seq;
	craft(r, &s);
	ck_assert_uint_eq(state(p.s), L_CLOSE);
	ck_assert_int_eq(net_recv(p.s, data, 1, 0, NULL), -NET_ECONNRESET);
	rig_free(r);
}
END_TEST

START_TEST(blind_syn_is_challenged)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	struct tseg s = raw(&p, SYN, p.seq + 100, 0);
	craft(r, &s);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.flags, ACK);
	ck_assert_uint_eq(state(p.s), L_ESTABLISHED);
	s = raw(&p, SYN, p.seq - 100000, 0);
	craft(r, &s);
	ck_assert_uint_eq(state(p.s), L_ESTABLISHED);
	rig_free(r);
}
END_TEST

START_TEST(blind_data_is_refused)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	/* RFC 5961, 5: an ACK from outside [UNA - MAX.SND.WND, NXT] takes its data with it. */
	struct tseg s = raw(&p, ACK, p.seq, p.ack - 100000);
	s.data = data;
	s.len = 10;
	craft(r, &s);
	ck_assert_int_eq(net_recv(p.s, data, 1, 0, NULL), -NET_EAGAIN);
	s.ack = p.ack + 1;
	craft(r, &s);
	ck_assert_int_eq(net_recv(p.s, data, 1, 0, NULL), -NET_EAGAIN);
	s.ack = p.ack - 5;
	craft(r, &s);
	ck_assert_int_eq(net_recv(p.s, data, 10, 0, NULL), 10);
	rig_free(r);
}
END_TEST

START_TEST(challenges_are_limited)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	unsigned n = 0;
	for (unsigned i = 0; i < 1000; i++) {
		struct tseg s = raw(&p, SYN, p.seq + 100, 0);
		craft(r, &s);
		while (take(r, &in))
			n++;
	}
	ck_assert_uint_lt(n, 10); /* no storm */
	rig_free(r);
}
END_TEST

START_TEST(ack_without_ack_bit_is_dropped)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	struct tseg s = raw(&p, PSH, p.seq, p.ack);
	s.data = data;
	s.len = 10;
	craft(r, &s);
	ck_assert_int_eq(net_recv(p.s, data, 1, 0, NULL), -NET_EAGAIN);
	ck_assert(!take(r, &in));
	rig_free(r);
}
END_TEST

START_TEST(old_timestamps_are_refused)
{
	struct peer p;
	struct rig *r = start(&p, &modern);
	struct tseg s = raw(&p, ACK, p.seq, p.ack);
	s.optlen = opt_ts(s.opts, p.ts_val - 1, p.ts_ecr);
	s.data = data;
	s.len = 10;
	craft(r, &s);
	ck_assert_int_eq(net_recv(p.s, data, 1, 0, NULL), -NET_EAGAIN);
	ck_assert(peer_take(&p, &in)); /* an ACK all the same */
	/* After 24 days of silence the old value says nothing. */
	rig_run(r, 25ull * 86400 * SEC);
	drop_out(r);
	craft(r, &s);
	ck_assert_int_eq(net_recv(p.s, data, 10, 0, NULL), 10);
	rig_free(r);
}
END_TEST

/* A segment that is dropped for its ACK must not shut the connection by its timestamp. */
START_TEST(timestamp_with_a_bad_ack_is_forgotten)
{
	struct peer p;
	struct rig *r = start(&p, &modern);
	const uint32_t bad[] = {p.ack + 5000, p.ack - 0x1000000};
	for (unsigned i = 0; i < 2; i++) {
		struct tseg s = raw(&p, FIN | ACK, p.seq, bad[i]);
		s.optlen = opt_ts(s.opts, p.ts_val + 200000, p.ts_ecr);
		craft(r, &s);
		ck_assert(peer_take(&p, &in)); /* RFC 5961, 5.2 */
		ck_assert_uint_eq(in.flags, ACK);
		ck_assert_uint_eq(in.ts_ecr, p.ts_val);
		peer_send(&p, ACK, data, 10);
		ck_assert_int_eq(net_recv(p.s, data, 100, 0, NULL), 10);
		drop_out(r);
	}
	rig_free(r);
}
END_TEST

START_TEST(timestamps_wrap)
{
	struct peer p;
	struct rig_opts ro = {.crafted = true};
	struct rig *r = rig_new(&ro);
	peer_connect(&p, r, &modern);
	for (uint32_t v = p.ts_val; v >= p.ts_val; v += 0x40000000) {
		p.ts_val = v;
		peer_send(&p, ACK, data, 10);
		ck_assert_int_eq(net_recv(p.s, data, 100, 0, NULL), 10);
		if (v > 0xc0000000)
			break;
	}
	p.ts_val = 0xfffffff0;
	peer_send(&p, ACK, data, 10);
	p.ts_val = 16; /* later */
	peer_send(&p, ACK, data, 10);
	ck_assert_int_eq(net_recv(p.s, data, 100, 0, NULL), 20);
	drop_out(r);
	rig_free(r);
}
END_TEST

START_TEST(sequence_numbers_wrap)
{
	struct rig_opts ro = {.crafted = true};
	struct rig *r = rig_new(&ro);
	struct net_sock *l = listen_on(&r->h[0], 80, 5), *s;
	struct peer p = {.r = r, .sport = 5555, .dport = 80, .seq = 0xffffff00, .wnd = 65535};
	struct tseg a = raw(&p, SYN, p.seq++, 0);
	craft(r, &a);
	ck_assert(take(r, &in));
	p.ack = in.seq + 1;
	peer_send(&p, ACK, NULL, 0);
	ck_assert_int_eq(net_accept(l, &s, NULL), 0);
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + (i >> 8));
	struct tseg b = raw(&p, ACK, p.seq + 1000, p.ack); /* behind the wrap, early */
	b.data = data + 1000;
	b.len = 1000;
	craft(r, &b);
	peer_send(&p, ACK, data, 1000);
	expect_data(s, 0, 2000);
	rig_free(r);
}
END_TEST

/* ---- timers ---- */

START_TEST(keepalive_is_off_then_probes_then_gives_up)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	rig_run(r, 3 * 7200 * SEC);
	ck_assert(!take(r, &in)); /* off by default */
	ck_assert_int_eq(net_set(p.s, NET_SO_KEEPALIVE, 1), 0);
	rig_run(r, 7199 * SEC);
	ck_assert(!take(r, &in)); /* two hours by default */
	rig_run(r, 2 * SEC);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.seq, p.ack - 1);
	ck_assert_uint_eq(in.len, 0);
	peer_send(&p, ACK, NULL, 0);
	ck_assert_int_eq(net_set(p.s, NET_TCP_KEEPIDLE, 10), 0);
	ck_assert_int_eq(net_set(p.s, NET_TCP_KEEPINTVL, 5), 0);
	ck_assert_int_eq(net_set(p.s, NET_TCP_KEEPCNT, 3), 0);
	rig_run(r, 21 * SEC); /* one lost answer is no reason */
	ck_assert_uint_eq(state(p.s), L_ESTABLISHED);
	ck_assert(peer_take(&p, &in));
	rig_run(r, 10 * SEC);
	ck_assert_uint_eq(state(p.s), L_CLOSE);
	ck_assert_int_eq(net_recv(p.s, data, 1, 0, NULL), -NET_ETIMEDOUT);
	rig_free(r);
}
END_TEST

START_TEST(user_timeout)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	ck_assert_int_eq(net_set(p.s, NET_TCP_USER_TIMEOUT, 5000), 0);
	ck_assert_int_eq(net_send(p.s, data, 10, 0, NULL), 10);
	rig_run(r, 4 * SEC);
	ck_assert_uint_eq(state(p.s), L_ESTABLISHED);
	rig_run(r, 8 * SEC);
	ck_assert_uint_eq(state(p.s), L_CLOSE);
	ck_assert_int_eq(net_recv(p.s, data, 1, 0, NULL), -NET_ETIMEDOUT);
	while (take(r, &in)) /* RFC 9293, 3.10.8: the connection is deleted, nothing is said */
		ck_assert(!(in.flags & RST));
	peer_send(&p, ACK, data, 1); /* it is said to who asks */
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.flags, RST);
	rig_free(r);
}
END_TEST

static int64_t timeout_of(struct net_sock *s)
{
	int64_t v;
	ck_assert_int_eq(net_get(s, NET_TCP_USER_TIMEOUT, &v), 0);
	return v;
}

/* An acknowledgment with a user timeout option. */
static void tell_uto(struct peer *p, unsigned wire)
{
	uint8_t o[4] = {28, 4, (uint8_t)(wire >> 8), (uint8_t)wire};
	peer_ack(p, p->ack, o, 4);
}

START_TEST(user_timeout_option)
{
	struct peer p;
	struct rig *r = start(&p, &modern);
	tell_uto(&p, 300); /* nobody has asked for the option */
	ck_assert_int_eq(timeout_of(p.s), 0);
	ck_assert_int_eq(net_set(p.s, NET_TCP_UTO, 240), 0);
	ck_assert_int_eq(net_send(p.s, data, 10, 0, NULL), 10);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.uto, 240);
	rig_run(r, 900 * MS); /* a time-out: what it said may be lost as well */
	bool again = false;
	while (peer_take(&p, &in))
		again |= in.uto == 240;
	ck_assert(again);
	p.ack += 10;
	peer_send(&p, ACK, NULL, 0);
	drop_out(r);
	ck_assert_int_eq(net_send(p.s, data, 10, 0, NULL), 10);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.uto, 0); /* once is enough */
	p.ack += 10;
	tell_uto(&p, 300); /* the larger of the two */
	ck_assert_int_eq(timeout_of(p.s), 300000);
	tell_uto(&p, 0x8000 | 7); /* minutes */
	ck_assert_int_eq(timeout_of(p.s), 420000);
	tell_uto(&p, 0xffff); /* bounded */
	ck_assert_int_eq(timeout_of(p.s), 7200000);
	tell_uto(&p, 0); /* no such time */
	ck_assert_int_eq(timeout_of(p.s), 7200000);
	ck_assert_int_eq(net_set(p.s, NET_TCP_USER_TIMEOUT, 5000), 0);
	tell_uto(&p, 300); /* the application's word is the last */
	ck_assert_int_eq(timeout_of(p.s), 5000);
	ck_assert_int_eq(net_set(p.s, NET_TCP_UTO, -1), -NET_EINVAL);
	rig_free(r);
}
END_TEST

START_TEST(user_timeout_option_in_the_handshake)
{
	struct rig *r = rig_new(NULL);
	struct net_endpoint to = ep("10.0.0.2", 80);
	struct net_sock *l = listen_on(&r->h[1], 80, 5), *a, *b;
	ck_assert_int_eq(net_set(l, NET_TCP_UTO, 200), 0);
	ck_assert_int_eq(net_socket(r->h[0].st, NET_STREAM, &a), 0);
	ck_assert_int_eq(net_set(a, NET_TCP_UTO, 60000), 0); /* does not fit in seconds */
	ck_assert_int_eq(net_connect(a, &to), -NET_EINPROGRESS);
	rig_run(r, 100 * MS);
	ck_assert_int_eq(net_accept(l, &b, NULL), 0);
	ck_assert_int_eq(timeout_of(b), 7200000);
	ck_assert_int_eq(timeout_of(a), 7200000);
	rig_free(r);
}
END_TEST

START_TEST(keepalive_is_answered)
{
	struct peer p;
	struct rig *r = start(&p, &modern);
	struct tseg s = raw(&p, ACK, p.seq - 1, p.ack);
	craft(r, &s);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.ack, p.seq);
	rig_free(r);
}
END_TEST

START_TEST(tos_and_ttl_are_the_callers)
{
	struct peer p;
	struct rig *r = start(&p, &plain);
	ck_assert_int_eq(net_set(p.s, NET_SO_PRIORITY_TOS, 0xb8), 0);
	ck_assert_int_eq(net_set(p.s, NET_SO_TTL, 7), 0);
	ck_assert_int_eq(net_send(p.s, data, 10, 0, NULL), 10);
	ck_assert_ptr_nonnull(r->out);
	ck_assert_uint_eq(r->out->data[1], 0xb8);
	ck_assert_uint_eq(r->out->data[8], 7);
	rig_free(r);
}
END_TEST

/* Memory ends in the middle of everything: no crash, no leak, and the stream goes on or ends. */
START_TEST(out_of_memory)
{
	for (unsigned n = 1; n < 60; n++) {
		struct peer p;
		struct rig *r = start(&p, &modern);
		r->h[0].fail_after = n;
		static uint8_t b[3000];
		for (unsigned i = 0; i < 5; i++) {
			struct tseg s = raw(&p, ACK, p.seq + 1000 * (i ^ 1), p.ack);
			s.data = data;
			s.len = 1000;
			uint64_t f = r->h[0].fail_after;
			r->h[0].fail_after = 0; /* the wire has memory */
			struct pkt *pkt = pkt_from(r->h[0].st, data, 10);
			pkt_free(pkt);
			craft(r, &s);
			r->h[0].fail_after = f ? f : 1;
			(void)net_send(p.s, b, sizeof(b), 0, NULL);
			(void)net_recv(p.s, b, 500, 0, NULL);
			net_poll(r->h[0].st);
			drop_out(r);
		}
		rig_run(r, 5 * SEC);
		net_close(p.s);
		rig_run(r, 5 * SEC);
		r->h[0].fail_after = 0;
		rig_free(r);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("tcp_conn");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, every_order_of_pieces_gives_the_same_bytes);
	tcase_add_test(tc, random_overlaps_give_the_same_bytes);
	tcase_add_test(tc, sack_blocks_name_what_arrived);
	tcase_add_test(tc, old_data_is_acknowledged_again);
	tcase_add_test(tc, overlap_with_what_waits_is_told);
	tcase_add_test(tc, acks_are_delayed_but_not_long);
	tcase_add_test(tc, acks_are_aggregated);
	tcase_add_test(tc, window_closes_opens_in_steps_and_never_shrinks);
	tcase_add_test(tc, zero_window_still_hears);
	tcase_add_test(tc, urgent_data_is_announced_and_counted);
	tcase_add_test(tc, nagle_waits_and_can_be_switched_off);
	tcase_add_test(tc, nodelay_sends_what_a_cork_holds);
	tcase_add_test(tc, sender_avoids_silly_windows);
	tcase_add_test(tc, large_windows_are_unsigned);
	tcase_add_test(tc, zero_window_is_probed_without_end);
	tcase_add_test(tc, probe_that_is_taken_counts);
	tcase_add_test(tc, shrunk_window_is_survived);
	tcase_add_test(tc, half_close);
	tcase_add_test(tc, passive_close);
	tcase_add_test(tc, simultaneous_close);
	tcase_add_test(tc, time_wait_lasts_and_is_not_assassinated);
	tcase_add_test(tc, time_wait_ends_for_a_newer_syn);
	tcase_add_test(tc, unread_data_at_close_is_a_reset);
	tcase_add_test(tc, end_of_reading_is_no_end_of_data);
	tcase_add_test(tc, data_for_nobody_is_a_reset);
	tcase_add_test(tc, orphan_in_fin_wait_2_ends);
	tcase_add_test(tc, fin_out_of_order_waits_for_the_data);
	tcase_add_test(tc, blind_reset_is_challenged);
	tcase_add_test(tc, blind_syn_is_challenged);
	tcase_add_test(tc, blind_data_is_refused);
	tcase_add_test(tc, challenges_are_limited);
	tcase_add_test(tc, ack_without_ack_bit_is_dropped);
	tcase_add_test(tc, old_timestamps_are_refused);
	tcase_add_test(tc, timestamp_with_a_bad_ack_is_forgotten);
	tcase_add_test(tc, timestamps_wrap);
	tcase_add_test(tc, sequence_numbers_wrap);
	tcase_add_test(tc, keepalive_is_off_then_probes_then_gives_up);
	tcase_add_test(tc, user_timeout);
	tcase_add_test(tc, user_timeout_option);
	tcase_add_test(tc, user_timeout_option_in_the_handshake);
	tcase_add_test(tc, keepalive_is_answered);
	tcase_add_test(tc, tos_and_ttl_are_the_callers);
	tcase_add_test(tc, out_of_memory);
	return suite_run("stack/tcp_conn", tc);
}
