/* The host's system calls. See sys.h. */
#include "devices/vfio/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int host_open(void *ctx, const char *path, int flags)
{
	(void)ctx;
	int fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void host_close(void *ctx, int fd)
{
	(void)ctx;
	(void)close(fd);
}

static int host_ioctl(void *ctx, int fd, unsigned long request, void *arg)
{
	(void)ctx;
	int result = ioctl(fd, request, arg);
	return result < 0 ? -errno : result;
}

static ssize_t host_pread(void *ctx, int fd, void *buf, size_t len, uint64_t offset)
{
	(void)ctx;
	ssize_t n = pread(fd, buf, len, (off_t)offset);
	return n < 0 ? -errno : n;
}

static ssize_t host_pwrite(void *ctx, int fd, const void *buf, size_t len, uint64_t offset)
{
	(void)ctx;
	ssize_t n = pwrite(fd, buf, len, (off_t)offset);
	return n < 0 ? -errno : n;
}

static void *host_mmap(void *ctx, size_t len, int prot, int fd, uint64_t offset)
{
	(void)ctx;
	void *p = mmap(NULL, len, prot, MAP_SHARED, fd, (off_t)offset);
	return p == MAP_FAILED ? NULL : p;
}

static void host_munmap(void *ctx, void *addr, size_t len)
{
	(void)ctx;
	(void)munmap(addr, len);
}

const struct vfio_sys vfio_sys_host = {
        .open = host_open,
        .close = host_close,
        .ioctl = host_ioctl,
        .pread = host_pread,
        .pwrite = host_pwrite,
        .mmap = host_mmap,
        .munmap = host_munmap,
        .sysfs = "/sys",
        .dev = "/dev",
};
