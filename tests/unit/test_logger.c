/* Messages to the embedder: levels, length, and the limit on what a guest can cause. */
#include <check.h>
#include <string.h>

#include "suite.h"
#include "vmm/clock.h"
#include "vmm/logger.h"

static struct log l;
static unsigned lines;
static vmm_log_level_t last_level;
static char first[600], last[600];

static void hear(void *ctx, vmm_log_level_t level, const char *line)
{
	ck_assert_ptr_eq(ctx, &l);
	if (lines++ == 0)
		(void)snprintf(first, sizeof(first), "%s", line);
	last_level = level;
	(void)snprintf(last, sizeof(last), "%s", line);
}

static void setup(void)
{
	l = (struct log){.fn = hear, .ctx = &l, .level = VMM_LOG_WARN};
	lines = 0;
}

START_TEST(levels_above_the_wanted_one_are_dropped)
{
	log_say(&l, VMM_LOG_ERROR, "e %d", 1);
	ck_assert_str_eq(last, "e 1");
	ck_assert_int_eq(last_level, VMM_LOG_ERROR);
	log_say(&l, VMM_LOG_WARN, "w");
	ck_assert_uint_eq(lines, 2);
	ck_assert_int_eq(last_level, VMM_LOG_WARN);
	log_say(&l, VMM_LOG_INFO, "i");
	log_guest(&l, VMM_LOG_DEBUG, "d");
	ck_assert_uint_eq(lines, 2);
	ck_assert_uint_eq(atomic_load(&l.guest_in_window),
	                  0); /* what is not said counts for nothing */
}
END_TEST

START_TEST(nobody_has_to_listen)
{
	l.fn = NULL;
	log_say(&l, VMM_LOG_ERROR, "x");
	log_guest(&l, VMM_LOG_ERROR, "x");
	log_say(NULL, VMM_LOG_ERROR, "x");
	log_guest(NULL, VMM_LOG_ERROR, "x");
	ck_assert_uint_eq(lines, 0);
	ck_assert_uint_eq(atomic_load(&l.guest_dropped), 0);
}
END_TEST

START_TEST(long_lines_are_cut)
{
	char text[1000];
	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_say(&l, VMM_LOG_ERROR, "%s", text);
	ck_assert_uint_eq(strlen(last), 511);
	log_guest(&l, VMM_LOG_ERROR, "%s", text);
	ck_assert_uint_eq(strlen(last), 511);
	ck_assert_uint_eq(lines, 2);
}
END_TEST

/* The second that the window began in is over. */
static void next_second(void)
{
	atomic_store(&l.guest_window_ns, clock_now_ns() - NS_PER_SECOND);
}

START_TEST(a_guest_may_say_so_much_in_a_second)
{
	next_second();
	for (unsigned i = 0; i < LOG_GUEST_BURST; i++)
		log_guest(&l, VMM_LOG_WARN, "line %u", i);
	ck_assert_uint_eq(lines, LOG_GUEST_BURST);
	ck_assert_str_eq(last, "line 9");
	atomic_store(&l.guest_window_ns, clock_now_ns()); /* however slow this machine is */
	for (unsigned i = 0; i < 5; i++)
		log_guest(&l, VMM_LOG_WARN, "too many");
	ck_assert_uint_eq(lines, LOG_GUEST_BURST);
	ck_assert_uint_eq(atomic_load(&l.guest_dropped), 5);
	log_say(&l, VMM_LOG_WARN, "ours"); /* has no limit */
	ck_assert_uint_eq(lines, LOG_GUEST_BURST + 1);

	next_second();
	lines = 0;
	log_guest(&l, VMM_LOG_WARN, "again");
	ck_assert_uint_eq(lines, 2);
	ck_assert_str_eq(first, "(5 similar messages were dropped)");
	ck_assert_str_eq(last, "again");
	log_guest(&l, VMM_LOG_WARN, "and again"); /* told once */
	ck_assert_uint_eq(lines, 3);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("logger");
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, levels_above_the_wanted_one_are_dropped);
	tcase_add_test(tc, nobody_has_to_listen);
	tcase_add_test(tc, long_lines_are_cut);
	tcase_add_test(tc, a_guest_may_say_so_much_in_a_second);
	return suite_run("logger", tc);
}
