/* The user-mode network's rules: its addresses, forwards, what the guest may reach, DHCP, router
 * advertisements; and frames through a network that runs. */
#include <arpa/inet.h>
#include <check.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net/stack/pkt.h"
#include "net/stack/util.h"
#include "net/user/user_priv.h"
#include "suite.h"
#include "vmm/clock.h"

static struct user_config config;

static void setup(void)
{
	const struct user_opts o = {.dns = "192.0.2.53"};
	ck_assert_int_eq(user_configure(&config, &o, NULL), VMM_OK);
}

static struct net_addr address(const char *text)
{
	struct net_addr a;
	ck_assert_int_eq(net_addr_parse(text, &a), 0);
	return a;
}

static void ck_address(const struct net_addr *a, const char *text)
{
	char as[46];
	ck_assert_str_eq(net_addr_format(a, as), text);
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
	ck_assert(config.ipv6);
	ck_address(&config.gateway6, "fd00:10:0:2::2");
	ck_address(&config.dns6, "fd00:10:0:2::3");
	o.net6 = "2001:db8:0:7::/64";
	ck_assert_int_eq(user_configure(&c, &o, NULL), VMM_OK);
	ck_address(&c.net6, "2001:db8:0:7::");
	ck_address(&c.gateway6, "2001:db8:0:7::2");
	o = (struct user_opts){.no_ipv6 = true};
	ck_assert_int_eq(user_configure(&c, &o, NULL), VMM_OK);
	ck_assert(!c.ipv6);
	o = (struct user_opts){.mtu = 1279}; /* RFC 8200, 5 */
	ck_assert_int_eq(user_configure(&c, &o, NULL), VMM_OK);
	ck_assert(!c.ipv6);
	o.mtu = 1280;
	ck_assert_int_eq(user_configure(&c, &o, NULL), VMM_OK);
	ck_assert(c.ipv6);
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
	static const char *const nets6[] = {"",
	                                    "fd00:1::",
	                                    "fd00:1::/",
	                                    "fd00:1::/48",
	                                    "fd00:1::/129",
	                                    "fd00:1::1/64",
	                                    "fd00:1::/64x",
	                                    "10.0.2.0/24",
	                                    "::/64",
	                                    "::ffff:10.0.2.0/64",
	                                    "fe80::/64",
	                                    "ff02::/64",
	                                    "fd00:ec2::/64"};
	for (unsigned i = 0; i < sizeof(nets6) / sizeof(nets6[0]); i++) {
		const struct user_opts o = {.net6 = nets6[i]};
		ck_assert_msg(user_configure(&c, &o, &ei) == VMM_E_INVAL, "'%s'", nets6[i]);
		ck_assert_str_eq(ei.field, "net6");
		ck_assert_ptr_nonnull(strstr(ei.message, nets6[i]));
	}
	struct user_opts none = {.net6 = "fd00:1::/64", .no_ipv6 = true};
	ck_assert_int_eq(user_configure(&c, &none, &ei), VMM_E_INVAL);
	ck_assert_ptr_nonnull(strstr(ei.message, "IPv6 is off"));
	none = (struct user_opts){.net6 = "fd00:1::/64", .mtu = 1279};
	ck_assert_int_eq(user_configure(&c, &none, &ei), VMM_E_INVAL);
	ck_assert_ptr_nonnull(strstr(ei.message, "mtu of 1280"));
	static const char *const servers[] = {"ns.example",  "0.0.0.0",      "224.0.0.1",
	                                      "::",          "ff02::1",      "fe80::1",
	                                      "fe80::1%nic", "[2001:db8::1]"};
	for (unsigned i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
		const struct user_opts dns = {.dns = servers[i]};
		ck_assert_msg(user_configure(&c, &dns, &ei) == VMM_E_INVAL, "'%s'", servers[i]);
		ck_assert_str_eq(ei.field, "dns");
		ck_assert_ptr_nonnull(strstr(ei.message, servers[i]));
	}
	const struct user_opts mtu = {.mtu = 575};
	ck_assert_int_eq(user_configure(&c, &mtu, &ei), VMM_E_INVAL);
	ck_assert_str_eq(ei.field, "mtu");
}
END_TEST

