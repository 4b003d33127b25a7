/* The Internet checksum (RFC 1071), eight bytes at a time: the sum is the same in either byte
 * order, so it is taken in the machine's and turned at the end. */
#include "net/stack/pkt.h"

#include "net/stack/priv.h"

uint16_t csum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint64_t add_carry(uint64_t sum, uint64_t v)
{
	sum += v;
	return sum + (sum < v);
}

/* The native-order sum of LEN bytes, folded to 16 bits. */
static uint16_t sum_native(const uint8_t *p, size_t len)
{
	uint64_t sum = 0;
	for (; len >= 32; len -= 32, p += 32) {
		uint64_t v[4];
		mem_copy(v, p, 32);
		sum = add_carry(sum, v[0]);
		sum = add_carry(sum, v[1]);
		sum = add_carry(sum, v[2]);
		sum = add_carry(sum, v[3]);
	}
	for (; len >= 8; len -= 8, p += 8) {
		uint64_t v;
		mem_copy(&v, p, 8);
		sum = add_carry(sum, v);
	}
	if (len) {
		uint64_t v = 0;
		mem_copy(&v, p, len);
		sum = add_carry(sum, v);
	}
	return csum_fold(sum);
}

static uint16_t sum_be(const void *data, size_t len)
{
	uint16_t native = sum_native(data, len);
	const uint16_t probe = 1;
	return *(const uint8_t *)&probe ? __builtin_bswap16(native) : native;
}

uint16_t csum_bytes(const void *data, size_t len)
{
	return (uint16_t)~sum_be(data, len);
}

uint16_t csum_header(const uint8_t *h, unsigned len)
{
	uint64_t sum = (uint64_t)get_be32(h) + get_be32(h + 4) + get_be32(h + 8) +
	               get_be32(h + 12) + get_be32(h + 16);
	for (unsigned i = 20; i < len; i += 4)
		sum += get_be32(h + i);
	return (uint16_t)~csum_fold(sum);
}

uint16_t pkt_sum(const struct pkt *p, uint32_t off)
{
	uint32_t sum = 0;
	bool odd = false;
	for (unsigned i = 0; i <= p->nfrags; i++) {
		struct net_piece x = pkt_piece(p, i);
		if (off >= x.len) {
			off -= x.len;
			continue;
		}
		uint16_t s = sum_be(x.data + off, x.len - off);
		sum += odd ? __builtin_bswap16(s) : s;
		odd ^= (x.len - off) & 1;
		off = 0;
	}
	return csum_fold(sum);
}

uint32_t csum_pseudo(const struct net_addr *src, const struct net_addr *dst, unsigned proto,
                     uint32_t len)
{
	uint64_t sum = (uint64_t)proto + len;
	for (unsigned i = addr_is_v4(dst) ? 12 : 0; i < 16; i += 4)
		sum += (uint64_t)get_be32(src->b + i) + get_be32(dst->b + i);
	return csum_fold(sum);
}

void pkt_csum_later(struct pkt *p, unsigned off, const struct net_addr *src,
                    const struct net_addr *dst, unsigned proto)
{
	put_be16(p->room + p->head + off, csum_pseudo(src, dst, proto, p->len));
	p->flags = PKT_CSUM_PARTIAL;
	p->csum_start = 0;
	p->csum_off = (uint16_t)off;
}

bool ip_csum_ok(const struct ip_meta *m)
{
	if (m->p->flags & (PKT_CSUM_VALID | PKT_CSUM_PARTIAL))
		return true;
	uint64_t sum = pkt_sum(m->p, m->l4_off);
	if (m->proto != PROTO_ICMP && m->proto != PROTO_IGMP)
		sum += csum_pseudo(&m->src, &m->dst, m->proto, m->l4_len);
	return csum_fold(sum) == 0xffff;
}

void pkt_finish_csum(struct pkt *p)
{
	if (!(p->flags & PKT_CSUM_PARTIAL))
		return;
	uint32_t at = (uint32_t)p->csum_start + p->csum_off;
	BUG_ON(at + 2 > (uint32_t)(p->head_end - p->head));
	uint16_t sum = (uint16_t)~pkt_sum(p, p->csum_start);
	/* Only UDP gives zero a meaning, and ones' complement has two zeros. */
	put_be16(p->room + p->head + at, sum ? sum : 0xffff);
	p->flags &= (uint8_t)~PKT_CSUM_PARTIAL;
}
