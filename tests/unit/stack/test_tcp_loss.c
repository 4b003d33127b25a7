/* Loss and its repair, seen by a peer made by hand: RFC 5681, 6298, 6582, 6675, 8985, 6937, 5682,
 * 3168, 2883. */
#include <check.h>
#include <string.h>

#include "rig.h"
#include "suite.h"

static struct tseg in;
static uint8_t data[200000];
#define MSS 1000u

static const struct peer_opts with_sack = {
        .mss = MSS, .sack = true, .ws = 7, .wnd = 2000, .rtt_ns = 100 * MS};
static const struct peer_opts without = {.mss = MSS, .ws = -1, .rtt_ns = 100 * MS};

static struct rig *start(struct peer *p, const struct peer_opts *o)
{
	struct rig_opts ro = {.crafted = true};
	struct rig *r = rig_new(&ro);
	peer_connect(p, r, o);
	drop_out(r);
	return r;
}

static struct net_tcp_info info(const struct peer *p)
{
	struct net_tcp_info i;
	ck_assert_int_eq(net_tcp_info(p->s, &i), 0);
	return i;
}

/* A round trip of 100 ms is known, N segments of a flight are out and taken from the wire. */
static void flight(struct peer *p, unsigned n)
{
	ck_assert_int_eq(net_send(p->s, data, MSS, 0, NULL), MSS);
	ck_assert(peer_take(p, &in));
	rig_run(p->r, 100 * MS);
	p->ack += MSS;
	peer_send(p, ACK, NULL, 0);
	drop_out(p->r);
	ck_assert_int_eq(net_send(p->s, data, n * MSS, 0, NULL), n * MSS);
	for (unsigned i = 0; i < n; i++) {
		ck_assert(peer_take(p, &in));
		ck_assert_uint_eq(in.seq, p->ack + i * MSS);
		ck_assert_uint_eq(in.len, MSS);
	}
	ck_assert(!take(p->r, &in));
	rig_run(p->r, 50 * MS);
}

static void sack(struct peer *p, uint32_t ack, uint32_t from, uint32_t to)
{
	uint8_t o[40];
	const uint32_t b[1][2] = {{p->ack + from, p->ack + to}};
	peer_ack(p, p->ack + ack, o, opt_sack(o, 1, b));
}

START_TEST(initial_window_is_ten)
{
	struct peer p;
	struct rig *r = start(&p, &with_sack);
	ck_assert_int_gt(net_send(p.s, data, 50 * MSS, 0, NULL), 0);
	unsigned n = 0;
	while (peer_take(&p, &in))
		n++;
	ck_assert_uint_eq(n, 10);
	p.ack += 10 * MSS;
	peer_send(&p, ACK, NULL, 0); /* slow start doubles */
	for (n = 0; peer_take(&p, &in); n++)
		;
	ck_assert_uint_eq(n, 20);
	rig_free(r);
}
END_TEST

START_TEST(timeout_backs_off_and_ends)
{
	struct peer p;
	struct rig *r = start(&p, &without);
	ck_assert_int_eq(net_send(p.s, data, 100, 0, NULL), 100);
	ck_assert(peer_take(&p, &in));
	uint64_t last = r->now, gap = 0, began = r->now;
	unsigned n = 0;
	while (info(&p).tcpi_state == 1 && r->now - began < 3600 * SEC) {
		rig_run(r, 10 * MS);
		if (!peer_take(&p, &in) || (in.flags & RST))
			continue;
		ck_assert_uint_eq(in.seq, p.ack);
		ck_assert_uint_eq(in.len, 100);
		if (gap && gap < 60 * SEC)
			ck_assert_uint_ge(r->now - last, gap * 19 / 10);
		gap = r->now - last;
		last = r->now;
		n++;
	}
	ck_assert_uint_eq(n, 15);
	ck_assert_uint_ge(r->now - began, 100 * SEC); /* R2 */
	ck_assert_int_eq(net_recv(p.s, data, 1, 0, NULL), -NET_ETIMEDOUT);
	rig_free(r);
}
END_TEST