START_TEST(forwards_are_read)
{
	struct user_forward f;
	const struct sockaddr_in *in = &f.at.v4;
	const struct sockaddr_in6 *in6 = &f.at.v6;
	ck_assert_int_eq(user_parse_forward(&config, "tcp:192.0.2.7:8080-10.0.2.20:80", &f, NULL),
	                 VMM_OK);
	ck_assert(!f.udp && in->sin_family == AF_INET);
	ck_assert_uint_eq(ntohl(in->sin_addr.s_addr), 0xc0000207);
	ck_assert_uint_eq(ntohs(in->sin_port), 8080);
	ck_address(&f.guest.addr, "10.0.2.20");
	ck_assert_uint_eq(f.guest.port, 80);
	ck_assert_int_eq(user_parse_forward(&config, "udp::53-:5353", &f, NULL), VMM_OK);
	ck_assert(f.udp);
	ck_assert_uint_eq(ntohl(in->sin_addr.s_addr), INADDR_LOOPBACK);
	ck_address(&f.guest.addr, "10.0.2.15");
	ck_assert_int_eq(user_parse_forward(&config, "tcp:[::1]:65535-:1", &f, NULL), VMM_OK);
	ck_assert_int_eq(in6->sin6_family, AF_INET6);
	ck_assert_uint_eq(user_sockaddr_len(&f.at), sizeof(*in6));
	ck_assert_int_eq(memcmp(&in6->sin6_addr, &in6addr_loopback, 16), 0);
	ck_address(&f.guest.addr, "10.0.2.15");
	ck_assert_int_eq(user_parse_forward(&config, "tcp::8080-[fd00:10:0:2::15]:80", &f, NULL),
	                 VMM_OK);
	ck_assert_int_eq(in->sin_family, AF_INET);
	ck_address(&f.guest.addr, "fd00:10:0:2::15");
	ck_assert_uint_eq(f.guest.port, 80);
	/* As long as addresses can be. */
	ck_assert_int_eq(user_parse_forward(&config,
	                                    "udp:[2001:0db8:0000:0000:0000:0000:0000:0001]:65535-"
	                                    "[fd00:0010:0000:0002:ffff:ffff:ffff:fffe]:65535",
	                                    &f, NULL),
	                 VMM_OK);
	ck_assert_uint_eq(f.guest.port, 65535);
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
	        "tcp::80-[]:80",
	        "tcp::80-[fd00:10:0:2::15:80",
	        "tcp::80-fd00:10:0:2::15:80",
	        "tcp::80-[10.0.2.15]:80",
	        "tcp::80-[fd00:10:0:2::]:80",
	        "tcp::80-[fd00:10:0:2::2]:80",
	        "tcp::80-[fd00:10:0:2::3]:80",
	        "tcp::80-[fd00:10:0:3::15]:80",
	        "tcp::80-[fe80::15]:80",
	        "tcp:::1:80-:80",
	};
	struct user_forward f;
	vmm_err_info_t ei;
	config.ipv6 = false;
	ck_assert_int_eq(user_parse_forward(&config, "tcp::8080-[fd00:10:0:2::15]:80", &f, &ei),
	                 VMM_E_INVAL);
	ck_assert_ptr_nonnull(strstr(ei.message, "the guest has no IPv6"));
	config.ipv6 = true;
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
	const struct net_endpoint to = {.addr = address(addr), .port = port};
	union user_sockaddr target;
	char text[INET6_ADDRSTRLEN];
	if (!user_target(&config, &to, &target))
		return false;
	bool v4 = target.any.sa_family == AF_INET;
	const void *a = v4 ? (void *)&target.v4.sin_addr : (void *)&target.v6.sin6_addr;
	ck_assert_str_eq(inet_ntop(target.any.sa_family, a, text, sizeof(text)), as);
	ck_assert_uint_eq(ntohs(v4 ? target.v4.sin_port : target.v6.sin6_port), port);
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

