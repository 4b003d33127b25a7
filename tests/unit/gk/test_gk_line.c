/* Line editing: keys in, line out; the echo, played on a terminal, must show the line. */
#include <string.h>

#include "gk_rig.h"
#include "guest-kernel/services/shell.h"

/* A terminal of one row. */
static struct {
	char text[400];
	size_t at, end;
} term;

static void on_echo(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\b') {
			ck_assert_uint_gt(term.at, 0);
			term.at--;
		} else if (text[i] == '\n') {
			memset(&term, 0, sizeof(term));
		} else if (text[i] != '\a') {
			ck_assert_uint_lt(term.at, sizeof(term.text));
			term.text[term.at++] = text[i];
			term.end = term.at > term.end ? term.at : term.end;
		}
	}
}

static struct line line;

static bool type(const char *keys)
{
	bool done = false;
	for (; *keys; keys++)
		done = line_input(&line, *keys);
	return done;
}

static void assert_shows(const char *text, size_t at)
{
	ck_assert_uint_eq(line.len, strlen(text));
	ck_assert_mem_eq(line.text, text, line.len);
	ck_assert_mem_eq(term.text, text, strlen(text));
	for (size_t i = strlen(text); i < term.end; i++)
		ck_assert_int_eq(term.text[i], ' ');
	ck_assert_uint_eq(term.at, at);
	ck_assert_uint_eq(line.at, at);
}

static void setup(void)
{
	memset(&term, 0, sizeof(term));
	line_init(&line, on_echo, NULL);
}

START_TEST(keys_edit_the_line)
{
	setup();
	(void)type("helo\033[D\033[Dl");
	assert_shows("hello", 3);
	(void)type("\001X\005Y");
	assert_shows("XhelloY", 7);
	(void)type("\177\b");
	assert_shows("Xhell", 5);
	(void)type("\033[H\033[3~\033[F");
	assert_shows("hell", 4);
	(void)type(" two  three\027");
	assert_shows("hell two  ", 10);
	(void)type("\002\002\002\002\002\013");
	assert_shows("hell ", 5);
	(void)type("\025");
	assert_shows("", 0);
	(void)type("\033[D\033[C\033OC\177\004\027");
	assert_shows("", 0);
	ck_assert(type("done\r"));
	ck_assert_str_eq(line.text, "done");
}
END_TEST

START_TEST(history_comes_back)
{
	setup();
	static const char *const lines[] = {"one", "two", "two", "three"};
	for (unsigned i = 0; i < 4; i++) {
		(void)type(lines[i]);
		ck_assert(type("\n"));
		line_next(&line);
	}
	(void)type("\033[A");
	assert_shows("three", 5);
	(void)type("\033[A\033[A\033[A\033[A");
	assert_shows("one", 3);
	(void)type("\016");
	assert_shows("two", 3);
	(void)type("\033[B\033[B\033[B");
	assert_shows("", 0);
	for (unsigned i = 0; i < 40; i++) {
		char text[2] = {(char)('a' + i % 26), 0};
		(void)type(text);
		(void)type("\r");
		line_next(&line);
	}
	for (unsigned i = 0; i < 40; i++)
		(void)type("\020");
	assert_shows("y", 1); /* the oldest of sixteen */
}
END_TEST

START_TEST(a_long_line_is_held_back)
{
	setup();
	for (unsigned i = 0; i < 300; i++)
		(void)type("x");
	ck_assert_uint_eq(line.len, SHELL_LINE_MAX - 1);
	ck_assert(type("\003"));
	ck_assert_str_eq(line.text, "");
}
END_TEST

START_TEST(any_keys_keep_line_and_screen_together)
{
	static const char keys[] =
	        "ab \033[ABCDHF3~O12;\001\005\002\006\004\013\025\027\020\016\177\b";
	uint64_t seed = 42;
	setup();
	for (unsigned i = 0; i < 4000; i++) {
		char c = keys[rig_random(&seed) % (sizeof(keys) - 1)];
		if (rig_random(&seed) % 50 == 0)
			c = (char)rig_random(&seed);
		if (line_input(&line, c))
			line_next(&line);
		ck_assert_uint_lt(line.len, SHELL_LINE_MAX);
		ck_assert_uint_le(line.at, line.len);
		ck_assert_uint_eq(term.at, line.at);
		ck_assert_mem_eq(term.text, line.text, line.len);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("line");
	tcase_add_test(tc, keys_edit_the_line);
	tcase_add_test(tc, history_comes_back);
	tcase_add_test(tc, a_long_line_is_held_back);
	tcase_add_test(tc, any_keys_keep_line_and_screen_together);
	return suite_run("gk_line", tc);
}
