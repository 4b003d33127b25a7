/* Formatting, beside the C library's, and the command line. */
#include <stdlib.h>
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

static bool slot(const char *text, uint64_t base, uint32_t len_bytes, uint32_t gsi)
{
	struct arch_virtio_slot got = {.level = true};
	return parse_virtio_slot(text, strlen(text), &got) && got.base == base &&
	       got.len_bytes == len_bytes && got.gsi == gsi && !got.level;
}

START_TEST(virtio_slots_are_read)
{
	ck_assert(slot("512@0xfeb00000:5", 0xfeb00000, 512, 5));
	ck_assert(slot("0x200@0xfeb00e00:12", 0xfeb00e00, 0x200, 12));
	ck_assert(slot("4K@0xd0000000:5:0", 0xd0000000, 4096, 5));
	ck_assert(slot("4k@3489660928:5:17", 0xd0000000, 4096, 5));
	ck_assert(slot("0x100@0:1", 0, 0x100, 1));
	ck_assert(slot("64K@0xffff0000:255", 0xffff0000, 0x10000, 255));
	/* Only LEN characters belong to it. */
	struct arch_virtio_slot got;
	ck_assert(parse_virtio_slot("512@0x1000:57", 12, &got));
	ck_assert_uint_eq(got.gsi, 5);
}
END_TEST

START_TEST(bad_virtio_slots_are_refused)
{
	static const char *const bad[] = {
	        "",
	        "512",
	        "512@",
	        "512@0x1000",
	        "512@0x1000:",
	        "@0x1000:5",
	        "512@:5",
	        "512:5@0x1000",
	        "-512@0x1000:5",
	        "512@0x1000:-5",
	        "512@0xfeb0000g:5",
	        "512 @0x1000:5",
	        "512@0x1000:5 ",
	        "512@0x1000:5x",
	        "512@0x1000:5:",
	        "512@0x1000:5:x",
	        "512@0x1000:5:1x",
	        "512@0x1000:5:1:1",
	        "512@0x1000:0",
	        "512@0x1000:256",
	        "512@0x1000:4294967301", /* 2^32 + 5 */
	        "512@0x1000:18446744073709551621",
	        "255@0x1000:5",
	        "0@0x1000:5",
	        "65537@0x1000:5",
	        "1M@0x1000:5",
	        "4294967808@0x1000:5", /* 2^32 + 512 */
	        "17179869184G@0x1000:5",
	        "512@0x100000000:5",
	        "512@0xfffffe01:5", /* ends above 4 GiB */
	        "512@0xffffffffffffffff:5",
	        "512@0x10000000000001000:5",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct arch_virtio_slot got = {1, 2, 3, true};
		ck_assert_msg(!parse_virtio_slot(bad[i], strlen(bad[i]), &got), "'%s'", bad[i]);
		ck_assert(got.base == 1 && got.len_bytes == 2 && got.gsi == 3 && got.level);
	}
}
END_TEST

/* Cut anywhere, in memory of exactly that size. */
START_TEST(a_cut_virtio_slot_is_not_overread)
{
	static const char whole[] = "0x200@0xfeb00000:12:3";
	for (size_t len = 0; len < sizeof(whole); len++) {
		char *text = malloc(len ? len : 1);
		ck_assert_ptr_nonnull(text);
		memcpy(text, whole, len);
		struct arch_virtio_slot got;
		bool good = len == 18 || len == 19 || len == 21;
		ck_assert_int_eq(parse_virtio_slot(text, len, &got), good);
		free(text);
	}
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
	tcase_add_test(tc, virtio_slots_are_read);
	tcase_add_test(tc, bad_virtio_slots_are_refused);
	tcase_add_test(tc, a_cut_virtio_slot_is_not_overread);
	return suite_run("gk_text", tc);
}
