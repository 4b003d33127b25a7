/* DHCP messages (RFC 2131). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/stack/dhcp_msg.h"
#include "net/stack/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};

/* The next message of a client that was told this: its options end within it. */
static void answer(const struct dhcp_msg *m)
{
	uint8_t out[DHCP_LEN_MAX];
	static const struct net_addr none;
	const struct dhcp_ask ask = {.type = m->type == DHCP_OFFER ? DHCP_REQUEST : DHCP_RELEASE,
	                             .xid = m->xid,
	                             .mac = mac,
	                             .ciaddr = m->type == DHCP_OFFER ? none : m->lease.addr,
	                             .requested = m->lease.addr,
	                             .server = m->lease.server,
	                             .hostname = m->lease.hostname,
	                             .broadcast = m->t1_s == 0};
	uint32_t len = dhcp_build(&ask, out), at = 240;
	if (len > sizeof(out))
		abort();
	while (at < len && out[at] != 255)
		at += out[at] ? 2u + out[at + 1] : 1;
	if (at >= len)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dhcp_msg m;
	uint8_t *copy = malloc(size ? size : 1);
	if (!copy || size > 4096) {
		free(copy);
		return 0;
	}
	memcpy(copy, data, size);
	if (size >= 240) { /* past the magic numbers */
		copy[0] = 2, copy[1] = 1, copy[2] = 6;
		put_be32(copy + 4, 77);
		memcpy(copy + 28, mac, 6);
		put_be32(copy + 236, 0x63825363);
	}
	if (dhcp_parse(copy, (uint32_t)size, 77, mac, &m)) {
		if (strlen(m.lease.hostname) > 63 || strlen(m.lease.domain) > 63 ||
		    m.lease.prefix > 32)
			abort();
		answer(&m);
	}
	free(copy);
	return 0;
}
