/* DHCP and DNS against servers made by hand, SLAAC against a router made by hand. */
#include <check.h>
#include <string.h>

#include "net/stack/dhcp_msg.h"
#include "net/stack/dns_msg.h"
#include "net/stack/priv.h"
#include "rig.h"
#include "suite.h"

/* Host 0 asks; the server is a socket on host 1. */

static enum net_dhcp_state told;
static struct net_dhcp_lease lease;
static unsigned tells;

static void on_dhcp(void *ctx, enum net_dhcp_state state, const struct net_dhcp_lease *l)
{
	(void)ctx;
	told = state;
	tells++;
	if (l)
		lease = *l;
}

static struct net_sock *dhcp_server(struct rig *r)
{
	struct net_sock *s;
	struct net_endpoint at = {.port = 67};
	ck_assert_int_eq(net_socket(r->h[1].st, NET_DGRAM, &s), 0);
	ck_assert_int_eq(net_bind(s, &at), 0);
	ck_assert_int_eq(net_set(s, NET_SO_BROADCAST, 1), 0);
	return s;
}

/* Answers what has come in; returns the type of the last question. */
static unsigned serve(struct rig *r, struct net_sock *s, const char *give, bool nak)
{
	uint8_t q[1500], a[300] = {2, 1, 6};
	struct net_endpoint to = ep("255.255.255.255", 68);
	unsigned type = 0;
	long n;
	while ((n = net_recv(s, q, sizeof(q), 0, NULL)) > 240) {
		struct net_addr addr = ip(give);
		type = q[242];
		if (type != DHCP_DISCOVER && type != DHCP_REQUEST)
			continue;
		memcpy(a + 4, q + 4, 4);
		memcpy(a + 16, addr.b + 12, 4);
		memcpy(a + 28, q + 28, 6);
		put_be32(a + 236, 0x63825363);
		static const uint8_t opts[] = {53, 1,   0,   54,  4, 10,  0,   0,   2,  1,
		                               4,  255, 255, 255, 0, 3,   4,   10,  0,  0,
		                               2,  51,  4,   0,   0, 2,   88,  6,   4,  10,
		                               0,  0,   2,   15,  3, 'l', 'a', 'n', 255};
		memcpy(a + 240, opts, sizeof(opts));
		a[242] = type == DHCP_DISCOVER ? DHCP_OFFER : nak ? DHCP_NAK : DHCP_ACK;
		ck_assert_int_gt(net_send(s, a, sizeof(a), 0, &to), 0);
		rig_run(r, 10 * MS);
	}
	return type;
}

static struct rig *ether(void)
{
	struct rig_opts o = {.ether = true, .if_flags = NET_IF_NO_DAD};
	struct rig *r = rig_new(&o);
	struct net_addr a = ip("10.0.0.1");
	ck_assert_int_eq(net_if_del_addr(r->h[0].nif, &a), 0);
	told = NET_DHCP_OFF;
	tells = 0;
	rig_run(r, SEC);
	return r;
}

static bool has_addr(struct net_if *nif, const char *text)
{
	struct net_if_addr got;
	struct net_addr a = ip(text);
	for (unsigned i = 0; net_if_get_addr(nif, i, &got); i++)
		if (memcmp(&got.addr, &a, 16) == 0)
			return true;
	return false;
}

START_TEST(dhcp_gets_renews_and_gives_back)
{
	struct rig *r = ether();
	struct net_sock *s = dhcp_server(r);
	ck_assert_int_eq(net_dhcp_start(r->h[0].nif, "guest", on_dhcp, NULL), 0);
	for (unsigned i = 0; i < 10; i++) {
		rig_run(r, 200 * MS);
		serve(r, s, "10.0.0.50", false);
	}
	ck_assert_int_eq(told, NET_DHCP_BOUND);
	ck_assert(has_addr(r->h[0].nif, "10.0.0.50"));
	ck_assert_uint_eq(lease.prefix, 24);
	ck_assert_uint_eq(lease.lease_s, 600);
	ck_assert_str_eq(lease.domain, "lan");
	rig_run(r, 299 * SEC); /* T1 is half the lease */
	ck_assert_uint_eq(serve(r, s, "10.0.0.50", false), DHCP_REQUEST);
	rig_run(r, 200 * SEC);
	ck_assert(has_addr(r->h[0].nif, "10.0.0.50"));
	ck_assert_uint_eq(tells, 2);
	net_dhcp_stop(r->h[0].nif);
	rig_run(r, SEC);
	ck_assert_uint_eq(serve(r, s, "10.0.0.50", false), DHCP_RELEASE);
	ck_assert(!has_addr(r->h[0].nif, "10.0.0.50"));
	rig_free(r);
}
END_TEST

