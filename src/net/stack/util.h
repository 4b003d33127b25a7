/*
 * Bytes, addresses, sequence numbers: what every layer of the stack needs. Freestanding: no library
 * but the compiler's own memory functions.
 */
#ifndef NET_STACK_UTIL_H
#define NET_STACK_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/stack/stack.h"

#define NS_PER_US  1000ull
#define NS_PER_MS  1000000ull
#define NS_PER_SEC 1000000000ull

#define mem_copy   __builtin_memcpy
#define mem_move   __builtin_memmove
#define mem_set    __builtin_memset
#define mem_cmp    __builtin_memcmp

/* Take ELEM out of the list from HEAD on; nothing happens if it is not there. */
#define list_remove(head, elem, link)                                            \
	do {                                                                     \
		for (__typeof__(head) *at_ = &(head); *at_; at_ = &(*at_)->link) \
			if (*at_ == (elem)) {                                    \
				*at_ = (elem)->link;                             \
				break;                                           \
			}                                                        \
	} while (0)

/* Append ELEM to the queue from HEAD to TAIL. */
#define queue_add(head, tail, elem, link)      \
	do {                                   \
		(elem)->link = NULL;           \
		if (tail)                      \
			(tail)->link = (elem); \
		else                           \
			(head) = (elem);       \
		(tail) = (elem);               \
	} while (0)

/* Take the first out of the queue from HEAD to TAIL, which is not empty. */
#define queue_pop(head, tail, link)    \
	do {                           \
		(head) = (head)->link; \
		if (!(head))           \
			(tail) = NULL; \
	} while (0)

/* Take ELEM out of the queue from HEAD to TAIL, wherever it is. */
#define queue_cut(head, tail, elem, link)      \
	do {                                   \
		list_remove(head, elem, link); \
		(tail) = (head);               \
		while ((tail) && (tail)->link) \
			(tail) = (tail)->link; \
	} while (0)

/* Take ELEM out of the queue from HEAD to TAIL that is linked by `next` and `prev`. */
#define queue_remove(head, tail, elem)                     \
	do {                                               \
		if ((elem)->prev)                          \
			(elem)->prev->next = (elem)->next; \
		else                                       \
			(head) = (elem)->next;             \
		if ((elem)->next)                          \
			(elem)->next->prev = (elem)->prev; \
		else                                       \
			(tail) = (elem)->prev;             \
	} while (0)

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline uint16_t get_be16(const void *p)
{
	const uint8_t *b = p;
	return (uint16_t)(b[0] << 8 | b[1]);
}

static inline uint32_t get_be32(const void *p)
{
	const uint8_t *b = p;
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static inline void put_be16(void *p, uint32_t v)
{
	uint8_t *b = p;
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}

static inline void put_be32(void *p, uint32_t v)
{
	put_be16(p, v >> 16);
	put_be16((uint8_t *)p + 2, v);
}

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Sequence numbers, modulo 2^32 (RFC 9293, 3.4). */
static inline bool seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool seq_le(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

static inline uint32_t seq_max(uint32_t a, uint32_t b)
{
	return seq_lt(a, b) ? b : a;
}

static inline bool addr_eq(const struct net_addr *a, const struct net_addr *b)
{
	return a->q[0] == b->q[0] && a->q[1] == b->q[1];
}

static inline bool addr_is_v4(const struct net_addr *a)
{
	return a->q[0] == 0 && get_be32(a->b + 8) == 0xffffu;
}

/* "::", or 0.0.0.0 in its mapped form. */
static inline bool addr_is_any(const struct net_addr *a)
{
	return (a->q[0] == 0 && a->q[1] == 0) || (addr_is_v4(a) && a->w[3] == 0);
}

static inline bool addr_is_mcast(const struct net_addr *a)
{
	return addr_is_v4(a) ? (a->b[12] & 0xf0) == 0xe0 : a->b[0] == 0xff;
}

static inline bool addr_is_linklocal(const struct net_addr *a)
{
	return addr_is_v4(a) ? a->b[12] == 169 && a->b[13] == 254
	                     : a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

static inline bool addr_is_loopback(const struct net_addr *a)
{
	static const uint8_t one[16] = {[15] = 1};
	return addr_is_v4(a) ? a->b[12] == 127 : mem_cmp(a->b, one, 16) == 0;
}

/* The limited broadcast address. */
static inline bool addr_is_bcast4(const struct net_addr *a)
{
	return addr_is_v4(a) && a->w[3] == 0xffffffffu;
}

static inline struct net_addr addr_v4(uint32_t host_order)
{
	struct net_addr a = {.q = {0, 0}};
	a.b[10] = a.b[11] = 0xff;
	put_be32(a.b + 12, host_order);
	return a;
}

static inline struct net_addr addr_v4_wire(const void *p)
{
	return addr_v4(get_be32(p));
}

static inline uint32_t addr_to_v4(const struct net_addr *a)
{
	return get_be32(a->b + 12);
}

static inline struct net_addr addr_v6_wire(const void *p)
{
	struct net_addr a;
	mem_copy(a.b, p, 16);
	return a;
}

/* True if the first BITS of A and B agree. Prefixes of IPv4 count from 96. */
static inline bool addr_prefix_eq(const struct net_addr *a, const struct net_addr *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	if (whole > 16 || mem_cmp(a->b, b->b, whole) != 0)
		return false;
	if (rest == 0 || whole == 16)
		return true;
	uint8_t mask = (uint8_t)(0xff00u >> rest);
	return ((a->b[whole] ^ b->b[whole]) & mask) == 0;
}

#endif
