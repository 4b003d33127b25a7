/* Character devices: each kind's transfers, back-pressure both ways, and what is left behind. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/chardev.h"
#include "suite.h"

struct fixture {
	struct loop *loop;
	struct chardev *cd;
	char dir[32];
	char path[64];
	uint8_t in[65536];
	size_t in_len, in_room;
	unsigned writables;
	unsigned comings, goings;
};

static struct fixture f;

static size_t take(void *ctx, const uint8_t *data, size_t len)
{
	(void)ctx;
	size_t n = len < f.in_room ? len : f.in_room;
	ck_assert_uint_le(f.in_len + n, sizeof(f.in));
	memcpy(f.in + f.in_len, data, n);
	f.in_len += n;
	f.in_room -= n;
	return n;
}

static void writable(void *ctx)
{
	(void)ctx;
	f.writables++;
}

static void connected(void *ctx, bool yes)
{
	(void)ctx;
	f.comings += yes;
	f.goings += !yes;
}

static const struct chardev_ops ops = {take, writable, connected};

static void run(void)
{
	for (int i = 0; i < 40; i++)
		loop_run_once(f.loop, 0);
}

static void run_until(const unsigned *count, unsigned wanted)
{
	for (int i = 0; i < 100 && *count < wanted; i++)
		loop_run_once(f.loop, 50);
	ck_assert_uint_eq(*count, wanted);
}

static void setup(void)
{
	f = (struct fixture){.in_room = SIZE_MAX, .dir = "/tmp/chardevXXXXXX"};
	ck_assert_ptr_nonnull(mkdtemp(f.dir));
	(void)snprintf(f.path, sizeof(f.path), "%s/it", f.dir);
	ck_assert_int_eq(loop_create(&f.loop, NULL), VMM_OK);
}

static void teardown(void)
{
	chardev_destroy(f.cd);
	loop_destroy(f.loop);
	(void)unlink(f.path);
	ck_assert_int_eq(rmdir(f.dir), 0);
}

static void open_as(vmm_chardev_kind_t kind, int in_fd, int out_fd)
{
	const vmm_chardev_opts_t o = {kind, in_fd, out_fd, f.path};
	ck_assert_int_eq(chardev_create(&o, "test", f.loop, NULL, &f.cd, NULL), VMM_OK);
	ck_assert_int_eq(chardev_attach(f.cd, &ops, NULL, NULL), VMM_OK);
}

static size_t put(const char *text)
{
	return chardev_write(f.cd, (const uint8_t *)text, strlen(text));
}

static void reads(int fd, const char *text)
{
	char got[64] = "";
	ck_assert_int_eq(read(fd, got, sizeof(got)), (int)strlen(text));
	ck_assert_str_eq(got, text);
}

static int client(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	memcpy(sa.sun_path, f.path, strlen(f.path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

START_TEST(pipes_keep_their_flags_and_lose_nothing)
{
	int in[2];
	int out[2];
	ck_assert_int_eq(pipe(in), 0);
	ck_assert_int_eq(pipe(out), 0);
	open_as(VMM_CHARDEV_FD, in[0], out[1]);
	ck_assert_int_eq(fcntl(in[0], F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(fcntl(out[1], F_GETFL) & O_NONBLOCK, 0);
	/* More than pipe and buffer hold: the rest is refused, and announced when there is room. */
	static uint8_t data[400000];
	static uint8_t back[sizeof(data)];
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 31 + (i >> 8));
	size_t sent = chardev_write(f.cd, data, sizeof(data));
	ck_assert_uint_ge(sent, CHARDEV_PENDING_MAX);
	ck_assert_uint_lt(sent, sizeof(data));
	for (size_t got = 0; got < sizeof(data);) {
		run();
		if (f.writables) {
			f.writables = 0;
			sent += chardev_write(f.cd, data + sent, sizeof(data) - sent);
		}
		ssize_t n = read(out[0], back + got, sizeof(back) - got);
		ck_assert_int_gt(n, 0);
		got += (size_t)n;
	}
	ck_assert_mem_eq(data, back, sizeof(data));
	/* The reader leaves: no signal, output is dropped. */
	(void)close(out[0]);
	ck_assert_uint_eq(put("nobody"), 6);
	ck_assert(!chardev_connected(f.cd));
	(void)close(in[0]), (void)close(in[1]), (void)close(out[1]);
}
END_TEST

