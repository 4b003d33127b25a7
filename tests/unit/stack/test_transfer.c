/* Two stacks on a wire of every quality: each byte arrives, once, in order, both ways. */
#include <check.h>
#include <string.h>

#include "rig.h"
#include "suite.h"

struct flow {
	struct net_sock *from, *to;
	uint64_t sent, got, want;
	bool ended;
};

struct transfer {
	struct rig *r;
	struct net_sock *listener;
	struct flow a, b;
};

static uint8_t byte_at(uint64_t at, unsigned salt)
{
	return (uint8_t)(at * 31 + (at >> 8) * 7 + (at >> 16) + salt);
}

static void push(struct flow *f, unsigned salt)
{
	uint8_t buf[20000];
	while (f->sent < f->want) {
		size_t n =
		        f->want - f->sent < sizeof(buf) ? (size_t)(f->want - f->sent) : sizeof(buf);
		for (size_t i = 0; i < n; i++)
			buf[i] = byte_at(f->sent + i, salt);
		long res = net_send(f->from, buf, n, 0, NULL);
		if (res == -NET_EAGAIN)
			return;
		ck_assert_int_gt(res, 0);
		f->sent += (uint64_t)res;
		if (f->sent == f->want)
			ck_assert_int_eq(net_shutdown(f->from, NET_SHUT_WR), 0);
	}
}

static void pull(struct flow *f, unsigned salt)
{
	uint8_t buf[30000];
	long n;
	while (!f->ended && (n = net_recv(f->to, buf, sizeof(buf), 0, NULL)) != -NET_EAGAIN) {
		ck_assert_int_ge(n, 0);
		f->ended = n == 0;
		long wrong = 0;
		for (long i = 0; i < n; i++)
			wrong += buf[i] != byte_at(f->got + (uint64_t)i, salt);
		ck_assert_int_eq(wrong, 0);
		f->got += (uint64_t)n;
	}
}

static bool all_there(void *ctx)
{
	struct transfer *t = ctx;
	if (!t->a.to) {
		if (net_accept(t->listener, &t->a.to, NULL) < 0)
			return false;
		t->b.from = t->a.to;
	}
	if (net_ready(t->a.from) & NET_EV_OUT)
		push(&t->a, 1);
	push(&t->b, 2);
	pull(&t->a, 1);
	pull(&t->b, 2);
	return t->a.ended && t->b.ended;
}

static void open_pair(struct transfer *t, const char *addr, const char *cc)
{
	struct net_endpoint to = ep(addr, 80);
	t->listener = listen_on(&t->r->h[1], 80, 5);
	ck_assert_int_eq(net_set_cc(t->listener, cc), 0);
	ck_assert_int_eq(net_socket(t->r->h[0].st, NET_STREAM, &t->a.from), 0);
	ck_assert_int_eq(net_set_cc(t->a.from, cc), 0);
	ck_assert_int_eq(net_connect(t->a.from, &to), -NET_EINPROGRESS);
	t->b.to = t->a.from;
}

/* Moves BYTES each way; returns how long it took. */
static uint64_t run(struct rig *r, const char *addr, uint64_t bytes, const char *cc)
{
	struct transfer t = {.r = r, .a.want = bytes, .b.want = bytes};
	uint64_t began = r->now;
	open_pair(&t, addr, cc);
	bool done = rig_until(r, 4000 * SEC, all_there, &t);
	ck_assert_msg(done, "stuck at %llu and %llu of %llu", (unsigned long long)t.a.got,
	              (unsigned long long)t.b.got, (unsigned long long)bytes);
	ck_assert_uint_eq(t.a.got, bytes);
	ck_assert_uint_eq(t.b.got, bytes);
	uint64_t took = r->now - began;
	net_close(t.a.from);
	net_close(t.a.to);
	net_close(t.listener);
	rig_run(r, 200 * SEC);
	return took;
}

START_TEST(clean_wire)
{
	struct rig *r = rig_new(NULL);
	run(r, "10.0.0.2", 3000000, "cubic");
	rig_free(r);
}
END_TEST

/* What is kept for the next one is bounded, and goes with the instance (rig_free looks). */
START_TEST(cached_blocks_are_bounded_and_given_back)
{
	struct rig_opts o = {.cached = true};
	struct rig *r = rig_new(&o);
	uint64_t before = r->h[0].bytes;
	r->delay_ns = 20 * MS;
	r->loss_pm = 10;
	run(r, "10.0.0.2", 1000000, "cubic");
	ck_assert_uint_gt(r->h[0].bytes, before);
	ck_assert_uint_lt(r->h[0].bytes, before + 300000);
	rig_free(r);
}
END_TEST

