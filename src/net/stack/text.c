/* Addresses as text (RFC 4291, 2.2; RFC 5952). */
#include "net/stack/priv.h"

/* Its value; 99: it is none. */
static unsigned digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 99;
}

/* A number of at most MAX; NULL: none here. */
static const char *number(const char *s, unsigned base, uint32_t max, uint32_t *out)
{
	const char *first = s;
	for (*out = 0; digit(*s) < base && *out <= max; s++)
		*out = *out * base + digit(*s);
	return s > first && *out <= max ? s : NULL;
}

static bool parse4(const char *s, uint8_t *out)
{
	for (unsigned i = 0; i < 4; i++) {
		uint32_t v;
		if (*s == '0' && digit(s[1]) < 10)
			return false;
		s = number(s, 10, 255, &v);
		if (!s || *s != (i < 3 ? '.' : '\0'))
			return false;
		out[i] = (uint8_t)v;
		s++;
	}
	return true;
}

static bool parse6(const char *s, uint8_t *out)
{
	uint8_t words[16] = {0};
	unsigned n = 0, gap = 99;
	if (s[0] == ':' && s[1] != ':')
		return false;
	while (*s) {
		uint32_t v;
		if (s[0] == ':' && s[1] == ':') {
			if (gap != 99 || s[2] == ':')
				return false;
			gap = n;
			s += 2;
			continue;
		}
		if (n && *s == ':')
			s++;
		if (n <= 6 && parse4(s, words + 2 * n)) {
			n += 2;
			break;
		}
		s = n < 8 ? number(s, 16, 0xffff, &v) : NULL;
		if (!s || (*s && *s != ':'))
			return false;
		put_be16(words + 2 * n++, v);
	}
	if (gap == 99 ? n != 8 : n > 7)
		return false;
	unsigned head = gap == 99 ? n : gap;
	mem_set(out, 0, 16);
	mem_copy(out, words, 2 * head);
	mem_copy(out + 16 - 2 * (n - head), words + 2 * head, 2 * (n - head));
	return true;
}

int net_addr_parse(const char *text, struct net_addr *out)
{
	uint8_t four[4];
	bool v4 = parse4(text, four);
	if (v4)
		*out = addr_v4_wire(four);
	return v4 || parse6(text, out->b) ? 0 : -NET_EINVAL;
}

static char *put_number(char *p, uint32_t v, unsigned base)
{
	char tmp[10];
	unsigned n = 0;
	do {
		tmp[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	while (n)
		*p++ = tmp[--n];
	return p;
}

/* The longest run of zero words, at least two: [from, from + len). */
static unsigned zero_run(const struct net_addr *a, unsigned *len)
{
	unsigned best = 8;
	*len = 1;
	for (unsigned i = 0; i < 8; i++) {
		unsigned n = 0;
		while (i + n < 8 && get_be16(a->b + 2 * (i + n)) == 0)
			n++;
		if (n > *len) {
			*len = n;
			best = i;
		}
	}
	return best;
}

char *net_addr_format(const struct net_addr *a, char *buf)
{
	char *p = buf;
	if (addr_is_v4(a)) {
		for (unsigned i = 12; i < 16; i++) {
			p = put_number(p, a->b[i], 10);
			*p++ = i < 15 ? '.' : '\0';
		}
		return buf;
	}
	unsigned len, gap = zero_run(a, &len);
	for (unsigned i = 0; i < 8; i++) {
		if (i == gap) {
			*p++ = ':';
			if (i + len == 8)
				*p++ = ':';
			i += len - 1;
			continue;
		}
		if (i)
			*p++ = ':';
		p = put_number(p, get_be16(a->b + 2 * i), 16);
	}
	*p = '\0';
	return buf;
}
