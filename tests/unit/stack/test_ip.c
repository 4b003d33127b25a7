/* IP of both families, ICMP, UDP, neighbours, fragments, routes (RFC 791, 792, 768, 826, 1122,
 * 4443, 4861, 4862, 5722, 8200). */
#include <check.h>
#include <string.h>

#include "rig.h"
#include "suite.h"

static uint8_t data[70000], buf[70000];

static struct rig *crafted(void)
{
	struct rig_opts o = {.crafted = true};
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 11 + (i >> 8));
	return rig_new(&o);
}

static struct net_sock *udp(struct rig *r, int host, unsigned port)
{
	struct net_sock *s;
	struct net_endpoint any = {.port = (uint16_t)port};
	ck_assert_int_eq(net_socket(r->h[host].st, NET_DGRAM, &s), 0);
	ck_assert_int_eq(net_bind(s, &any), 0);
	return s;
}

/* A piece of a UDP datagram of 3000 bytes to port 53. */
static void fragment(struct rig *r, uint16_t id, unsigned from, unsigned to, bool more)
{
	static uint8_t whole[3008 + 20], p[3100];
	memcpy(whole,
	       (uint8_t[]){0x45, 0, 0x0b, 0xd4, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1},
	       20);
	memcpy(whole + 20, (uint8_t[]){0, 99, 0, 53, 0x0b, 0xc0, 0, 0}, 8);
	memcpy(whole + 28, data, 3000);
	fix_csums(whole, 3028);
	memcpy(p, whole, 20);
	memcpy(p + 20, whole + 20 + from, to - from);
	unsigned len = 20 + to - from;
	p[2] = (uint8_t)(len >> 8), p[3] = (uint8_t)len;
	p[4] = (uint8_t)(id >> 8), p[5] = (uint8_t)id;
	p[6] = (uint8_t)((more ? 0x20 : 0) | from / 8 >> 8), p[7] = (uint8_t)(from / 8);
	fix_csums(p, len);
	inject_ip(r, p, len);
}

START_TEST(fragments_in_any_order)
{
	struct rig *r = crafted();
	struct net_sock *s = udp(r, 0, 53);
	static const unsigned order[6][3] = {{0, 1, 2}, {2, 1, 0}, {1, 0, 2},
	                                     {0, 2, 1}, {2, 0, 1}, {1, 2, 0}};
	for (uint16_t i = 0; i < 6; i++) {
		for (unsigned k = 0; k < 3; k++) {
			unsigned n = order[i][k], from = n * 1000, to = n == 2 ? 3008 : from + 1000;
			fragment(r, i, from, to, n != 2);
			if (k < 2) /* a duplicate harms nothing */
				fragment(r, i, from, to, n != 2);
		}
		ck_assert_int_eq(net_recv(s, buf, sizeof(buf), 0, NULL), 3000);
		ck_assert_mem_eq(buf, data, 3000);
	}
	rig_free(r);
}
END_TEST

START_TEST(overlapping_fragments_are_never_joined)
{
	static const struct {
		unsigned from, to;
		bool more;
	} bad[] = {{992, 2000, true},   {8, 16, true},    {0, 8, true},
	           {2000, 2008, false}, {8, 3008, false}, {1000, 1008, true}};
	struct rig *r = crafted();
	struct net_sock *s = udp(r, 0, 53);
	for (uint16_t i = 0; i < 6; i++) {
		fragment(r, i, 0, 1000, true);
		fragment(r, i, 1000, 2000, true);
		fragment(r, i, bad[i].from, bad[i].to, bad[i].more);
		fragment(r, i, 2000, 3008, false);
		ck_assert_int_eq(net_recv(s, buf, sizeof(buf), 0, NULL), -NET_EAGAIN);
	}
	rig_free(r);
}
END_TEST

START_TEST(fragment_memory_and_time_are_bounded)
{
	struct rig *r = crafted();
	udp(r, 0, 53);
	for (unsigned i = 0; i < 5000; i++)
		fragment(r, (uint16_t)i, 0, 1000, true);
	ck_assert_uint_lt(r->h[0].bytes, 1024 * 1024);
	rig_run(r, 31 * SEC);
	ck_assert_uint_lt(r->h[0].bytes, 100 * 1024);
	/* Said once the first fragment was there (RFC 792), and not without end. */
	unsigned n = drop_out(r);
	ck_assert_uint_ge(n, 1);
	ck_assert_uint_le(n, 100);
	rig_free(r);
}
END_TEST