START_TEST(dhcp_loses_a_lease_that_is_not_renewed)
{
	struct rig *r = ether();
	struct net_sock *s = dhcp_server(r);
	ck_assert_int_eq(net_dhcp_start(r->h[0].nif, NULL, on_dhcp, NULL), 0);
	for (unsigned i = 0; i < 10; i++) {
		rig_run(r, 200 * MS);
		serve(r, s, "10.0.0.50", false);
	}
	ck_assert_int_eq(told, NET_DHCP_BOUND);
	net_close(s);
	rig_run(r, 610 * SEC);
	ck_assert_int_ne(told, NET_DHCP_BOUND);
	ck_assert(!has_addr(r->h[0].nif, "10.0.0.50"));
	rig_free(r);
}
END_TEST

START_TEST(dhcp_silence_means_link_local)
{
	struct rig *r = ether();
	struct net_if_addr got;
	ck_assert_int_eq(net_dhcp_start(r->h[0].nif, NULL, on_dhcp, NULL), 0);
	rig_run(r, 60 * SEC);
	ck_assert_int_eq(told, NET_DHCP_SILENT);
	bool found = false;
	for (unsigned i = 0; net_if_get_addr(r->h[0].nif, i, &got); i++)
		found |= addr_is_v4(&got.addr) && addr_is_linklocal(&got.addr);
	ck_assert(found);
	struct net_sock *s = dhcp_server(r); /* it comes late */
	for (unsigned i = 0; i < 400 && told != NET_DHCP_BOUND; i++) {
		rig_run(r, 200 * MS);
		serve(r, s, "10.0.0.51", false);
	}
	ck_assert_int_eq(told, NET_DHCP_BOUND);
	rig_free(r);
}
END_TEST

START_TEST(dhcp_refusal_begins_again)
{
	struct rig *r = ether();
	struct net_sock *s = dhcp_server(r);
	ck_assert_int_eq(net_dhcp_start(r->h[0].nif, NULL, on_dhcp, NULL), 0);
	rig_run(r, 100 * MS);
	ck_assert_uint_eq(serve(r, s, "10.0.0.50", true), DHCP_REQUEST);
	ck_assert_int_ne(told, NET_DHCP_BOUND);
	rig_run(r, 2 * SEC);
	ck_assert_uint_eq(serve(r, s, "10.0.0.50", false), DHCP_REQUEST);
	rig_run(r, 2 * SEC);
	serve(r, s, "10.0.0.50", false);
	rig_run(r, SEC);
	ck_assert_int_eq(told, NET_DHCP_BOUND);
	rig_free(r);
}
END_TEST

START_TEST(dhcp_declines_what_somebody_has)
{
	struct rig *r = ether();
	struct net_sock *s = dhcp_server(r);
	ck_assert_int_eq(net_dhcp_start(r->h[0].nif, NULL, on_dhcp, NULL), 0);
	unsigned last = 0;
	for (unsigned i = 0; i < 10; i++) {
		rig_run(r, 200 * MS);
		unsigned type = serve(r, s, "10.0.0.2", false); /* the server's own */
		last = type ? type : last;
	}
	ck_assert_uint_eq(last, DHCP_DECLINE);
	ck_assert_int_ne(told, NET_DHCP_BOUND);
	rig_free(r);
}
END_TEST

/* ---- DNS ---- */

static int dns_err;
static unsigned dns_count, dns_calls;
static struct net_addr dns_addr;

static void on_dns(void *ctx, int err, const struct net_addr *a, unsigned count)
{
	(void)ctx;
	dns_err = err;
	dns_count = count;
	dns_calls++;
	if (count)
		dns_addr = a[0];
}

