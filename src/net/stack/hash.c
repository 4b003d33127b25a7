/* SipHash-2-4. See hash.h. */
#include "net/stack/hash.h"

#include "net/stack/util.h"

struct sip {
	uint64_t v0, v1, v2, v3;
};

static uint64_t rotl(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

static inline void sip_rounds(struct sip *s, unsigned n)
{
	while (n--) {
		s->v0 += s->v1;
		s->v1 = rotl(s->v1, 13) ^ s->v0;
		s->v0 = rotl(s->v0, 32);
		s->v2 += s->v3;
		s->v3 = rotl(s->v3, 16) ^ s->v2;
		s->v0 += s->v3;
		s->v3 = rotl(s->v3, 21) ^ s->v0;
		s->v2 += s->v1;
		s->v1 = rotl(s->v1, 17) ^ s->v2;
		s->v2 = rotl(s->v2, 32);
	}
}

static inline void sip_word(struct sip *s, uint64_t m, unsigned rounds)
{
	s->v3 ^= m;
	sip_rounds(s, rounds);
	s->v0 ^= m;
}

static inline uint64_t get_le64(const uint8_t *p)
{
	return __builtin_bswap64((uint64_t)get_be32(p) << 32 | get_be32(p + 4));
}

static inline uint64_t sip(const struct hash_key *key, const void *data, size_t len, unsigned c,
                           unsigned d)
{
	const uint8_t *p = data;
	struct sip s = {key->k[0] ^ 0x736f6d6570736575, key->k[1] ^ 0x646f72616e646f6d,
	                key->k[0] ^ 0x6c7967656e657261, key->k[1] ^ 0x7465646279746573};
	size_t left = len;
	uint64_t last = (uint64_t)len << 56;
	for (; left >= 8; left -= 8, p += 8)
		sip_word(&s, get_le64(p), c);
	while (left--)
		last |= (uint64_t)p[left] << (8 * left);
	sip_word(&s, last, c);
	s.v2 ^= 0xff;
	sip_rounds(&s, d);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t hash_sip(const struct hash_key *key, const void *data, size_t len)
{
	return sip(key, data, len, 2, 4);
}

uint64_t hash_table(const struct hash_key *key, const void *data, size_t len)
{
	return sip(key, data, len, 1, 3);
}
