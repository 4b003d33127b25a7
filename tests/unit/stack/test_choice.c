/* What the stack chooses: first hops and redirects (RFC 1122, 3.2.2.2; RFC 4861, 8), destinations
 * (RFC 6724), ports (RFC 6056); and the groups that it reports (RFC 3376, 3810). */
#include <check.h>
#include <string.h>

#include "net/stack/priv.h"
#include "rig.h"
#include "suite.h"

static struct rig *ether(void)
{
	static const struct rig_opts o = {
	        .crafted = true, .ether = true, .if_flags = NET_IF_NO_DAD};
	struct rig *r = rig_new(&o);
	rig_run(r, 5 * SEC);
	drop_out(r);
	return r;
}

static struct net_addr first_hop(struct rig *r, const char *dst)
{
	struct net_addr a = ip(dst);
	struct hop hop;
	ck_assert(route_lookup(r->h[0].st, &a, NULL, &hop));
	return hop.next_hop;
}

static bool goes_by(struct rig *r, const char *dst, const char *hop)
{
	struct net_addr want = ip(hop), got = first_hop(r, dst);
	return addr_eq(&want, &got);
}

static void input(struct rig *r, const uint8_t *mac, unsigned type, const void *packet,
                  uint32_t len)
{
	uint8_t f[600] = {0};
	memcpy(f, mac, 6);
	memcpy(f + 6, (uint8_t[]){2, 0, 0, 0, 0, 9}, 6);
	put_be16(f + 12, type);
	memcpy(f + 14, packet, len);
	net_input(r->h[0].nif, pkt_from(r->h[0].st, f, 14 + len));
	net_poll(r->h[0].st);
}

static const uint8_t own_mac[6] = {2, 0, 0, 0, 0, 1};

/* FROM redirects what 10.0.0.1 sent to 192.0.2.7. */
static void redirect4(struct rig *r, uint32_t from, uint32_t to, unsigned code)
{
	uint8_t p[56] = {0x45, 0, 0, 56, 0, 0, 0, 0, 64, 1}, *q = p + 28;
	put_be32(p + 12, from);
	put_be32(p + 16, 0x0a000001);
	p[20] = 5;
	p[21] = (uint8_t)code;
	put_be32(p + 24, to);
	q[0] = 0x45, q[3] = 28, q[9] = 17;
	put_be32(q + 12, 0x0a000001);
	put_be32(q + 16, 0xc0000207);
	fix_csums(p, sizeof(p));
	input(r, own_mac, 0x800, p, sizeof(p));
}

START_TEST(redirect_is_believed_of_the_router_in_use)
{
	struct rig *r = ether();
	struct net_addr any = ip("0.0.0.0"), gw = ip("10.0.0.254");
	ck_assert_int_eq(net_route_add(r->h[0].st, &any, 0, &gw, r->h[0].nif, 10), 0);
	ck_assert(goes_by(r, "192.0.2.7", "10.0.0.254"));
	redirect4(r, 0x0a000063, 0x0a000009, 1); /* from somebody else */
	redirect4(r, 0x0a0000fe, 0x0a000009, 4); /* no such code */
	redirect4(r, 0x0a0000fe, 0xc0000209, 1); /* to no neighbour */
	redirect4(r, 0x0a0000fe, 0x0a000001, 1); /* to ourselves */
	redirect4(r, 0x0a0000fe, 0xe0000001, 1); /* to a group */
	ck_assert(goes_by(r, "192.0.2.7", "10.0.0.254"));
	redirect4(r, 0x0a0000fe, 0x0a000009, 1);
	ck_assert(goes_by(r, "192.0.2.7", "10.0.0.9"));
	ck_assert(goes_by(r, "192.0.2.8", "10.0.0.254"));
	redirect4(r, 0x0a0000fe, 0x0a000008, 1); /* it is not in use any more */
	ck_assert(goes_by(r, "192.0.2.7", "10.0.0.9"));
	redirect4(r, 0x0a000009, 0x0a000008, 1);
	ck_assert(goes_by(r, "192.0.2.7", "10.0.0.8"));
	rig_run(r, 700 * SEC);
	ck_assert(goes_by(r, "192.0.2.7", "10.0.0.254"));
	rig_free(r);
}
END_TEST

