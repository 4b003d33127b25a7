/* What the user-mode network is told: its addresses, its rules, and what they allow. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/stack/util.h"
#include "net/user/user_priv.h"
#include "vmm/errset.h"

#define NET_DEFAULT  "10.0.2.0/24"
#define NET6_DEFAULT "fd00:10:0:2::/64"
#define PREFIX_MIN   8u
#define PREFIX_MAX   28u
#define HOST_GATEWAY 2u
#define HOST_DNS     3u
#define HOST_GUEST   15u /* a /28 has no .15 for a host: there .14 */
#define MTU_DEFAULT  1500u
#define MTU_MIN      576u
#define MTU_MIN6     1280u
#define LINK_MTU_MAX 65535 /* of anything but the host's loopback */
#define DNS_PORT     53u
#define RESOLV_CONF  "/etc/resolv.conf"

static bool parse_v4(const char *text, uint32_t *out)
{
	struct in_addr a;
	if (inet_pton(AF_INET, text, &a) != 1)
		return false;
	*out = ntohl(a.s_addr);
	return true;
}

/* TEXT is an IPv6 address in brackets. */
static bool parse_bracketed(const char *text, struct in6_addr *out)
{
	char inner[INET6_ADDRSTRLEN];
	size_t len = strlen(text);
	if (len < 3 || len - 2 >= sizeof(inner) || text[0] != '[' || text[len - 1] != ']')
		return false;
	memcpy(inner, text + 1, len - 2);
	inner[len - 2] = '\0';
	return inet_pton(AF_INET6, inner, out) == 1;
}

/* Decimal digits and nothing else, up to MAX. */
static bool parse_number(const char *text, unsigned long max, unsigned long *out)
{
	char *end;
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*out = strtoul(text, &end, 10);
	return *end == '\0' && errno == 0 && *out <= max;
}

/* Could hosts of the internet have it? */
static bool is_unicast(uint32_t a)
{
	return a >> 24 != 0 && a >> 24 != 127 && a >> 28 < 14 && a >> 16 != 0xa9fe;
}

struct prefix6 {
	struct net_addr addr;
	unsigned bits;
};

/* RFC 4291, 2.4: "::", ::1 and ::ffff:0:0/96 are in ::/8, of which the rest is reserved; link-local
 * and multicast ones. Then what 169.254.169.254 is in IPv6: where AWS, Google and Oracle keep
 * credentials. */
static const struct prefix6 closed6[] = {{{.b = {0}}, 8},
                                         {{.b = {0xfe, 0x80}}, 10},
                                         {{.b = {0xff}}, 8},
                                         {{.b = {0xfd, 0, 0x0e, 0xc2}}, 32},
                                         {{.b = {0xfd, 0x20, 0, 0xce}}, 32},
                                         {{.b = {0xfd, 0, 0, 0xc1}}, 32}};

static bool is_unicast6(const struct net_addr *a)
{
	for (unsigned i = 0; i < sizeof(closed6) / sizeof(closed6[0]); i++)
		if (addr_prefix_eq(a, &closed6[i].addr, closed6[i].bits))
			return false;
	return true;
}

/* "ADDR/PREFIX" in its parts. */
static bool cut_net(const char *text, char addr[INET6_ADDRSTRLEN], unsigned long *prefix)
{
	const char *slash = strchr(text, '/');
	if (!slash || slash - text >= INET6_ADDRSTRLEN)
		return false;
	memcpy(addr, text, (size_t)(slash - text));
	addr[slash - text] = '\0';
	return parse_number(slash + 1, 128, prefix);
}