static struct net_sock *dns_start(struct rig *r)
{
	struct net_sock *s;
	struct net_endpoint at = {.port = 53}, server = ep("10.0.0.2", 0);
	ck_assert_int_eq(net_socket(r->h[1].st, NET_DGRAM, &s), 0);
	ck_assert_int_eq(net_bind(s, &at), 0);
	ck_assert_int_eq(net_dns_servers(r->h[0].st, &server, 1), 0);
	dns_calls = 0;
	return s;
}

static long answer(struct net_sock *s, unsigned flags, const void *records, uint32_t len,
                   unsigned count, bool forge)
{
	uint8_t q[600];
	struct net_endpoint from;
	long n = net_recv(s, q, 512, 0, &from);
	if (n <= 0)
		return n;
	q[2] = (uint8_t)(0x80 | flags >> 8);
	q[3] = (uint8_t)flags;
	put_be16(q + 6, count);
	if (forge)
		q[1] ^= 1;
	memcpy(q + n, records, len);
	return net_send(s, q, (size_t)n + len, 0, &from);
}

static const uint8_t record_a[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 1, 2, 3, 4};
static const uint8_t record_cname[] = {0xc0, 12,  0,    5,  0, 1,   0,    0,  0, 60, 0, 4,
                                       1,    'b', 0xc0, 16, 1, 'b', 0xc0, 16, 0, 1,  0, 1,
                                       0,    0,   0,    60, 0, 4,   5,    6,  7, 8};

START_TEST(dns_answers)
{
	struct rig *r = rig_new(NULL);
	struct net_sock *s = dns_start(r);
	ck_assert_int_eq(net_dns_query(r->h[0].st, "web.lan", NET_DNS_A, on_dns, NULL), 0);
	rig_run(r, 10 * MS);
	ck_assert_int_gt(answer(s, 0x80, record_a, sizeof(record_a), 1, true), 0); /* forged */
	rig_run(r, 10 * MS);
	ck_assert_uint_eq(dns_calls, 0);
	rig_run(r, 4 * SEC); /* asked again */
	ck_assert_int_gt(answer(s, 0x80, record_a, sizeof(record_a), 1, false), 0);
	rig_run(r, 10 * MS);
	struct net_addr want = ip("1.2.3.4");
	ck_assert_uint_eq(dns_calls, 1);
	ck_assert_int_eq(dns_err, 0);
	ck_assert_mem_eq(&dns_addr, &want, 16);
	ck_assert_int_eq(net_dns_query(r->h[0].st, "web.lan.", NET_DNS_A, on_dns, NULL), 0);
	rig_run(r, 10 * MS);
	answer(s, 0x80, record_cname, sizeof(record_cname), 2, false);
	rig_run(r, 10 * MS);
	want = ip("5.6.7.8");
	ck_assert_mem_eq(&dns_addr, &want, 16);
	ck_assert_int_eq(net_dns_query(r->h[0].st, "no.lan", NET_DNS_A, on_dns, NULL), 0);
	rig_run(r, 10 * MS);
	answer(s, 0x83, record_a, 0, 0, false);
	rig_run(r, 10 * MS);
	ck_assert_int_eq(dns_err, -NET_ENOENT);
	rig_free(r);
}
END_TEST

START_TEST(dns_silence_and_bad_names)
{
	struct rig *r = rig_new(NULL);
	ck_assert_int_eq(net_dns_query(r->h[0].st, "a.b", NET_DNS_A, on_dns, NULL),
	                 -NET_ENETUNREACH);
	dns_start(r);
	/* A label of more than 63 characters. */
	static const char long_label[] =
	        "0123456789012345678901234567890123456789012345678901234567890123456789.lan";
	static const char *const bad[] = {"", ".", "a..b", long_label};
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(net_dns_query(r->h[0].st, bad[i], NET_DNS_A, on_dns, NULL),
		                 -NET_EINVAL);
	ck_assert_int_eq(net_dns_query(r->h[0].st, "a.b", NET_DNS_A, on_dns, NULL), 0);
	rig_run(r, 20 * SEC);
	ck_assert_uint_eq(dns_calls, 1);
	ck_assert_int_eq(dns_err, -NET_ETIMEDOUT);
	rig_free(r);
}
END_TEST