START_TEST(the_guest_reaches_the_world_by_ipv6_and_no_more)
{
	ck_assert(reaches("2001:db8::1", 80, "2001:db8::1"));
	ck_assert(reaches("fd00:10:0:3::1", 80, "fd00:10:0:3::1"));
	ck_assert(reaches("fd00:10:0:2::3", 53, "192.0.2.53"));
	ck_assert(reaches("64:ff9b::192.0.2.1", 80, "64:ff9b::c000:201"));
	ck_assert(reaches("2002:c000:201::1", 80, "2002:c000:201::1"));
	static const char *const closed[] = {
	        "::", "::1", "::127.0.0.1", "::2", "64:ff9b:1::1", "fe80::1", "febf::1", "ff02::1",
	        "ff0e::1", "fd00:10:0:2::", "fd00:10:0:2::2", "fd00:10:0:2::3", "fd00:10:0:2::99",
	        "fe80::a9fe:a9fe", "fd00:ec2::254", "fd20:ce::254", "fd00:c1::a9fe:a9fe",
	        /* what is translated to closed addresses, the host's, or the guest's network */
	        "64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b::10.0.2.15",
	        "64:ff9b::0.0.0.0", "64:ff9b::224.0.0.1", "2002:7f00:1::1",
	        "2002:a9fe:a9fe::", "2001:0:c000:201::80ff:fffe", /* 127.0.0.1 */
	        "2001:0:c000:201::5601:5601"};                    /* 169.254.169.254 */
	for (unsigned i = 0; i < sizeof(closed) / sizeof(closed[0]); i++)
		ck_assert_msg(!reaches(closed[i], 80, ""), "%s", closed[i]);
	config.loopback = true;
	ck_assert(reaches("fd00:10:0:2::2", 80, "::1"));
	ck_assert(!reaches("::1", 80, ""));
	const struct user_opts o = {.dns = "2001:db8::53"};
	ck_assert_int_eq(user_configure(&config, &o, NULL), VMM_OK);
	ck_assert(reaches("fd00:10:0:2::3", 53, "2001:db8::53"));
	ck_assert(reaches("10.0.2.3", 53, "2001:db8::53"));
	ck_assert(!reaches("10.0.2.3", 54, ""));
}
END_TEST

static int connected(const union user_sockaddr *to)
{
	int fd = socket(to->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(fd, &to->any, user_sockaddr_len(to)), 0);
	return fd;
}

START_TEST(the_hosts_own_addresses_are_found_out)
{
	union user_sockaddr own = {.v4 = {.sin_family = AF_INET, .sin_port = htons(9)}};
	if (_i)
		own.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
		                               .sin6_port = htons(9),
		                               .sin6_addr = in6addr_loopback};
	else
		own.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = connected(&own);
	ck_assert(user_is_own(&config, fd, &own) && user_leads_home(&config, &own));
	config.loopback = true;
	ck_assert(!user_is_own(&config, fd, &own) && !user_leads_home(&config, &own));
	config.loopback = false;
	/* A resolver on this host was named: its port is open, and no other. */
	config.resolver = own;
	ck_assert(!user_is_own(&config, fd, &own) && !user_leads_home(&config, &own));
	in_port_t *port = _i ? &own.v6.sin6_port : &own.v4.sin_port;
	*port = htons(10);
	ck_assert(user_is_own(&config, fd, &own) && user_leads_home(&config, &own));
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

/* ---- router advertisements ---- */

/* The checksum of the N bytes of ICMPv6 behind the header of F. */
static void put_sum(uint8_t *f, size_t n)
{
	const struct net_addr from = addr_v6_wire(f + 22), to = addr_v6_wire(f + 38);
	put_be16(f + 56, 0);
	uint16_t sum = (uint16_t)~csum_bytes(f + 54, n);
	put_be16(f + 56, (uint16_t)~csum_fold(sum + csum_pseudo(&from, &to, 58, (uint32_t)n)));
}

/* A solicitation from SRC, with our link-layer address if LLA. Returns its length. */
static size_t solicit(uint8_t *f, const char *src, bool lla)
{
	const struct net_addr from = address(src), to = address("ff02::2");
	size_t n = lla ? 16 : 8;
	memset(f, 0, 80);
	memcpy(f, (uint8_t[]){0x33, 0x33, 0, 0, 0, 2}, 6);
	memcpy(f + 6, guest_mac, 6);
	memcpy(f + 12, (uint8_t[]){0x86, 0xdd, 0x60}, 3);
	f[19] = (uint8_t)n;
	f[20] = 58;
	f[21] = 255;
	memcpy(f + 22, from.b, 16);
	memcpy(f + 38, to.b, 16);
	f[54] = 133;
	if (lla) {
		f[62] = f[63] = 1;
		memcpy(f + 64, guest_mac, 6);
	}
	put_sum(f, n);
	return 54 + n;
}