START_TEST(karn)
{
	struct peer p;
	struct rig *r = start(&p, &without);
	flight(&p, 1);
	uint32_t rtt = info(&p).tcpi_rtt;
	rig_run(r, 2 * SEC);
	ck_assert(peer_take(&p, &in)); /* retransmitted */
	drop_out(r);
	p.ack += MSS;
	peer_send(&p, ACK, NULL, 0);
	ck_assert_uint_eq(info(&p).tcpi_rtt, rtt);
	rig_free(r);
}
END_TEST

START_TEST(three_duplicates_retransmit)
{
	struct peer p;
	struct rig *r = start(&p, &without);
	flight(&p, 8);
	peer_send(&p, ACK, NULL, 0);
	peer_send(&p, ACK, NULL, 0);
	ck_assert(!take(r, &in));
	peer_send(&p, ACK, NULL, 0);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.seq, p.ack);
	ck_assert_uint_eq(info(&p).tcpi_ca_state, 3);
	ck_assert_uint_lt(info(&p).tcpi_snd_ssthresh, 10);
	/* A partial acknowledgment: the next hole at once (RFC 6582). */
	drop_out(r);
	p.ack += 3 * MSS;
	peer_send(&p, ACK, NULL, 0);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.seq, p.ack);
	p.ack += 5 * MSS;
	peer_send(&p, ACK, NULL, 0);
	ck_assert_uint_eq(info(&p).tcpi_ca_state, 0);
	rig_free(r);
}
END_TEST

START_TEST(limited_transmit)
{
	struct peer p;
	struct rig *r = start(&p, &without);
	flight(&p, 10);
	ck_assert_int_eq(net_send(p.s, data, 20 * MSS, 0, NULL), 20 * MSS);
	uint32_t before = 0;
	while (peer_take(&p, &in))
		before++;
	peer_send(&p, ACK, NULL, 0);
	ck_assert(peer_take(&p, &in)); /* RFC 3042: new data for a duplicate */
	ck_assert_uint_eq(in.seq, p.ack + (10 + before) * MSS);
	rig_free(r);
}
END_TEST

START_TEST(sack_finds_the_holes)
{
	struct peer p;
	struct rig *r = start(&p, &with_sack);
	flight(&p, 8);
	/* 0 and 4 are lost. */
	sack(&p, 0, 1 * MSS, 2 * MSS);
	sack(&p, 0, 1 * MSS, 4 * MSS);
	uint8_t o[40];
	const uint32_t b[2][2] = {{p.ack + 5 * MSS, p.ack + 8 * MSS},
	                          {p.ack + 1 * MSS, p.ack + 4 * MSS}};
	peer_ack(&p, p.ack, o, opt_sack(o, 2, b));
	unsigned first = 0, second = 0, others = 0;
	for (unsigned i = 0; i < 5; i++) {
		while (peer_take(&p, &in)) {
			first += in.seq == p.ack;
			second += in.seq == p.ack + 4 * MSS;
			others += in.seq != p.ack && in.seq != p.ack + 4 * MSS;
		}
		rig_run(r, 10 * MS);
	}
	ck_assert_uint_eq(first, 1);
	ck_assert_uint_eq(second, 1);
	ck_assert_uint_eq(others, 0);
	ck_assert_uint_eq(info(&p).tcpi_lost, 2); /* sent again, and not yet known to be there */
	ck_assert_uint_eq(info(&p).tcpi_retrans, 2);
	p.ack += 8 * MSS;
	peer_send(&p, ACK, NULL, 0);
	ck_assert_uint_eq(info(&p).tcpi_ca_state, 0);
	ck_assert_uint_eq(info(&p).tcpi_lost, 0);
	ck_assert_uint_eq(info(&p).tcpi_sacked, 0);
	rig_free(r);
}
END_TEST

