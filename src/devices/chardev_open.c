/* Opening the host's end of a character stream. See chardev.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "devices/chardev_priv.h"
#include "vmm/errset.h"

void chardev_end_close(struct chardev_end *end)
{
	if (end->source.fd >= 0)
		(void)close(end->source.fd);
	end->source.fd = -1;
}

/* A description of our own for what FD is open on, or -1. Not for the master of a pseudo-terminal:
 * opening that again makes a new one. */
static int reopen(int fd, int access, const struct stat *st)
{
	unsigned number;
	bool terminal = S_ISCHR(st->st_mode) && isatty(fd) && ioctl(fd, TIOCGPTN, &number) < 0;
	if (!S_ISFIFO(st->st_mode) && !terminal)
		return -1;
	char path[32];
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* Take over a descriptor that others use as well. */
static vmm_err_t take_fd(struct chardev *cd, struct chardev_end *end, int fd, int access,
                         vmm_err_info_t *ei)
{
	struct stat st;
	if (fd < 0)
		return VMM_OK;
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fstat(fd, &st) < 0)
		return err_sys_as(ei, VMM_E_INVAL, errno, cd->field,
		                  "descriptor %d is not an open one", fd);
	if ((flags & O_ACCMODE) != O_RDWR && (flags & O_ACCMODE) != access)
		return err_set(ei, VMM_E_INVAL, cd->field, "descriptor %d is not open for %s", fd,
		               access == O_RDONLY ? "reading" : "writing");
	end->pipe = S_ISFIFO(st.st_mode);
	end->source.fd = reopen(fd, access, &st);
	end->mode = CHARDEV_NONBLOCK;
	if (end->source.fd >= 0)
		return VMM_OK;
	end->mode = S_ISSOCK(st.st_mode)                         ? CHARDEV_SOCKET
	            : S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) ? CHARDEV_DIRECT
	                                                         : CHARDEV_POLLED;
	end->source.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (end->source.fd < 0)
		return err_sys(ei, errno, cd->field, "cannot duplicate descriptor %d", fd);
	return VMM_OK;
}

static vmm_err_t open_fds(struct chardev *cd, const vmm_chardev_opts_t *opts, vmm_err_info_t *ei)
{
	if (opts->in_fd < 0 && opts->out_fd < 0)
		return err_set(ei, VMM_E_INVAL, cd->field,
		               "needs a descriptor for input, for output, or for both");
	cd->connected = true;
	vmm_err_t err = take_fd(cd, &cd->in, opts->in_fd, O_RDONLY, ei);
	return err ? err : take_fd(cd, &cd->out, opts->out_fd, O_WRONLY, ei);
}

/* So that it can be told, when it is to be removed, from what others have put in its place. */
static void remember_made(struct chardev *cd)
{
	struct stat st;
	if (lstat(cd->path, &st) < 0)
		return;
	cd->made = true;
	cd->made_dev = st.st_dev;
	cd->made_ino = st.st_ino;
}

/* A VM that cannot be built must not cost a file its contents: it is cut when the VM runs. */
static vmm_err_t open_file(struct chardev *cd, vmm_err_info_t *ei)
{
	/* Non-blocking for the sake of FIFOs and terminals; O_NOCTTY because those may be named. */
	const int flags = O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int fd = open(cd->path, flags);
	if (fd < 0 && errno == ENOENT) {
		fd = open(cd->path, flags | O_CREAT, 0666);
		if (fd >= 0)
			remember_made(cd);
	}
	if (fd < 0 && errno == ENXIO)
		return err_set(ei, VMM_E_BUSY, cd->path,
		               "is a FIFO that nobody reads, or a socket: open the reader first");
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0) {
		int err = errno;
		if (fd >= 0)
			(void)close(fd);
		return err_sys(ei, err, cd->path, "cannot open it for the output of %s", cd->field);
	}
	cd->connected = true;
	cd->out.source.fd = fd;
	cd->out.pipe = S_ISFIFO(st.st_mode);
	cd->out.mode = S_ISREG(st.st_mode) ? CHARDEV_DIRECT : CHARDEV_NONBLOCK;
	cd->untouched = S_ISREG(st.st_mode);
	return VMM_OK;
}

bool chardev_connect_ends(struct chardev *cd, int in_fd)
{
	int out_fd = fcntl(in_fd, F_DUPFD_CLOEXEC, 3);
	if (out_fd < 0)
		return false;
	cd->in.source.fd = in_fd;
	cd->in.mode = CHARDEV_NONBLOCK;
	cd->out.source.fd = out_fd;
	cd->out.mode = cd->kind == VMM_CHARDEV_UNIX ? CHARDEV_SOCKET : CHARDEV_NONBLOCK;
	return true;
}

