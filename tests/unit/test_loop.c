/* The event loop: sources, timers and tasks, and the order in which they get their turn. */
#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "suite.h"
#include "vmm/clock.h"
#include "vmm/loop.h"

int __real_epoll_wait(int fd, struct epoll_event *events, int max, int timeout_ms);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int max, int timeout_ms);

static int epoll_error; /* what each wait fails with */

int __wrap_epoll_wait(int fd, struct epoll_event *events, int max, int timeout_ms)
{
	if (!epoll_error)
		return __real_epoll_wait(fd, events, max, timeout_ms);
	errno = epoll_error;
	return -1;
}

static struct loop *loop;
static char order[32]; /* a letter for everything that ran */
static struct loop_source first, second;

static void note(char letter)
{
	size_t len = strlen(order);
	ck_assert_uint_lt(len, sizeof(order) - 1);
	order[len] = letter;
}

static void ran(void *ctx)
{
	note(*(const char *)ctx);
}

static void source_ready(void *ctx, uint32_t events)
{
	ck_assert(events & EPOLLIN);
	ran(ctx);
}

static void open_source(struct loop_source *s, const char *letter)
{
	*s = (struct loop_source){.ready = source_ready, .ctx = (void *)(uintptr_t)letter};
	s->fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	ck_assert_int_ge(s->fd, 0);
}

static void setup(void)
{
	memset(order, 0, sizeof(order));
	ck_assert_int_eq(loop_create(&loop, NULL), VMM_OK);
	open_source(&first, "1");
	open_source(&second, "2");
}

static void teardown(void)
{
	loop_destroy(loop);
	(void)close(first.fd);
	(void)close(second.fd);
}

START_TEST(level_triggered_sources_come_again)
{
	eventfd_t value;
	ck_assert_int_eq(loop_add(loop, &first, EPOLLIN, NULL), VMM_OK);
	loop_run_once(loop, 0);
	loop_run_once(loop, 0);
	ck_assert_str_eq(order, "11");
	ck_assert_int_eq(eventfd_read(first.fd, &value), 0);
	loop_run_once(loop, 0);
	ck_assert_str_eq(order, "11");
}
END_TEST

START_TEST(edge_triggered_sources_come_once_for_each_edge)
{
	ck_assert_int_eq(loop_add(loop, &first, EPOLLIN | EPOLLET, NULL), VMM_OK);
	loop_run_once(loop, 0);
	loop_run_once(loop, 0);
	ck_assert_str_eq(order, "1");
	ck_assert_int_eq(eventfd_write(first.fd, 1), 0); /* never read: a write is an edge */
	loop_run_once(loop, 0);
	ck_assert_str_eq(order, "11");
}
END_TEST

START_TEST(sources_are_watched_for_what_was_asked_last)
{
	ck_assert_int_eq(loop_add(loop, &first, EPOLLIN, NULL), VMM_OK);
	loop_mod(loop, &first, 0);
	loop_run_once(loop, 0);
	ck_assert_str_eq(order, "");
	loop_mod(loop, &first, EPOLLIN);
	loop_run_once(loop, 0);
	ck_assert_str_eq(order, "1");
	loop_del(loop, &first);
	ck_assert(!first.added);
	loop_del(loop, &first); /* no harm */
	loop_run_once(loop, 0);
	ck_assert_str_eq(order, "1");
}
END_TEST

START_TEST(descriptors_that_cannot_be_watched_are_named)
{
	vmm_err_info_t ei = {.code = VMM_OK};
	struct loop_source s = {.fd = -1, .ready = source_ready};
	ck_assert_int_ne(loop_add(loop, &s, EPOLLIN, &ei), VMM_OK);
	ck_assert(!s.added);
	ck_assert_ptr_nonnull(strstr(ei.message, "-1"));
}
END_TEST

/* Whichever comes first deletes both. */
static void delete_both(void *ctx, uint32_t events)
{
	(void)events;
	ran(ctx);
	loop_del(loop, &first);
	loop_del(loop, &second);
}

START_TEST(a_deleted_source_gets_no_event_of_its_round)
{
	first.ready = second.ready = delete_both;
	ck_assert_int_eq(loop_add(loop, &first, EPOLLIN, NULL), VMM_OK);
	ck_assert_int_eq(loop_add(loop, &second, EPOLLIN, NULL), VMM_OK);
	loop_run_once(loop, 0);
	loop_run_once(loop, 0);
	ck_assert_uint_eq(strlen(order), 1);
}
END_TEST