/* An ACK that another one has overtaken: what it says of later segments is news all the same. */
START_TEST(sack_of_an_overtaken_ack_counts)
{
	struct peer p;
	struct rig *r = start(&p, &with_sack);
	flight(&p, 8);
	uint32_t una = p.ack;
	peer_ack(&p, una + 3 * MSS, NULL, 0);
	uint8_t o[40];
	const uint32_t b[1][2] = {{una + 5 * MSS, una + 7 * MSS}};
	peer_ack(&p, una + 2 * MSS, o, opt_sack(o, 1, b));
	ck_assert_uint_eq(info(&p).tcpi_sacked, 2);
	ck_assert_uint_eq(info(&p).tcpi_unacked, 5);
	rig_free(r);
}
END_TEST

/* What duplicates have told of is no news in the ACK that covers it: the window grows by the rest.
 */
START_TEST(reordered_segments_open_the_window_once)
{
	const struct peer_opts *kinds[] = {&with_sack, &without};
	for (unsigned k = 0; k < 2; k++) {
		struct peer p;
		struct rig *r = start(&p, kinds[k]);
		flight(&p, 10);
		uint32_t cwnd = info(&p).tcpi_snd_cwnd;
		for (unsigned i = 1; i < 3; i++) {
			if (k == 0)
				sack(&p, 0, MSS, (i + 1) * MSS);
			else
				peer_send(&p, ACK, NULL, 0);
		}
		ck_assert_uint_eq(info(&p).tcpi_snd_cwnd, cwnd);
		p.ack += 3 * MSS;
		peer_send(&p, ACK, NULL, 0);
		ck_assert_uint_eq(info(&p).tcpi_snd_cwnd, cwnd + 1);
		rig_free(r);
	}
}
END_TEST

/* RACK: one SACK of a later segment and a quarter of a round trip are enough. */
START_TEST(rack_needs_no_three_duplicates)
{
	struct peer p;
	struct rig *r = start(&p, &with_sack);
	flight(&p, 2);
	rig_run(r, 50 * MS);
	sack(&p, 0, MSS, 2 * MSS);
	ck_assert(!take(r, &in)); /* it may only be late */
	rig_run(r, 40 * MS);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.seq, p.ack);
	ck_assert_uint_eq(net_stack_stats(r->h[0].st)->tcp_rto, 0);
	rig_free(r);
}
END_TEST

/* The time that a suspect has is not prolonged by an ACK that goes forward, nor by new data. */
START_TEST(suspect_is_not_forgotten)
{
	struct peer p;
	struct rig *r = start(&p, &with_sack);
	flight(&p, 5);
	rig_run(r, 50 * MS);
	sack(&p, 2 * MSS, 3 * MSS, 4 * MSS); /* 0 and 1 are there, and 3 */
	p.ack += 2 * MSS;
	ck_assert(!take(r, &in));
	ck_assert_int_eq(net_send(p.s, data, 2 * MSS, 0, NULL), 2 * MSS);
	ck_assert_uint_eq(drop_out(r), 2);
	rig_run(r, 40 * MS);
	ck_assert(take(r, &in));
	ck_assert_uint_eq(in.seq, p.ack); /* 2 again, long before a time-out */
	ck_assert_uint_eq(in.len, MSS);
	ck_assert_uint_eq(net_stack_stats(r->h[0].st)->tcp_rto, 0);
	rig_free(r);
}
END_TEST

START_TEST(reordering_within_the_window_is_no_loss)
{
	struct peer p;
	struct rig *r = start(&p, &with_sack);
	flight(&p, 2);
	rig_run(r, 50 * MS);
	sack(&p, 0, MSS, 2 * MSS);
	rig_run(r, 10 * MS);
	p.ack += 2 * MSS;
	peer_send(&p, ACK, NULL, 0);
	rig_run(r, SEC);
	ck_assert(!take(r, &in));
	ck_assert_uint_eq(info(&p).tcpi_total_retrans, 0);
	ck_assert_uint_eq(info(&p).tcpi_reord_seen, 1);
	rig_free(r);
}
END_TEST

