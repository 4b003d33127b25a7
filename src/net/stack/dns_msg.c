/* DNS messages. See dns_msg.h. */
#include "net/stack/dns_msg.h"

#include "net/stack/util.h"

#define HLEN       12u
#define TYPE_CNAME 5u
#define JUMPS_MAX  16u
#define CHAIN_MAX  8u

uint32_t dns_encode_name(const char *name, uint8_t *out)
{
	uint32_t n = 0;
	while (*name) {
		uint32_t len = 0;
		while (name[len] && name[len] != '.')
			len++;
		if (len == 0 || len > 63 || n + len + 2 > DNS_NAME_MAX)
			return 0;
		out[n++] = (uint8_t)len;
		mem_copy(out + n, name, len);
		n += len;
		name += len;
		if (*name == '.')
			name++;
	}
	out[n++] = 0;
	return n > 1 ? n : 0;
}

uint32_t dns_build(uint16_t id, const uint8_t *qname, uint32_t qlen, unsigned type, uint8_t *out)
{
	mem_set(out, 0, HLEN);
	put_be16(out, id);
	out[2] = 1; /* recursion desired */
	put_be16(out + 4, 1);
	mem_copy(out + HLEN, qname, qlen);
	put_be16(out + HLEN + qlen, type);
	put_be16(out + HLEN + qlen + 2, 1);
	return HLEN + qlen + 4;
}

struct name {
	uint32_t len;
	uint8_t b[DNS_NAME_MAX + 1];
};

/* The name at AT, uncompressed, in OUT. Returns the offset behind it, 0 if
 * it is none. Pointers only lead backwards, and not often. */
static uint32_t read_name(const uint8_t *msg, uint32_t len, uint32_t at, struct name *out)
{
	uint32_t n = 0, after = 0, jumps = 0, limit = at;
	for (;;) {
		if (at >= len)
			return 0;
		uint8_t c = msg[at];
		if ((c & 0xc0) == 0xc0) {
			if (len - at < 2 || ++jumps > JUMPS_MAX)
				return 0;
			uint32_t to = get_be16(msg + at) & 0x3fffu;
			if (!after)
				after = at + 2;
			if (to >= limit)
				return 0;
			at = limit = to;
			continue;
		}
		if (c & 0xc0 || c > len - at - 1 || n + c + 1 > DNS_NAME_MAX)
			return 0;
		mem_copy(out->b + n, msg + at, c + 1u);
		n += c + 1u;
		at += c + 1u;
		if (c == 0)
			break;
	}
	out->len = n;
	return after ? after : at;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static bool is_name(const struct name *a, const uint8_t *b, uint32_t len)
{
	uint32_t i = 0;
	while (i < len && i < a->len && lower(a->b[i]) == lower(b[i]))
		i++;
	return i == len && i == a->len;
}

/* One pass over the answers: addresses of NAME are taken; a CNAME of it replaces it. */
static bool scan(const uint8_t *msg, uint32_t len, uint32_t at, unsigned type, struct name *name,
                 struct dns_answer *out)
{
	bool renamed = false;
	struct name owner;
	unsigned records = get_be16(msg + 6);
	for (unsigned i = 0; i < records; i++) {
		at = read_name(msg, len, at, &owner);
		if (!at || len - at < 10)
			break;
		unsigned rtype = get_be16(msg + at), rclass = get_be16(msg + at + 2);
		uint32_t dlen = get_be16(msg + at + 8), data = at + 10;
		if (dlen > len - data)
			break;
		at = data + dlen;
		if (rclass != 1 || !is_name(&owner, name->b, name->len))
			continue;
		if (rtype == TYPE_CNAME && !out->count) {
			if (!read_name(msg, len, data, &owner))
				break;
			*name = owner;
			renamed = true;
		} else if (rtype == type && out->count < NET_DNS_MAX) {
			if (type == NET_DNS_A && dlen == 4)
				out->addr[out->count++] = addr_v4_wire(msg + data);
			else if (type == NET_DNS_AAAA && dlen == 16)
				out->addr[out->count++] = addr_v6_wire(msg + data);
		}
	}
	return renamed && !out->count;
}

bool dns_parse(const uint8_t *msg, uint32_t len, uint16_t id, const uint8_t *qname, uint32_t qlen,
               unsigned type, struct dns_answer *out)
{
	struct name name;
	mem_set(out, 0, sizeof(*out));
	if (len < HLEN || get_be16(msg) != id || !(msg[2] & 0x80) || (msg[2] & 0x78) ||
	    get_be16(msg + 4) != 1)
		return false;
	uint32_t at = read_name(msg, len, HLEN, &name);
	if (!at || len - at < 4 || !is_name(&name, qname, qlen) || get_be16(msg + at) != type ||
	    get_be16(msg + at + 2) != 1)
		return false;
	out->truncated = msg[2] & 2;
	out->rcode = msg[3] & 15;
	at += 4;
	/* Records may come in any order: as many passes as there are names in the chain. */
	for (unsigned i = 0; i < CHAIN_MAX; i++)
		if (!scan(msg, len, at, type, &name, out))
			break;
	return true;
}
