/* HTTP requests (RFC 9112): a table of what is taken and what is refused. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "../suite.h"
#include "guest-kernel/services/http.h"

#define HOST "Host: a\r\n"

static const struct {
	const char *text;
	int result; /* 1: all of it; 0: more; -status */
	const char *path;
	bool keep_alive, head;
} cases[] = {
        {"GET / HTTP/1.1\r\n" HOST "\r\n", 1, "/", true, false},
        {"HEAD /metrics HTTP/1.1\r\n" HOST "\r\n", 1, "/metrics", true, true},
        {"GET /a?b=/c HTTP/1.1\r\n" HOST "Connection: Close\r\n\r\n", 1, "/a", false, false},
        {"GET http://host:8/x HTTP/1.1\r\n" HOST "\r\n", 1, "/x", true, false},
        {"GET http://host HTTP/1.1\r\n" HOST "\r\n", 1, "/", true, false},
        {"GET / HTTP/1.0\r\n\r\n", 1, "/", false, false},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 1, "/", true, false},
        {"\r\nGET / HTTP/1.1\n" HOST "\n", 1, "/", true, false},
        {"GET / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 1, "/", true, false},
        {"GET / HTTP/1.1\r\n" HOST, 0, "", false, false},
        {"", 0, "", false, false},
        {"GET / HTTP/1.1\r\n\r\n", -400, "", false, false},
        {"GET / HTTP/1.1\r\n" HOST HOST "\r\n", -400, "", false, false},
        {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", -400, "", false, false},
        {"GET / HTTP/1.1\r\n" HOST "X: a\1b\r\n\r\n", -400, "", false, false},
        {"GET / HTTP/1.1\r\n" HOST " folded\r\n\r\n", -400, "", false, false},
        {"GET  / HTTP/1.1\r\n" HOST "\r\n", -400, "", false, false},
        {"GET x HTTP/1.1\r\n" HOST "\r\n", -400, "", false, false},
        {"GET /\x80 HTTP/1.1\r\n" HOST "\r\n", -400, "", false, false},
        {"G(T / HTTP/1.1\r\n" HOST "\r\n", -400, "", false, false},
        {"GET /\r\n\r\n", -400, "", false, false},
        {"GET / HTTP/2.0\r\n" HOST "\r\n", -505, "", false, false},
        {"POST / HTTP/1.1\r\n" HOST "\r\n", -405, "", false, false},
        {"VERYLONGMETHODNAME / HTTP/1.1\r\n" HOST "\r\n", -501, "", false, false},
        {"GET / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n", -413, "", false, false},
        {"GET / HTTP/1.1\r\n" HOST "Content-Length: x\r\n\r\n", -400, "", false, false},
        {"GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", -501, "", false, false},
};

START_TEST(requests_are_read)
{
	struct http_request r;
	size_t len = strlen(cases[_i].text);
	int n = http_parse(cases[_i].text, len, &r);
	ck_assert_int_eq(n, cases[_i].result == 1 ? (int)len : cases[_i].result);
	if (n <= 0)
		return;
	ck_assert_str_eq(r.path, cases[_i].path);
	ck_assert_int_eq(r.keep_alive, cases[_i].keep_alive);
	ck_assert_int_eq(r.head, cases[_i].head);
}
END_TEST

START_TEST(the_next_request_is_left)
{
	struct http_request r;
	const char *first = "GET /1 HTTP/1.1\r\n" HOST "\r\n";
	const char *both = "GET /1 HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n";
	ck_assert_int_eq(http_parse(both, strlen(both), &r), (int)strlen(first));
	ck_assert_str_eq(r.path, "/1");
}
END_TEST

START_TEST(what_is_too_long_is_refused)
{
	struct http_request r;
	char text[HTTP_HEAD_MAX];
	memset(text, 'a', sizeof(text));
	ck_assert_int_eq(http_parse(text, sizeof(text) - 1, &r), 0);
	ck_assert_int_eq(http_parse(text, sizeof(text), &r), -431);
	char path[HTTP_PATH_MAX + 1];
	memset(path, 'a', HTTP_PATH_MAX);
	path[HTTP_PATH_MAX] = '\0';
	(void)snprintf(text, sizeof(text), "GET /%s HTTP/1.1\r\n" HOST "\r\n", path);
	ck_assert_int_eq(http_parse(text, strlen(text), &r), -414);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("http");
	tcase_add_loop_test(tc, requests_are_read, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tc, the_next_request_is_left);
	tcase_add_test(tc, what_is_too_long_is_refused);
	return suite_run("gk_http", tc);
}
