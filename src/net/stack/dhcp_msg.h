/* DHCP messages (RFC 2131, 2; RFC 2132): made and taken apart without any state. */
#ifndef NET_STACK_DHCP_MSG_H
#define NET_STACK_DHCP_MSG_H

#include "net/stack/stack.h"

enum dhcp_type {
	DHCP_DISCOVER = 1,
	DHCP_OFFER,
	DHCP_REQUEST,
	DHCP_DECLINE,
	DHCP_ACK,
	DHCP_NAK,
	DHCP_RELEASE
};

#define DHCP_LEN_MAX 576u

struct dhcp_msg {
	enum dhcp_type type;
	uint32_t xid;
	uint32_t t1_s, t2_s; /* 0: not told */
	struct net_dhcp_lease lease;
};

struct dhcp_ask {
	enum dhcp_type type;
	uint32_t xid;
	uint16_t secs;
	const uint8_t *mac;
	struct net_addr ciaddr, requested, server; /* "::": none */
	const char *hostname;                      /* may be empty */
	bool broadcast;
};

/* Returns the length; OUT has DHCP_LEN_MAX bytes. */
uint32_t dhcp_build(const struct dhcp_ask *ask, uint8_t *out);
/* False: not an answer to XID and MAC that makes sense. */
bool dhcp_parse(const uint8_t *msg, uint32_t len, uint32_t xid, const uint8_t *mac,
                struct dhcp_msg *out);

#endif