START_TEST(a_router_is_advertised)
{
	/* RFC 4861, 4.2, 4.6.1, 4.6.2 and 4.6.4; RFC 8106, 5.1 */
	static const uint8_t options[] = {
	        1,    1, 2,    0,    0, 0, 0,    2, /* source link-layer address */
	        5,    1, 0,    0,    0, 0, 0x05, 0xdc, 3,    4, 64, 0xc0, 0, 1, 0x51, 0x80,
	        0,    1, 0x51, 0x80, 0, 0, 0,    0,    0xfd, 0, 0,  0x10, 0, 0, 0,    2,
	        0,    0, 0,    0,    0, 0, 0,    0,    25,   3, 0,  0,    0, 0, 0x07, 0x08,
	        0xfd, 0, 0,    0x10, 0, 0, 0,    2,    0,    0, 0,  0,    0, 0, 0,    3};
	uint8_t f[80], ra[USER_RA_LEN];
	ck_assert(user_ra_is_asked(f, solicit(f, "fe80::15", true)));
	user_ra_make(&config, our_mac, f, true, ra);
	ck_assert_int_eq(memcmp(ra, guest_mac, 6), 0);
	ck_assert_int_eq(memcmp(ra + 6, our_mac, 6), 0);
	ck_assert_int_eq(memcmp(ra + 12, "\x86\xdd\x60\0\0\0\0\x58\x3a\xff", 10), 0);
	struct net_addr from = addr_v6_wire(ra + 22), to = addr_v6_wire(ra + 38);
	ck_address(&from, "fe80::2");
	ck_address(&to, "fe80::15");
	uint32_t sum = (uint16_t)~csum_bytes(ra + 54, 88);
	ck_assert_uint_eq(csum_fold(sum + csum_pseudo(&from, &to, 58, 88)), 0xffff);
	/* 64 hops, no DHCPv6, half an hour; reachable time and retransmissions are the guest's. */
	ck_assert_int_eq(memcmp(ra + 54, "\x86\0", 2), 0);
	ck_assert_int_eq(memcmp(ra + 58, "\x40\0\x07\x08\0\0\0\0\0\0\0\0", 12), 0);
	ck_assert_uint_eq(sizeof(options), USER_RA_LEN - 70);
	ck_assert_int_eq(memcmp(ra + 70, options, sizeof(options)), 0);

	/* Who has no address, and all, are told as a group. */
	ck_assert(user_ra_is_asked(f, solicit(f, "::", false)));
	for (unsigned i = 0; i < 2; i++) {
		user_ra_make(&config, our_mac, i ? NULL : f, false, ra);
		ck_assert_int_eq(memcmp(ra, "\x33\x33\0\0\0\x01", 6), 0);
		to = addr_v6_wire(ra + 38);
		ck_address(&to, "ff02::1");
		ck_assert_uint_eq(get_be16(ra + 60), 0); /* no way out is told */
	}
	/* Without a name server there is none. */
	config.resolver.any.sa_family = AF_UNSPEC;
	user_ra_make(&config, our_mac, NULL, true, ra);
	ck_assert_uint_eq(get_be32(ra + 118 + 4), 0);
}
END_TEST

/* What RFC 4861, 6.1.1 calls invalid is not answered. */
START_TEST(broken_solicitations_are_not_answered)
{
	uint8_t f[80], *copy;
	size_t n = solicit(f, "::", true); /* nobody's link-layer address */
	ck_assert(!user_ra_is_asked(f, n));
	n = solicit(f, "ff02::1", true);
	ck_assert(!user_ra_is_asked(f, n));
	n = solicit(f, "fe80::15", true);
	for (size_t cut = 0; cut < n; cut++) {
		copy = malloc(cut ? cut : 1); /* a sanitizer sees each byte too far */
		memcpy(copy, f, cut);
		ck_assert(!user_ra_is_asked(copy, cut));
		free(copy);
	}
	/* The MAC addresses, the traffic class and the flow label are all that may be otherwise. */
	for (size_t at = 12; at < n; at++) {
		uint8_t was = f[at];
		for (unsigned v = 0; v < 256; v++) {
			f[at] = (uint8_t)v;
			bool free_to_choose = at >= 15 && at < 18;
			bool same = at == 14 ? v >> 4 == 6 : v == was;
			ck_assert_msg(user_ra_is_asked(f, n) == (free_to_choose || same),
			              "byte %zu: %u", at, v);
		}
		f[at] = was;
	}
	/* An option of no length, and one that is longer than the message: the sum is right, as it
	 * is with an option that nobody knows. */
	for (int len = 0; len <= 2; len++) {
		n = solicit(f, "fe80::15", true);
		f[62] = 0x99;
		f[63] = (uint8_t)len;
		put_sum(f, 16);
		ck_assert_int_eq(user_ra_is_asked(f, n), len == 1);
	}
}
END_TEST

