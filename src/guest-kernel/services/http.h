/*
 * Requests of HTTP/1.0 and 1.1 (RFC 9112), as far as a server needs them that has a few pages and
 * takes nothing: a pure function of bytes, which are hostile.
 */
#ifndef GK_SERVICES_HTTP_H
#define GK_SERVICES_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#define HTTP_HEAD_MAX   4096u /* request line and fields; more is 431 */
#define HTTP_PATH_MAX   128u
#define HTTP_METHOD_MAX 16u

struct http_request {
	char method[HTTP_METHOD_MAX];
	char path[HTTP_PATH_MAX]; /* without the query */
	bool head;                /* HEAD: no content in the answer */
	bool keep_alive;
};

/*
 * Reads the request at the start of the LEN bytes of TEXT. Returns its length; 0: it is not
 * complete yet; or minus the status to answer with before the connection is closed: 400, 405, 413,
 * 414, 431, 501, 505.
 */
int http_parse(const char *text, size_t len, struct http_request *out);

/* The reason phrase of a status (RFC 9110, 15). */
const char *http_reason(int status);

#endif
