/* What the user-mode network is told: its addresses, its rules, and what they allow. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/user/user_priv.h"
#include "vmm/errset.h"

#define NET_DEFAULT  "10.0.2.0/24"
#define PREFIX_MIN   8u
#define PREFIX_MAX   28u
#define HOST_GATEWAY 2u
#define HOST_DNS     3u
#define HOST_GUEST   15u /* a /28 has no .15 for a host: there .14 */
#define MTU_DEFAULT  1500u
#define MTU_MIN      576u
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

static vmm_err_t parse_net(struct user_config *c, const char *text, vmm_err_info_t *ei)
{
	char addr[20];
	const char *slash = strchr(text, '/');
	unsigned long prefix = 0;
	if (!slash || (size_t)(slash - text) >= sizeof(addr))
		goto bad;
	memcpy(addr, text, (size_t)(slash - text));
	addr[slash - text] = '\0';
	if (!parse_v4(addr, &c->net) || !parse_number(slash + 1, 32, &prefix) ||
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

/* The first IPv4 name server of the host; a VM may start without one. */
static void find_resolver(struct user_config *c)
{
	char line[256];
	char word[64];
	uint32_t addr;
	FILE *f = fopen(RESOLV_CONF, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, " nameserver %63s", word) != 1 || !parse_v4(word, &addr))
			continue;
		c->resolver.sin_family = AF_INET;
		c->resolver.sin_addr.s_addr = htonl(addr);
		break;
	}
	if (f)
		(void)fclose(f);
}

static vmm_err_t set_resolver(struct user_config *c, const char *dns, vmm_err_info_t *ei)
{
	uint32_t addr;
	c->resolver.sin_port = htons(DNS_PORT);
	if (!dns) {
		find_resolver(c);
		return VMM_OK;
	}
	if (!parse_v4(dns, &addr) || addr == 0 || addr >> 28 >= 14)
		return err_set(ei, VMM_E_INVAL, "dns",
		               "'%.40s': must be a name server's IPv4 address", dns);
	c->resolver.sin_family = AF_INET;
	c->resolver.sin_addr.s_addr = htonl(addr);
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
	return err ? err : set_resolver(c, o->dns, ei);
}

/* ---- rules ---- */

#define RULE_TEXT 96u

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
	struct sockaddr_in *in = (struct sockaddr_in *)&f->at;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&f->at;
	size_t len = strlen(addr);
	char inner[64];
	memset(&f->at, 0, sizeof(f->at));
	if (addr[0] == '[' && len > 2 && len < sizeof(inner) && addr[len - 1] == ']') {
		memcpy(inner, addr + 1, len - 2);
		inner[len - 2] = '\0';
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		f->at_len = sizeof(*in6);
		return inet_pton(AF_INET6, inner, &in6->sin6_addr) == 1;
	}
	in->sin_family = AF_INET;
	in->sin_port = htons(port);
	f->at_len = sizeof(*in);
	return inet_pton(AF_INET, len ? addr : "127.0.0.1", &in->sin_addr) == 1;
}

static vmm_err_t guest_side(const struct user_config *c, const char *rule, const char *addr,
                            struct user_forward *f, vmm_err_info_t *ei)
{
	f->guest = c->guest;
	if (*addr == '\0')
		return VMM_OK;
	if (!parse_v4(addr, &f->guest))
		return err_set(ei, VMM_E_INVAL, "hostfwd",
		               "'%.80s': '%.20s' is not the IPv4 address of a guest", rule, addr);
	uint32_t host = f->guest & ~c->mask;
	if ((f->guest & c->mask) == c->net && f->guest != c->gateway && f->guest != c->dns &&
	    host != 0 && host != ~c->mask)
		return VMM_OK;
	return err_set(ei, VMM_E_INVAL, "hostfwd",
	               "'%.80s': %.20s is no guest's address in the network", rule, addr);
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
	if (!parse_port(cut_port(host), &port) || !parse_port(cut_port(guest), &f->guest_port) ||
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

bool user_target(const struct user_config *c, const struct net_endpoint *to,
                 struct sockaddr_in *out)
{
	uint32_t a = user_v4(&to->addr);
	*out = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(to->port)};
	if (a == c->dns && to->port == DNS_PORT && c->resolver.sin_family) {
		*out = c->resolver;
		return true;
	}
	if (a == c->gateway && c->loopback)
		a = INADDR_LOOPBACK;
	else if ((a & c->mask) == c->net || !is_unicast(a))
		return false;
	out->sin_addr.s_addr = htonl(a);
	return true;
}

/* What is sent to an address of one's own has it as its source, too. */
bool user_is_own(const struct user_config *c, int fd, const struct sockaddr_in *target)
{
	struct sockaddr_in me = {0};
	socklen_t len = sizeof(me);
	if (target->sin_addr.s_addr == htonl(INADDR_LOOPBACK) && c->loopback)
		return false;
	if (c->resolver.sin_family && target->sin_addr.s_addr == c->resolver.sin_addr.s_addr &&
	    target->sin_port == c->resolver.sin_port)
		return false;
	return getsockname(fd, (struct sockaddr *)&me, &len) != 0 ||
	       me.sin_addr.s_addr == target->sin_addr.s_addr;
}