START_TEST(clean_wire_with_segmentation_offload)
{
	struct rig_opts o = {.tso = true};
	struct rig *r = rig_new(&o);
	r->delay_ns = 5 * MS;
	run(r, "10.0.0.2", 3000000, "cubic");
	rig_free(r);
}
END_TEST

START_TEST(ethernet_and_ipv6)
{
	struct rig_opts o = {.ether = true};
	struct rig *r = rig_new(&o);
	rig_run(r, 3 * SEC); /* duplicate detection */
	run(r, "10.0.0.2", 500000, "cubic");
	run(r, "fd00::2", 500000, "cubic");
	rig_free(r);
}
END_TEST

START_TEST(loopback)
{
	struct rig *r = rig_new(NULL);
	struct transfer t = {.r = r, .a.want = 300000, .b.want = 300000};
	struct net_endpoint to = ep("127.0.0.1", 80);
	t.listener = listen_on(&r->h[0], 80, 5);
	ck_assert_int_eq(net_socket(r->h[0].st, NET_STREAM, &t.a.from), 0);
	ck_assert_int_eq(net_connect(t.a.from, &to), -NET_EINPROGRESS);
	t.b.to = t.a.from;
	ck_assert(rig_until(r, 10 * SEC, all_there, &t));
	ck_assert_uint_eq(r->sent[0], 0);
	rig_free(r);
}
END_TEST

static const struct {
	unsigned loss, dup, reorder, corrupt;
	uint32_t mtu;
	bool tso;
	const char *cc;
} wires[] = {
        {10, 0, 0, 0, 1500, false, "cubic"},    {100, 0, 0, 0, 1500, false, "cubic"},
        {0, 0, 200, 0, 1500, false, "cubic"},   {0, 200, 0, 0, 1500, false, "cubic"},
        {20, 20, 100, 20, 1500, true, "cubic"}, {50, 50, 50, 50, 576, false, "reno"},
        {30, 0, 30, 0, 9000, true, "reno"},     {30, 10, 10, 10, 1500, false, "tahoe"},
        {300, 0, 0, 0, 1500, false, "cubic"},
};

START_TEST(bad_wires)
{
	struct rig_opts o = {.mtu = wires[_i].mtu,
	                     .tso = wires[_i].tso,
	                     .seed = (uint64_t)_i + 1,
	                     .cfg.no_ipv6 = wires[_i].mtu < 1280};
	struct rig *r = rig_new(&o);
	r->delay_ns = 10 * MS;
	r->loss_pm = wires[_i].loss;
	r->dup_pm = wires[_i].dup;
	r->reorder_pm = wires[_i].reorder;
	r->corrupt_pm = wires[_i].corrupt;
	run(r, "10.0.0.2", wires[_i].loss > 200 ? 30000 : 300000, wires[_i].cc);
	rig_free(r);
}
END_TEST

START_TEST(narrow_wire_is_filled)
{
	struct rig *r = rig_new(NULL);
	r->delay_ns = 10 * MS;
	r->rate_bps = 20000000;
	r->queue_max = 100000;
	uint64_t took = run(r, "10.0.0.2", 8000000, "cubic");
	/* 8 MB at 20 Mbit/s are 3.2 s, and ACKs of the other direction share the wire. */
	ck_assert_uint_lt(took, 4800 * MS);
	rig_free(r);
}
END_TEST

START_TEST(paced_sender_does_not_overflow_a_short_queue)
{
	struct rig_opts o = {.cfg.pacing = 1};
	struct rig *r = rig_new(&o);
	r->delay_ns = 20 * MS;
	r->rate_bps = 50000000;
	r->queue_max = 60000;
	uint64_t took = run(r, "10.0.0.2", 4000000, "cubic");
	ck_assert_uint_lt(took, 3000 * MS);
	rig_free(r);
}
END_TEST

/* A router that marks every 40th ECN-capable packet instead of dropping it. */
struct marker {
	unsigned seen, marked[2];
	uint64_t bytes[2];
};