/* ---- a network that runs ---- */

#define VNET sizeof(struct virtio_net_hdr_v1)

/* The guest's end of B. A frame has its checksum, or says that nobody has to look at it. */
static void put_frame(const struct net_backend *b, const uint8_t *frame, size_t len)
{
	uint8_t all[VNET + 2048] = {VIRTIO_NET_HDR_F_DATA_VALID};
	ck_assert_uint_le(len, sizeof(all) - VNET);
	memcpy(all + VNET, frame, len);
	ck_assert_int_eq(write(b->fd[0], all, VNET + len), (ssize_t)(VNET + len));
}

static uint8_t vnet_flags; /* of the last frame */

/* The next frame of IPv6; 0: there is none within WAIT_MS. */
static size_t get_frame(const struct net_backend *b, uint8_t frame[2048], int wait_ms)
{
	uint8_t all[VNET + 2048];
	struct pollfd p = {.fd = b->fd[0], .events = POLLIN};
	while (poll(&p, 1, wait_ms) == 1) {
		ssize_t n = read(b->fd[0], all, sizeof(all));
		ck_assert_int_ge(n, (ssize_t)VNET + 14);
		if (get_be16(all + VNET + 12) != 0x86dd)
			continue;
		memcpy(frame, all + VNET, (size_t)n - VNET);
		vnet_flags = all[0];
		return (size_t)n - VNET;
	}
	return 0;
}

/* An IPv6 header in front of LEN bytes of PROTO at F + 54. */
static size_t wrap6(uint8_t *f, const char *src, const char *dst, uint8_t proto, size_t len)
{
	static const uint8_t gateway_mac[6] = {0x52, 0x55, 0x0a, 0x00, 0x02, 0x02};
	const struct net_addr from = address(src), to = address(dst);
	memcpy(f, gateway_mac, 6);
	memcpy(f + 6, guest_mac, 6);
	memcpy(f + 12, (uint8_t[]){0x86, 0xdd, 0x60, 0, 0, 0}, 6);
	put_be16(f + 18, (uint32_t)len);
	f[20] = proto;
	f[21] = 255;
	memcpy(f + 22, from.b, 16);
	memcpy(f + 38, to.b, 16);
	return 54 + len;
}

#define GUEST6 "fd00:10:0:2::15"

static void put_udp(const struct net_backend *b, const char *dst, uint16_t port, const char *text)
{
	uint8_t f[256] = {0};
	size_t len = 8;
	for (; text[len - 8]; len++)
		f[54 + len] = (uint8_t)text[len - 8];
	put_be16(f + 54, 4000);
	put_be16(f + 56, port);
	put_be16(f + 58, (uint32_t)len);
	put_frame(b, f, wrap6(f, GUEST6, dst, 17, len));
}

/* The next datagram to the guest, in F; who looks for the guest is answered meanwhile. */
static size_t get_udp(const struct net_backend *b, uint8_t f[2048])
{
	size_t n;
	while ((n = get_frame(b, f, 5000)) > 0) {
		uint8_t na[128] = {[54] = 136, [58] = 0x60, [78] = 2, [79] = 1};
		if (f[20] == 17)
			return n;
		if (f[20] != 58 || f[54] != 135)
			continue;
		memcpy(na + 62, f + 62, 16);
		memcpy(na + 80, guest_mac, 6);
		put_frame(b, na, wrap6(na, GUEST6, "fd00:10:0:2::2", 58, 32));
	}
	return 0;
}

static struct net_backend *run(const struct user_opts *o, uint32_t offloads)
{
	static const struct sandbox_filters open = {0};
	struct net_backend *b;
	vmm_err_info_t ei;
	ck_assert_int_eq(user_open(o, &b, &ei), VMM_OK);
	b->ops->set_offloads(b, offloads);
	ck_assert_int_eq(b->ops->start(b, &open, &ei), VMM_OK);
	return b;
}

/* A socket at a port of ::1, or -1 where there is no IPv6. */
static int listen6(struct sockaddr_in6 *at)
{
	socklen_t len = sizeof(*at);
	*at = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && bind(fd, (struct sockaddr *)at, len) != 0) {
		(void)close(fd);
		return -1;
	}
	return fd >= 0 && getsockname(fd, (struct sockaddr *)at, &len) == 0 ? fd : -1;
}

