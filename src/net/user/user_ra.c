/*
 * Router advertisements of the user-mode network (RFC 4861, 4.2 and 6.2; RFC 8106, 5.1): a guest
 * makes its own address in the network's prefix (RFC 4862), and is told of the way out, of the
 * link's MTU and of the name server. They are made here, and solicitations read, as frames: the
 * stack is a host's, which does neither.
 */
#include <string.h>

#include "net/stack/pkt.h"
#include "net/stack/proto/wire.h"
#include "net/stack/util.h"
#include "net/user/user_priv.h"

#define IP_AT      ETH_HLEN
#define MSG_AT     (IP_AT + IP6_HLEN)
#define HOPS       255u
#define HOP_LIMIT  64u
#define RS_LEN     8u
#define RA_LEN     16u
#define OPT_SLLA   1u
#define OPT_PREFIX 3u
#define OPT_MTU    5u
#define OPT_RDNSS  25u
#define ON_LINK    0x80u
#define AUTONOMOUS 0x40u
#define PREFIX_S   86400u /* as the lease of DHCP */
#define ROUTER_S   1800u  /* RFC 4861, 6.2.1: AdvDefaultLifetime; for the name server, too */

const struct net_addr user_linklocal = {.b = {0xfe, 0x80, [15] = 2}};

static const struct net_addr all_nodes = {.b = {0xff, 2, [15] = 1}};

/* Of a message of LEN bytes; 0 if it has its own in it, and that is right. */
static uint16_t checksum(const struct net_addr *src, const struct net_addr *dst, const uint8_t *m,
                         size_t len)
{
	uint32_t sum = (uint16_t)~csum_bytes(m, len);
	return (uint16_t)~csum_fold(sum + csum_pseudo(src, dst, PROTO_ICMP6, (uint32_t)len));
}

/* RFC 4861, 6.1.1: none has no length, and whoever has no address tells no link-layer address. */
static bool options_ok(const uint8_t *o, size_t len, bool unspecified)
{
	while (len > 0) {
		if (len < 8 || o[1] == 0 || o[1] * 8u > len || (unspecified && o[0] == OPT_SLLA))
			return false;
		len -= o[1] * 8u;
		o += o[1] * 8u;
	}
	return true;
}

bool user_ra_is_asked(const uint8_t *f, size_t len)
{
	const uint8_t *ip = f + IP_AT, *m = f + MSG_AT;
	if (len < MSG_AT + RS_LEN || get_be16(f + 12) != ETH_IP6 || ip[0] >> 4 != 6 ||
	    ip[IP6_NEXT] != PROTO_ICMP6 || ip[IP6_HOPS] != HOPS || m[0] != ICMP6_RS || m[1] != 0)
		return false;
	size_t n = get_be16(ip + IP6_PLEN);
	const struct net_addr src = addr_v6_wire(ip + IP6_SRC), dst = addr_v6_wire(ip + IP6_DST);
	return n >= RS_LEN && n <= len - MSG_AT && !addr_is_mcast(&src) &&
	       checksum(&src, &dst, m, n) == 0 &&
	       options_ok(m + RS_LEN, n - RS_LEN, addr_is_any(&src));
}

/* An option's first bytes; all else of it is zero so far. Returns where the next one goes. */
static uint8_t *option(uint8_t *o, unsigned type, unsigned units)
{
	o[0] = (uint8_t)type;
	o[1] = (uint8_t)units;
	return o + units * 8u;
}

static void put_options(const struct user_config *c, const uint8_t mac[6], uint8_t *o)
{
	uint8_t *next = option(o, OPT_SLLA, 1);
	memcpy(o + 2, mac, 6);
	o = next;
	next = option(o, OPT_MTU, 1);
	put_be32(o + 4, c->mtu);
	o = next;
	next = option(o, OPT_PREFIX, 4);
	o[2] = USER_PREFIX6;
	o[3] = ON_LINK | AUTONOMOUS;
	put_be32(o + 4, PREFIX_S);
	put_be32(o + 8, PREFIX_S);
	memcpy(o + 16, c->net6.b, 16);
	o = next;
	(void)option(o, OPT_RDNSS, 3);
	/* No name server is one whose time is over (RFC 8106, 5.1). */
	put_be32(o + 4, c->resolver.any.sa_family ? ROUTER_S : 0);
	memcpy(o + 8, c->dns6.b, 16);
}

void user_ra_make(const struct user_config *c, const uint8_t mac[6], const uint8_t *asked,
                  bool router, uint8_t *out)
{
	static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1}; /* RFC 2464, 7 */
	struct net_addr to = asked ? addr_v6_wire(asked + IP_AT + IP6_SRC) : all_nodes;
	bool all = !asked || addr_is_any(&to);
	uint8_t *ip = out + IP_AT, *m = out + MSG_AT;
	memset(out, 0, USER_RA_LEN);
	if (all)
		to = all_nodes;
	memcpy(out, all ? all_nodes_mac : asked + 6, 6);
	memcpy(out + 6, mac, 6);
	put_be16(out + 12, ETH_IP6);
	ip[0] = 6 << 4;
	put_be16(ip + IP6_PLEN, USER_RA_LEN - MSG_AT);
	ip[IP6_NEXT] = PROTO_ICMP6;
	ip[IP6_HOPS] = HOPS;
	memcpy(ip + IP6_SRC, user_linklocal.b, 16);
	memcpy(ip + IP6_DST, to.b, 16);
	m[0] = ICMP6_RA;
	m[4] = HOP_LIMIT;
	put_be16(m + 6, router ? ROUTER_S : 0);
	put_options(c, mac, m + RA_LEN);
	put_be16(m + 2, checksum(&user_linklocal, &to, m, USER_RA_LEN - MSG_AT));
}
