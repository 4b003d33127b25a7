/* The user-mode network's rules: its addresses, forwards, what the guest may reach, DHCP. */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net/user/user_priv.h"
#include "suite.h"

static struct user_config config;

static void setup(void)
{
	const struct user_opts o = {.dns = "192.0.2.53"};
	ck_assert_int_eq(user_configure(&config, &o, NULL), VMM_OK);
}

START_TEST(addresses_follow_from_the_network)
{
	struct user_opts o = {.net = "172.16.32.0/20", .dns = "9.9.9.9"};
	struct user_config c;
	ck_assert_uint_eq(config.gateway, 0x0a000202);
	ck_assert_uint_eq(config.dns, 0x0a000203);
	ck_assert_uint_eq(config.guest, 0x0a00020f);
	ck_assert_uint_eq(config.mtu, 1500);
	ck_assert_int_eq(user_configure(&c, &o, NULL), VMM_OK);
	ck_assert_uint_eq(c.guest, 0xac10200f);
	ck_assert_uint_eq(c.mask, 0xfffff000);
	o.net = "10.1.1.16/28";
	ck_assert_int_eq(user_configure(&c, &o, NULL), VMM_OK);
	ck_assert_uint_eq(c.guest, 0x0a01011e); /* .15 of it is its broadcast address */
}
END_TEST

/* Each with the key that is wrong, and a word of why. */
START_TEST(bad_networks_are_named)
{
	static const char *const nets[] = {"",
	                                   "10.0.2.0",
	                                   "10.0.2.0/",
	                                   "10.0.2.0/33",
	                                   "10.0.2.0/7",
	                                   "10.0.2.0/29",
	                                   "10.0.2.1/24",
	                                   "10.0.2/24",
	                                   "127.0.0.0/8",
	                                   "224.0.0.0/24",
	                                   "0.0.0.0/24",
	                                   "10.0.2.0/24x",
	                                   "169.254.0.0/16",
	                                   "10.0.2.0/+24",
	                                   "fd00::/64"};
	struct user_config c;
	vmm_err_info_t ei;
	for (unsigned i = 0; i < sizeof(nets) / sizeof(nets[0]); i++) {
		const struct user_opts o = {.net = nets[i]};
		ck_assert_msg(user_configure(&c, &o, &ei) == VMM_E_INVAL, "'%s'", nets[i]);
		ck_assert_str_eq(ei.field, "net");
		ck_assert_ptr_nonnull(strstr(ei.message, nets[i]));
	}
	const struct user_opts dns = {.dns = "ns.example"};
	ck_assert_int_eq(user_configure(&c, &dns, &ei), VMM_E_INVAL);
	ck_assert_str_eq(ei.field, "dns");
	const struct user_opts mtu = {.mtu = 575};
	ck_assert_int_eq(user_configure(&c, &mtu, &ei), VMM_E_INVAL);
	ck_assert_str_eq(ei.field, "mtu");
}
END_TEST

START_TEST(forwards_are_read)
{
	struct user_forward f;
	const struct sockaddr_in *in = (const struct sockaddr_in *)&f.at;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&f.at;
	ck_assert_int_eq(user_parse_forward(&config, "tcp:192.0.2.7:8080-10.0.2.20:80", &f, NULL),
	                 VMM_OK);
	ck_assert(!f.udp && in->sin_family == AF_INET);
	ck_assert_uint_eq(ntohl(in->sin_addr.s_addr), 0xc0000207);
	ck_assert_uint_eq(ntohs(in->sin_port), 8080);
	ck_assert_uint_eq(f.guest, 0x0a000214);
	ck_assert_uint_eq(f.guest_port, 80);
	ck_assert_int_eq(user_parse_forward(&config, "udp::53-:5353", &f, NULL), VMM_OK);
	ck_assert(f.udp);
	ck_assert_uint_eq(ntohl(in->sin_addr.s_addr), INADDR_LOOPBACK);
	ck_assert_uint_eq(f.guest, config.guest);
	ck_assert_int_eq(user_parse_forward(&config, "tcp:[::1]:65535-:1", &f, NULL), VMM_OK);
	ck_assert(in6->sin6_family == AF_INET6 && f.at_len == sizeof(*in6));
	ck_assert_int_eq(memcmp(&in6->sin6_addr, &in6addr_loopback, 16), 0);
}
END_TEST

START_TEST(bad_forwards_are_named)
{
	static const char *const rules[] = {
	        "",
	        "tcp",
	        "8080-80",
	        "tcp:8080-80",
	        "sctp::80-:80",
	        "tcp:127.0.0.1:0-:80",
	        "tcp:127.0.0.1:65536-:80",
	        "tcp:127.0.0.1:80-:",
	        "tcp:127.0.0.1:80",
	        "tcp:localhost:80-:80",
	        "tcp:[::1:80-:80",
	        "tcp::80-10.0.3.1:80",
	        "tcp::80-10.0.2.2:80",
	        "tcp::80-10.0.2.3:80",
	        "tcp::80-10.0.2.255:80",
	        "tcp::80-10.0.2.0:80",
	        "tcp::80-guest:80",
	        "tcp::+80-:80",
	};
	struct user_forward f;
	vmm_err_info_t ei;
	for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		ck_assert_msg(user_parse_forward(&config, rules[i], &f, &ei) == VMM_E_INVAL, "'%s'",
		              rules[i]);
		ck_assert_str_eq(ei.field, "hostfwd");
		ck_assert_ptr_nonnull(strstr(ei.message, rules[i]));
	}
}
END_TEST

