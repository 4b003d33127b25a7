/*
 * Addresses. net0 gets what the command line says:
 *
 *   gk.ip=dhcp                                    the default
 *   gk.ip=ADDRESS/PREFIX[,gw=ADDRESS][,dns=ADDRESS]
 *   gk.ip=off                                     none but IPv6's own
 *
 * Other cards ask DHCP. Where nobody answers, a link-local address is used (RFC 3927) and asking
 * goes on. Each outcome is a line on the console.
 */
#include <string.h>

#include "guest-kernel/core/cmdline.h"
#include "guest-kernel/core/kernel.h"
#include "guest-kernel/net/netd.h"

#define OPTION_MAX 128u

static void say(const struct port *p, const char *how)
{
	char line[160], addr[46], gw[46] = "none", dns[46] = "none";
	const struct net_dhcp_lease *l = &p->lease;
	static const struct net_addr none;
	(void)net_addr_format(&l->addr, addr);
	if (memcmp(&l->router, &none, sizeof(none)) != 0)
		(void)net_addr_format(&l->router, gw);
	if (memcmp(&l->dns[0], &none, sizeof(none)) != 0)
		(void)net_addr_format(&l->dns[0], dns);
	size_t n = fmt(line, sizeof(line), "%s: %s/%u %s, gateway %s, name server %s\n", p->name,
	               addr, l->prefix, how, gw, dns);
	kernel_console_write(p->net->kernel, line, n < sizeof(line) ? n : sizeof(line) - 1);
}

static void set_state(struct port *p, enum port_state state)
{
	struct netd *n = p->net;
	unsigned long flags = spin_lock_irqsave(&n->state_lock);
	p->state = (uint8_t)state;
	n->state_seq++;
	waitq_wake_all(&n->state_wait);
	spin_unlock_irqrestore(&n->state_lock, flags);
}

static void use_dns(const struct port *p)
{
	static const struct net_addr none;
	struct net_endpoint servers[3];
	unsigned count = 0;
	for (unsigned i = 0; i < 3; i++) {
		if (memcmp(&p->lease.dns[i], &none, sizeof(none)) != 0)
			servers[count++] = (struct net_endpoint){.addr = p->lease.dns[i]};
	}
	if (count > 0)
		(void)net_dns_servers(p->net->stack, servers, count);
}

static void on_dhcp(void *ctx, enum net_dhcp_state state, const struct net_dhcp_lease *l)
{
	struct port *p = ctx;
	if (state == NET_DHCP_BOUND) {
		bool same = p->state == PORT_DHCP &&
		            memcmp(&p->lease.addr, &l->addr, sizeof(l->addr)) == 0;
		p->lease = *l;
		use_dns(p);
		if (!same)
			say(p, "by DHCP");
		set_state(p, PORT_DHCP);
	} else if (state == NET_DHCP_SILENT && p->state != PORT_LINK_LOCAL) {
		char line[160], addr[46];
		if (l)
			p->lease = *l;
		size_t n = fmt(
		        line, sizeof(line),
		        "%s: no answer from DHCP; using %s, which is link-local, and asking on\n",
		        p->name, net_addr_format(&p->lease.addr, addr));
		kernel_console_write(p->net->kernel, line, n);
		set_state(p, PORT_LINK_LOCAL);
	} else if (state == NET_DHCP_ASKING && p->state != PORT_LINK_LOCAL) {
		set_state(p, PORT_ASKING);
	}
}

static void ask_dhcp(struct port *p)
{
	set_state(p, PORT_ASKING);
	if (net_dhcp_start(p->nif, "guest-kernel", on_dhcp, p) < 0) {
		log_warning("%s: cannot ask DHCP: no memory, or the policy denies the port",
		            p->name);
		set_state(p, PORT_UNSET);
	}
}

/* The next word of TEXT up to a comma, terminated in place; NULL: no more. */
static char *next_word(char **text)
{
	char *word = *text;
	if (!word || *word == '\0')
		return NULL;
	char *comma = strchr(word, ',');
	*text = comma ? comma + 1 : NULL;
	if (comma)
		*comma = '\0';
	return word;
}