START_TEST(udp_both_ways_in_fragments)
{
	static const char *const to[] = {"10.0.0.2", "fd00::2"};
	struct rig *r = rig_new(NULL);
	struct net_sock *a = udp(r, 0, 1000), *b = udp(r, 1, 2000);
	for (unsigned i = 0; i < 2; i++) {
		struct net_endpoint dst = ep(to[i], 2000), from;
		for (uint32_t len = 0; len < 65000; len = len * 3 + 1) {
			ck_assert_int_eq(net_send(a, data, len, 0, &dst), len);
			rig_run(r, MS);
			ck_assert_int_eq(net_recv(b, buf, sizeof(buf), 0, &from), len);
			ck_assert_mem_eq(buf, data, len);
			ck_assert_uint_eq(from.port, 1000);
		}
		ck_assert_int_eq(net_send(a, data, 65536, 0, &dst), -NET_EMSGSIZE);
	}
	rig_free(r);
}
END_TEST

START_TEST(closed_port_is_told)
{
	static const char *const to[] = {"10.0.0.2", "fd00::2"};
	for (unsigned i = 0; i < 2; i++) {
		struct rig *r = rig_new(NULL);
		struct net_sock *a = udp(r, 0, 1000);
		struct net_endpoint dst = ep(to[i], 2000);
		ck_assert_int_eq(net_connect(a, &dst), 0);
		ck_assert_int_eq(net_send(a, data, 10, 0, NULL), 10);
		rig_run(r, MS);
		ck_assert_int_eq(net_recv(a, buf, 10, 0, NULL), -NET_ECONNREFUSED);
		rig_free(r);
	}
}
END_TEST

START_TEST(icmp_errors_are_limited_and_never_about_groups)
{
	struct rig *r = crafted();
	uint8_t p[28] = {0x45, 0, 0,  28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0,
	                 0,    2, 10, 0,  0, 1, 0, 9, 0,  9,  0, 8, 0,  0};
	for (unsigned i = 0; i < 1000; i++) {
		fix_csums(p, 28);
		inject_ip(r, p, 28);
	}
	ck_assert_uint_le(drop_out(r), 60);
	rig_run(r, SEC);
	p[19] = 255; /* the network's broadcast */
	fix_csums(p, 28);
	inject_ip(r, p, 28);
	p[16] = 224, p[17] = p[18] = 0, p[19] = 1;
	fix_csums(p, 28);
	inject_ip(r, p, 28);
	ck_assert_uint_eq(drop_out(r), 0);
	rig_free(r);
}
END_TEST

START_TEST(bad_headers_are_dropped)
{
	struct rig *r = crafted();
	struct net_sock *s = udp(r, 0, 53);
	uint8_t good[36] = {0x45, 0, 0, 36, 0, 0,  0, 0,  64, 17, 0, 0, 10, 0, 0, 2, 10, 0,
	                    0,    1, 0, 9,  0, 53, 0, 16, 0,  0,  1, 2, 3,  4, 5, 6, 7,  8};
	fix_csums(good, 36);
	static const struct {
		unsigned at;
		uint8_t value;
		bool fix;
	} bad[] = {{0, 0x55, true}, {0, 0x44, false}, {3, 37, true},   {3, 10, true},
	           {10, 1, false},  {12, 224, true},  {12, 127, true}, {16, 11, true},
	           {25, 7, true},   {25, 200, true},  {26, 77, false}};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t p[36];
		memcpy(p, good, 36);
		p[bad[i].at] = bad[i].value;
		if (bad[i].fix)
			fix_csums(p, 36);
		inject_ip(r, p, 36);
		ck_assert_msg(net_recv(s, buf, 10, 0, NULL) == -NET_EAGAIN, "case %u", i);
	}
	for (uint32_t len = 1; len < 36; len++)
		inject_ip(r, good, len);
	ck_assert_int_eq(net_recv(s, buf, 10, 0, NULL), -NET_EAGAIN);
	inject_ip(r, good, 36);
	ck_assert_int_eq(net_recv(s, buf, 10, 0, NULL), 8);
	/* Source routes are refused, other options passed over. */
	uint8_t o[40] = {0x46, 0,  0, 40, 0, 0,  0, 0, 64, 17,  0,
	                 0,    10, 0, 0,  2, 10, 0, 0, 1,  148, 4};
	memcpy(o + 24, good + 20, 16);
	fix_csums(o, 40);
	inject_ip(r, o, 40);
	ck_assert_int_eq(net_recv(s, buf, 10, 0, NULL), 8);
	o[20] = 131, o[21] = 3, o[22] = 4;
	fix_csums(o, 40);
	inject_ip(r, o, 40);
	ck_assert_int_eq(net_recv(s, buf, 10, 0, NULL), -NET_EAGAIN);
	rig_free(r);
}
END_TEST