START_TEST(timers_expire_in_the_order_of_their_deadlines)
{
	struct loop_timer a = {.expired = ran, .ctx = "a"};
	struct loop_timer b = {.expired = ran, .ctx = "b"};
	struct loop_timer c = {.expired = ran, .ctx = "c"};
	struct loop_timer late = {.expired = ran, .ctx = "l"};
	uint64_t now = clock_now_ns();
	loop_timer_set(loop, &c, now - 1);
	loop_timer_set(loop, &a, now - 3);
	loop_timer_set(loop, &late, now + 3600ull * 1000000000);
	loop_timer_set(loop, &b, now - 2);
	loop_run_once(loop, 0);
	ck_assert_str_eq(order, "abc");
	ck_assert(!a.armed && !b.armed && !c.armed && late.armed);
	loop_timer_cancel(loop, &late);
	ck_assert(!late.armed);
	loop_timer_cancel(loop, &late); /* no harm */
}
END_TEST

START_TEST(timers_can_be_moved_and_cancelled)
{
	struct loop_timer a = {.expired = ran, .ctx = "a"};
	struct loop_timer b = {.expired = ran, .ctx = "b"};
	uint64_t now = clock_now_ns();
	loop_timer_set(loop, &a, now - 2);
	loop_timer_set(loop, &b, now - 1);
	loop_timer_set(loop, &a, now); /* behind b */
	loop_run_once(loop, 0);
	ck_assert_str_eq(order, "ba");
	loop_timer_set(loop, &a, now);
	loop_timer_set(loop, &b, now);
	loop_timer_cancel(loop, &a);
	loop_run_once(loop, 0);
	ck_assert_str_eq(order, "bab");
}
END_TEST

START_TEST(waiting_ends_with_the_next_timer)
{
	struct loop_timer a = {.expired = ran, .ctx = "a"};
	uint64_t deadline = clock_now_ns() + 5 * 1000000;
	loop_timer_set(loop, &a, deadline);
	/* Rounds without an end of their own; a wait for less than a millisecond is rounded up. */
	for (unsigned i = 0; i < 3 && a.armed; i++)
		loop_run_once(loop, -1);
	ck_assert_str_eq(order, "a");
	ck_assert_uint_ge(clock_now_ns(), deadline);
}
END_TEST

static struct loop_timer again;

static void rearm(void *ctx)
{
	ran(ctx);
	loop_timer_set(loop, &again, clock_now_ns());
}

/* 'Now' in a callback is later than the round's reading of the clock. */
START_TEST(a_timer_that_rearms_itself_for_now_waits_for_the_next_round)
{
	again = (struct loop_timer){.expired = rearm, .ctx = "r"};
	loop_timer_set(loop, &again, 0);
	for (unsigned i = 1; i <= 3; i++) {
		loop_run_once(loop, 0);
		ck_assert_uint_eq(strlen(order), i);
	}
}
END_TEST

START_TEST(tasks_run_in_order_and_once)
{
	struct loop_task a = {.run = ran, .ctx = "a"};
	struct loop_task b = {.run = ran, .ctx = "b"};
	struct loop_task c = {.run = ran, .ctx = "c"};
	loop_post(loop, &a);
	loop_post(loop, &b);
	loop_post(loop, &c);
	loop_post(loop, &a); /* queued already */
	loop_run_once(loop, -1);
	ck_assert_str_eq(order, "abc");
	ck_assert(!a.queued && !b.queued && !c.queued);
}
END_TEST

START_TEST(tasks_can_be_taken_back)
{
	struct loop_task a = {.run = ran, .ctx = "a"};
	struct loop_task b = {.run = ran, .ctx = "b"};
	struct loop_task c = {.run = ran, .ctx = "c"};
	loop_unpost(loop, &a); /* never queued */
	loop_post(loop, &a);
	loop_post(loop, &b);
	loop_unpost(loop, &b); /* the last: the next one must still find the end */
	loop_post(loop, &c);
	loop_unpost(loop, &a);
	loop_run_once(loop, 0);
	ck_assert_str_eq(order, "c");
}
END_TEST

