/* Formatting, beside the C library's, and the command line. */
#include <string.h>

#include "../suite.h"
#include "guest-kernel/core/cmdline.h"
#include "guest-kernel/core/fmt.h"

#define SAME(...)                                                      \
	do {                                                           \
		char ours[64], theirs[64];                             \
		size_t n = fmt(ours, sizeof(ours), __VA_ARGS__);       \
		int m = snprintf(theirs, sizeof(theirs), __VA_ARGS__); \
		ck_assert_str_eq(ours, theirs);                        \
		ck_assert_uint_eq(n, (size_t)m);                       \
	} while (0)

START_TEST(it_formats_as_the_c_library)
{
	SAME("plain");
	SAME("%d %d %d", 0, -1, INT32_MIN);
	SAME("%u %x %X", 4000000000u, 0xbeefu, 0xbeefu);
	SAME("%5d|%-5d|%05d|%5d", 42, 42, -42, -42);
	SAME("%lu %llx %zu", 1ul << 40, 0xffffffffffffffffull, (size_t)7);
	SAME("%s|%6s|%-6s|%.2s|%.*s", "abc", "abc", "abc", "abc", 1, "abc");
	SAME("%c%c%%", 'x', 'y');
	SAME("%016lx", 0x1234ul);
	SAME("%*d", 7, 5);
	SAME("%ld", INT64_MIN);
	SAME("%p", (void *)0x1234);
}
END_TEST

START_TEST(it_cuts_what_does_not_fit)
{
	char out[5];
	ck_assert_uint_eq(fmt(out, sizeof(out), "%s", "abcdefgh"), 8);
	ck_assert_str_eq(out, "abcd");
	ck_assert_uint_eq(fmt(out, 0, "%d", 123), 3);
	ck_assert_str_eq(out, "abcd");
}
END_TEST

START_TEST(bytes_are_readable)
{
	char out[16];
	ck_assert_str_eq(fmt_bytes(out, 0), "0 B");
	ck_assert_str_eq(fmt_bytes(out, 1023), "1023 B");
	ck_assert_str_eq(fmt_bytes(out, 16u << 20), "16.0 MiB");
	ck_assert_str_eq(fmt_bytes(out, 1536), "1.5 KiB");
	ck_assert_str_eq(fmt_bytes(out, 3ull << 42), "12.0 TiB");
}
END_TEST

START_TEST(words_are_found_by_key)
{
	const char *line = "a=1 gk.run=\"mem; ps\" ab=2 a=3 quiet";
	char out[16];
	ck_assert(cmdline_get(line, "a", out, sizeof(out)));
	ck_assert_str_eq(out, "3");
	ck_assert(cmdline_get(line, "gk.run", out, sizeof(out)));
	ck_assert_str_eq(out, "mem; ps");
	ck_assert(cmdline_get(line, "quiet", out, sizeof(out)));
	ck_assert_str_eq(out, "");
	ck_assert(!cmdline_get(line, "b", out, sizeof(out)));
	ck_assert(!cmdline_get(line, "gk.run", out, 7));
	ck_assert(!cmdline_get("a=\"unfinished", "b", out, sizeof(out)));
	ck_assert(cmdline_get("a=\"unfinished", "a", out, sizeof(out)));
	ck_assert_str_eq(out, "unfinished");
}
END_TEST

START_TEST(numbers_stop_where_they_end)
{
	uint64_t v;
	ck_assert_uint_eq(parse_number("123abc", 6, &v), 3);
	ck_assert_uint_eq(v, 123);
	ck_assert_uint_eq(parse_number("0xfFg", 5, &v), 4);
	ck_assert_uint_eq(v, 255);
	ck_assert_uint_eq(parse_number("18446744073709551615", 20, &v), 20);
	ck_assert_uint_eq(v, UINT64_MAX);
	ck_assert_uint_eq(parse_number("18446744073709551616", 20, &v), 0);
	ck_assert_uint_eq(parse_number("x", 1, &v), 0);
	ck_assert_uint_eq(parse_number("12", 1, &v), 1);
	ck_assert_uint_eq(v, 1);
	ck_assert_uint_eq(parse_size("4K@", 3, &v), 2);
	ck_assert_uint_eq(v, 4096);
	ck_assert_uint_eq(parse_size("17179869184G", 12, &v), 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("text");
	tcase_add_test(tc, it_formats_as_the_c_library);
	tcase_add_test(tc, it_cuts_what_does_not_fit);
	tcase_add_test(tc, bytes_are_readable);
	tcase_add_test(tc, words_are_found_by_key);
	tcase_add_test(tc, numbers_stop_where_they_end);
	return suite_run("gk_text", tc);
}
