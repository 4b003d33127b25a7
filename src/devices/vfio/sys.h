/*
 * The system calls by which a passed device is driven, behind a table: unit tests put a device that
 * exists only in memory behind it. Failures are negative errno values.
 */
#ifndef SRC_DEVICES_VFIO_SYS_H
#define SRC_DEVICES_VFIO_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct vfio_sys {
	int (*open)(void *ctx, const char *path, int flags);
	void (*close)(void *ctx, int fd);
	int (*ioctl)(void *ctx, int fd, unsigned long request, void *arg);
	ssize_t (*pread)(void *ctx, int fd, void *buf, size_t len, uint64_t offset);
	ssize_t (*pwrite)(void *ctx, int fd, const void *buf, size_t len, uint64_t offset);
	/* A shared mapping; NULL on failure. */
	void *(*mmap)(void *ctx, size_t len, int prot, int fd, uint64_t offset);
	void (*munmap)(void *ctx, void *addr, size_t len);
	void *ctx;
	const char *sysfs; /* "/sys" */
	const char *dev;   /* "/dev" */
};

/* The host's own. */
extern const struct vfio_sys vfio_sys_host;

#endif