START_TEST(ping_both_families)
{
	static const char *const to[] = {"10.0.0.2", "fd00::2", "127.0.0.1", "::1"};
	struct rig *r = rig_new(NULL);
	struct net_sock *s;
	ck_assert_int_eq(net_socket(r->h[0].st, NET_PING, &s), 0);
	for (unsigned i = 0; i < 4; i++) {
		struct net_endpoint dst = ep(to[i], 0), from;
		ck_assert_int_eq(net_send(s, data, 3000, 0, &dst), 3000);
		rig_run(r, MS);
		ck_assert_int_eq(net_recv(s, buf, sizeof(buf), 0, &from), 3008);
		ck_assert_mem_eq(buf + 8, data, 3000);
		ck_assert_mem_eq(&from.addr, &dst.addr, 16);
	}
	rig_free(r);
}
END_TEST

START_TEST(longest_prefix_then_metric)
{
	struct rig *r = crafted();
	struct net_stack *st = r->h[0].st;
	struct net_addr any = ip("0.0.0.0"), net = ip("192.168.0.0"), gw1 = ip("10.0.0.8"),
	                gw2 = ip("10.0.0.9");
	struct net_sock *s = udp(r, 0, 1000);
	struct net_endpoint dst = ep("192.168.1.1", 9);
	ck_assert_int_eq(net_send(s, data, 1, 0, &dst), -NET_ENETUNREACH);
	ck_assert_int_eq(net_route_add(st, &any, 0, &gw1, r->h[0].nif, 10), 0);
	ck_assert_int_eq(net_send(s, data, 1, 0, &dst), 1);
	ck_assert_int_eq(net_route_add(st, &net, 16, &gw2, r->h[0].nif, 10), 0);
	ck_assert_int_eq(net_route_add(st, &net, 16, &gw2, r->h[0].nif, 10), -NET_EEXIST);
	ck_assert_int_eq(net_route_add(st, &net, 33, &gw2, r->h[0].nif, 10), -NET_EINVAL);
	ck_assert_int_eq(net_route_del(st, &any, 0, r->h[0].nif), 0);
	ck_assert_int_eq(net_send(s, data, 1, 0, &dst), 1);
	ck_assert_int_eq(net_route_del(st, &net, 16, r->h[0].nif), 0);
	ck_assert_int_eq(net_route_del(st, &net, 16, r->h[0].nif), -NET_ENOENT);
	ck_assert_int_eq(net_send(s, data, 1, 0, &dst), -NET_ENETUNREACH);
	rig_free(r);
}
END_TEST

START_TEST(neighbour_that_is_not_there)
{
	struct rig_opts o = {.ether = true};
	struct rig *r = rig_new(&o);
	struct net_sock *s = udp(r, 0, 1000), *t;
	struct net_endpoint dst = ep("10.0.0.77", 9);
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(net_send(s, data, 1000, 0, &dst), 1000);
	ck_assert_int_eq(net_socket(r->h[0].st, NET_STREAM, &t), 0);
	ck_assert_int_eq(net_connect(t, &dst), -NET_EINPROGRESS);
	rig_run(r, 10 * SEC);
	ck_assert_uint_ge(net_stack_stats(r->h[0].st)->neigh_drop, 10);
	rig_free(r);
}
END_TEST