START_TEST(redirect_to_a_dead_neighbour_is_forgotten)
{
	struct rig *r = ether();
	struct net_addr any = ip("0.0.0.0"), gw = ip("10.0.0.254");
	struct net_endpoint to = ep("192.0.2.7", 9);
	struct net_sock *s;
	ck_assert_int_eq(net_route_add(r->h[0].st, &any, 0, &gw, r->h[0].nif, 10), 0);
	redirect4(r, 0x0a0000fe, 0x0a000009, 1);
	ck_assert(goes_by(r, "192.0.2.7", "10.0.0.9"));
	ck_assert_int_eq(net_socket(r->h[0].st, NET_DGRAM, &s), 0);
	ck_assert_int_eq(net_send(s, "x", 1, 0, &to), 1);
	rig_run(r, 10 * SEC); /* it does not answer ARP */
	ck_assert(goes_by(r, "192.0.2.7", "10.0.0.254"));
	rig_free(r);
}
END_TEST

START_TEST(redirects_are_bounded)
{
	struct rig *r = ether();
	struct net_addr any = ip("0.0.0.0"), gw = ip("10.0.0.254"), to = ip("10.0.0.9");
	unsigned taken = 0;
	ck_assert_int_eq(net_route_add(r->h[0].st, &any, 0, &gw, r->h[0].nif, 10), 0);
	for (uint32_t i = 0; i < 1000; i++) {
		struct net_addr dst = addr_v4(0xc0000200u + i);
		struct hop hop;
		route_redirect(r->h[0].nif, &gw, &dst, &to);
		ck_assert(route_lookup(r->h[0].st, &dst, NULL, &hop));
		taken += addr_eq(&hop.next_hop, &to);
	}
	ck_assert_uint_eq(taken, 64);
	rig_free(r);
}
END_TEST

static void redirect6(struct rig *r, uint8_t hops, const char *from, const char *to)
{
	uint8_t p[40 + 40 + 8] = {0x60}, *h = p + 40;
	struct net_addr src = ip(from), dst = ip("fd00::1"), target = ip(to),
	                about = ip("2001:db8::7");
	p[5] = 48, p[6] = 58, p[7] = hops;
	memcpy(p + 8, src.b, 16);
	memcpy(p + 24, dst.b, 16);
	h[0] = 137;
	memcpy(h + 8, target.b, 16);
	memcpy(h + 24, about.b, 16);
	memcpy(h + 40, (uint8_t[]){2, 1, 2, 0, 0, 0, 0, 7}, 8);
	put_be16(h + 2, (uint16_t)~csum_fold(rig_sum(csum_pseudo(&src, &dst, 58, 48), h, 48)));
	input(r, own_mac, 0x86dd, p, sizeof(p));
}

START_TEST(redirect_of_ipv6_names_a_router_or_the_host_itself)
{
	struct rig *r = ether();
	struct net_addr any = ip("::"), gw = ip("fe80::9"), learnt = ip("fe80::8");
	ck_assert_int_eq(net_route_add(r->h[0].st, &any, 0, &gw, r->h[0].nif, 10), 0);
	redirect6(r, 64, "fe80::9", "fe80::8");      /* not from this link */
	redirect6(r, 255, "fe80::6", "fe80::8");     /* not the router in use */
	redirect6(r, 255, "fe80::9", "2001:db8::8"); /* neither link-local nor the host itself */
	ck_assert(goes_by(r, "2001:db8::7", "fe80::9"));
	redirect6(r, 255, "fe80::9", "fe80::8");
	ck_assert(goes_by(r, "2001:db8::7", "fe80::8"));
	const struct neigh *n = neigh_find(r->h[0].st, r->h[0].nif, &learnt);
	ck_assert_ptr_nonnull(n);
	ck_assert_uint_eq(n->mac[5], 7);
	redirect6(r, 255, "fe80::8", "2001:db8::7"); /* it is on the link */
	ck_assert(goes_by(r, "2001:db8::7", "2001:db8::7"));
	rig_free(r);
}
END_TEST

/* ---- destinations ---- */