static bool reaches(const char *addr, uint16_t port, const char *as)
{
	struct net_endpoint to = {.port = port};
	struct sockaddr_in target;
	char text[INET_ADDRSTRLEN];
	ck_assert_int_eq(net_addr_parse(addr, &to.addr), 0);
	if (!user_target(&config, &to, &target))
		return false;
	ck_assert_str_eq(inet_ntop(AF_INET, &target.sin_addr, text, sizeof(text)), as);
	ck_assert_uint_eq(ntohs(target.sin_port), port);
	return true;
}

START_TEST(the_guest_reaches_the_world_and_no_more)
{
	ck_assert(reaches("192.0.2.1", 80, "192.0.2.1"));
	ck_assert(reaches("10.0.3.1", 80, "10.0.3.1"));
	ck_assert(reaches("10.0.2.3", 53, "192.0.2.53"));
	static const char *const closed[] = {
	        "127.0.0.1", "127.9.9.9",       "0.0.0.0",     "10.0.2.2",        "10.0.2.3",
	        "10.0.2.99", "169.254.169.254", "224.0.0.251", "255.255.255.255", "240.0.0.1"};
	for (unsigned i = 0; i < sizeof(closed) / sizeof(closed[0]); i++)
		ck_assert_msg(!reaches(closed[i], 80, ""), "%s", closed[i]);
	config.loopback = true;
	ck_assert(reaches("10.0.2.2", 80, "127.0.0.1"));
	ck_assert(!reaches("127.0.0.1", 80, ""));
}
END_TEST

START_TEST(the_hosts_own_addresses_are_found_out)
{
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(9)};
	own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&own, sizeof(own)), 0);
	ck_assert(user_is_own(&config, fd, &own));
	config.loopback = true;
	ck_assert(!user_is_own(&config, fd, &own));
	config.loopback = false;
	/* A resolver on this host was named: its port is open, and no other. */
	config.resolver = own;
	ck_assert(!user_is_own(&config, fd, &own));
	own.sin_port = htons(10);
	ck_assert(user_is_own(&config, fd, &own));
	(void)close(fd);
}
END_TEST

/* ---- DHCP ---- */

static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 2}, guest_mac[6] = {2, 0, 0, 0, 0, 0x15};
static uint8_t answer[USER_DHCP_MAX];

/* A frame with a message of TYPE, and one option of four bytes unless VALUE is 0. */
static size_t ask(uint8_t *f, uint8_t type, uint8_t code, uint32_t value, bool broadcast)
{
	uint8_t *ip = f + 14, *udp = ip + 20, *m = udp + 8, *o = m + 240;
	memset(f, 0, 400);
	memset(f, 255, 6);
	memcpy(f + 6, guest_mac, 6);
	f[12] = 8;
	ip[0] = 0x45;
	ip[9] = 17;
	udp[3] = 67;
	m[0] = m[1] = 1;
	m[2] = 6;
	memcpy(m + 4, (uint8_t[]){0x12, 0x34, 0x56, 0x78}, 4);
	m[10] = broadcast ? 0x80 : 0;
	memcpy(m + 28, guest_mac, 6);
	memcpy(m + 236, (uint8_t[]){0x63, 0x82, 0x53, 0x63}, 4);
	*o++ = 0; /* padding */
	memcpy(o, (uint8_t[]){53, 1, type}, 3);
	o += 3;
	if (value) {
		value = htonl(value);
		*o++ = code;
		*o++ = 4;
		memcpy(o, &value, 4);
		o += 4;
	}
	*o++ = 255;
	size_t udp_len = (size_t)(o - udp);
	udp[4] = (uint8_t)(udp_len >> 8);
	udp[5] = (uint8_t)udp_len;
	ip[2] = (uint8_t)((udp_len + 20) >> 8);
	ip[3] = (uint8_t)(udp_len + 20);
	return (size_t)(o - f);
}

/* The option CODE of the answer of LEN bytes, with N bytes; or NULL. */
static const uint8_t *told(size_t len, uint8_t code, uint8_t n)
{
	for (const uint8_t *o = answer + 42 + 240; o < answer + len && *o != 255; o += 2 + o[1])
		if (*o == code) {
			ck_assert_uint_eq(o[1], n);
			return o + 2;
		}
	return NULL;
}

static unsigned type_of(size_t len)
{
	const uint8_t *t = len ? told(len, 53, 1) : NULL;
	return t ? *t : 0;
}

