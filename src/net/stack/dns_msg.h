/* DNS messages (RFC 1035, 4): a question made, an answer taken apart, no state. */
#ifndef NET_STACK_DNS_MSG_H
#define NET_STACK_DNS_MSG_H

#include "net/stack/stack.h"

#define DNS_NAME_MAX  255u
#define DNS_QUERY_MAX (12u + DNS_NAME_MAX + 1 + 4)

/* The wire form of NAME in OUT (DNS_NAME_MAX + 1 bytes); 0: not a name. */
uint32_t dns_encode_name(const char *name, uint8_t *out);
uint32_t dns_build(uint16_t id, const uint8_t *qname, uint32_t qlen, unsigned type, uint8_t *out);

struct dns_answer {
	bool truncated;
	uint8_t rcode;
	unsigned count;
	struct net_addr addr[NET_DNS_MAX];
};
/* False: not an answer to this very question (RFC 5452, 9.1). */
bool dns_parse(const uint8_t *msg, uint32_t len, uint16_t id, const uint8_t *qname, uint32_t qlen,
               unsigned type, struct dns_answer *out);

#endif
