/* The user-mode network's own parsers: the first byte says which gets the rest. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/stack/util.h"
#include "net/user/user_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void dhcp(const struct user_config *c, const uint8_t *data, size_t size)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	uint8_t answer[USER_DHCP_MAX];
	size_t n = user_dhcp_answer(c, mac, data, size, answer);
	if (n > sizeof(answer) || (n > 0 && !user_dhcp_is(data, size)))
		abort();
}

static void solicitation(const struct user_config *c, const uint8_t *data, size_t size)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	uint8_t answer[USER_RA_LEN];
	if (!user_ra_is_asked(data, size))
		return;
	user_ra_make(c, mac, data, size & 1, answer);
	if (answer[54] != 134 || user_ra_is_asked(answer, sizeof(answer)))
		abort();
}

/* A frame, of the very size: the sanitizer sees each byte too far. */
static void frame(const struct user_config *c, const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	if (!copy)
		return;
	memcpy(copy, data, size);
	dhcp(c, copy, size);
	solicitation(c, copy, size);
	free(copy);
}

static bool in_net6(const struct user_config *c, const struct net_addr *a)
{
	return c->ipv6 && a->q[0] == c->net6.q[0];
}

static void text(const struct user_config *c, unsigned which, const char *s)
{
	struct user_config fresh;
	struct user_forward f;
	vmm_err_info_t ei;
	struct user_opts o = {.net = which == 1 ? s : NULL,
	                      .net6 = which == 5 ? s : NULL,
	                      .dns = which == 2 ? s : "192.0.2.1"};
	if (which != 3 ? user_configure(&fresh, &o, &ei) : user_parse_forward(c, s, &f, &ei)) {
		if (memchr(ei.message, 0, sizeof(ei.message)) == NULL || ei.message[0] == '\0')
			abort();
		return;
	}
	/* What was taken makes sense. */
	if (which == 1 && ((fresh.guest & fresh.mask) != fresh.net || fresh.guest == fresh.dns))
		abort();
	if (which == 5 && (fresh.net6.q[1] != 0 || !in_net6(&fresh, &fresh.gateway6)))
		abort();
	if (which == 3 && (f.guest.port == 0 ||
	                   (addr_is_v4(&f.guest.addr) ? (user_v4(&f.guest.addr) & c->mask) != c->net
	                                              : !in_net6(c, &f.guest.addr))))
		abort();
}

/* Where it may go by IPv6: nor to where nobody of the internet is. */
static void check_target6(const struct user_config *c, const struct in6_addr *a)
{
	struct net_addr to;
	memcpy(to.b, a, sizeof(to.b));
	if (in_net6(c, &to) || (IN6_IS_ADDR_LOOPBACK(a) && !c->loopback) || addr_is_any(&to) ||
	    IN6_IS_ADDR_V4MAPPED(a) || IN6_IS_ADDR_LINKLOCAL(a) || IN6_IS_ADDR_MULTICAST(a))
		abort();
	/* NAT64 (RFC 6052, 2.1) of the host's loopback, or of a link. */
	if (get_be32(to.b) == 0x64ff9b && (to.b[12] == 127 || get_be16(to.b + 12) == 0xa9fe))
		abort();
}

/* Where a packet of the guest's may go: never into its own network, and to the host's loopback
 * only if that was asked for. */
static void target(const uint8_t *data, size_t size)
{
	uint8_t b[24] = {0};
	struct user_config c;
	union user_sockaddr to;
	memcpy(b, data, size < sizeof(b) ? size : sizeof(b));
	const struct user_opts o = {.dns = b[0] & 8 ? NULL : "192.0.2.1",
	                            .loopback = b[0] & 1,
	                            .mtu = (uint16_t)(b[7] * 16)};
	vmm_err_t err = user_configure(&c, &o, NULL);
	if ((err != VMM_OK) != (o.mtu > 0 && o.mtu < 576))
		abort();
	if (err)
		return;
	uint32_t v4 = (uint32_t)b[1] << 24 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 8 | b[4];
	if (b[0] & 2)
		v4 = c.net | (v4 & 3);
	struct net_endpoint e = {.addr = user_addr(v4),
	                         .port = (uint16_t)(b[0] & 4 ? 53 : b[5] << 8 | b[6])};
	if (b[0] & 16) {
		memcpy(e.addr.b, b + 8, 16);
		if (b[0] & 2)
			e.addr.q[0] = c.net6.q[0];
	}
	if (!user_target(&c, &e, &to))
		return;
	uint32_t got = ntohl(to.v4.sin_addr.s_addr);
	if (to.any.sa_family == AF_INET6)
		check_target6(&c, &to.v6.sin6_addr);
	else if ((got & c.mask) == c.net || (got >> 24 == 127 && !(b[0] & 1)))
		abort();
	int fd = socket(to.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	(void)user_is_own(&c, fd, &to);
	(void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct user_opts o = {.dns = "192.0.2.1"};
	struct user_config c;
	char s[256];
	if (size == 0 || user_configure(&c, &o, NULL) != VMM_OK)
		return 0;
	unsigned which = data[0] % 6;
	data++, size--;
	if (which == 4) {
		target(data, size);
		return 0;
	}
	if (which == 0) {
		frame(&c, data, size);
		return 0;
	}
	size = size < sizeof(s) ? size : sizeof(s) - 1;
	memcpy(s, data, size);
	s[size] = '\0';
	text(&c, which, s);
	return 0;
}
