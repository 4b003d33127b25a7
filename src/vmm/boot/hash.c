/* Hashes of image parts. See hash.h. */
#include "hash.h"

#include <nettle/nettle-meta.h>
#include <string.h>
#include <zlib.h>

#define CRC32_BYTES 4u

struct hash_algo {
	const char *name;
	const struct nettle_hash *nettle; /* NULL: crc32 */
};

const struct hash_algo *hash_find(const char *name)
{
	static const struct hash_algo algos[] = {
	        {"sha256", &nettle_sha256}, {"sha1", &nettle_sha1}, {"sha512", &nettle_sha512},
	        {"sha384", &nettle_sha384}, {"md5", &nettle_md5},   {"crc32", NULL},
	};
	for (size_t i = 0; i < sizeof(algos) / sizeof(algos[0]); i++)
		if (strcmp(algos[i].name, name) == 0)
			return &algos[i];
	return NULL;
}

size_t hash_bytes(const struct hash_algo *algo)
{
	return algo->nettle ? algo->nettle->digest_size : CRC32_BYTES;
}

void hash_begin(struct hash *h, const struct hash_algo *algo)
{
	h->algo = algo;
	if (algo->nettle)
		algo->nettle->init(&h->ctx);
	else
		h->ctx.crc32 = 0;
}

void hash_add(struct hash *h, const void *data, size_t len)
{
	if (h->algo->nettle)
		h->algo->nettle->update(&h->ctx, len, data);
	else
		h->ctx.crc32 = (uint32_t)crc32_z(h->ctx.crc32, data, len);
}

void hash_end(struct hash *h, uint8_t *out)
{
	if (h->algo->nettle) {
		h->algo->nettle->digest(&h->ctx, h->algo->nettle->digest_size, out);
		return;
	}
	for (unsigned i = 0; i < CRC32_BYTES; i++)
		out[i] = (uint8_t)(h->ctx.crc32 >> (24 - 8 * i));
}