START_TEST(tail_loss_probe)
{
	struct peer p;
	struct rig *r = start(&p, &with_sack);
	flight(&p, 4);
	rig_run(r, 170 * MS); /* 2 SRTT = 200 ms after the flight, far from the RTO */
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.seq, p.ack + 3 * MSS); /* the last one */
	ck_assert_uint_eq(net_stack_stats(r->h[0].st)->tcp_tlp, 1);
	/* Its SACK, a round trip later, shows the rest to be lost. */
	rig_run(r, 100 * MS);
	sack(&p, 0, 3 * MSS, 4 * MSS);
	rig_run(r, 50 * MS);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.seq, p.ack);
	ck_assert_uint_eq(net_stack_stats(r->h[0].st)->tcp_rto, 0);
	rig_free(r);
}
END_TEST

START_TEST(spurious_timeout_is_undone)
{
	struct peer p;
	struct rig *r = start(&p, &with_sack);
	flight(&p, 8);
	uint32_t cwnd = info(&p).tcpi_snd_cwnd;
	ck_assert_int_eq(net_send(p.s, data, 8 * MSS, 0, NULL), 8 * MSS);
	drop_out(r);
	rig_run(r, 900 * MS);
	drop_out(r);
	ck_assert_uint_eq(info(&p).tcpi_ca_state, 4);
	ck_assert_uint_eq(info(&p).tcpi_snd_cwnd, 1);
	/* The ACKs were only late (RFC 5682): each for what was not sent again. */
	p.ack += 2 * MSS;
	peer_send(&p, ACK, NULL, 0);
	p.ack += 2 * MSS;
	peer_send(&p, ACK, NULL, 0);
	ck_assert_uint_ge(info(&p).tcpi_snd_cwnd, cwnd);
	ck_assert_uint_eq(net_stack_stats(r->h[0].st)->tcp_undo, 1);
	rig_free(r);
}
END_TEST

START_TEST(dsack_of_every_retransmission_undoes)
{
	struct peer p;
	struct rig *r = start(&p, &with_sack);
	flight(&p, 8);
	uint32_t cwnd = info(&p).tcpi_snd_cwnd;
	sack(&p, 0, 1 * MSS, 5 * MSS);
	rig_run(r, 30 * MS);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.seq, p.ack);
	drop_out(r);
	uint8_t o[40];
	const uint32_t b[1][2] = {{p.ack, p.ack + MSS}}; /* it came twice */
	p.ack += 8 * MSS;
	peer_ack(&p, p.ack, o, opt_sack(o, 1, b));
	ck_assert_uint_ge(info(&p).tcpi_snd_cwnd, cwnd);
	ck_assert_uint_eq(info(&p).tcpi_dsack_dups, 1);
	rig_free(r);
}
END_TEST

START_TEST(reneging_peer_gets_it_all_again)
{
	struct peer p;
	struct rig *r = start(&p, &with_sack);
	flight(&p, 4);
	sack(&p, 0, 1 * MSS, 4 * MSS);
	rig_run(r, 50 * MS);
	drop_out(r);
	/* It acknowledges the first and has forgotten the others. */
	p.ack += MSS;
	peer_send(&p, ACK, NULL, 0);
	unsigned got = 0;
	for (unsigned i = 0; i < 100 && got < 3 * MSS; i++) {
		rig_run(r, 200 * MS);
		while (peer_take(&p, &in)) {
			if (in.seq != p.ack)
				continue;
			got += in.len;
			p.ack += in.len;
			peer_send(&p, ACK, NULL, 0);
		}
	}
	ck_assert_uint_eq(got, 3 * MSS);
	ck_assert_uint_eq(net_stack_stats(r->h[0].st)->tcp_reneg, 1);
	rig_free(r);
}
END_TEST

START_TEST(nonsense_in_sack_is_ignored)
{
	struct peer p;
	struct rig *r = start(&p, &with_sack);
	flight(&p, 4);
	sack(&p, 0, 9 * MSS, 10 * MSS); /* never sent */
	sack(&p, 0, 3 * MSS, 2 * MSS);  /* backwards */
	sack(&p, 0, 0x80000000u, MSS);  /* half the space */
	sack(&p, 0, 1, 2);              /* a single byte: counted as such */
	ck_assert_uint_le(info(&p).tcpi_sacked, 1);
	p.ack += 4 * MSS;
	peer_send(&p, ACK, NULL, 0);
	ck_assert_uint_eq(info(&p).tcpi_unacked, 0);
	rig_free(r);
}
END_TEST