START_TEST(duplicate_address_is_not_used)
{
	struct rig_opts o = {.ether = true};
	struct rig *r = rig_new(&o);
	struct net_addr a = ip("fd00::77");
	struct net_if_addr got;
	rig_run(r, 3 * SEC);
	ck_assert_int_eq(net_if_add_addr(r->h[1].nif, &a, 64), 0);
	rig_run(r, 3 * SEC);
	ck_assert_int_eq(net_if_add_addr(r->h[0].nif, &a, 64), 0);
	rig_run(r, 3 * SEC);
	bool found = false;
	for (unsigned i = 0; net_if_get_addr(r->h[0].nif, i, &got); i++)
		if (memcmp(&got.addr, &a, 16) == 0) {
			ck_assert(got.duplicate);
			found = true;
		}
	ck_assert(found);
	rig_free(r);
}
END_TEST

START_TEST(vlan_and_foreign_frames)
{
	struct rig_opts o = {.ether = true};
	struct rig *r = rig_new(&o);
	struct net_sock *a = udp(r, 0, 1000), *b = udp(r, 1, 2000);
	struct net_endpoint dst = ep("10.0.0.2", 2000);
	ck_assert_int_eq(net_send(a, data, 10, 0, &dst), 10);
	rig_run(r, 5 * SEC);
	ck_assert_int_eq(net_recv(b, buf, 100, 0, NULL), 10);
	/* A frame for somebody else, and one with a tag. */
	static uint8_t f[64] = {2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1, 8, 0, 0x45};
	for (unsigned i = 0; i < 2; i++) {
		net_input(r->h[1].nif, pkt_from(r->h[1].st, f, sizeof(f)));
		memcpy(f, (uint8_t[]){2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, 5, 8, 0}, 18);
	}
	ck_assert_uint_eq(net_stack_stats(r->h[1].st)->ip_in_bad, 0);
	rig_free(r);
}
END_TEST

static bool deny;
static unsigned asked;

static enum net_say policy(void *ctx, enum net_op op, void *label, const struct net_endpoint *local,
                           const struct net_endpoint *remote)
{
	(void)ctx, (void)label, (void)local, (void)remote;
	asked |= 1u << op;
	return deny ? NET_NO : NET_YES;
}

START_TEST(policy_is_asked)
{
	struct rig *r = rig_new(NULL);
	struct net_cfg cfg = {.ctx = &r->h[0]};
	struct net_ops ops = *rig_ops();
	ops.policy = policy;
	cfg.ops = &ops;
	struct net_stack *st = net_stack_create(&cfg);
	struct net_sock *s, *l, *c;
	struct net_endpoint any = {.port = 80}, to = ep("127.0.0.1", 80);
	deny = true;
	ck_assert_int_eq(net_socket(st, NET_STREAM, &l), 0);
	ck_assert_int_eq(net_bind(l, &any), -NET_EACCES);
	ck_assert_int_eq(net_connect(l, &to), -NET_EACCES);
	deny = false;
	ck_assert_int_eq(net_bind(l, &any), 0);
	deny = true;
	ck_assert_int_eq(net_listen(l, 5), -NET_EACCES);
	deny = false;
	ck_assert_int_eq(net_listen(l, 5), 0);
	ck_assert_int_eq(net_socket(st, NET_STREAM, &s), 0);
	ck_assert_int_eq(net_connect(s, &to), -NET_EINPROGRESS);
	net_poll(st);
	ck_assert_int_eq(net_accept(l, &c, NULL), 0);
	ck_assert_int_eq(net_send(s, data, 10, 0, NULL), 10);
	net_poll(st);
	deny = true;
	ck_assert_int_eq(net_send(s, data, 10, 0, NULL), -NET_EACCES);
	ck_assert_int_eq(net_recv(c, buf, 10, 0, NULL), -NET_EACCES);
	int64_t value = 0;
	struct net_tcp_info info;
	struct net_sock *u;
	struct net_endpoint group = ep("224.0.0.77", 0);
	ck_assert_int_eq(net_socket(st, NET_DGRAM, &u), 0);
	ck_assert_int_eq(net_set(s, NET_TCP_NODELAY, 1), -NET_EACCES);
	ck_assert_int_eq(net_set_cc(s, "reno"), -NET_EACCES);
	ck_assert_int_eq(net_join(u, &group.addr, 1, true), -NET_EACCES);
	ck_assert_int_eq(net_get(s, NET_TCP_NODELAY, &value), -NET_EACCES);
	ck_assert_int_eq(net_tcp_info(s, &info), -NET_EACCES);
	ck_assert_int_eq(net_get(s, NET_SO_ERROR, &value), 0); /* of what was allowed before */
	ck_assert_int_eq(net_shutdown(s, NET_SHUT_WR), -NET_EACCES);
	ck_assert_uint_ne(net_ready(s) & NET_EV_OUT, 0);
	deny = false;
	ck_assert_int_eq(net_recv(c, buf, 10, 0, NULL), 10);
	ck_assert_int_eq(net_set(s, NET_TCP_NODELAY, 1), 0);
	ck_assert_int_eq(net_get(s, NET_TCP_NODELAY, &value), 0);
	ck_assert_int_eq(value, 1);
	ck_assert_int_eq(net_shutdown(s, NET_SHUT_WR), 0);
	ck_assert_uint_eq(asked, 0x1ff);
	net_stack_destroy(st);
	rig_free(r);
}
END_TEST