START_TEST(a_guest_of_ipv4_hears_nothing_of_ipv6)
{
	const struct user_opts o = {.dns = "192.0.2.53"}, off = {.no_ipv6 = true};
	uint8_t f[2048];
	struct net_backend *b = run(&o, 0);
	ck_assert_uint_eq(get_frame(b, f, 300), 0);
	put_frame(b, f, solicit(f, "fe80::15", true));
	ck_assert_uint_eq(get_frame(b, f, 5000), USER_RA_LEN);
	ck_assert_uint_eq(f[54], 134);
	b->ops->destroy(b);
	b = run(&off, 0);
	put_frame(b, f, solicit(f, "fe80::15", true));
	ck_assert_uint_eq(get_frame(b, f, 300), 0);
	b->ops->destroy(b);
}
END_TEST

START_TEST(advertisements_follow_in_turn)
{
	const struct user_opts o = {.dns = "192.0.2.53"};
	static const struct sandbox_filters open = {0};
	struct net_backend *b;
	uint8_t f[2048];
	ck_assert_int_eq(user_open(&o, &b, NULL), VMM_OK);
	((struct user_net *)b)->advertise_ns = clock_now_ns() + 50000000;
	ck_assert_int_eq(b->ops->start(b, &open, NULL), VMM_OK);
	ck_assert_uint_eq(get_frame(b, f, 5000), USER_RA_LEN);
	ck_assert_int_eq(memcmp(f, "\x33\x33\0\0\0\x01", 6), 0);
	ck_assert_uint_eq(f[54], 134);
	ck_assert_uint_eq(get_frame(b, f, 300), 0);
	b->ops->destroy(b);
}
END_TEST

START_TEST(datagrams_go_to_the_hosts_loopback_where_it_is_open)
{
	struct sockaddr_in6 at, peer;
	socklen_t len = sizeof(peer);
	char text[16] = "";
	uint8_t f[2048];
	int fd = listen6(&at);
	if (fd < 0)
		return;
	struct user_opts o = {.loopback = true};
	struct net_backend *b = run(&o, _i ? 0 : NET_OFFLOAD_CSUM);
	put_udp(b, "fd00:10:0:2::2", ntohs(at.sin6_port), "hello");
	ck_assert_int_eq(recvfrom(fd, text, sizeof(text), 0, (struct sockaddr *)&peer, &len), 5);
	ck_assert_str_eq(text, "hello");
	ck_assert_int_eq(sendto(fd, "you", 3, 0, (struct sockaddr *)&peer, len), 3);
	ck_assert_uint_eq(get_udp(b, f), 54 + 8 + 3);
	struct net_addr from = addr_v6_wire(f + 22);
	ck_address(&from, "fd00:10:0:2::2");
	ck_assert_uint_eq(get_be16(f + 54), ntohs(at.sin6_port));
	ck_assert_uint_eq(get_be16(f + 56), 4000);
	ck_assert_int_eq(memcmp(f + 62, "you", 3), 0);
	/* Who does not take what is left to be done gets a datagram with its checksum, and no word
	 * of one (virtio 1.2, 5.1.6.4.1). */
	struct net_addr to = addr_v6_wire(f + 38);
	uint16_t sum =
	        csum_fold((uint16_t)~csum_bytes(f + 54, 11) + csum_pseudo(&from, &to, 17, 11));
	ck_assert_uint_eq(vnet_flags, _i ? 0 : VIRTIO_NET_HDR_F_NEEDS_CSUM);
	ck_assert(!_i || sum == 0xffff);
	b->ops->destroy(b);

	/* And not where it is not, by whichever name. */
	o.loopback = false;
	b = run(&o, _i ? 0 : NET_OFFLOAD_CSUM);
	put_udp(b, "fd00:10:0:2::2", ntohs(at.sin6_port), "hello");
	put_udp(b, "::1", ntohs(at.sin6_port), "hello");
	put_udp(b, "::ffff:127.0.0.1", ntohs(at.sin6_port), "hello");
	put_udp(b, "fe80::2", ntohs(at.sin6_port), "hello");
	put_udp(b, "64:ff9b::127.0.0.1", ntohs(at.sin6_port), "hello");
	put_frame(b, f, solicit(f, "fe80::15", true)); /* behind them */
	while (get_frame(b, f, 5000) && (f[20] != 58 || f[54] != 134))
		;
	ck_assert_int_eq(recv(fd, text, sizeof(text), MSG_DONTWAIT), -1);
	b->ops->destroy(b);
	(void)close(fd);
}
END_TEST

