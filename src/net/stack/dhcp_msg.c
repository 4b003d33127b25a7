/* DHCP messages. See dhcp_msg.h. */
#include "net/stack/dhcp_msg.h"

#include "net/stack/util.h"

#define MAGIC    0x63825363u
#define OPTS_AT  240u
#define SNAME_AT 44u
#define FILE_AT  108u
#define FILE_END 236u

enum {
	OPT_MASK = 1,
	OPT_ROUTER = 3,
	OPT_DNS = 6,
	OPT_HOSTNAME = 12,
	OPT_DOMAIN = 15,
	OPT_MTU = 26,
	OPT_NTP = 42,
	OPT_REQUESTED = 50,
	OPT_LEASE = 51,
	OPT_OVERLOAD = 52,
	OPT_TYPE = 53,
	OPT_SERVER = 54,
	OPT_PARAMS = 55,
	OPT_MAXSIZE = 57,
	OPT_T1 = 58,
	OPT_T2 = 59,
	OPT_CLIENT = 61,
	OPT_END = 255,
};

static uint8_t *put_opt(uint8_t *p, uint8_t code, const void *data, uint8_t len)
{
	p[0] = code;
	p[1] = len;
	mem_copy(p + 2, data, len);
	return p + 2 + len;
}

static uint8_t *put_addr(uint8_t *p, uint8_t code, const struct net_addr *a)
{
	return addr_is_any(a) ? p : put_opt(p, code, a->b + 12, 4);
}

uint32_t dhcp_build(const struct dhcp_ask *ask, uint8_t *out)
{
	static const uint8_t params[] = {OPT_MASK, OPT_ROUTER, OPT_DNS, OPT_DOMAIN,
	                                 OPT_MTU,  OPT_NTP,    OPT_T1,  OPT_T2};
	mem_set(out, 0, DHCP_LEN_MAX);
	out[0] = 1;
	out[1] = 1;
	out[2] = 6;
	put_be32(out + 4, ask->xid);
	put_be16(out + 8, ask->secs);
	put_be16(out + 10, ask->broadcast ? 0x8000 : 0);
	mem_copy(out + 12, ask->ciaddr.b + 12, 4);
	mem_copy(out + 28, ask->mac, 6);
	put_be32(out + 236, MAGIC);
	uint8_t *p = out + OPTS_AT, type = (uint8_t)ask->type, client[7] = {1}, size[2];
	p = put_opt(p, OPT_TYPE, &type, 1);
	mem_copy(client + 1, ask->mac, 6);
	p = put_opt(p, OPT_CLIENT, client, 7);
	p = put_addr(p, OPT_REQUESTED, &ask->requested);
	p = put_addr(p, OPT_SERVER, &ask->server);
	if (ask->type == DHCP_DISCOVER || ask->type == DHCP_REQUEST) {
		put_be16(size, 1472);
		p = put_opt(p, OPT_MAXSIZE, size, 2);
		p = put_opt(p, OPT_PARAMS, params, sizeof(params));
		if (ask->hostname[0])
			p = put_opt(p, OPT_HOSTNAME, ask->hostname,
			            (uint8_t)min_u64(__builtin_strlen(ask->hostname), 63));
	}
	*p++ = OPT_END;
	/* BOOTP's minimum, for relays of old. */
	return max_u32((uint32_t)(p - out), 300);
}

/* Text of a server: only what can do no harm where it is shown. */
static void take_text(char *dst, const uint8_t *src, uint32_t len)
{
	uint32_t n = 0;
	for (; n < len && n < 63; n++) {
		uint8_t c = src[n];
		bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		          (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
		if (!ok)
			break;
		dst[n] = (char)c;
	}
	dst[n] = '\0';
}

static uint8_t prefix_of(uint32_t mask)
{
	uint8_t n = 0;
	while (n < 32 && (mask & 0x80000000u >> n))
		n++;
	return n < 32 && mask << n ? 0 : n;
}

static void take_opt(struct dhcp_msg *m, uint8_t code, const uint8_t *d, uint32_t len)
{
	struct net_dhcp_lease *l = &m->lease;
	uint32_t v = len == 4 ? get_be32(d) : 0;
	if (code == OPT_MASK && len == 4)
		l->prefix = prefix_of(v);
	else if (code == OPT_ROUTER && len >= 4)
		l->router = addr_v4_wire(d);
	else if (code == OPT_NTP && len >= 4)
		l->ntp = addr_v4_wire(d);
	else if (code == OPT_SERVER && len == 4)
		l->server = addr_v4_wire(d);
	else if (code == OPT_HOSTNAME)
		take_text(l->hostname, d, len);
	else if (code == OPT_DOMAIN)
		take_text(l->domain, d, len);
	else if (code == OPT_MTU && len == 2 && get_be16(d) >= 576)
		l->mtu = get_be16(d);
	else if (code == OPT_LEASE)
		l->lease_s = v;
	else if (code == OPT_T1)
		m->t1_s = v;
	else if (code == OPT_T2)
		m->t2_s = v;
	else if (code == OPT_TYPE && len == 1)
		m->type = d[0];
	for (uint32_t i = 0; code == OPT_DNS && i < 3 && i * 4 + 4 <= len; i++)
		l->dns[i] = addr_v4_wire(d + 4 * i);
}

/* The options in [at, end); *OVERLOAD gets option 52. */
static bool take_opts(struct dhcp_msg *m, const uint8_t *msg, uint32_t at, uint32_t end,
                      uint8_t *overload)
{
	while (at < end && msg[at] != OPT_END) {
		if (msg[at] == 0) {
			at++;
			continue;
		}
		if (end - at < 2 || msg[at + 1] > end - at - 2)
			return false;
		if (msg[at] == OPT_OVERLOAD && msg[at + 1] == 1)
			*overload = msg[at + 2];
		take_opt(m, msg[at], msg + at + 2, msg[at + 1]);
		at += 2u + msg[at + 1];
	}
	return true;
}

static bool host_addr(const struct net_addr *a)
{
	return !addr_is_any(a) && !addr_is_mcast(a) && !addr_is_bcast4(a) && !addr_is_loopback(a);
}

bool dhcp_parse(const uint8_t *msg, uint32_t len, uint32_t xid, const uint8_t *mac,
                struct dhcp_msg *out)
{
	uint8_t overload = 0, none = 0;
	mem_set(out, 0, sizeof(*out));
	if (len < OPTS_AT || msg[0] != 2 || msg[1] != 1 || msg[2] != 6 ||
	    get_be32(msg + 4) != xid || mem_cmp(msg + 28, mac, 6) != 0 ||
	    get_be32(msg + 236) != MAGIC)
		return false;
	out->xid = xid;
	out->lease.addr = addr_v4_wire(msg + 16);
	if (!take_opts(out, msg, OPTS_AT, len, &overload) ||
	    ((overload & 1) && !take_opts(out, msg, FILE_AT, FILE_END, &none)) ||
	    ((overload & 2) && !take_opts(out, msg, SNAME_AT, FILE_AT, &none)))
		return false;
	if (out->type == DHCP_NAK)
		return true;
	if ((out->type != DHCP_OFFER && out->type != DHCP_ACK) || !host_addr(&out->lease.addr) ||
	    !host_addr(&out->lease.server))
		return false;
	if (!out->lease.prefix) /* no mask, or none that is one */
		out->lease.prefix = 24;
	return true;
}