START_TEST(prr_sends_in_proportion)
{
	struct peer p;
	struct rig *r = start(&p, &with_sack);
	flight(&p, 10);
	ck_assert_int_eq(net_send(p.s, data, 40 * MSS, 0, NULL), 40 * MSS);
	unsigned before = 0, sent = 0;
	while (peer_take(&p, &in))
		before++;
	uint32_t out = 10 + before;
	for (uint32_t i = 2; i <= out; i++) {
		sack(&p, 0, MSS, i * MSS);
		unsigned burst = 0;
		while (peer_take(&p, &in))
			burst++;
		ck_assert_uint_le(burst, 2);
		sent += burst;
	}
	/* beta is 0.7: not more than what CUBIC leaves, and the flow does not stall. */
	ck_assert_uint_ge(sent, out / 2);
	ck_assert_uint_le(sent, out);
	rig_free(r);
}
END_TEST

START_TEST(ecn_is_negotiated_marked_and_answered)
{
	struct peer p;
	static const struct peer_opts o = {
	        .mss = MSS, .sack = true, .ws = 7, .wnd = 2000, .ecn = true};
	struct rig *r = start(&p, &o);
	ck_assert_int_eq(net_send(p.s, data, 10 * MSS, 0, NULL), 10 * MSS);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.tos & 3, 2); /* ECT(0) */
	drop_out(r);
	uint32_t cwnd = info(&p).tcpi_snd_cwnd;
	p.ack += MSS;
	peer_send(&p, ACK | ECE, NULL, 0);
	ck_assert_uint_lt(info(&p).tcpi_snd_ssthresh, cwnd);
	p.ack += 9 * MSS;
	peer_send(&p, ACK, NULL, 0);
	ck_assert_int_eq(net_send(p.s, data, MSS, 0, NULL), MSS);
	ck_assert(peer_take(&p, &in));
	ck_assert(in.flags & CWR);
	/* And what arrives marked is echoed until the peer has reacted. */
	struct tseg s;
	memset(&s, 0, offsetof(struct tseg, copy));
	s.sport = p.sport, s.dport = p.dport, s.seq = p.seq, s.ack = p.ack + MSS;
	s.flags = ACK, s.tos = 3, s.data = data, s.len = 100;
	craft(r, &s);
	ck_assert(peer_take(&p, &in));
	ck_assert(in.flags & ECE);
	s.seq += 100, s.tos = 2, s.flags = ACK | CWR;
	craft(r, &s);
	rig_run(r, 100 * MS);
	ck_assert(peer_take(&p, &in));
	ck_assert(!(in.flags & ECE));
	rig_free(r);
}
END_TEST

static const struct peer_opts full = {.sack = true, .ws = 7, .wnd = 2000, .rtt_ns = 20 * MS};

/* Packet too big: the next hop takes MTU, and the packet was that of SEQ. */
static void too_big(struct peer *p, unsigned mtu, uint32_t seq)
{
	uint8_t m[56] = {0x45, 0, 0, 56, 0, 0, 0, 0, 64, 1, 0, 0, 10, 9, 9, 9, 10, 0, 0, 1, 3, 4};
	uint8_t *q = m + 28;
	m[26] = (uint8_t)(mtu >> 8), m[27] = (uint8_t)mtu;
	q[0] = 0x45, q[2] = 5, q[3] = 220, q[9] = 6;
	memcpy(q + 12, (uint8_t[]){10, 0, 0, 1, 10, 0, 0, 2}, 8);
	q[21] = 80, q[22] = (uint8_t)(p->sport >> 8), q[23] = (uint8_t)p->sport;
	for (unsigned k = 0; k < 4; k++)
		q[24 + k] = (uint8_t)(seq >> (24 - 8 * k));
	fix_csums(m, 56);
	inject_ip(p->r, m, 56);
}

