/*
 * The DHCP server of the user-mode network (RFC 2131, RFC 2132): one guest, one address, no state.
 * It answers frames as they come from the card, since a guest without an address cannot be spoken
 * to by a stack.
 */
#include <arpa/inet.h>
#include <string.h>

#include "net/user/user_priv.h"

/* Ethernet, IPv4 without options, UDP; then the message (RFC 2131, 2). */
#define ETH_LEN     14u
#define IP_AT       ETH_LEN
#define IP_LEN      20u
#define UDP_AT      (IP_AT + IP_LEN)
#define MSG_AT      (UDP_AT + 8u)
#define MSG_FIXED   240u /* up to and with the magic cookie */
#define SERVER_PORT 67u
#define CLIENT_PORT 68u
#define BROADCAST   0x8000u
#define COOKIE      0x63825363u
#define LEASE_S     86400u

enum {
	M_OP = 0,
	M_HTYPE = 1,
	M_HLEN = 2,
	M_XID = 4,
	M_FLAGS = 10,
	M_CIADDR = 12,
	M_YIADDR = 16,
	M_SIADDR = 20,
	M_CHADDR = 28,
	M_COOKIE = 236
};

enum { DISCOVER = 1, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM };

enum {
	OPT_PAD = 0,
	OPT_MASK = 1,
	OPT_ROUTER = 3,
	OPT_DNS = 6,
	OPT_MTU = 26,
	OPT_REQUESTED = 50,
	OPT_LEASE = 51,
	OPT_TYPE = 53,
	OPT_SERVER = 54,
	OPT_END = 255
};

