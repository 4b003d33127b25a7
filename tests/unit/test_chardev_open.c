/*
 * Opening the host's end of a stream: how each kind of descriptor is kept from blocking, whose
 * flags are left alone, what is removed at the end, and what the host may refuse. test_chardev.c
 * moves bytes.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "devices/chardev_priv.h"
#include "suite.h"

static struct loop *loop;
static struct chardev *cd;
static char dir[32];
static char path[64];
static vmm_err_info_t ei;

static void setup(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/chardevXXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/it", dir);
	ck_assert_int_eq(loop_create(&loop, NULL), VMM_OK);
	cd = NULL;
}

static void teardown(void)
{
	chardev_destroy(cd);
	loop_destroy(loop);
	(void)unlink(path);
	ck_assert_int_eq(rmdir(dir), 0);
}

static vmm_err_t open_as(vmm_chardev_kind_t kind, int in_fd, int out_fd, const char *name)
{
	const vmm_chardev_opts_t o = {kind, in_fd, out_fd, name};
	return chardev_create(&o, "serial", loop, NULL, &cd, &ei);
}

static void refused(vmm_chardev_kind_t kind, int in_fd, int out_fd, const char *name,
                    vmm_err_t code, const char *text)
{
	ck_assert_int_eq(open_as(kind, in_fd, out_fd, name), code);
	ck_assert_ptr_null(cd);
	ck_assert_msg(strstr(ei.message, text) != NULL, "'%s' does not say '%s'", ei.message, text);
}

/* From here on the process gets no descriptor any more. */
static void no_more_descriptors(void)
{
	int next = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	struct rlimit limit;
	ck_assert_int_ge(next, 0);
	(void)close(next);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)next;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