static struct loop_task over;

static void post_again(void *ctx)
{
	ran(ctx);
	loop_post(loop, &over);
}

START_TEST(a_task_that_posts_itself_keeps_nobody_waiting)
{
	struct loop_timer t = {.expired = ran, .ctx = "t"};
	over = (struct loop_task){.run = post_again, .ctx = "p"};
	loop_post(loop, &over);
	ck_assert_int_eq(loop_add(loop, &first, EPOLLIN, NULL), VMM_OK);
	loop_timer_set(loop, &t, 0);
	loop_run_once(loop, -1);
	ck_assert_str_eq(order, "1tp");
	loop_run_once(loop, -1); /* woken by its own post, and the source is still ready */
	ck_assert_str_eq(order, "1tp1p");
}
END_TEST

static void *post_and_stop(void *ctx)
{
	loop_post(loop, ctx);
	loop_stop(loop);
	return NULL;
}

START_TEST(another_thread_posts_and_stops)
{
	struct loop_task a = {.run = ran, .ctx = "a"};
	pthread_t thread;
	ck_assert_int_eq(pthread_create(&thread, NULL, post_and_stop, &a), 0);
	loop_run(loop);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_str_eq(order, "a"); /* even where the stop was seen first */
	loop_stop(loop);              /* before it runs: seen as well, and only once */
	loop_run(loop);
	loop_post(loop, &a);
	loop_run_once(loop, -1);
	ck_assert_str_eq(order, "aa");
}
END_TEST

/* As the last kick of a guest that switches itself off. */
START_TEST(what_came_before_the_stop_is_done)
{
	struct loop_task a = {.run = ran, .ctx = "a"};
	ck_assert_int_eq(loop_add(loop, &first, EPOLLIN | EPOLLET, NULL), VMM_OK);
	loop_post(loop, &a);
	loop_stop(loop);
	loop_run(loop);
	ck_assert_str_eq(order, "1a");
}
END_TEST

/* A defect that epoll_wait meets each time: what does not need it goes on, at a pace. */
START_TEST(an_epoll_that_fails_keeps_nobody_busy)
{
	struct loop_timer t = {.expired = ran, .ctx = "t"};
	struct loop_task a = {.run = ran, .ctx = "a"};
	loop_timer_set(loop, &t, 0);
	loop_post(loop, &a);
	epoll_error = EBADF;
	uint64_t before = clock_now_ns();
	for (unsigned i = 0; i < 20; i++)
		loop_run_once(loop, -1);
	ck_assert_uint_ge(clock_now_ns() - before, 20 * NS_PER_MS);
	ck_assert_str_eq(order, "ta");
	epoll_error = EINTR; /* no defect: no pause is needed, and none is taken for long */
	loop_post(loop, &a);
	loop_run_once(loop, -1);
	ck_assert_str_eq(order, "taa");
	epoll_error = 0;
	loop_post(loop, &a);
	loop_run_once(loop, -1);
	ck_assert_str_eq(order, "taaa");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("loop");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, level_triggered_sources_come_again);
	tcase_add_test(tc, edge_triggered_sources_come_once_for_each_edge);
	tcase_add_test(tc, sources_are_watched_for_what_was_asked_last);
	tcase_add_test(tc, descriptors_that_cannot_be_watched_are_named);
	tcase_add_test(tc, a_deleted_source_gets_no_event_of_its_round);
	tcase_add_test(tc, timers_expire_in_the_order_of_their_deadlines);
	tcase_add_test(tc, timers_can_be_moved_and_cancelled);
	tcase_add_test(tc, waiting_ends_with_the_next_timer);
	tcase_add_test(tc, a_timer_that_rearms_itself_for_now_waits_for_the_next_round);
	tcase_add_test(tc, tasks_run_in_order_and_once);
	tcase_add_test(tc, tasks_can_be_taken_back);
	tcase_add_test(tc, a_task_that_posts_itself_keeps_nobody_waiting);
	tcase_add_test(tc, another_thread_posts_and_stops);
	tcase_add_test(tc, what_came_before_the_stop_is_done);
	tcase_add_test(tc, an_epoll_that_fails_keeps_nobody_busy);
	return suite_run("loop", tc);
}