/* -- an answer that the policy lets be kept -- */

static enum net_say answer;
static unsigned times;

static enum net_say say_to_bytes(void *ctx, enum net_op op, void *label,
                                 const struct net_endpoint *local,
                                 const struct net_endpoint *remote)
{
	(void)ctx, (void)label, (void)local, (void)remote;
	if (op != NET_OP_SEND && op != NET_OP_RECV)
		return NET_YES;
	times++;
	return answer;
}

/* How often the policy is asked for N datagrams to PORT of the loopback, on which nobody listens.
 */
static unsigned asked_for(struct net_stack *st, struct net_sock *s, unsigned n, uint16_t port,
                          long result)
{
	const struct net_endpoint to = ep("127.0.0.1", port);
	times = 0;
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_eq(net_send(s, data, 10, 0, &to), result);
	net_poll(st);
	return times;
}

static struct net_stack *stack_that_asks(struct rig *r, _Atomic(uint32_t) *epoch)
{
	static struct net_ops ops;
	ops = *rig_ops();
	ops.policy = say_to_bytes;
	const struct net_cfg cfg = {.ctx = &r->h[0], .ops = &ops};
	struct net_stack *st = net_stack_create(&cfg);
	ck_assert_ptr_nonnull(st);
	if (epoch)
		net_set_policy_epoch(st, epoch);
	answer = NET_KEEP;
	return st;
}

START_TEST(answer_is_kept_while_it_may_be)
{
	struct rig *r = rig_new(NULL);
	_Atomic(uint32_t) epoch = 7;
	struct net_stack *st = stack_that_asks(r, &epoch);
	struct net_sock *s;
	struct net_addr more = ep("127.0.0.9", 0).addr;
	ck_assert_int_eq(net_socket(st, NET_DGRAM, &s), 0);
	ck_assert_uint_eq(asked_for(st, s, 5, 9, 10), 1);
	ck_assert_uint_eq(asked_for(st, s, 5, 9, 10), 0);
	ck_assert_uint_eq(asked_for(st, s, 5, 10, 10), 1); /* somebody else */
	ck_assert_uint_eq(asked_for(st, s, 5, 9, 10), 1);
	atomic_store(&epoch, 8);
	ck_assert_uint_eq(asked_for(st, s, 5, 9, 10), 1);
	net_set_label(s, &more);
	ck_assert_uint_eq(asked_for(st, s, 5, 9, 10), 1);
	ck_assert_int_eq(net_if_add_addr(net_if_by_index(st, 1), &more, 32), 0);
	ck_assert_uint_eq(asked_for(st, s, 5, 9, 10), 1);
	ck_assert_int_eq(net_if_del_addr(net_if_by_index(st, 1), &more), 0);
	ck_assert_uint_eq(asked_for(st, s, 5, 9, 10), 1);
	answer = NET_NO;
	ck_assert_uint_eq(asked_for(st, s, 5, 9, 10), 0);
	atomic_store(&epoch, 9);
	ck_assert_uint_eq(asked_for(st, s, 5, 9, -NET_EACCES), 5);
	answer = NET_YES;
	ck_assert_uint_eq(asked_for(st, s, 5, 9, 10), 5);
	net_stack_destroy(st);
	/* Where nobody would tell of a change nothing is kept. */
	st = stack_that_asks(r, NULL);
	ck_assert_int_eq(net_socket(st, NET_DGRAM, &s), 0);
	ck_assert_uint_eq(asked_for(st, s, 5, 9, 10), 5);
	net_stack_destroy(st);
	rig_free(r);
}
END_TEST