START_TEST(path_mtu_is_learnt_from_icmp)
{
	struct peer p;
	struct rig *r = start(&p, &full);
	ck_assert_int_eq(net_send(p.s, data, 2920, 0, NULL), 2920);
	ck_assert(peer_take(&p, &in));
	ck_assert_uint_eq(in.len, 1460);
	drop_out(r);
	too_big(&p, 1200, p.ack - 1000000); /* RFC 5927: not from this connection's packets */
	ck_assert(!take(r, &in));
	too_big(&p, 1200, p.ack);
	ck_assert(peer_take(&p, &in)); /* again, smaller, at once */
	ck_assert_uint_eq(in.seq, p.ack);
	ck_assert_uint_eq(in.len, 1160);
	ck_assert_uint_eq(info(&p).tcpi_pmtu, 1200);
	rig_free(r);
}
END_TEST

START_TEST(black_hole_is_detected)
{
	struct peer p;
	struct rig *r = start(&p, &full);
	ck_assert_int_eq(net_send(p.s, data, 2920, 0, NULL), 2920);
	drop_out(r);
	uint32_t len = 1460;
	for (unsigned i = 0; i < 100 && len > 536; i++) {
		rig_run(r, SEC);
		while (peer_take(&p, &in)) {
			if (in.seq != p.ack)
				continue;
			/* BASE_PLPMTU, then the least there is, and no others. */
			ck_assert(in.len == len || in.len == (len == 1460 ? 1160 : 536));
			len = in.len;
		}
	}
	ck_assert_uint_eq(len, 536);
	rig_free(r);
}
END_TEST

/* 60 kB are sent in each of SECONDS; of them come back ACKs for all but what is longer than LIMIT,
 * which SACK shows to be missing. Returns how many such there were; *LARGEST that arrived. */
static unsigned exchange(struct peer *p, unsigned seconds, uint32_t limit, uint32_t *largest)
{
	unsigned dropped = 0;
	for (unsigned s = 0; s < seconds; s++) {
		ck_assert_int_eq(net_send(p->s, data, 60000, 0, NULL), 60000);
		uint32_t goal = p->ack + 60000, hole = 0, high = p->ack;
		for (unsigned i = 0; i < 50; i++) {
			while (peer_take(p, &in)) {
				if (in.len > limit) {
					dropped++;
					hole = in.len;
				} else if (in.seq == p->ack) {
					p->ack += in.len;
					*largest = in.len > *largest ? in.len : *largest;
					hole -= hole ? in.len : 0;
					if (!hole)
						p->ack = high > p->ack ? high : p->ack;
				}
				high = in.seq + in.len > high && in.len <= limit ? in.seq + in.len
				                                                 : high;
			}
			rig_run(p->r, 20 * MS);
			if (hole && high > p->ack)
				sack(p, 0, hole, high - p->ack);
			else
				peer_send(p, ACK, NULL, 0);
		}
		ck_assert_uint_eq(p->ack, goal);
	}
	return dropped;
}

/* RFC 8899, 5.3: after ICMP not before ten minutes, then all at once. */
START_TEST(larger_mtu_is_looked_for_after_icmp)
{
	struct peer p;
	struct rig *r = start(&p, &full);
	uint32_t largest = 0;
	ck_assert_int_eq(net_send(p.s, data, 2920, 0, NULL), 2920);
	drop_out(r);
	too_big(&p, 1200, p.ack);
	drop_out(r);
	p.ack += 2920;
	peer_send(&p, ACK, NULL, 0);
	exchange(&p, 595, 9999, &largest);
	ck_assert_uint_eq(largest, 1160);
	ck_assert_uint_eq(info(&p).tcpi_pmtu, 1200);
	exchange(&p, 10, 9999, &largest);
	ck_assert_uint_eq(largest, 1460);
	ck_assert_uint_eq(info(&p).tcpi_pmtu, 1500);
	rig_free(r);
}
END_TEST

static struct rig *after_black_hole(struct peer *p)
{
	struct rig *r = start(p, &full);
	ck_assert_int_eq(net_send(p->s, data, 2920, 0, NULL), 2920);
	for (unsigned i = 0; i < 20 && info(p).tcpi_pmtu == 1500; i++) {
		rig_run(r, SEC);
		drop_out(r);
	}
	ck_assert_uint_eq(info(p).tcpi_pmtu, 1200);
	p->ack += 2920;
	peer_send(p, ACK, NULL, 0);
	drop_out(r);
	return r;
}