static void expect_order(struct rig *r, const char *const *given, const char *const *want,
                         unsigned n)
{
	struct net_addr a[8];
	char text[64];
	for (unsigned i = 0; i < n; i++)
		a[i] = ip(given[i]);
	net_sort_destinations(r->h[0].st, a, n);
	for (unsigned i = 0; i < n; i++)
		ck_assert_str_eq(net_addr_format(&a[i], text), want[i]);
}

START_TEST(destinations_are_sorted)
{
	struct rig *r = ether();
	struct net_if *nif = r->h[0].nif;
	struct net_addr any4 = ip("0.0.0.0"), any6 = ip("::"), gw4 = ip("10.0.0.254"),
	                gw6 = ip("fe80::9"), global = ip("2001:db8:1::1");
	/* Rule 1: IPv6 has no way there. */
	ck_assert_int_eq(net_route_add(r->h[0].st, &any4, 0, &gw4, nif, 10), 0);
	expect_order(r, (const char *[]){"2001:db8:2::7", "192.0.2.7"},
	             (const char *[]){"192.0.2.7", "2001:db8:2::7"}, 2);
	/* Rule 5: the only source is a unique local one, whose label is another. */
	ck_assert_int_eq(net_route_add(r->h[0].st, &any6, 0, &gw6, nif, 10), 0);
	expect_order(r, (const char *[]){"2001:db8:2::7", "192.0.2.7"},
	             (const char *[]){"192.0.2.7", "2001:db8:2::7"}, 2);
	/* Rule 6: with a global one, IPv6 has precedence; 6to4 and Teredo come behind (5). */
	ck_assert_int_eq(net_if_add_addr(nif, &global, 64), 0);
	expect_order(r, (const char *[]){"192.0.2.7", "2002::7", "2001::7", "2001:db8:2::7"},
	             (const char *[]){"2001:db8:2::7", "192.0.2.7", "2002::7", "2001::7"}, 4);
	/* Rule 9: the longer common prefix; rule 10: IPv4 stays as the server said. */
	expect_order(r, (const char *[]){"2001:db8:ffff::7", "2001:db8:1::7"},
	             (const char *[]){"2001:db8:1::7", "2001:db8:ffff::7"}, 2);
	expect_order(r, (const char *[]){"192.0.2.7", "10.0.0.2"},
	             (const char *[]){"192.0.2.7", "10.0.0.2"}, 2);
	/* Rules 2 and 8: the same scope as the source, then the smaller one. */
	expect_order(r, (const char *[]){"2001:db8:2::7", "fe80::7"},
	             (const char *[]){"fe80::7", "2001:db8:2::7"}, 2);
	rig_free(r);
}
END_TEST

/* ---- ports ---- */

static unsigned port_to(struct rig *r, const char *dst)
{
	struct net_endpoint to = ep(dst, 80), local;
	struct net_sock *s;
	ck_assert_int_eq(net_socket(r->h[0].st, NET_STREAM, &s), 0);
	ck_assert_int_eq(net_connect(s, &to), -NET_EINPROGRESS);
	ck_assert_int_eq(net_name(s, &local, NULL), 0);
	return local.port;
}

/* RFC 6056, 3.3.3: no one else's ports say what the next one will be, and two instances differ. */
START_TEST(ports_are_not_to_be_guessed)
{
	struct rig_opts o = {.crafted = true, .seed = 1};
	struct rig *r = rig_new(&o);
	unsigned first = port_to(r, "10.0.0.2"), second = port_to(r, "10.0.0.2"),
	         other = port_to(r, "10.0.0.3");
	unsigned distinct = 0, step = 0, last = 0, bits = 0;
	ck_assert_uint_ge(first, 32768);
	ck_assert_uint_le(first, 60999);
	/* To one host they count, so that none comes back soon. */
	ck_assert_uint_eq((second - first) & 0xffff, 1);
	ck_assert_uint_ne(other, second + 1);
	rig_free(r);
	for (unsigned seed = 2; seed < 34; seed++) {
		o.seed = 2 * seed + 1; /* the rig takes odd ones */
		r = rig_new(&o);
		unsigned p = port_to(r, "10.0.0.2");
		distinct += p != last;
		step += p == last + 1;
		bits |= p ^ last;
		last = p;
		rig_free(r);
	}
	ck_assert_uint_ge(distinct, 31);
	ck_assert_uint_le(step, 1);
	ck_assert_uint_eq(bits & 0x3fff, 0x3fff);
}
END_TEST

