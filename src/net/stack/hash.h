/* SipHash-2-4 (Aumasson and Bernstein, 2012): hash tables, ports, initial sequence numbers. */
#ifndef NET_STACK_HASH_H
#define NET_STACK_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
	uint64_t k[2];
};

uint64_t hash_sip(const struct hash_key *key, const void *data, size_t len);
/* SipHash-1-3, for tables: its values are never seen from outside. */
uint64_t hash_table(const struct hash_key *key, const void *data, size_t len);

#endif