struct ask {
	unsigned type;
	uint32_t requested, server; /* 0: not said */
};

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static unsigned get16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static void put32(uint8_t *p, uint32_t v)
{
	v = htonl(v);
	memcpy(p, &v, 4);
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* Where the message begins, and how long it is; 0: this is no DHCP request. */
static size_t find_message(const uint8_t *f, size_t len, size_t *msg_len)
{
	if (len < MSG_AT + MSG_FIXED || get16(f + 12) != 0x0800 || f[IP_AT] >> 4 != 4)
		return 0;
	size_t header = (f[IP_AT] & 15u) * 4u;
	size_t total = get16(f + IP_AT + 2);
	bool fragment = (get16(f + IP_AT + 6) & 0x3fffu) != 0;
	if (header < IP_LEN || fragment || f[IP_AT + 9] != IPPROTO_UDP || total > len - IP_AT ||
	    total < header + 8 + MSG_FIXED)
		return 0;
	const uint8_t *udp = f + IP_AT + header;
	size_t udp_len = get16(udp + 4);
	if (get16(udp + 2) != SERVER_PORT || udp_len > total - header || udp_len < 8 + MSG_FIXED)
		return 0;
	*msg_len = udp_len - 8;
	return IP_AT + header + 8;
}

bool user_dhcp_is(const uint8_t *frame, size_t len)
{
	size_t msg_len;
	return find_message(frame, len, &msg_len) != 0;
}

static void take_option(struct ask *a, unsigned code, const uint8_t *value, size_t len)
{
	if (code == OPT_TYPE && len == 1)
		a->type = value[0];
	else if (code == OPT_REQUESTED && len == 4)
		a->requested = get32(value);
	else if (code == OPT_SERVER && len == 4)
		a->server = get32(value);
}

static bool parse(const uint8_t *m, size_t len, struct ask *a)
{
	*a = (struct ask){0};
	if (m[M_OP] != 1 || m[M_HTYPE] != 1 || m[M_HLEN] != 6 || get32(m + M_COOKIE) != COOKIE)
		return false;
	for (size_t at = MSG_FIXED; at < len && m[at] != OPT_END;) {
		if (m[at] == OPT_PAD) {
			at++;
			continue;
		}
		if (len - at < 2 || len - at - 2 < m[at + 1])
			return false;
		take_option(a, m[at], m + at + 2, m[at + 1]);
		at += 2u + m[at + 1];
	}
	return a->type != 0;
}

/* The type of the answer; 0: none. */
static unsigned decide(const struct user_config *c, const uint8_t *m, const struct ask *a)
{
	uint32_t wanted = a->requested ? a->requested : get32(m + M_CIADDR);
	switch (a->type) {
	case DISCOVER:
		return OFFER;
	case REQUEST:
		if (a->server && a->server != c->gateway)
			return 0; /* somebody else's offer was taken */
		return wanted == c->guest ? ACK : NAK;
	case INFORM:
		return ACK;
	default:
		return 0;
	}
}

static uint8_t *option(uint8_t *p, unsigned code, const void *value, unsigned len)
{
	*p++ = (uint8_t)code;
	*p++ = (uint8_t)len;
	memcpy(p, value, len);
	return p + len;
}

static uint8_t *option32(uint8_t *p, unsigned code, uint32_t value)
{
	uint8_t b[4];
	put32(b, value);
	return option(p, code, b, 4);
}

static uint8_t *options(const struct user_config *c, unsigned type, bool lease, uint8_t *p)
{
	const uint8_t t = (uint8_t)type;
	uint8_t mtu[2];
	p = option(p, OPT_TYPE, &t, 1);
	p = option32(p, OPT_SERVER, c->gateway);
	if (type != NAK) {
		if (lease)
			p = option32(p, OPT_LEASE, LEASE_S);
		p = option32(p, OPT_MASK, c->mask);
		p = option32(p, OPT_ROUTER, c->gateway);
		if (c->resolver.any.sa_family)
			p = option32(p, OPT_DNS, c->dns);
		put16(mtu, c->mtu);
		p = option(p, OPT_MTU, mtu, 2);
	}
	*p++ = OPT_END;
	return p;
}

static unsigned ip_sum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < len; i += 2)
		sum += get16(p + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

/* Headers around a message of MSG_LEN bytes that is in place. The UDP checksum is left out, which
 * RFC 768 allows. */
static size_t wrap(const struct user_config *c, const uint8_t mac[6], const uint8_t *to_mac,
                   uint32_t to, size_t msg_len, uint8_t *out)
{
	size_t ip_len = IP_LEN + 8 + msg_len;
	uint8_t *ip = out + IP_AT;
	memcpy(out, to_mac, 6);
	memcpy(out + 6, mac, 6);
	put16(out + 12, 0x0800);
	memset(ip, 0, IP_LEN + 8);
	ip[0] = 0x45;
	put16(ip + 2, (unsigned)ip_len);
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	put32(ip + 12, c->gateway);
	put32(ip + 16, to);
	put16(ip + 10, ip_sum(ip, IP_LEN));
	put16(out + UDP_AT, SERVER_PORT);
	put16(out + UDP_AT + 2, CLIENT_PORT);
	put16(out + UDP_AT + 4, (unsigned)(8 + msg_len));
	return IP_AT + ip_len;
}

size_t user_dhcp_answer(const struct user_config *c, const uint8_t mac[6], const uint8_t *frame,
                        size_t len, uint8_t *out)
{
	static const uint8_t everybody[6] = {255, 255, 255, 255, 255, 255};
	struct ask a;
	size_t msg_len = 0, at = find_message(frame, len, &msg_len);
	if (!at || !parse(frame + at, msg_len, &a))
		return 0;
	const uint8_t *q = frame + at;
	unsigned type = decide(c, q, &a);
	if (!type)
		return 0;
	uint8_t *m = out + MSG_AT;
	uint32_t ciaddr = get32(q + M_CIADDR);
	memset(m, 0, MSG_FIXED);
	m[M_OP] = 2;
	m[M_HTYPE] = 1;
	m[M_HLEN] = 6;
	memcpy(m + M_XID, q + M_XID, 4);
	memcpy(m + M_FLAGS, q + M_FLAGS, 2);
	memcpy(m + M_CHADDR, q + M_CHADDR, 16);
	put32(m + M_COOKIE, COOKIE);
	if (a.type == INFORM)
		put32(m + M_CIADDR, ciaddr);
	else if (type != NAK)
		put32(m + M_YIADDR, c->guest);
	if (type != NAK)
		put32(m + M_SIADDR, c->gateway);
	uint8_t *end = options(c, type, a.type != INFORM, m + MSG_FIXED);
	/* RFC 2131, 4.1: to whom has an address; else to all, if it is so wanted. */
	bool all = type == NAK || (ciaddr == 0 && get16(q + M_FLAGS) & BROADCAST);
	uint32_t to = all ? UINT32_MAX : ciaddr ? ciaddr : c->guest;
	return wrap(c, mac, all ? everybody : q + M_CHADDR, to, (size_t)(end - m), out);
}
