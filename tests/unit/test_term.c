/*
 * The terminal of `vmm run`, on a pseudo-terminal: raw mode and back, keys for the guest and for
 * us, and terminals that are not ours. Each test is a process of its own that can lead a session.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "suite.h"
#include "vmm/cli/term.h"

int __real_pipe2(int fd[2], int flags);
int __wrap_pipe2(int fd[2], int flags);
int __real_tcsetattr(int fd, int when, const struct termios *t);
int __wrap_tcsetattr(int fd, int when, const struct termios *t);

static bool no_pipe, no_attributes;

int __wrap_pipe2(int fd[2], int flags)
{
	if (!no_pipe)
		return __real_pipe2(fd, flags);
	errno = EMFILE;
	return -1;
}

int __wrap_tcsetattr(int fd, int when, const struct termios *t)
{
	if (!no_attributes)
		return __real_tcsetattr(fd, when, t);
	errno = EIO;
	return -1;
}

/* ck_assert belongs to Check's own process: this one's child says it by its end. */
static void must(bool ok, int line)
{
	if (ok)
		return;
	(void)fprintf(stderr, "test_term.c:%d\n", line);
	_exit(1);
}
#define MUST(what) must((what), __LINE__)

static int master = -1;

/* Runs BODY in a process with a pseudo-terminal for its standard input; OURS: it is in its hands.
 */
static void on_terminal(bool ours, void (*body)(void))
{
	pid_t child = fork();
	int status = -1;
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		char name[64];
		MUST(setsid() >= 0);
		master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
		MUST(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
		MUST(ptsname_r(master, name, sizeof(name)) == 0);
		int slave = open(name, O_RDWR | O_NOCTTY);
		MUST(slave >= 0 && dup2(slave, STDIN_FILENO) == STDIN_FILENO);
		MUST(!ours || ioctl(slave, TIOCSCTTY, 0) == 0);
		(void)close(slave);
		body();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}

static bool cooked(void)
{
	struct termios t;
	MUST(tcgetattr(STDIN_FILENO, &t) == 0);
	return (t.c_lflag & (ICANON | ECHO | ISIG)) == (ICANON | ECHO | ISIG);
}

static void type(const char *keys)
{
	MUST(write(master, keys, strlen(keys)) == (ssize_t)strlen(keys));
}

static void guest_gets(const struct term *t, const char *keys)
{
	char got[64] = "";
	ssize_t n = read(t->guest_fd, got, sizeof(got) - 1);
	MUST(n == (ssize_t)strlen(keys) && strcmp(got, keys) == 0);
}

static void guest_gets_nothing(const struct term *t)
{
	char c;
	MUST(read(t->guest_fd, &c, 1) < 0 && errno == EAGAIN);
}

static void keys_and_requests(void)
{
	struct term t;
	enum term_request request;
	MUST(cooked());
	MUST(term_open(&t) && t.raw && t.guest_fd >= 0 && t.keys_fd >= 0);
	MUST(!cooked());
	type("ab\x03");
	MUST(term_read(&t, &request) && request == TERM_NOTHING && !term_pending(&t));
	guest_gets(&t, "ab\x03"); /* Ctrl-C is the guest's */
	/* What comes behind a request waits for it to be met. */
	type("c\x01sd\x01\x01\x01xe");
	MUST(term_read(&t, &request) && request == TERM_STATS && term_pending(&t));
	guest_gets(&t, "c");
	MUST(term_read(&t, &request) && request == TERM_QUIT && term_pending(&t));
	guest_gets(&t, "d\x01");
	MUST(term_read(&t, &request) && request == TERM_NOTHING && !term_pending(&t));
	guest_gets(&t, "e");
	/* The escape and its key in two reads. */
	type("\x01");
	MUST(term_read(&t, &request) && request == TERM_NOTHING && t.escaped);
	type("p");
	MUST(term_read(&t, &request) && request == TERM_POWER_BUTTON && !t.escaped);
	guest_gets_nothing(&t);
	type("\x01q"); /* no request: nobody gets it */
	MUST(term_read(&t, &request) && request == TERM_NOTHING);
	guest_gets_nothing(&t);
	int guest_fd = t.guest_fd, keys_fd = t.keys_fd;
	term_close(&t);
	MUST(cooked() && !t.raw);
	MUST(fcntl(guest_fd, F_GETFD) < 0 && fcntl(keys_fd, F_GETFD) < 0);
	term_close(&t); /* nothing is left to be closed */
}

/* A guest that reads nothing does not keep the escape from us. */
static void a_full_pipe(void)
{
	struct term t;
	enum term_request request;
	char fill[4096];
	MUST(term_open(&t));
	memset(fill, 'f', sizeof(fill));
	while (write(t.keys_fd, fill, sizeof(fill)) > 0)
		;
	type("lost\x01x");
	MUST(term_read(&t, &request) && request == TERM_QUIT);
	term_close(&t);
}

static void the_other_end_goes(void)
{
	struct term t;
	enum term_request request;
	MUST(term_open(&t));
	MUST(signal(SIGHUP, SIG_IGN) != SIG_ERR);
	(void)close(master);
	MUST(!term_read(&t, &request) && request == TERM_NOTHING);
}

static void somebody_elses(void)
{
	struct term t;
	MUST(term_open(&t) && !t.raw && t.guest_fd == -1 && t.keys_fd == -1);
	MUST(cooked());
	term_close(&t);
	MUST(cooked());
}

static void a_host_that_fails(void)
{
	struct term t;
	int unused = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	(void)close(unused);
	no_pipe = true;
	MUST(!term_open(&t) && errno == EMFILE && !t.raw);
	no_pipe = false;
	no_attributes = true;
	MUST(!term_open(&t) && errno == EIO && !t.raw);
	MUST(cooked());
	int again = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	MUST(again == unused); /* both ends of the pipe are closed */
	term_close(&t);
}

START_TEST(on_a_terminal_of_ours)
{
	static void (*const bodies[])(void) = {keys_and_requests, a_full_pipe, the_other_end_goes,
	                                       a_host_that_fails};
	on_terminal(true, bodies[_i]);
}
END_TEST

START_TEST(on_somebody_elses)
{
	on_terminal(false, somebody_elses);
}
END_TEST

/* A pipe or file is the guest's as it is, and is read by nobody else. */
START_TEST(without_a_terminal)
{
	int ends[2];
	struct term t;
	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
	ck_assert(term_open(&t));
	ck_assert(!t.raw);
	ck_assert_int_eq(t.guest_fd, STDIN_FILENO);
	ck_assert_int_eq(t.keys_fd, -1);
	term_close(&t);
	ck_assert_int_ge(fcntl(STDIN_FILENO, F_GETFD), 0); /* is not ours to close */
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("term");
	tcase_add_loop_test(tc, on_a_terminal_of_ours, 0, 4);
	tcase_add_test(tc, on_somebody_elses);
	tcase_add_test(tc, without_a_terminal);
	return suite_run("term", tc);
}
