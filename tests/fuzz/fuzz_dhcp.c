/* DHCP messages (RFC 2131). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/stack/dhcp_msg.h"
#include "net/stack/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
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
	if (dhcp_parse(copy, (uint32_t)size, 77, mac, &m) &&
	    (strlen(m.lease.hostname) > 63 || strlen(m.lease.domain) > 63 || m.lease.prefix > 32))
		abort();
	free(copy);
	return 0;
}