static vmm_err_t parse_net(struct user_config *c, const char *text, vmm_err_info_t *ei)
{
	char addr[INET6_ADDRSTRLEN];
	unsigned long prefix = 0;
	if (!cut_net(text, addr, &prefix) || !parse_v4(addr, &c->net) || prefix > 32 ||
	    !is_unicast(c->net))
		goto bad;
	if (prefix < PREFIX_MIN || prefix > PREFIX_MAX)
		return err_set(ei, VMM_E_INVAL, "net", "'%.40s': the prefix must be /%u to /%u",
		               text, PREFIX_MIN, PREFIX_MAX);
	c->prefix = (unsigned)prefix;
	c->mask = UINT32_MAX << (32 - prefix);
	if (c->net & ~c->mask)
		return err_set(ei, VMM_E_INVAL, "net",
		               "'%.40s' is an address in a network: the network has zeros after "
		               "its first %u bits",
		               text, c->prefix);
	c->gateway = c->net | HOST_GATEWAY;
	c->dns = c->net | HOST_DNS;
	c->guest = c->net | (prefix == PREFIX_MAX ? HOST_GUEST - 1 : HOST_GUEST);
	return VMM_OK;
bad:
	return err_set(ei, VMM_E_INVAL, "net", "'%.40s': must be an IPv4 network like " NET_DEFAULT,
	               text);
}

static struct net_addr host_of(const struct net_addr *net6, unsigned host)
{
	struct net_addr a = *net6;
	a.b[15] = (uint8_t)host;
	return a;
}

static vmm_err_t parse_net6(struct user_config *c, const char *text, vmm_err_info_t *ei)
{
	char addr[INET6_ADDRSTRLEN];
	unsigned long prefix = 0;
	if (!cut_net(text, addr, &prefix) || inet_pton(AF_INET6, addr, c->net6.b) != 1 ||
	    !is_unicast6(&c->net6))
		return err_set(ei, VMM_E_INVAL, "net6",
		               "'%.50s': must be an IPv6 network like " NET6_DEFAULT, text);
	/* The guest's half of the address (RFC 4862, 5.5.3 (d); RFC 2464, 4). */
	if (prefix != USER_PREFIX6)
		return err_set(ei, VMM_E_INVAL, "net6", "'%.50s': the prefix must be /%u", text,
		               USER_PREFIX6);
	if (c->net6.q[1])
		return err_set(ei, VMM_E_INVAL, "net6",
		               "'%.50s' is an address in a network: the network has zeros after "
		               "its first %u bits",
		               text, USER_PREFIX6);
	c->gateway6 = host_of(&c->net6, HOST_GATEWAY);
	c->dns6 = host_of(&c->net6, HOST_DNS);
	return VMM_OK;
}

/* IPv6 is there unless it cannot be, or is not wanted. */
static vmm_err_t set_ipv6(struct user_config *c, const struct user_opts *o, vmm_err_info_t *ei)
{
	c->ipv6 = !o->no_ipv6 && c->mtu >= MTU_MIN6;
	if (c->ipv6)
		return parse_net6(c, o->net6 ? o->net6 : NET6_DEFAULT, ei);
	if (!o->net6)
		return VMM_OK;
	return o->no_ipv6
	               ? err_set(ei, VMM_E_INVAL, "net6", "is given, and IPv6 is off")
	               : err_set(ei, VMM_E_INVAL, "net6",
	                         "needs an mtu of %u or more, and %u is given", MTU_MIN6, c->mtu);
}

/* An address that a name server can have; of one of IPv6's links with the link: "fe80::1%eth0". */
static bool parse_server(const char *text, union user_sockaddr *out)
{
	char addr[INET6_ADDRSTRLEN];
	uint32_t v4;
	size_t len = strcspn(text, "%");
	*out = (union user_sockaddr){.any = {.sa_family = AF_UNSPEC}};
	if (parse_v4(text, &v4)) {
		out->v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(DNS_PORT)};
		out->v4.sin_addr.s_addr = htonl(v4);
		return v4 != 0 && v4 >> 28 < 14;
	}
	if (len >= sizeof(addr))
		return false;
	memcpy(addr, text, len);
	addr[len] = '\0';
	out->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(DNS_PORT)};
	struct in6_addr *a = &out->v6.sin6_addr;
	if (inet_pton(AF_INET6, addr, a) != 1 || IN6_IS_ADDR_UNSPECIFIED(a) ||
	    IN6_IS_ADDR_MULTICAST(a))
		return false;
	out->v6.sin6_scope_id = text[len] ? if_nametoindex(text + len + 1) : 0;
	return (text[len] || IN6_IS_ADDR_LINKLOCAL(a)) == (out->v6.sin6_scope_id != 0);
}