START_TEST(pipes_are_opened_anew)
{
	int in[2];
	int out[2];
	ck_assert_int_eq(pipe(in), 0);
	ck_assert_int_eq(pipe(out), 0);
	ck_assert_int_eq(open_as(VMM_CHARDEV_FD, in[0], out[1], NULL), VMM_OK);
	ck_assert_int_eq(cd->in.mode, CHARDEV_NONBLOCK);
	ck_assert_int_eq(cd->out.mode, CHARDEV_NONBLOCK);
	ck_assert(cd->in.pipe && cd->out.pipe);
	ck_assert_int_ne(cd->out.source.fd, out[1]);
	ck_assert_int_ne(fcntl(cd->out.source.fd, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(fcntl(out[1], F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(fcntl(in[0], F_GETFL) & O_NONBLOCK, 0);
	ck_assert(cd->connected && !cd->made);
}
END_TEST

START_TEST(sockets_are_asked_call_by_call)
{
	int pair[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert_int_eq(open_as(VMM_CHARDEV_FD, pair[0], pair[0], NULL), VMM_OK);
	ck_assert_int_eq(cd->in.mode, CHARDEV_SOCKET);
	ck_assert_int_eq(cd->out.mode, CHARDEV_SOCKET);
	ck_assert(!cd->out.pipe);
	ck_assert_int_ne(cd->in.source.fd, cd->out.source.fd);
	ck_assert_int_ne(fcntl(cd->in.source.fd, F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_eq(fcntl(pair[0], F_GETFL) & O_NONBLOCK, 0);
}
END_TEST

START_TEST(files_and_devices)
{
	int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(file, 0);
	ck_assert_int_ge(null, 0);
	ck_assert_int_eq(open_as(VMM_CHARDEV_FD, null, file, NULL), VMM_OK);
	ck_assert_int_eq(cd->in.mode, CHARDEV_POLLED);
	ck_assert_int_eq(cd->out.mode, CHARDEV_DIRECT);
	ck_assert(!cd->untouched); /* a descriptor's file is not cut */
	chardev_destroy(cd);
	ck_assert_int_eq(open_as(VMM_CHARDEV_FD, -1, file, NULL), VMM_OK);
	ck_assert_int_eq(cd->in.source.fd, -1);
}
END_TEST

START_TEST(descriptors_that_do_not_fit)
{
	int ends[2];
	ck_assert_int_eq(pipe(ends), 0);
	refused(VMM_CHARDEV_FD, -1, -1, NULL, VMM_E_INVAL, "for input, for output, or for both");
	refused(VMM_CHARDEV_FD, ends[1], -1, NULL, VMM_E_INVAL, "not open for reading");
	refused(VMM_CHARDEV_FD, ends[0], ends[0], NULL, VMM_E_INVAL, "not open for writing");
	refused(VMM_CHARDEV_FD, ends[0], 999, NULL, VMM_E_INVAL,
	        "descriptor 999 is not an open one");
	ck_assert_int_eq(ei.sys_errno, EBADF);
	refused((vmm_chardev_kind_t)99, -1, -1, NULL, VMM_E_INVAL,
	        "unknown kind of character device, 99");
	refused(VMM_CHARDEV_FILE, -1, -1, NULL, VMM_E_INVAL, "a path is missing");
	refused(VMM_CHARDEV_UNIX, -1, -1, NULL, VMM_E_INVAL, "a path is missing");
}
END_TEST

START_TEST(the_file_that_was_made_goes_again)
{
	struct stat st;
	ck_assert_int_eq(open_as(VMM_CHARDEV_FILE, -1, -1, path), VMM_OK);
	ck_assert(cd->made && cd->untouched);
	ck_assert_int_eq(cd->out.mode, CHARDEV_DIRECT);
	chardev_unlink_made(cd);
	ck_assert_int_lt(stat(path, &st), 0);
	ck_assert(!cd->made);
	chardev_destroy(cd);
	/* Another one that came in its place is somebody else's. */
	ck_assert_int_eq(open_as(VMM_CHARDEV_FILE, -1, -1, path), VMM_OK);
	char other[80];
	(void)snprintf(other, sizeof(other), "%s.other", path);
	int fd = open(other, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	(void)close(fd);
	ck_assert_int_eq(rename(other, path), 0);
	chardev_unlink_made(cd);
	ck_assert_int_eq(stat(path, &st), 0);
}
END_TEST

START_TEST(paths_that_do_not_fit)
{
	char name[200];
	struct stat st;
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	refused(VMM_CHARDEV_FILE, -1, -1, path, VMM_E_BUSY, "a FIFO that nobody reads");
	refused(VMM_CHARDEV_UNIX, -1, -1, path, VMM_E_BUSY, "is not a socket");
	ck_assert_int_eq(stat(path, &st), 0); /* and is still there */
	refused(VMM_CHARDEV_UNIX, -1, -1, "", VMM_E_INVAL, "1 to 107 bytes, not 0");
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	refused(VMM_CHARDEV_UNIX, -1, -1, name, VMM_E_INVAL, "1 to 107 bytes, not 199");
	(void)snprintf(name, sizeof(name), "%s/none/it", dir);
	refused(VMM_CHARDEV_UNIX, -1, -1, name, VMM_E_NOENT, "cannot make a socket there");
	refused(VMM_CHARDEV_FILE, -1, -1, name, VMM_E_NOENT, "for the output of serial");
	ck_assert_str_eq(ei.field, name);
	refused(VMM_CHARDEV_FILE, -1, -1, dir, VMM_E_IO, "for the output of serial");
	ck_assert_int_eq(ei.sys_errno, EISDIR);
}
END_TEST

/* With a reader, a FIFO is a pipe like others, and nothing of ours. */
START_TEST(a_fifo_with_its_reader)
{
	struct stat st;
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ge(reader, 0);
	ck_assert_int_eq(open_as(VMM_CHARDEV_FILE, -1, -1, path), VMM_OK);
	ck_assert(cd->out.pipe && !cd->made && !cd->untouched);
	ck_assert_int_eq(cd->out.mode, CHARDEV_NONBLOCK);
	chardev_unlink_made(cd);
	ck_assert_int_eq(stat(path, &st), 0);
	(void)close(reader);
}
END_TEST

START_TEST(a_pseudo_terminal_is_raw)
{
	struct termios t;
	ck_assert_int_eq(open_as(VMM_CHARDEV_PTY, -1, -1, NULL), VMM_OK);
	ck_assert_int_eq(strncmp(chardev_pty(cd), "/dev/pts/", 9), 0);
	int slave = open(chardev_pty(cd), O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_eq(tcgetattr(slave, &t), 0);
	ck_assert_uint_eq(t.c_lflag & (ICANON | ECHO | ISIG), 0);
	ck_assert_uint_eq(t.c_oflag & OPOST, 0);
	(void)close(slave);
	ck_assert(!cd->made); /* devpts removes it */
	ck_assert(!chardev_connected(cd));
}
END_TEST

START_TEST(a_host_without_descriptors)
{
	struct stat st;
	int pair[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	no_more_descriptors();
	refused(VMM_CHARDEV_FD, pair[0], pair[0], NULL, VMM_E_LIMIT, "cannot duplicate descriptor");
	refused(VMM_CHARDEV_UNIX, -1, -1, path, VMM_E_LIMIT, "cannot make a socket");
	refused(VMM_CHARDEV_PTY, -1, -1, NULL, VMM_E_LIMIT, "cannot make a pseudo-terminal");
	refused(VMM_CHARDEV_FILE, -1, -1, path, VMM_E_LIMIT, "for the output of serial");
	ck_assert_int_lt(stat(path, &st), 0); /* nothing half-made */
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("chardev_open");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, pipes_are_opened_anew);
	tcase_add_test(tc, sockets_are_asked_call_by_call);
	tcase_add_test(tc, files_and_devices);
	tcase_add_test(tc, descriptors_that_do_not_fit);
	tcase_add_test(tc, the_file_that_was_made_goes_again);
	tcase_add_test(tc, paths_that_do_not_fit);
	tcase_add_test(tc, a_fifo_with_its_reader);
	tcase_add_test(tc, a_pseudo_terminal_is_raw);
	tcase_add_test(tc, a_host_without_descriptors);
	return suite_run("chardev_open", tc);
}