START_TEST(datagrams_have_random_ports)
{
	struct rig *r = ether();
	struct net_endpoint any = {.port = 0}, local;
	unsigned last = 0, near = 0;
	for (unsigned i = 0; i < 64; i++) {
		struct net_sock *s;
		ck_assert_int_eq(net_socket(r->h[0].st, NET_DGRAM, &s), 0);
		ck_assert_int_eq(net_bind(s, &any), 0);
		ck_assert_int_eq(net_name(s, &local, NULL), 0);
		ck_assert_uint_ge(local.port, 32768);
		near += local.port - last + 16u < 32u;
		last = local.port;
	}
	ck_assert_uint_le(near, 2);
	rig_free(r);
}
END_TEST

/* ---- groups ---- */

struct report {
	unsigned record;
	uint8_t group[16];
	unsigned len; /* of the address */
};

/* The next membership report that went out, whole and well addressed. */
static bool next_report(struct rig *r, struct report *out)
{
	while (r->out) {
		struct frame *f = r->out;
		const uint8_t *p = f->data + 14;
		bool v4 = f->data[12] == 8, found = false;
		r->out = f->next;
		if (f->data[12] == 8 && f->data[13] == 0 && p[9] == 2) {
			ck_assert_uint_eq(p[0], 0x46); /* with the router alert option */
			ck_assert_uint_eq(p[8], 1);
			ck_assert_uint_eq(get_be32(p + 16), 0xe0000016);
			ck_assert_uint_eq(get_be32(p + 20), 0x94040000);
			ck_assert_uint_eq(csum_bytes(p, 24), 0);
			ck_assert_uint_eq(csum_bytes(p + 24, 16), 0);
			ck_assert_uint_eq(p[24], 0x22);
			found = true;
			p += 24;
		} else if (f->data[12] == 0x86 && p[6] == 0 && p[40] == 58 && p[48] == 143) {
			struct net_addr src, dst, want = ip("ff02::16");
			memcpy(src.b, p + 8, 16);
			memcpy(dst.b, p + 24, 16);
			ck_assert_uint_eq(p[7], 1);
			ck_assert(addr_eq(&dst, &want));
			ck_assert(addr_is_linklocal(&src) || addr_is_any(&src));
			uint32_t sum = csum_pseudo(&src, &dst, 58, 28);
			ck_assert_uint_eq(csum_fold(rig_sum(sum, p + 48, 28)), 0xffff);
			found = true;
			p += 48;
		}
		if (found) {
			ck_assert_uint_eq(get_be16(p + 6), 1);
			out->record = p[8];
			out->len = v4 ? 4 : 16;
			memcpy(out->group, p + 12, out->len);
		}
		free(f);
		if (found)
			return true;
	}
	return false;
}

static unsigned reports_of(struct rig *r, const struct net_addr *g, unsigned *record)
{
	struct report rep;
	unsigned n = 0;
	while (next_report(r, &rep))
		if (memcmp(rep.group, g->b + 16 - rep.len, rep.len) == 0) {
			*record = rep.record;
			n++;
		}
	return n;
}

static const struct {
	const char *group;
	unsigned type;
	uint8_t mac[6];
} groups[] = {
        {"239.1.2.3", 0x800, {1, 0, 0x5e, 1, 2, 3}},
        {"ff05::1234", 0x86dd, {0x33, 0x33, 0, 0, 0x12, 0x34}},
};

/* A general query, or of nobody's group. */
static void query(struct rig *r, unsigned type, uint8_t ttl)
{
	if (type == 0x800) {
		uint8_t p[36] = {0x46, 0, 0, 36,  0, 0, 0, 0,    ttl, 2, 0, 0,    10,
		                 0,    0, 9, 224, 0, 0, 1, 0x94, 4,   0, 0, 0x11, 10};
		put_be16(p + 26, csum_bytes(p + 24, 12));
		put_be16(p + 10, csum_bytes(p, 24));
		input(r, (uint8_t[]){1, 0, 0x5e, 0, 0, 1}, type, p, sizeof(p));
		return;
	}
	uint8_t p[40 + 28] = {0x60}, *h = p + 40;
	struct net_addr src = ip("fe80::9"), dst = ip("ff02::1");
	p[5] = 28, p[6] = 58, p[7] = ttl;
	memcpy(p + 8, src.b, 16);
	memcpy(p + 24, dst.b, 16);
	h[0] = 130;
	put_be16(h + 4, 1000);
	put_be16(h + 2, (uint16_t)~csum_fold(rig_sum(csum_pseudo(&src, &dst, 58, 28), h, 28)));
	input(r, (uint8_t[]){0x33, 0x33, 0, 0, 0, 1}, type, p, sizeof(p));
}