/* The host's first name server, one of IPv4 before others; a VM may start without one. */
static void find_resolver(struct user_config *c)
{
	char line[256];
	char word[64];
	union user_sockaddr server;
	FILE *f = fopen(RESOLV_CONF, "re");
	while (f && c->resolver.any.sa_family != AF_INET && fgets(line, sizeof(line), f)) {
		if (sscanf(line, " nameserver %63s", word) != 1 || !parse_server(word, &server))
			continue;
		if (!c->resolver.any.sa_family || server.any.sa_family == AF_INET)
			c->resolver = server;
	}
	if (f)
		(void)fclose(f);
}

static vmm_err_t set_resolver(struct user_config *c, const char *dns, vmm_err_info_t *ei)
{
	if (!dns)
		find_resolver(c);
	else if (!parse_server(dns, &c->resolver))
		return err_set(ei, VMM_E_INVAL, "dns",
		               "'%.60s': must be a name server's address like 192.0.2.53, "
		               "2001:db8::53 or fe80::1%%eth0",
		               dns);
	return VMM_OK;
}

vmm_err_t user_configure(struct user_config *c, const struct user_opts *o, vmm_err_info_t *ei)
{
	*c = (struct user_config){.loopback = o->loopback};
	c->mtu = o->mtu ? o->mtu : MTU_DEFAULT;
	if (c->mtu < MTU_MIN)
		return err_set(ei, VMM_E_INVAL, "mtu", "%u: must be %u or more with user", c->mtu,
		               MTU_MIN);
	vmm_err_t err = parse_net(c, o->net ? o->net : NET_DEFAULT, ei);
	if (!err)
		err = set_ipv6(c, o, ei);
	return err ? err : set_resolver(c, o->dns, ei);
}

/* ---- rules ---- */

#define RULE_TEXT 128u

/* TEXT is "PORT" behind a colon; 1 to 65535. */
static bool parse_port(const char *text, uint16_t *out)
{
	unsigned long n;
	if (!text || !parse_number(text, 65535, &n) || n == 0)
		return false;
	*out = (uint16_t)n;
	return true;
}

/* ADDR is "", "1.2.3.4" or "[::1]". */
static bool host_side(const char *addr, uint16_t port, struct user_forward *f)
{
	memset(&f->at, 0, sizeof(f->at));
	if (parse_bracketed(addr, &f->at.v6.sin6_addr)) {
		f->at.v6.sin6_family = AF_INET6;
		f->at.v6.sin6_port = htons(port);
		return true;
	}
	f->at.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
	return inet_pton(AF_INET, *addr ? addr : "127.0.0.1", &f->at.v4.sin_addr) == 1;
}

static bool is_guest(const struct user_config *c, uint32_t a)
{
	uint32_t host = a & ~c->mask;
	return (a & c->mask) == c->net && a != c->gateway && a != c->dns && host != 0 &&
	       host != ~c->mask;
}

/* All zeros are the routers' (RFC 4291, 2.6.1). */
static bool is_guest6(const struct user_config *c, const struct net_addr *a)
{
	return a->q[0] == c->net6.q[0] && a->q[1] != 0 && !addr_eq(a, &c->gateway6) &&
	       !addr_eq(a, &c->dns6);
}

/* ADDR is "", "10.0.2.15" or "[fd00:10:0:2::15]". */
static vmm_err_t guest_side(const struct user_config *c, const char *rule, const char *addr,
                            struct user_forward *f, vmm_err_info_t *ei)
{
	uint32_t v4 = c->guest;
	struct in6_addr v6;
	bool is_v6 = parse_bracketed(addr, &v6);
	if (is_v6 && !c->ipv6)
		return err_set(ei, VMM_E_INVAL, "hostfwd",
		               "'%.80s': the guest has no IPv6 (off, or an mtu below %u)", rule,
		               MTU_MIN6);
	if (is_v6)
		memcpy(f->guest.addr.b, &v6, sizeof(v6));
	else if (*addr == '\0' || parse_v4(addr, &v4))
		f->guest.addr = user_addr(v4);
	else
		return err_set(ei, VMM_E_INVAL, "hostfwd",
		               "'%.80s': '%.45s' is not the address of a guest", rule, addr);
	if (is_v6 ? is_guest6(c, &f->guest.addr) : is_guest(c, v4))
		return VMM_OK;
	return err_set(ei, VMM_E_INVAL, "hostfwd",
	               "'%.80s': %.45s is no guest's address in the network", rule, addr);
}

