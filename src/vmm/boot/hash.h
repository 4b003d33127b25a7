/*
 * The hashes that a guest image may carry, under the names that a FIT gives them: sha1, sha256,
 * sha384, sha512, md5 (nettle) and crc32 (zlib). They detect damage; only the SHA-2 ones resist
 * somebody who means it.
 */
#ifndef SRC_VMM_BOOT_HASH_H
#define SRC_VMM_BOOT_HASH_H

#include <nettle/md5.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_BYTES_MAX 64u

struct hash_algo;

struct hash {
	const struct hash_algo *algo;
	union {
		struct md5_ctx md5;
		struct sha1_ctx sha1;
		struct sha256_ctx sha256;
		struct sha512_ctx sha512; /* and sha384 */
		uint32_t crc32;
	} ctx;
};

/* By its name in a FIT; NULL: not known here. */
const struct hash_algo *hash_find(const char *name);
size_t hash_bytes(const struct hash_algo *algo);

void hash_begin(struct hash *h, const struct hash_algo *algo);
void hash_add(struct hash *h, const void *data, size_t len);
/* OUT has room for hash_bytes. */
void hash_end(struct hash *h, uint8_t *out);

#endif
