/*
 * Requests to the guest kernel's HTTP server: whatever comes, it is a request of a length that is
 * there, a wish for more, or a status; and how the bytes are cut makes no difference.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest-kernel/services/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct http_request *r, int n, size_t len)
{
	if (n > (int)len || (n < 0 && (n > -400 || n < -505)))
		abort();
	if (n > 0 && (!memchr(r->path, '\0', sizeof(r->path)) || r->path[0] != '/' ||
	              !memchr(r->method, '\0', sizeof(r->method))))
		abort();
	if (n == 0 && len >= HTTP_HEAD_MAX)
		abort();
	/* Each verdict has a reason of its own. */
	if (n != 0 && strcmp(http_reason(n > 0 ? 200 : -n), http_reason(0)) == 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_request whole, part;
	if (size > HTTP_HEAD_MAX)
		return 0;
	/* Just as large as it is: a read beyond it is seen. */
	char *text = malloc(size ? size : 1);
	if (!text)
		return 0;
	memcpy(text, data, size);
	int n = http_parse(text, size, &whole);
	check(&whole, n, size);
	for (size_t len = 0; len < size && len < 256; len++) {
		char *cut = malloc(len ? len : 1);
		if (!cut)
			abort();
		memcpy(cut, text, len);
		int m = http_parse(cut, len, &part);
		check(&part, m, len);
		/* Once there is a verdict, more bytes do not change it. */
		if (m != 0 && m != n)
			abort();
		free(cut);
	}
	free(text);
	return 0;
}