/* Cuts TEXT at its last colon: the port behind it. */
static char *cut_port(char *text)
{
	char *colon = strrchr(text, ':');
	if (!colon)
		return NULL;
	*colon = '\0';
	return colon + 1;
}

vmm_err_t user_parse_forward(const struct user_config *c, const char *rule, struct user_forward *f,
                             vmm_err_info_t *ei)
{
	char text[RULE_TEXT];
	uint16_t port = 0;
	if (strlen(rule) >= sizeof(text))
		goto bad;
	(void)snprintf(text, sizeof(text), "%s", rule);
	f->udp = strncmp(text, "udp:", 4) == 0;
	char *host = text + 4;
	char *dash = strrchr(text, '-');
	if ((!f->udp && strncmp(text, "tcp:", 4) != 0) || !dash || dash < host)
		goto bad;
	*dash = '\0';
	char *guest = dash + 1;
	if (!parse_port(cut_port(host), &port) || !parse_port(cut_port(guest), &f->guest.port) ||
	    !host_side(host, port, f))
		goto bad;
	return guest_side(c, rule, guest, f, ei);
bad:
	return err_set(ei, VMM_E_INVAL, "hostfwd",
	               "'%.80s': must be tcp:HOSTADDR:PORT-GUESTADDR:PORT or udp:…, like "
	               "tcp:127.0.0.1:8080-:80 (without addresses: 127.0.0.1, and the guest)",
	               rule);
}

/* ---- what the guest may reach ---- */

static union user_sockaddr at_v4(uint32_t a, uint16_t port)
{
	union user_sockaddr s = {.v4 = {.sin_family = AF_INET, .sin_port = htons(port)}};
	s.v4.sin_addr.s_addr = htonl(a);
	return s;
}

static union user_sockaddr at_v6(const struct net_addr *a, uint16_t port)
{
	union user_sockaddr s = {.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)}};
	memcpy(&s.v6.sin6_addr, a->b, sizeof(a->b));
	return s;
}

static bool same_host(const union user_sockaddr *a, const union user_sockaddr *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	return a->any.sa_family == AF_INET ? a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr
	                                   : IN6_ARE_ADDR_EQUAL(&a->v6.sin6_addr, &b->v6.sin6_addr);
}

/*
 * FD is connected to TARGET, and that is this host. What is sent to an address of one's own has it
 * as its source, too. In IPv6 that is not so of an anycast address (RFC 4291, 2.6), nor where all
 * of a network is routed to this host; but these go through the loopback as well, and of all
 * interfaces only that one takes more than 65,535 bytes at once.
 */
static bool is_home(int fd, const union user_sockaddr *target)
{
	union user_sockaddr me = {.any = {.sa_family = AF_UNSPEC}};
	socklen_t len = sizeof(me);
	int mtu = 0;
	if (getsockname(fd, &me.any, &len) != 0 || same_host(&me, target))
		return true;
	len = sizeof(mtu);
	return target->any.sa_family == AF_INET6 &&
	       (getsockopt(fd, IPPROTO_IPV6, IPV6_MTU, &mtu, &len) != 0 || mtu > LINK_MTU_MAX);
}