START_TEST(groups_are_reported_when_joined_asked_for_and_left)
{
	struct rig *r = ether();
	struct net_addr g = ip(groups[_i].group);
	struct net_sock *s;
	unsigned record = 0, index = net_if_index(r->h[0].nif);
	ck_assert_int_eq(net_socket(r->h[0].st, NET_DGRAM, &s), 0);
	ck_assert_int_eq(net_join(s, &g, index, true), 0);
	ck_assert_uint_eq(reports_of(r, &g, &record), 1);
	ck_assert_uint_eq(record, 4); /* CHANGE_TO_EXCLUDE_MODE */
	rig_run(r, 2 * SEC);          /* robustness: once more */
	ck_assert_uint_eq(reports_of(r, &g, &record), 1);
	rig_run(r, 100 * SEC);
	ck_assert_uint_eq(reports_of(r, &g, &record), 0);
	query(r, groups[_i].type, 1);
	rig_run(r, 2 * SEC);
	ck_assert_uint_eq(reports_of(r, &g, &record), 1);
	ck_assert_uint_eq(record, 2); /* MODE_IS_EXCLUDE */
	if (groups[_i].type != 0x800) {
		query(r, groups[_i].type, 64); /* not from this link */
		rig_run(r, 2 * SEC);
		ck_assert_uint_eq(reports_of(r, &g, &record), 0);
	}
	ck_assert_int_eq(net_join(s, &g, index, false), 0);
	ck_assert_uint_eq(reports_of(r, &g, &record), 1);
	ck_assert_uint_eq(record, 3); /* CHANGE_TO_INCLUDE_MODE */
	query(r, groups[_i].type, 1);
	rig_run(r, 2 * SEC);
	ck_assert_uint_eq(reports_of(r, &g, &record), 0);
	rig_free(r);
}
END_TEST

START_TEST(groups_are_heard_only_when_joined)
{
	struct rig *r = ether();
	struct net_endpoint at = {.port = 53};
	struct net_addr g = ip("239.1.2.3");
	struct net_sock *s;
	uint8_t p[29] = {0x45, 0, 0, 29,  0, 0, 0, 0, 1, 17, 0,  0, 10,
	                 0,    0, 9, 239, 1, 2, 3, 0, 9, 0,  53, 0, 9},
	        buf[8];
	fix_csums(p, sizeof(p));
	ck_assert_int_eq(net_socket(r->h[0].st, NET_DGRAM, &s), 0);
	ck_assert_int_eq(net_bind(s, &at), 0);
	input(r, groups[0].mac, 0x800, p, sizeof(p));
	ck_assert_int_eq(net_recv(s, buf, 8, 0, NULL), -NET_EAGAIN);
	ck_assert_int_eq(net_join(s, &g, net_if_index(r->h[0].nif), true), 0);
	input(r, groups[0].mac, 0x800, p, sizeof(p));
	ck_assert_int_eq(net_recv(s, buf, 8, 0, NULL), 1);
	rig_free(r);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("choice");
	tcase_add_test(tc, redirect_is_believed_of_the_router_in_use);
	tcase_add_test(tc, redirect_to_a_dead_neighbour_is_forgotten);
	tcase_add_test(tc, redirects_are_bounded);
	tcase_add_test(tc, redirect_of_ipv6_names_a_router_or_the_host_itself);
	tcase_add_test(tc, destinations_are_sorted);
	tcase_add_test(tc, ports_are_not_to_be_guessed);
	tcase_add_test(tc, datagrams_have_random_ports);
	tcase_add_loop_test(tc, groups_are_reported_when_joined_asked_for_and_left, 0, 2);
	tcase_add_test(tc, groups_are_heard_only_when_joined);
	return suite_run("stack/choice", tc);
}
