/* The user-mode network's own parsers: the first byte says which gets the rest. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/user/user_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void dhcp(const struct user_config *c, const uint8_t *data, size_t size)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	uint8_t answer[USER_DHCP_MAX];
	size_t n = user_dhcp_answer(c, mac, data, size, answer);
	if (n > sizeof(answer) || (n > 0 && !user_dhcp_is(data, size)))
		abort();
}

static void text(const struct user_config *c, unsigned which, const char *s)
{
	struct user_config fresh;
	struct user_forward f;
	vmm_err_info_t ei;
	struct user_opts o = {.net = which == 1 ? s : NULL, .dns = which == 2 ? s : "192.0.2.1"};
	if (which < 3 ? user_configure(&fresh, &o, &ei) : user_parse_forward(c, s, &f, &ei)) {
		if (memchr(ei.message, 0, sizeof(ei.message)) == NULL || ei.message[0] == '\0')
			abort();
		return;
	}
	/* What was taken makes sense. */
	if (which == 1 && ((fresh.guest & fresh.mask) != fresh.net || fresh.guest == fresh.dns))
		abort();
	if (which == 3 && (f.guest_port == 0 || (f.guest & c->mask) != c->net))
		abort();
}

/* Where a packet of the guest's may go: never into its own network, and to the host's loopback
 * only if that was asked for. */
static void target(const uint8_t *data, size_t size)
{
	uint8_t b[8] = {0};
	struct user_config c;
	struct sockaddr_in to;
	memcpy(b, data, size < sizeof(b) ? size : sizeof(b));
	const struct user_opts o = {.dns = b[0] & 8 ? NULL : "192.0.2.1",
	                            .loopback = b[0] & 1,
	                            .mtu = (uint16_t)(b[7] * 16)};
	vmm_err_t err = user_configure(&c, &o, NULL);
	if ((err != VMM_OK) != (o.mtu > 0 && o.mtu < 576))
		abort();
	if (err)
		return;
	uint32_t v4 = (uint32_t)b[1] << 24 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 8 | b[4];
	if (b[0] & 2)
		v4 = c.net | (v4 & 3);
	const struct net_endpoint e = {.addr = user_addr(v4),
	                               .port = (uint16_t)(b[0] & 4 ? 53 : b[5] << 8 | b[6])};
	if (!user_target(&c, &e, &to))
		return;
	uint32_t got = ntohl(to.sin_addr.s_addr);
	if ((got & c.mask) == c.net || (got >> 24 == 127 && !(b[0] & 1)))
		abort();
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	(void)user_is_own(&c, fd, &to);
	(void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct user_opts o = {.dns = "192.0.2.1"};
	struct user_config c;
	char s[256];
	if (size == 0 || user_configure(&c, &o, NULL) != VMM_OK)
		return 0;
	unsigned which = data[0] % 5;
	data++, size--;
	if (which == 4) {
		target(data, size);
		return 0;
	}
	if (which == 0) {
		/* Of the very size: the sanitizer sees each byte too far. */
		uint8_t *copy = malloc(size ? size : 1);
		if (!copy)
			return 0;
		memcpy(copy, data, size);
		dhcp(&c, copy, size);
		free(copy);
		return 0;
	}
	size = size < sizeof(s) ? size : sizeof(s) - 1;
	memcpy(s, data, size);
	s[size] = '\0';
	text(&c, which, s);
	return 0;
}