/* Three probes of each size, 15 s apart, by halves to within 16 bytes; then ten minutes' rest. */
START_TEST(search_finds_what_the_path_takes)
{
	struct peer p;
	struct rig *r = after_black_hole(&p);
	uint32_t largest = 0;
	ck_assert_uint_eq(exchange(&p, 10, 1360, &largest), 0);
	unsigned lost = exchange(&p, 42, 1360, &largest);
	ck_assert_uint_eq(lost, 3);
	ck_assert_uint_eq(largest, 1160); /* nothing but the largest was tried */
	lost += exchange(&p, 300, 1360, &largest);
	ck_assert_uint_le(largest, 1360);
	ck_assert_uint_gt(largest, 1360 - 16);
	ck_assert_uint_eq(info(&p).tcpi_pmtu, largest + 40);
	ck_assert_uint_eq(lost % 3, 0);
	ck_assert_uint_eq(exchange(&p, 250, 1360, &largest), 0);
	/* The path gets wider: found when the timer has run out. */
	exchange(&p, 400, 9999, &largest);
	ck_assert_uint_eq(info(&p).tcpi_pmtu, 1500);
	ck_assert_uint_eq(net_stack_stats(r->h[0].st)->tcp_fast_recovery, 0);
	rig_free(r);
}
END_TEST

/* RFC 8899, 3: the loss of a probe is none of the network's. */
START_TEST(lost_probe_is_no_congestion)
{
	struct peer p;
	struct rig *r = after_black_hole(&p);
	uint32_t largest = 0;
	exchange(&p, 14, 9999, &largest);
	uint64_t rto = net_stack_stats(r->h[0].st)->tcp_rto;
	rig_run(r, 5 * SEC);
	peer_send(&p, ACK, NULL, 0);
	ck_assert_int_eq(net_send(p.s, data, 8 * 1160, 0, NULL), 8 * 1160);
	uint32_t cwnd = info(&p).tcpi_snd_cwnd;
	ck_assert(peer_take(&p, &in)); /* the probe goes first, in one piece */
	ck_assert_uint_eq(in.len, 1460);
	ck_assert_uint_eq(in.seq, p.ack);
	drop_out(r);
	rig_run(r, 20 * MS);
	sack(&p, 0, 1460, 8 * 1160);
	/* Again, in segments that pass, and the window is what it was. */
	uint32_t again = 0;
	for (unsigned i = 0; i < 2; i++, rig_run(r, 10 * MS))
		while (peer_take(&p, &in))
			if (in.seq == p.ack + again && again < 1460) {
				ck_assert_uint_le(in.len, 1160);
				again += in.len;
			}
	ck_assert_uint_eq(again, 1460);
	p.ack += 8 * 1160;
	peer_send(&p, ACK, NULL, 0);
	ck_assert_uint_eq(info(&p).tcpi_unacked, 0);
	ck_assert_uint_ge(info(&p).tcpi_snd_cwnd, cwnd);
	ck_assert_uint_eq(info(&p).tcpi_ca_state, 0);
	ck_assert_uint_eq(info(&p).tcpi_pmtu, 1200);
	ck_assert_uint_eq(net_stack_stats(r->h[0].st)->tcp_fast_recovery, 0);
	ck_assert_uint_eq(net_stack_stats(r->h[0].st)->tcp_rto, rto);
	rig_free(r);
}
END_TEST

/* The first segment of what is sent is a probe of all that the route takes. */
static void send_probe(struct peer *p)
{
	uint32_t largest = 0;
	exchange(p, 14, 9999, &largest);
	rig_run(p->r, 5 * SEC);
	peer_send(p, ACK, NULL, 0);
	ck_assert_int_eq(net_send(p->s, data, 8 * 1160, 0, NULL), 8 * 1160);
	ck_assert(peer_take(p, &in));
	ck_assert_uint_eq(in.len, 1460);
	drop_out(p->r);
}