START_TEST(input_waits_for_the_consumer)
{
	int in[2];
	ck_assert_int_eq(pipe(in), 0);
	open_as(VMM_CHARDEV_FD, in[0], -1);
	f.in_room = 3;
	ck_assert_int_eq(write(in[1], "abcdefgh", 8), 8);
	run();
	ck_assert_uint_eq(f.in_len, 3);
	ck_assert_int_eq(write(in[1], "ijk", 3), 3);
	run();
	ck_assert_uint_eq(f.in_len, 3);
	f.in_room = 4;
	chardev_input_room(f.cd);
	run();
	ck_assert_uint_eq(f.in_len, 7);
	f.in_room = SIZE_MAX;
	chardev_input_room(f.cd);
	run();
	ck_assert_uint_eq(f.in_len, 11);
	ck_assert_mem_eq(f.in, "abcdefghijk", 11);
	(void)close(in[0]), (void)close(in[1]);
}
END_TEST

START_TEST(waiting_writers_wait_once)
{
	int out[2];
	ck_assert_int_eq(pipe(out), 0);
	open_as(VMM_CHARDEV_FD, -1, out[1]);
	static const uint8_t data[300000];
	(void)chardev_write(f.cd, data, sizeof(data));
	struct timespec a;
	struct timespec b;
	(void)clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < 100; i++)
		chardev_write_wait(f.cd, data, 1, 50);
	(void)clock_gettime(CLOCK_MONOTONIC, &b);
	long ms = (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
	ck_assert_int_ge(ms, 45);
	ck_assert_int_lt(ms, 100 * 50); /* not each */
	(void)close(out[0]), (void)close(out[1]);
}
END_TEST

START_TEST(files_are_made_and_read)
{
	open_as(VMM_CHARDEV_FILE, -1, -1);
	ck_assert_uint_eq(put("hello"), 5);
	chardev_destroy(f.cd);
	int fd = open(f.path, O_RDONLY | O_CLOEXEC);
	reads(fd, "hello");
	/* A regular file as input, which epoll refuses. */
	ck_assert_int_eq(lseek(fd, 1, SEEK_SET), 1);
	open_as(VMM_CHARDEV_FD, fd, -1);
	run();
	ck_assert_uint_eq(f.in_len, 4);
	ck_assert_mem_eq(f.in, "ello", 4);
	(void)close(fd);
}
END_TEST

