/* See put.h. */
#include "put.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int put_text(int dir, const char *path, const char *text)
{
	int fd = openat(dir, path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	ssize_t n = write(fd, text, strlen(text));
	int err = n == (ssize_t)strlen(text) ? 0 : n < 0 ? errno : EIO;
	(void)close(fd);
	return err;
}