/* Would a connection to TARGET? A datagram socket tells without sending anything. */
static bool leads_home(const union user_sockaddr *target)
{
	int fd = socket(target->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return true;
	bool home =
	        connect(fd, &target->any, user_sockaddr_len(target)) == 0 && is_home(fd, target);
	(void)close(fd);
	return home;
}

static bool is_open4(const struct user_config *c, uint32_t a)
{
	return (a & c->mask) != c->net && is_unicast(a);
}

/* Networks whose addresses are translated to those of IPv4, and where these are in them: NAT64 (RFC
 * 6052, 2.1), 6to4 (RFC 3056, 2), Teredo (RFC 4380, 4: of the client, with each bit turned). */
static const struct translation {
	struct prefix6 net;
	unsigned at;
	uint32_t turn;
} translations[] = {{{{.b = {0, 0x64, 0xff, 0x9b}}, 96}, 12, 0},
                    {{{.b = {0x20, 0x02}}, 16}, 2, 0},
                    {{{.b = {0x20, 0x01, 0, 0}}, 32}, 12, UINT32_MAX}};

static bool is_open6(const struct user_config *c, const struct net_addr *a)
{
	for (unsigned i = 0; i < sizeof(translations) / sizeof(translations[0]); i++) {
		const struct translation *t = &translations[i];
		if (!addr_prefix_eq(a, &t->net.addr, t->net.bits))
			continue;
		uint32_t v4 = get_be32(a->b + t->at) ^ t->turn;
		const union user_sockaddr s = at_v4(v4, DNS_PORT);
		return is_open4(c, v4) && !leads_home(&s);
	}
	return a->q[0] != c->net6.q[0] && is_unicast6(a);
}

bool user_target(const struct user_config *c, const struct net_endpoint *to,
                 union user_sockaddr *out)
{
	bool is_v4 = addr_is_v4(&to->addr);
	uint32_t v4 = user_v4(&to->addr);
	bool dns = is_v4 ? v4 == c->dns : addr_eq(&to->addr, &c->dns6);
	bool gateway = is_v4 ? v4 == c->gateway : addr_eq(&to->addr, &c->gateway6);
	*out = is_v4 ? at_v4(v4, to->port) : at_v6(&to->addr, to->port);
	if (dns && to->port == DNS_PORT && c->resolver.any.sa_family) {
		*out = c->resolver;
		return true;
	}
	if (gateway && c->loopback) {
		static const struct net_addr loopback6 = {.b = {[15] = 1}};
		*out = is_v4 ? at_v4(INADDR_LOOPBACK, to->port) : at_v6(&loopback6, to->port);
		return true;
	}
	return is_v4 ? is_open4(c, v4) : is_open6(c, &to->addr);
}

/* TARGET, which user_target gave, was opened by name. */
static bool is_named(const struct user_config *c, const union user_sockaddr *target)
{
	bool is_v4 = target->any.sa_family == AF_INET;
	const union user_sockaddr *r = &c->resolver;
	if (c->loopback && (is_v4 ? target->v4.sin_addr.s_addr == htonl(INADDR_LOOPBACK)
	                          : IN6_IS_ADDR_LOOPBACK(&target->v6.sin6_addr)))
		return true;
	return same_host(target, r) && (is_v4 ? target->v4.sin_port == r->v4.sin_port
	                                      : target->v6.sin6_port == r->v6.sin6_port);
}

bool user_is_own(const struct user_config *c, int fd, const union user_sockaddr *target)
{
	return !is_named(c, target) && is_home(fd, target);
}

bool user_leads_home(const struct user_config *c, const union user_sockaddr *target)
{
	return !is_named(c, target) && leads_home(target);
}

bool user_has_way6(void)
{
	/* Nobody has this address of the unicast space (RFC 4291, 2.4), and nothing is sent to it.
	 */
	static const struct net_addr far = {.b = {0x20, [15] = 1}};
	const union user_sockaddr target = at_v6(&far, DNS_PORT);
	union user_sockaddr me = {.any = {.sa_family = AF_UNSPEC}};
	socklen_t len = sizeof(me);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	bool has = connect(fd, &target.any, sizeof(target.v6)) == 0 &&
	           getsockname(fd, &me.any, &len) == 0 && !IN6_IS_ADDR_LINKLOCAL(&me.v6.sin6_addr);
	(void)close(fd);
	return has;
}