START_TEST(dns_over_tcp_when_truncated)
{
	struct rig *r = rig_new(NULL);
	struct net_sock *s = dns_start(r), *l = listen_on(&r->h[1], 53, 5), *c;
	ck_assert_int_eq(net_dns_query(r->h[0].st, "big.lan", NET_DNS_A, on_dns, NULL), 0);
	rig_run(r, 10 * MS);
	answer(s, 0x280, record_a, 0, 0, false);
	rig_run(r, 10 * MS);
	ck_assert_int_eq(net_accept(l, &c, NULL), 0);
	uint8_t q[600];
	long n = net_recv(c, q, 512, 0, NULL);
	ck_assert_int_gt(n, 14);
	q[4] |= 0x80;
	put_be16(q + 8, 1);
	memcpy(q + n, record_a, sizeof(record_a));
	put_be16(q, (uint32_t)n - 2 + (uint32_t)sizeof(record_a));
	ck_assert_int_gt(net_send(c, q, (size_t)n + sizeof(record_a), 0, NULL), 0);
	rig_run(r, 10 * MS);
	ck_assert_int_eq(dns_err, 0);
	ck_assert_uint_eq(dns_count, 1);
	rig_free(r);
}
END_TEST

/* ---- SLAAC ---- */

static uint16_t router_life_s = 1800;

static void advertise_prefix(struct rig *r, uint8_t hops, uint32_t valid_s,
                             const struct net_addr *prefix, uint8_t flags)
{
	uint8_t p[14 + 40 + 16 + 32] = {0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x86, 0xdd, 0x60};
	uint8_t *h = p + 14, *ra = h + 40;
	struct net_addr src = ip("fe80::9"), dst = ip("ff02::1");
	put_be16(h + 4, 48);
	h[6] = 58;
	h[7] = hops;
	memcpy(h + 8, src.b, 16);
	memcpy(h + 24, dst.b, 16);
	ra[0] = 134;
	ra[4] = 64;
	put_be16(ra + 6, router_life_s);
	ra[16] = 3, ra[17] = 4, ra[18] = 64, ra[19] = flags;
	put_be32(ra + 20, valid_s);
	put_be32(ra + 24, valid_s);
	memcpy(ra + 32, prefix->b, 16);
	put_be16(ra + 2, (uint16_t)~csum_fold(rig_sum(csum_pseudo(&src, &dst, 58, 48), ra, 48)));
	net_input(r->h[0].nif, pkt_from(r->h[0].st, p, sizeof(p)));
	net_poll(r->h[0].st);
}

static void advertise(struct rig *r, uint8_t hops, uint32_t valid_s)
{
	struct net_addr prefix = ip("2001:db8:1::");
	advertise_prefix(r, hops, valid_s, &prefix, 0xc0);
}

static unsigned with_prefix(struct rig *r, struct net_if_addr *out)
{
	struct net_if_addr got;
	struct net_addr prefix = ip("2001:db8:1::");
	unsigned n = 0;
	for (unsigned i = 0; net_if_get_addr(r->h[0].nif, i, &got); i++)
		if (memcmp(got.addr.b, prefix.b, 8) == 0) {
			*out = got;
			n++;
		}
	return n;
}

START_TEST(slaac_takes_and_loses_an_address)
{
	struct rig_opts o = {.ether = true};
	struct rig *r = rig_new(&o);
	struct net_if_addr a, b;
	rig_run(r, 5 * SEC);
	advertise(r, 64, 3600); /* a router that is not on the link */
	ck_assert_uint_eq(with_prefix(r, &a), 0);
	advertise(r, 255, 3600);
	ck_assert_uint_eq(with_prefix(r, &a), 1);
	ck_assert(a.tentative);
	rig_run(r, 3 * SEC);
	ck_assert_uint_eq(with_prefix(r, &b), 1);
	ck_assert(!b.tentative);
	/* RFC 7217: not the card's address. */
	ck_assert(!(b.addr.b[11] == 0xff && b.addr.b[12] == 0xfe));
	advertise(r, 255, 10); /* nobody shortens it below two hours; it had one */
	rig_run(r, 60 * SEC);
	ck_assert_uint_eq(with_prefix(r, &b), 1);
	rig_run(r, 3600 * SEC);
	ck_assert_uint_eq(with_prefix(r, &b), 0);
	rig_free(r);
}
END_TEST