/* Raw, so that the host's line discipline neither echoes nor edits: that is the guest's to do.
 * Opening and closing it once also makes the master report 'nobody there' until the next open. */
static bool make_raw(const char *slave)
{
	int fd = open(slave, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return false;
	struct termios t;
	bool ok = tcgetattr(fd, &t) == 0;
	cfmakeraw(&t);
	ok = ok && tcsetattr(fd, TCSANOW, &t) == 0;
	(void)close(fd);
	return ok;
}

static vmm_err_t open_pty(struct chardev *cd, vmm_err_info_t *ei)
{
	char name[PATH_MAX];
	int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return err_sys(ei, errno, cd->field, "cannot make a pseudo-terminal");
	cd->in.source.fd = fd;
	int err = grantpt(fd) < 0 || unlockpt(fd) < 0 ? errno : ptsname_r(fd, name, sizeof(name));
	if (err || !make_raw(name))
		return err_sys(ei, err ? err : errno, cd->field,
		               "cannot set the pseudo-terminal up");
	cd->path = strdup(name);
	if (!cd->path)
		return err_set(ei, VMM_E_NOMEM, cd->field, "out of memory");
	cd->in.source.fd = -1;
	if (chardev_connect_ends(cd, fd))
		return VMM_OK;
	(void)close(fd);
	return err_sys(ei, errno, cd->field, "cannot duplicate the pseudo-terminal");
}

/* Why PATH could not be bound: somebody listens, nobody does, or it is no socket. */
static vmm_err_t address_in_use(const struct chardev *cd, const struct sockaddr_un *sa,
                                vmm_err_info_t *ei)
{
	struct stat st;
	if (lstat(cd->path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return err_set(ei, VMM_E_BUSY, cd->path,
		               "exists and is not a socket: name another path");
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool stale = fd >= 0 && connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 &&
	             errno == ECONNREFUSED;
	if (fd >= 0)
		(void)close(fd);
	if (stale)
		return err_set(ei, VMM_E_BUSY, cd->path,
		               "is a socket that nobody listens on, left behind by a process that "
		               "ended: remove the file");
	return err_set(ei, VMM_E_BUSY, cd->path, "another process listens on this socket");
}

static vmm_err_t bind_socket(struct chardev *cd, vmm_err_info_t *ei)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	size_t len = strlen(cd->path);
	if (len == 0 || len >= sizeof(sa.sun_path))
		return err_set(ei, VMM_E_INVAL, cd->field,
		               "a socket's path must have 1 to %zu bytes, not %zu",
		               sizeof(sa.sun_path) - 1, len);
	memcpy(sa.sun_path, cd->path, len);
	if (bind(cd->listener.fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0) {
		if (errno == EADDRINUSE)
			return address_in_use(cd, &sa, ei);
		return err_sys(ei, errno, cd->path, "cannot make a socket there");
	}
	remember_made(cd);
	if (listen(cd->listener.fd, 1) < 0)
		return err_sys(ei, errno, cd->path, "cannot listen on the socket");
	return VMM_OK;
}

static vmm_err_t open_unix(struct chardev *cd, vmm_err_info_t *ei)
{
	cd->listener.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (cd->listener.fd < 0)
		return err_sys(ei, errno, cd->field, "cannot make a socket");
	return bind_socket(cd, ei);
}

void chardev_unlink_made(struct chardev *cd)
{
	struct stat st;
	if (cd->made && lstat(cd->path, &st) == 0 && st.st_dev == cd->made_dev &&
	    st.st_ino == cd->made_ino)
		(void)unlink(cd->path);
	cd->made = false;
}

vmm_err_t chardev_open(struct chardev *cd, const vmm_chardev_opts_t *opts, vmm_err_info_t *ei)
{
	cd->kind = opts->kind;
	if (opts->kind == VMM_CHARDEV_FILE || opts->kind == VMM_CHARDEV_UNIX) {
		if (!opts->path)
			return err_set(ei, VMM_E_INVAL, cd->field, "a path is missing");
		cd->path = strdup(opts->path);
		if (!cd->path)
			return err_set(ei, VMM_E_NOMEM, cd->field, "out of memory");
	}
	switch (opts->kind) {
	case VMM_CHARDEV_NULL:
		cd->connected = true;
		return VMM_OK;
	case VMM_CHARDEV_FD:
		return open_fds(cd, opts, ei);
	case VMM_CHARDEV_FILE:
		return open_file(cd, ei);
	case VMM_CHARDEV_PTY:
		return open_pty(cd, ei);
	case VMM_CHARDEV_UNIX:
		return open_unix(cd, ei);
	}
	return err_set(ei, VMM_E_INVAL, cd->field, "unknown kind of character device, %d",
	               (int)opts->kind);
}
