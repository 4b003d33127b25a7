/* The user-mode network's own parsers: the first byte says which gets the rest. */
#include <stdlib.h>
#include <string.h>

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct user_opts o = {.dns = "192.0.2.1"};
	struct user_config c;
	char s[256];
	if (size == 0 || user_configure(&c, &o, NULL) != VMM_OK)
		return 0;
	unsigned which = data[0] % 4;
	data++, size--;
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