static bool mark_some(struct rig *r, int from, struct frame *f)
{
	struct marker *m = r->hook_ctx;
	uint8_t *p = f->data;
	if (p[0] != 0x45 || !(p[1] & 3) || ++m->seen % 40)
		return true;
	p[1] |= 3;
	p[10] = p[11] = 0;
	uint32_t sum = 0;
	for (unsigned i = 0; i < 20; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
	p[10] = (uint8_t)(sum >> 8);
	p[11] = (uint8_t)sum;
	uint32_t len = f->len - 20 - (p[32] >> 4) * 4u;
	m->marked[from] += f->gso_size ? (len + f->gso_size - 1) / f->gso_size : 1;
	m->bytes[from] += len;
	return true;
}

static struct net_tcp_info info_of(const struct net_sock *s)
{
	struct net_tcp_info i;
	ck_assert_int_eq(net_tcp_info(s, &i), 0);
	return i;
}

/* Classic and accurate, the latter with options and with segmentation offload as well: no packet is
 * lost, and by AccECN both ends agree on every mark. */
START_TEST(ecn_marks_instead_of_losses)
{
	struct marker m = {0};
	bool accurate = _i > 0;
	struct rig_opts o = {.cfg.ecn = accurate ? NET_ECN_ASK_ACCURATE : NET_ECN_ASK,
	                     .tso = _i == 2};
	struct rig *r = rig_new(&o);
	r->delay_ns = 5 * MS;
	r->hook = mark_some;
	r->hook_ctx = &m;
	struct transfer t = {.r = r, .a.want = 5000000, .b.want = 3000000};
	open_pair(&t, "10.0.0.2", "cubic");
	ck_assert(rig_until(r, 400 * SEC, all_there, &t));
	rig_run(r, SEC);
	struct net_tcp_info a = info_of(t.a.from), b = info_of(t.a.to);
	ck_assert_uint_eq(a.tcpi_total_retrans + b.tcpi_total_retrans, 0);
	ck_assert_uint_lt(a.tcpi_snd_ssthresh, 0x7fffffff);
	ck_assert_uint_gt(m.marked[0], 10);
	ck_assert_uint_gt(m.marked[1], 10);
	ck_assert_uint_eq(a.accecn, accurate);
	ck_assert_uint_eq(b.accecn, accurate);
	if (accurate) {
		ck_assert_uint_eq(b.tcpi_received_ce, m.marked[0]);
		ck_assert_uint_eq(a.tcpi_delivered_ce, m.marked[0]);
		ck_assert_uint_eq(b.tcpi_received_ce_bytes, m.bytes[0]);
		ck_assert_uint_eq(a.tcpi_received_ce, m.marked[1]);
		ck_assert_uint_eq(b.tcpi_delivered_ce, m.marked[1]);
		ck_assert_uint_eq(a.tcpi_accecn_fail_mode | b.tcpi_accecn_fail_mode, 0);
		ck_assert(a.tcpi_accecn_opt_seen && b.tcpi_accecn_opt_seen);
	}
	net_close(t.a.from);
	net_close(t.a.to);
	net_close(t.listener);
	rig_run(r, 200 * SEC);
	rig_free(r);
}
END_TEST

/* What AccECN does on wires that lose, reorder and repeat: every byte arrives all the same, and no
 * end takes the other's feedback for mangled. */
START_TEST(accurate_ecn_on_bad_wires)
{
	struct marker m = {0};
	struct rig_opts o = {.cfg.ecn = NET_ECN_ASK_ACCURATE, .seed = (uint64_t)_i + 1};
	struct rig *r = rig_new(&o);
	r->delay_ns = 5 * MS;
	r->hook = mark_some;
	r->hook_ctx = &m;
	r->loss_pm = 10;
	r->dup_pm = 10;
	r->reorder_pm = 30;
	run(r, "10.0.0.2", 400000, "cubic");
	rig_free(r);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("transfer");
	tcase_set_timeout(tc, 100);
	tcase_add_test(tc, clean_wire);
	tcase_add_test(tc, cached_blocks_are_bounded_and_given_back);
	tcase_add_test(tc, clean_wire_with_segmentation_offload);
	tcase_add_test(tc, ethernet_and_ipv6);
	tcase_add_test(tc, loopback);
	tcase_add_loop_test(tc, bad_wires, 0, (int)(sizeof(wires) / sizeof(wires[0])));
	tcase_add_test(tc, narrow_wire_is_filled);
	tcase_add_test(tc, paced_sender_does_not_overflow_a_short_queue);
	tcase_add_loop_test(tc, ecn_marks_instead_of_losses, 0, 3);
	tcase_add_loop_test(tc, accurate_ecn_on_bad_wires, 0, 10);
	return suite_run("stack/transfer", tc);
}
