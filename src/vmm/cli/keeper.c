/* A process outside of the VM's PID namespace. See keeper.h; pid_namespaces(7). */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/sandbox/put.h"

static const int passed_on[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};
#define PASSED_ON (sizeof(passed_on) / sizeof(passed_on[0]))

/* The same ids inside as outside: files and devices are opened as before. */
static bool map_own_ids(uid_t uid, gid_t gid)
{
	char users[48], groups[48];
	(void)snprintf(users, sizeof(users), "%u %u 1", uid, uid);
	(void)snprintf(groups, sizeof(groups), "%u %u 1", gid, gid);
	int err = put_text(AT_FDCWD, "/proc/self/uid_map", users);
	if (!err)
		err = put_text(AT_FDCWD, "/proc/self/setgroups", "deny");
	if (!err)
		err = put_text(AT_FDCWD, "/proc/self/gid_map", groups);
	errno = err;
	return err == 0;
}

/* Of this process's children from here on. */
static bool make_namespace(void)
{
	const uid_t uid = geteuid();
	const gid_t gid = getegid();
	if (unshare(CLONE_NEWPID) == 0)
		return true;
	return errno == EPERM && unshare(CLONE_NEWUSER | CLONE_NEWPID) == 0 &&
	       map_own_ids(uid, gid);
}

void keeper_stay(void)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

/* Ends like a process with that wait status, without a second core file. */
static _Noreturn void end_as(int status)
{
	const struct rlimit none = {0, 0};
	if (WIFSIGNALED(status)) {
		int signo = WTERMSIG(status);
		sigset_t set;
		(void)sigemptyset(&set);
		(void)sigaddset(&set, signo);
		(void)setrlimit(RLIMIT_CORE, &none);
		(void)signal(signo, SIG_DFL);
		(void)raise(signo);
		(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
		_exit(128 + signo);
	}
	_exit(WEXITSTATUS(status));
}

/* What the terminal sends has reached the child by itself: it is in the same process group. */
static _Noreturn void keep(pid_t child, const sigset_t *signals)
{
	(void)prctl(PR_SET_NAME, "vmm-keeper");
	(void)syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, 0u);
	for (;;) {
		siginfo_t info;
		int status;
		int signo = sigwaitinfo(signals, &info);
		if (signo == SIGCHLD && waitpid(child, &status, WNOHANG) == child)
			end_as(status);
		if (signo > 0 && signo != SIGCHLD && info.si_code != SI_KERNEL)
			(void)kill(child, signo);
	}
}

/* True if the process that PIDFD stands for has ended. */
static bool is_gone(int pidfd)
{
	struct pollfd fd = {.fd = pidfd, .events = POLLIN};
	return poll(&fd, 1, 0) > 0;
}

bool keeper_start(void)
{
	sigset_t signals, before;
	int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (self < 0)
		return false;
	(void)sigemptyset(&signals);
	for (size_t i = 0; i < PASSED_ON; i++)
		(void)sigaddset(&signals, passed_on[i]);
	(void)sigaddset(&signals, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &signals, &before);
	pid_t child = make_namespace() ? fork() : -1;
	int err = errno;
	if (child > 0)
		keep(child, &signals);
	if (child == 0) {
		keeper_stay();
		if (is_gone(self))
			_exit(128 + SIGKILL);
	}
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	(void)close(self);
	errno = err;
	return child == 0;
}