static void write_file(const char *text)
{
	int fd = open(f.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_int_eq(write(fd, text, strlen(text)), (int)strlen(text));
	(void)close(fd);
}

static void file_holds(const char *text)
{
	int fd = open(f.path, O_RDONLY | O_CLOEXEC);
	reads(fd, text);
	(void)close(fd);
}

START_TEST(a_vm_that_never_ran_changes_no_file)
{
	open_as(VMM_CHARDEV_FILE, -1, -1);
	chardev_destroy(f.cd);
	ck_assert_int_ne(access(f.path, F_OK), 0);
	write_file("of old");
	open_as(VMM_CHARDEV_FILE, -1, -1);
	chardev_destroy(f.cd);
	file_holds("of old");
	/* It runs, and is silent. */
	open_as(VMM_CHARDEV_FILE, -1, -1);
	run();
	file_holds("");
	chardev_destroy(f.cd);
	file_holds("");
	/* It speaks before the loop runs. */
	write_file("of old");
	open_as(VMM_CHARDEV_FILE, -1, -1);
	ck_assert_uint_eq(put("new"), 3);
	run();
	chardev_destroy(f.cd);
	f.cd = NULL;
	file_holds("new");
}
END_TEST

START_TEST(sockets_take_one_client_at_a_time)
{
	open_as(VMM_CHARDEV_UNIX, -1, -1);
	ck_assert_uint_eq(put("nobody there"), 12);
	int a = client();
	int b = client();
	run();
	ck_assert_uint_eq(f.comings, 1);
	ck_assert_uint_eq(put("to a"), 4);
	reads(a, "to a");
	ck_assert_int_eq(write(a, "from a", 6), 6);
	(void)close(a);
	run();
	ck_assert_uint_eq(f.goings, 1);
	ck_assert_uint_eq(f.comings, 2);
	ck_assert_mem_eq(f.in, "from a", 6);
	ck_assert_uint_eq(put("to b"), 4);
	reads(b, "to b");
	chardev_destroy(f.cd);
	f.cd = NULL;
	ck_assert_int_ne(access(f.path, F_OK), 0);
	(void)close(b);
}
END_TEST

START_TEST(sockets_in_the_way_are_told_apart)
{
	const vmm_chardev_opts_t o = {VMM_CHARDEV_UNIX, -1, -1, f.path};
	vmm_err_info_t ei;
	struct chardev *second;
	open_as(VMM_CHARDEV_UNIX, -1, -1);
	ck_assert_int_eq(chardev_create(&o, "t", f.loop, NULL, &second, &ei), VMM_E_BUSY);
	ck_assert_ptr_nonnull(strstr(ei.message, "another process listens"));
	ck_assert_int_eq(access(f.path, F_OK), 0); /* the failed one removed nothing */
	chardev_destroy(f.cd);
	f.cd = NULL;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	memcpy(sa.sun_path, f.path, strlen(f.path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	(void)close(fd);
	ck_assert_int_eq(chardev_create(&o, "t", f.loop, NULL, &second, &ei), VMM_E_BUSY);
	ck_assert_ptr_nonnull(strstr(ei.message, "remove the file"));
	ck_assert_int_eq(unlink(f.path), 0);
	fd = open(f.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	(void)close(fd);
	ck_assert_int_eq(chardev_create(&o, "t", f.loop, NULL, &second, &ei), VMM_E_BUSY);
	ck_assert_ptr_nonnull(strstr(ei.message, "not a socket"));
}
END_TEST

START_TEST(terminals_drop_output_until_somebody_comes)
{
	open_as(VMM_CHARDEV_PTY, -1, -1);
	ck_assert(!chardev_connected(f.cd));
	static const uint8_t much[200000];
	ck_assert_uint_eq(chardev_write(f.cd, much, sizeof(much)), sizeof(much));
	for (unsigned round = 1; round <= 2; round++) {
		int fd = open(chardev_pty(f.cd), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
		ck_assert_int_ge(fd, 0);
		run_until(&f.comings, round);
		ck_assert_uint_eq(put("a\nb"), 3);
		run();
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ck_assert_int_eq(poll(&p, 1, 5000), 1);
		reads(fd, "a\nb"); /* raw: no carriage return is added */
		ck_assert_int_eq(write(fd, "x\ry", 3), 3);
		/* The kernel hands it over by a work queue, in its own time. */
		for (int i = 0; i < 100 && f.in_len < 3 * round; i++)
			loop_run_once(f.loop, 50);
		ck_assert_uint_eq(f.in_len, 3 * round);
		ck_assert_mem_eq(f.in + 3 * (round - 1), "x\ry", 3);
		(void)close(fd);
		run_until(&f.goings, round);
		ck_assert_uint_eq(put("nobody"), 6);
	}
}
END_TEST

START_TEST(bad_options_are_refused)
{
	vmm_err_info_t ei;
	struct chardev *cd;
	vmm_chardev_opts_t o = VMM_CHARDEV_OPTS_INIT;
	o.kind = VMM_CHARDEV_FD;
	ck_assert_int_eq(chardev_create(&o, "t", f.loop, NULL, &cd, &ei), VMM_E_INVAL);
	o.in_fd = 9999;
	ck_assert_int_eq(chardev_create(&o, "t", f.loop, NULL, &cd, &ei), VMM_E_INVAL);
	o.kind = VMM_CHARDEV_FILE;
	ck_assert_int_eq(chardev_create(&o, "t", f.loop, NULL, &cd, &ei), VMM_E_INVAL);
	o.path = "/nonexistent/file";
	ck_assert_int_eq(chardev_create(&o, "t", f.loop, NULL, &cd, &ei), VMM_E_NOENT);
	o.kind = (vmm_chardev_kind_t)77;
	ck_assert_int_eq(chardev_create(&o, "t", f.loop, NULL, &cd, &ei), VMM_E_INVAL);
	char longer[200];
	memset(longer, 'x', sizeof(longer));
	longer[199] = 0;
	o.kind = VMM_CHARDEV_UNIX;
	o.path = longer;
	ck_assert_int_eq(chardev_create(&o, "t", f.loop, NULL, &cd, &ei), VMM_E_INVAL);
	ck_assert_ptr_null(cd);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("chardev");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, pipes_keep_their_flags_and_lose_nothing);
	tcase_add_test(tc, input_waits_for_the_consumer);
	tcase_add_test(tc, waiting_writers_wait_once);
	tcase_add_test(tc, files_are_made_and_read);
	tcase_add_test(tc, a_vm_that_never_ran_changes_no_file);
	tcase_add_test(tc, sockets_take_one_client_at_a_time);
	tcase_add_test(tc, sockets_in_the_way_are_told_apart);
	tcase_add_test(tc, terminals_drop_output_until_somebody_comes);
	tcase_add_test(tc, bad_options_are_refused);
	return suite_run("chardev", tc);
}
