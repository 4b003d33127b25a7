/* Cleaning up behind a VM. See janitor.h. */
#include "janitor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SOCKETS_MAX (1u + VMM_CONSOLE_PORTS_MAX)

/* A group is in use until the last thread in it is gone, which is after the pipe is closed. */
#define REMOVE_TRIES 200u
#define REMOVE_WAIT  10000000 /* ns */

/* Which file a port's socket is; its inode is 0 where there is none. */
struct socket_id {
	dev_t dev;
	ino_t ino;
};

struct sockets {
	struct socket_id socket[SOCKETS_MAX];
};

/* The path of socket I: of the serial port, then of consoles. NULL: none. */
static const char *socket_path(const struct run_config *c, unsigned i)
{
	const struct port_config *port = i == 0 ? &c->serial : &c->console[i - 1];
	const vmm_chardev_opts_t *o = &port->opts.chardev;
	return port->given && o->kind == VMM_CHARDEV_UNIX ? o->path : NULL;
}

static struct socket_id socket_now(const struct run_config *c, unsigned i)
{
	struct stat st;
	const char *path = socket_path(c, i);
	if (!path || lstat(path, &st) != 0)
		return (struct socket_id){0};
	return (struct socket_id){st.st_dev, st.st_ino};
}

static bool has_socket(const struct run_config *c)
{
	bool found = false;
	for (unsigned i = 0; i < SOCKETS_MAX; i++)
		found = found || socket_path(c, i);
	return found;
}

static void remove_group(const char *path)
{
	const struct timespec wait = {.tv_nsec = REMOVE_WAIT};
	for (unsigned i = 0; i < REMOVE_TRIES && rmdir(path) != 0 && errno == EBUSY; i++)
		(void)nanosleep(&wait, NULL);
}

/* Reads what is told of the sockets, once and whole, before a guest runs; then waits until the
 * other end is closed. A socket that was made anew at the same place since is another VM's. */
static _Noreturn void clean_up(const struct run_config *c, bool made_cgroup, int fd)
{
	char byte;
	struct sockets told;
	(void)prctl(PR_SET_NAME, "vmm-janitor");
	/* What the terminal signals is not for it, nor what is sent to all of a service's
	 * processes. */
	(void)setsid();
	(void)signal(SIGTERM, SIG_IGN);
	ssize_t n;
	while ((n = read(fd, &told, sizeof(told))) < 0 && errno == EINTR)
		;
	bool know = n == (ssize_t)sizeof(told);
	while (know && (n = read(fd, &byte, 1)) != 0 && (n > 0 || errno == EINTR))
		;
	for (unsigned i = 0; know && i < SOCKETS_MAX; i++) {
		const struct socket_id now = socket_now(c, i);
		if (now.ino && now.ino == told.socket[i].ino && now.dev == told.socket[i].dev)
			(void)unlink(socket_path(c, i));
	}
	if (made_cgroup)
		remove_group(c->cgroup.path);
	_exit(0);
}

bool janitor_start(const struct run_config *c, bool made_cgroup, int *pipe_fd)
{
	int ends[2];
	*pipe_fd = -1;
	if (!made_cgroup && !(c->sandbox && has_socket(c)))
		return true;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return false;
	pid_t child = fork();
	if (child == 0) {
		int fd = dup2(ends[0], STDIN_FILENO);
		(void)syscall(SYS_close_range, STDIN_FILENO + 1, ~0u, 0u);
		clean_up(c, made_cgroup, fd);
	}
	int err = errno;
	(void)close(ends[0]);
	*pipe_fd = ends[1];
	errno = err;
	return child > 0;
}

bool janitor_note_sockets(const struct run_config *c, int pipe_fd)
{
	struct sockets all = {0};
	if (pipe_fd < 0 || !c->sandbox)
		return true;
	for (unsigned i = 0; i < SOCKETS_MAX; i++)
		all.socket[i] = socket_now(c, i);
	return write(pipe_fd, &all, sizeof(all)) == (ssize_t)sizeof(all);
}