START_TEST(a_guest_gets_its_address)
{
	uint8_t f[400];
	size_t n = ask(f, 1, 0, 0, false);
	ck_assert(user_dhcp_is(f, n));
	size_t len = user_dhcp_answer(&config, our_mac, f, n, answer);
	ck_assert_uint_eq(type_of(len), 2);
	ck_assert_int_eq(memcmp(answer, guest_mac, 6), 0);
	ck_assert_int_eq(memcmp(answer + 14 + 16, "\x0a\x00\x02\x0f", 4), 0); /* to whom */
	ck_assert_int_eq(memcmp(answer + 42 + 4, "\x12\x34\x56\x78", 4), 0);
	ck_assert_int_eq(memcmp(answer + 42 + 16, "\x0a\x00\x02\x0f", 4), 0);
	ck_assert_int_eq(memcmp(told(len, 1, 4), "\xff\xff\xff\x00", 4), 0);
	ck_assert_int_eq(memcmp(told(len, 3, 4), "\x0a\x00\x02\x02", 4), 0);
	ck_assert_int_eq(memcmp(told(len, 6, 4), "\x0a\x00\x02\x03", 4), 0);
	ck_assert_int_eq(memcmp(told(len, 26, 2), "\x05\xdc", 2), 0);
	ck_assert_ptr_nonnull(told(len, 51, 4));
	uint32_t sum = 0;
	for (unsigned i = 0; i < 20; i += 2)
		sum += (uint32_t)answer[14 + i] << 8 | answer[15 + i];
	ck_assert_uint_eq((sum & 0xffff) + (sum >> 16), 0xffff);
	n = ask(f, 1, 0, 0, true);
	len = user_dhcp_answer(&config, our_mac, f, n, answer);
	ck_assert_uint_eq(type_of(len), 2);
	ck_assert_int_eq(memcmp(answer, "\xff\xff\xff\xff\xff\xff", 6), 0);
	n = ask(f, 3, 50, config.guest, false);
	ck_assert_uint_eq(type_of(user_dhcp_answer(&config, our_mac, f, n, answer)), 5);
	/* Another address is refused; another server's offer is none of our business. */
	n = ask(f, 3, 50, config.guest + 1, false);
	len = user_dhcp_answer(&config, our_mac, f, n, answer);
	ck_assert_uint_eq(type_of(len), 6);
	ck_assert_ptr_null(told(len, 1, 4));
	n = ask(f, 3, 54, config.gateway + 9, false);
	ck_assert_uint_eq(user_dhcp_answer(&config, our_mac, f, n, answer), 0);
	n = ask(f, 7, 0, 0, false); /* release */
	ck_assert_uint_eq(user_dhcp_answer(&config, our_mac, f, n, answer), 0);
}
END_TEST

/* Every prefix of a frame, and every byte of one changed: an answer or none, and nothing else. */
START_TEST(broken_questions_do_no_harm)
{
	uint8_t f[400];
	size_t n = ask(f, 3, 50, config.guest, false);
	for (size_t cut = 0; cut < n; cut++)
		ck_assert_uint_le(user_dhcp_answer(&config, our_mac, f, cut, answer),
		                  sizeof(answer));
	for (size_t at = 0; at < n; at++) {
		uint8_t was = f[at];
		for (unsigned v = 0; v < 256; v++) {
			f[at] = (uint8_t)v;
			ck_assert_uint_le(user_dhcp_answer(&config, our_mac, f, n, answer),
			                  sizeof(answer));
		}
		f[at] = was;
	}
}
END_TEST

/* ---- opening ---- */

START_TEST(a_port_in_use_is_named)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t len = sizeof(at);
	char rule[64];
	const char *const rules[] = {rule};
	const struct user_opts o = {.hostfwd = rules, .hostfwd_count = 1};
	struct net_backend *b;
	vmm_err_info_t ei;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	(void)snprintf(rule, sizeof(rule), "tcp::%u-:80", ntohs(at.sin_port));
	ck_assert_int_eq(user_open(&o, &b, &ei), VMM_E_BUSY);
	ck_assert_str_eq(ei.field, "hostfwd");
	ck_assert_ptr_nonnull(strstr(ei.message, rule));
	(void)close(fd);
	/* And a backend that is never started goes as it came. */
	ck_assert_int_eq(user_open(&o, &b, &ei), VMM_OK);
	b->ops->destroy(b);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("user_net");
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, addresses_follow_from_the_network);
	tcase_add_test(tc, bad_networks_are_named);
	tcase_add_test(tc, forwards_are_read);
	tcase_add_test(tc, bad_forwards_are_named);
	tcase_add_test(tc, the_guest_reaches_the_world_and_no_more);
	tcase_add_test(tc, the_hosts_own_addresses_are_found_out);
	tcase_add_test(tc, a_guest_gets_its_address);
	tcase_add_test(tc, broken_questions_do_no_harm);
	tcase_add_test(tc, a_port_in_use_is_named);
	return suite_run("user_net", tc);
}