/* Each way of a stream has its own answer, and it ends in the middle of the stream. */
START_TEST(answer_is_kept_for_a_stream)
{
	struct rig *r = rig_new(NULL);
	_Atomic(uint32_t) epoch = 1;
	struct net_stack *st = stack_that_asks(r, &epoch);
	struct net_sock *s, *l, *c;
	struct net_endpoint any = {.port = 80}, to = ep("127.0.0.1", 80);
	ck_assert_int_eq(net_socket(st, NET_STREAM, &l), 0);
	ck_assert_int_eq(net_bind(l, &any), 0);
	ck_assert_int_eq(net_listen(l, 5), 0);
	ck_assert_int_eq(net_socket(st, NET_STREAM, &s), 0);
	ck_assert_int_eq(net_connect(s, &to), -NET_EINPROGRESS);
	net_poll(st);
	ck_assert_int_eq(net_accept(l, &c, NULL), 0);
	times = 0;
	for (unsigned i = 0; i < 10; i++) {
		ck_assert_int_eq(net_send(s, data, 10, 0, NULL), 10);
		net_poll(st);
		ck_assert_int_eq(net_recv(c, buf, 10, 0, NULL), 10);
	}
	ck_assert_uint_eq(times, 2);
	ck_assert_int_eq(net_send(s, data, 10, 0, NULL), 10);
	net_poll(st);
	answer = NET_NO;
	atomic_store(&epoch, 2);
	ck_assert_int_eq(net_send(s, data, 10, 0, NULL), -NET_EACCES);
	ck_assert_int_eq(net_recv(c, buf, 10, 0, NULL), -NET_EACCES);
	net_stack_destroy(st);
	rig_free(r);
}
END_TEST

START_TEST(a_socket_that_was_transparent_goes_for_good)
{
	struct rig *r = rig_new(NULL);
	struct net_stack *st = r->h[0].st;
	struct net_endpoint any = {.port = 0}, to = ep("10.0.0.1", 4000);
	struct net_sock *s;
	ck_assert_int_eq(net_socket(st, NET_DGRAM, &s), 0);
	ck_assert_int_eq(net_set(s, NET_SO_TRANSPARENT, 1), 0);
	ck_assert_int_eq(net_bind(s, &any), 0);
	ck_assert_int_eq(net_set(s, NET_SO_TRANSPARENT, 0), 0);
	net_close(s);
	ck_assert_int_eq(net_socket(r->h[1].st, NET_DGRAM, &s), 0);
	ck_assert_int_eq(net_send(s, "x", 1, 0, &to), 1);
	rig_run(r, SEC);
	ck_assert_uint_eq(net_stack_stats(st)->udp_no_port, 1);
	rig_free(r);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("ip");
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, fragments_in_any_order);
	tcase_add_test(tc, a_socket_that_was_transparent_goes_for_good);
	tcase_add_test(tc, overlapping_fragments_are_never_joined);
	tcase_add_test(tc, fragment_memory_and_time_are_bounded);
	tcase_add_test(tc, udp_both_ways_in_fragments);
	tcase_add_test(tc, closed_port_is_told);
	tcase_add_test(tc, icmp_errors_are_limited_and_never_about_groups);
	tcase_add_test(tc, bad_headers_are_dropped);
	tcase_add_test(tc, ping_both_families);
	tcase_add_test(tc, longest_prefix_then_metric);
	tcase_add_test(tc, neighbour_that_is_not_there);
	tcase_add_test(tc, duplicate_address_is_not_used);
	tcase_add_test(tc, vlan_and_foreign_frames);
	tcase_add_test(tc, policy_is_asked);
	tcase_add_test(tc, answer_is_kept_while_it_may_be);
	tcase_add_test(tc, answer_is_kept_for_a_stream);
	return suite_run("stack/ip", tc);
}