/* But what is lost besides it is. */
START_TEST(loss_beside_a_probe_is_congestion)
{
	struct peer p;
	struct rig *r = after_black_hole(&p);
	send_probe(&p);
	rig_run(r, 20 * MS);
	sack(&p, 0, 1460 + 1160, 1460 + 5 * 1160);
	rig_run(r, 20 * MS);
	ck_assert_uint_eq(info(&p).tcpi_ca_state, 3);
	ck_assert_uint_eq(net_stack_stats(r->h[0].st)->tcp_fast_recovery, 1);
	rig_free(r);
}
END_TEST

/* RFC 8899, 4.6.2: a probe's "too big" is the next size to try. */
START_TEST(icmp_about_a_probe_directs_the_search)
{
	struct peer p;
	struct rig *r = after_black_hole(&p);
	send_probe(&p);
	too_big(&p, 1400, p.ack);
	ck_assert_uint_eq(info(&p).tcpi_pmtu, 1200); /* not what is known to pass */
	rig_run(r, 20 * MS);
	sack(&p, 0, 1460, 1460 + 4 * 1160);
	p.ack += 8 * 1160;
	peer_send(&p, ACK, NULL, 0);
	drop_out(r);
	uint32_t largest = 0;
	ck_assert_uint_eq(exchange(&p, 20, 1360, &largest), 0);
	ck_assert_uint_eq(largest, 1360);
	ck_assert_uint_eq(info(&p).tcpi_pmtu, 1400);
	rig_free(r);
}
END_TEST

START_TEST(idle_connection_begins_again)
{
	struct peer p;
	struct rig *r = start(&p, &with_sack);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_gt(net_send(p.s, data, 40 * MSS, 0, NULL), 0);
		for (unsigned k = 0; k < 10; k++) {
			while (peer_take(&p, &in))
				p.ack += in.len;
			peer_send(&p, ACK, NULL, 0);
		}
	}
	ck_assert_uint_gt(info(&p).tcpi_snd_cwnd, 20);
	rig_run(r, 60 * SEC);
	ck_assert_int_gt(net_send(p.s, data, 60 * MSS, 0, NULL), 0);
	unsigned n = 0;
	while (peer_take(&p, &in))
		n++;
	ck_assert_uint_eq(n, 10);
	rig_free(r);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("tcp_loss");
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, initial_window_is_ten);
	tcase_add_test(tc, timeout_backs_off_and_ends);
	tcase_add_test(tc, karn);
	tcase_add_test(tc, three_duplicates_retransmit);
	tcase_add_test(tc, limited_transmit);
	tcase_add_test(tc, sack_finds_the_holes);
	tcase_add_test(tc, sack_of_an_overtaken_ack_counts);
	tcase_add_test(tc, reordered_segments_open_the_window_once);
	tcase_add_test(tc, rack_needs_no_three_duplicates);
	tcase_add_test(tc, suspect_is_not_forgotten);
	tcase_add_test(tc, reordering_within_the_window_is_no_loss);
	tcase_add_test(tc, tail_loss_probe);
	tcase_add_test(tc, spurious_timeout_is_undone);
	tcase_add_test(tc, dsack_of_every_retransmission_undoes);
	tcase_add_test(tc, reneging_peer_gets_it_all_again);
	tcase_add_test(tc, nonsense_in_sack_is_ignored);
	tcase_add_test(tc, prr_sends_in_proportion);
	tcase_add_test(tc, ecn_is_negotiated_marked_and_answered);
	tcase_add_test(tc, path_mtu_is_learnt_from_icmp);
	tcase_add_test(tc, black_hole_is_detected);
	tcase_add_test(tc, larger_mtu_is_looked_for_after_icmp);
	tcase_add_test(tc, search_finds_what_the_path_takes);
	tcase_add_test(tc, lost_probe_is_no_congestion);
	tcase_add_test(tc, loss_beside_a_probe_is_congestion);
	tcase_add_test(tc, icmp_about_a_probe_directs_the_search);
	tcase_add_test(tc, idle_connection_begins_again);
	return suite_run("stack/tcp_loss", tc);
}