START_TEST(a_port_leads_to_an_ipv6_guest)
{
	char text[80];
	const char *const rules[] = {text};
	const struct user_opts o = {.hostfwd = rules, .hostfwd_count = 1};
	struct sockaddr_in6 at;
	uint8_t f[2048];
	int fd = listen6(&at); /* a port that is free, once this one is closed */
	if (fd < 0)
		return;
	(void)close(fd);
	(void)snprintf(text, sizeof(text), "udp:[::1]:%u-[" GUEST6 "]:4000", ntohs(at.sin6_port));
	struct net_backend *b = run(&o, NET_OFFLOAD_CSUM);
	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(send(fd, "knock", 5, 0), 5);
	ck_assert_uint_eq(get_udp(b, f), 54 + 8 + 5);
	struct net_addr from = addr_v6_wire(f + 22), to = addr_v6_wire(f + 38);
	ck_address(&from, "fd00:10:0:2::2");
	ck_address(&to, GUEST6);
	uint16_t port = get_be16(f + 54);
	put_udp(b, "fd00:10:0:2::2", port, "yes"); /* from its port 4000 */
	char got[16] = "";
	ck_assert_int_eq(recv(fd, got, sizeof(got), 0), 3);
	ck_assert_str_eq(got, "yes");
	(void)close(fd);
	b->ops->destroy(b);
}
END_TEST

/* Messages of a guest that would be somebody else, each kind of neighbour discovery's and errors,
 * in every length: it gets no answer that it should not, and the network goes on. */
START_TEST(a_guest_that_misbehaves_hurts_nobody)
{
	const struct user_opts o = {.dns = "192.0.2.53"};
	struct net_backend *b = run(&o, NET_OFFLOAD_CSUM);
	uint8_t f[2048];
	for (unsigned type = 0; type < 256; type++)
		for (size_t len = 0; len < 48; len++) {
			memset(f, 0xff, 256);
			f[54] = (uint8_t)type;
			f[55] = 0;
			put_frame(b, f,
			          wrap6(f, type & 1 ? "fe80::2" : GUEST6,
			                type & 2 ? "ff02::1" : "fe80::2", 58, len));
			while (get_frame(b, f, 0))
				ck_assert(f[20] == 58 && f[54] != 134);
		}
	/* Headers that lead nowhere, and a fragment that nothing follows. */
	static const uint8_t headers[] = {0, 43, 44, 50, 51, 59, 60, 135, 255};
	for (unsigned i = 0; i < sizeof(headers); i++)
		for (unsigned v = 0; v < 256; v += 5) {
			memset(f, (int)v, 256);
			put_frame(b, f, wrap6(f, GUEST6, "2001:db8::1", headers[i], 64));
			while (get_frame(b, f, 0))
				ck_assert_uint_eq(f[20], 58);
		}
	put_frame(b, f, solicit(f, "fe80::15", true));
	size_t n;
	while ((n = get_frame(b, f, 5000)) > 0 && f[54] != 134)
		ck_assert_uint_eq(f[20], 58);
	ck_assert_uint_eq(n, USER_RA_LEN);
	b->ops->destroy(b);
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
	tcase_add_test(tc, the_guest_reaches_the_world_by_ipv6_and_no_more);
	tcase_add_loop_test(tc, the_hosts_own_addresses_are_found_out, 0, 2);
	tcase_add_test(tc, a_guest_gets_its_address);
	tcase_add_test(tc, broken_questions_do_no_harm);
	tcase_add_test(tc, a_router_is_advertised);
	tcase_add_test(tc, broken_solicitations_are_not_answered);
	tcase_add_test(tc, a_guest_of_ipv4_hears_nothing_of_ipv6);
	tcase_add_test(tc, advertisements_follow_in_turn);
	tcase_add_loop_test(tc, datagrams_go_to_the_hosts_loopback_where_it_is_open, 0, 2);
	tcase_add_test(tc, a_port_leads_to_an_ipv6_guest);
	tcase_add_test(tc, a_guest_that_misbehaves_hurts_nobody);
	tcase_add_test(tc, a_port_in_use_is_named);
	return suite_run("user_net", tc);
}