START_TEST(temporary_addresses_are_preferred)
{
	struct rig_opts o = {.ether = true, .cfg.temp_addrs = true};
	struct rig *r = rig_new(&o);
	struct net_if_addr a;
	rig_run(r, 5 * SEC);
	advertise(r, 255, 864000);
	rig_run(r, 3 * SEC);
	ck_assert_uint_eq(with_prefix(r, &a), 2);
	rig_run(r, 86400 * SEC); /* and has a successor after a day */
	ck_assert_uint_eq(with_prefix(r, &a), 3);
	rig_free(r);
}
END_TEST

static unsigned learnt_routes(const struct rig *r)
{
	unsigned n = 0;
	for (const struct route *x = r->h[0].st->routes; x; x = x->next)
		n += x->until_ns != TIMER_NEVER;
	return n;
}

START_TEST(advertised_routes_end_and_are_not_too_many)
{
	struct rig_opts o = {.ether = true};
	struct rig *r = rig_new(&o);
	struct net_addr prefix = ip("2001:db8:2::");
	rig_run(r, 5 * SEC);
	for (unsigned i = 0; i < 20; i++, prefix.b[7]++)
		advertise_prefix(r, 255, 100, &prefix, 0x80);
	ck_assert_uint_eq(learnt_routes(r), 20 + 1); /* and the router */
	for (unsigned i = 0; i < 200; i++, prefix.b[7]++)
		advertise_prefix(r, 255, 100, &prefix, 0x80);
	ck_assert_uint_eq(learnt_routes(r), 64);
	rig_run(r, 101 * SEC);
	ck_assert_uint_eq(learnt_routes(r), 1);
	rig_run(r, 1800 * SEC);
	ck_assert_uint_eq(learnt_routes(r), 0);
	/* Nor are those that are told to stay. */
	for (unsigned i = 0; i < 200; i++, prefix.b[7]++)
		advertise_prefix(r, 255, UINT32_MAX, &prefix, 0x80);
	ck_assert_uint_eq(learnt_routes(r), 64);
	rig_run(r, 1801 * SEC);
	ck_assert_uint_eq(learnt_routes(r), 63);
	rig_free(r);
}
END_TEST

/* A router may say that it is none any more; what was set by hand is not its own. */
START_TEST(advertisements_leave_routes_that_were_set)
{
	struct rig_opts o = {.ether = true};
	struct rig *r = rig_new(&o);
	struct net_addr prefix = ip("2001:db8:2::"), router = ip("fe80::9"), any = ip("::");
	struct hop hop;
	rig_run(r, 5 * SEC);
	ck_assert_int_eq(net_route_add(r->h[0].st, &any, 0, &router, r->h[0].nif, 1), 0);
	for (router_life_s = 1800;; router_life_s = 0) {
		advertise_prefix(r, 255, 100, &prefix, 0x80);
		ck_assert_uint_eq(learnt_routes(r), 1); /* the prefix */
		rig_run(r, 2000 * SEC);
		ck_assert(route_lookup(r->h[0].st, &prefix, NULL, &hop));
		ck_assert(memcmp(&hop.next_hop, &router, sizeof(router)) == 0);
		if (!router_life_s)
			break;
	}
	rig_free(r);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("services");
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, dhcp_gets_renews_and_gives_back);
	tcase_add_test(tc, dhcp_loses_a_lease_that_is_not_renewed);
	tcase_add_test(tc, dhcp_silence_means_link_local);
	tcase_add_test(tc, dhcp_refusal_begins_again);
	tcase_add_test(tc, dhcp_declines_what_somebody_has);
	tcase_add_test(tc, dns_answers);
	tcase_add_test(tc, dns_silence_and_bad_names);
	tcase_add_test(tc, dns_over_tcp_when_truncated);
	tcase_add_test(tc, slaac_takes_and_loses_an_address);
	tcase_add_test(tc, temporary_addresses_are_preferred);
	tcase_add_test(tc, advertised_routes_end_and_are_not_too_many);
	tcase_add_test(tc, advertisements_leave_routes_that_were_set);
	return suite_run("stack/services", tc);
}