static bool parse_address(char *word, struct net_dhcp_lease *l)
{
	char *slash = strchr(word, '/');
	uint64_t prefix;
	if (!slash)
		return false;
	*slash++ = '\0';
	size_t len = strlen(slash);
	if (parse_number(slash, len, &prefix) != len || len == 0 ||
	    net_addr_parse(word, &l->addr) < 0)
		return false;
	l->prefix = (uint8_t)prefix;
	return prefix > 0 && prefix <= (strchr(word, ':') ? 128 : 32);
}

static bool parse_static(char *text, struct net_dhcp_lease *l)
{
	char *word = next_word(&text);
	*l = (struct net_dhcp_lease){0};
	if (!word || !parse_address(word, l))
		return false;
	while ((word = next_word(&text))) {
		if (strncmp(word, "gw=", 3) == 0) {
			if (net_addr_parse(word + 3, &l->router) < 0)
				return false;
		} else if (strncmp(word, "dns=", 4) == 0) {
			if (net_addr_parse(word + 4, &l->dns[0]) < 0)
				return false;
		} else {
			return false;
		}
	}
	return true;
}

static bool use_static(struct port *p)
{
	static const struct net_addr none;
	struct net_addr any = none;
	struct net_stack *st = p->net->stack;
	if (net_if_add_addr(p->nif, &p->lease.addr, p->lease.prefix) < 0)
		return false;
	if (memcmp(&p->lease.router, &none, sizeof(none)) != 0) {
		bool v4 = p->lease.router.w[0] == 0 && p->lease.router.w[1] == 0;
		if (v4)
			(void)net_addr_parse("0.0.0.0", &any);
		if (net_route_add(st, &any, 0, &p->lease.router, p->nif, 100) < 0)
			return false;
	}
	use_dns(p);
	say(p, "as told");
	set_state(p, PORT_STATIC);
	return true;
}

static void setup_first(struct port *p)
{
	char text[OPTION_MAX], copy[OPTION_MAX];
	const char *cmdline = p->net->kernel->boot->cmdline;
	if (!cmdline_get(cmdline, "gk.ip", text, sizeof(text)) || strcmp(text, "dhcp") == 0) {
		ask_dhcp(p);
		return;
	}
	if (strcmp(text, "off") == 0)
		return;
	memcpy(copy, text, sizeof(copy));
	if (parse_static(copy, &p->lease) && use_static(p))
		return;
	log_warning("gk.ip is '%s'; it must be dhcp, off, or ADDRESS/PREFIX[,gw=ADDRESS]"
	            "[,dns=ADDRESS]; asking DHCP",
	            text);
	p->lease = (struct net_dhcp_lease){0};
	ask_dhcp(p);
}

void setup_ports(struct netd *n)
{
	for (unsigned i = 0; i < n->port_count; i++) {
		if (i == 0)
			setup_first(&n->ports[i]);
		else
			ask_dhcp(&n->ports[i]);
	}
}

static bool settled(const struct netd *n)
{
	for (unsigned i = 0; i < n->port_count; i++) {
		if (n->ports[i].state >= PORT_DHCP)
			return true;
	}
	return false;
}

static bool is_settled(void *ctx)
{
	return settled(ctx);
}

bool netd_wait_ready(struct netd *n, uint64_t deadline_ns)
{
	return n->port_count > 0 &&
	       waitq_wait(&n->state_wait, &n->state_lock, is_settled, n, deadline_ns);
}

bool netd_address(struct netd *n, struct net_addr *out)
{
	bool found = false;
	netd_enter(n);
	for (unsigned i = 0; i < n->port_count && !found; i++) {
		found = n->ports[i].state >= PORT_DHCP;
		if (found)
			*out = n->ports[i].lease.addr;
	}
	netd_leave(n);
	return found;
}
