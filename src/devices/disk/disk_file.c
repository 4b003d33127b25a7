/* Opening, measuring and locking an image. See disk_file.h. */
#include "devices/disk/disk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "vmm/errset.h"

#define ALIGN_MAX 4096u /* the largest that O_DIRECT asks for */

/* The end of a path tells more than its start. */
static void set_name(struct disk_file *f, const struct disk_file_opts *o)
{
	if (!o->path) {
		(void)snprintf(f->name, sizeof(f->name), "fd %d", o->fd);
		return;
	}
	size_t len = strlen(o->path);
	size_t room = sizeof(f->name) - 1;
	if (len <= room)
		(void)snprintf(f->name, sizeof(f->name), "%s", o->path);
	else
		(void)snprintf(f->name, sizeof(f->name), "...%s", o->path + len - (room - 3));
}

static vmm_err_t open_path(struct disk_file *f, const struct disk_file_opts *o, vmm_err_info_t *ei)
{
	int flags = (o->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY;
	/* O_NONBLOCK: a FIFO must not keep us waiting before its type is known. */
	f->fd = open(o->path, flags | O_NONBLOCK | (o->direct ? O_DIRECT : 0));
	if (f->fd >= 0)
		return VMM_OK;
	if (errno == EINVAL && o->direct)
		return err_sys_as(ei, VMM_E_INVAL, errno, f->name,
		                  "the file system has no O_DIRECT: leave it out for this disk");
	if (errno == EISDIR)
		return err_set(ei, VMM_E_INVAL, f->name,
		               "is a directory: a disk is a regular file or a block device");
	return err_sys(ei, errno, f->name, "cannot open the disk for %s",
	               o->read_only ? "reading" : "reading and writing");
}

static vmm_err_t take_fd(struct disk_file *f, const struct disk_file_opts *o, vmm_err_info_t *ei)
{
	int flags = fcntl(o->fd, F_GETFL);
	if (flags < 0)
		return err_sys_as(ei, VMM_E_INVAL, errno, f->name, "is not an open descriptor");
	int mode = flags & O_ACCMODE;
	if (mode != O_RDWR && !(o->read_only && mode == O_RDONLY))
		return err_set(ei, VMM_E_INVAL, f->name, "is open for %s only: the disk needs %s",
		               mode == O_RDONLY ? "reading" : "writing",
		               o->read_only ? "reading" : "both, or to be read-only");
	f->fd = fcntl(o->fd, F_DUPFD_CLOEXEC, 0);
	if (f->fd < 0)
		return err_sys(ei, errno, f->name, "cannot duplicate the descriptor");
	if (o->direct && !(flags & O_DIRECT) && fcntl(f->fd, F_SETFL, flags | O_DIRECT) < 0)
		return err_sys_as(ei, VMM_E_INVAL, errno, f->name,
		                  "the file system has no O_DIRECT: leave it out for this disk");
	return VMM_OK;
}

/*
 * The smallest block that O_DIRECT reads here. Asked by trying: that works on every kernel and file
 * system, which statx (STATX_DIOALIGN) does not. The buffer is offset by the same block, so that
 * the answer holds for addresses too.
 */
static vmm_err_t probe_align(struct disk_file *f, vmm_err_info_t *ei)
{
	uint8_t *buf = aligned_alloc(ALIGN_MAX, (size_t)2 * ALIGN_MAX);
	if (!buf)
		return err_set(ei, VMM_E_NOMEM, f->name, "out of memory");
	ssize_t n = -1;
	uint32_t align = DISK_SECTOR;
	for (; align <= ALIGN_MAX; align *= 2) {
		n = pread(f->fd, buf + align, align, 0);
		if (n >= 0 || errno != EINVAL)
			break;
	}
	int errnum = errno;
	free(buf);
	if (n < 0)
		return err_sys_as(ei, errnum == EINVAL ? VMM_E_INVAL : VMM_E_IO, errnum, f->name,
		                  "cannot read the disk with O_DIRECT");
	f->align_bytes = align;
	return VMM_OK;
}

static vmm_err_t measure_device(struct disk_file *f, vmm_err_info_t *ei)
{
	int logical = 0;
	unsigned physical = 0;
	f->block_device = true;
	if (ioctl(f->fd, BLKGETSIZE64, &f->size_bytes) < 0 || ioctl(f->fd, BLKSSZGET, &logical) < 0)
		return err_sys(ei, errno, f->name, "cannot ask for the device's size");
	if (ioctl(f->fd, BLKPBSZGET, &physical) < 0)
		physical = (unsigned)logical;
	f->block_bytes = (uint32_t)logical;
	f->physical_bytes = physical < f->block_bytes ? f->block_bytes : physical;
	return VMM_OK;
}

static vmm_err_t measure(struct disk_file *f, const struct disk_file_opts *o, vmm_err_info_t *ei)
{
	struct stat st;
	struct statfs fs;
	vmm_err_t err = VMM_OK;
	if (fstat(f->fd, &st) < 0)
		return err_sys(ei, errno, f->name, "cannot ask for the disk's type");
	f->block_bytes = DISK_SECTOR;
	f->physical_bytes = 4096;
	f->align_bytes = 1;
	f->in_memory = fstatfs(f->fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
	if (S_ISREG(st.st_mode))
		f->size_bytes = (uint64_t)st.st_size;
	else if (S_ISBLK(st.st_mode))
		err = measure_device(f, ei);
	else
		return err_set(ei, VMM_E_INVAL, f->name,
		               "is neither a regular file nor a block device");
	if (!err && f->size_bytes == 0)
		return err_set(ei, VMM_E_INVAL, f->name,
		               "is empty: a disk has at least %u bytes, for example by "
		               "'truncate -s 1G FILE'",
		               DISK_SECTOR);
	if (!err && o->direct)
		err = probe_align(f, ei);
	if (err)
		return err;
	if (f->block_bytes < f->align_bytes)
		f->block_bytes = f->align_bytes;
	if (f->physical_bytes < f->block_bytes)
		f->physical_bytes = f->block_bytes;
	if (f->size_bytes % f->block_bytes)
		return err_set(ei, VMM_E_INVAL, f->name, "has %llu bytes: must be a multiple of %u",
		               (unsigned long long)f->size_bytes, f->block_bytes);
	return VMM_OK;
}

static vmm_err_t lock(struct disk_file *f, vmm_err_info_t *ei)
{
	struct flock l = {.l_type = f->read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};
	if (fcntl(f->fd, F_OFD_SETLK, &l) == 0) {
		f->locked = true;
		return VMM_OK;
	}
	if (errno == EAGAIN || errno == EACCES)
		return err_set(ei, VMM_E_BUSY, f->name,
		               "is locked: another VM, or another disk of this one, has it open%s",
		               f->read_only ? " for writing" : "");
	return err_sys(ei, errno, f->name,
	               "cannot lock the disk (VMM_DISK_NO_LOCK does without a lock)");
}

/* A descriptor that is O_NONBLOCK would make io_uring give up where it should wait. */
static void make_blocking(const struct disk_file *f)
{
	int flags = fcntl(f->fd, F_GETFL);
	if (flags >= 0 && (flags & O_NONBLOCK))
		(void)fcntl(f->fd, F_SETFL, flags & ~O_NONBLOCK);
}

vmm_err_t disk_file_open(struct disk_file *f, const struct disk_file_opts *opts, vmm_err_info_t *ei)
{
	*f = (struct disk_file){.fd = -1, .read_only = opts->read_only};
	set_name(f, opts);
	vmm_err_t err = opts->path ? open_path(f, opts, ei) : take_fd(f, opts, ei);
	if (!err)
		err = measure(f, opts, ei);
	if (!err)
		make_blocking(f);
	if (!err && opts->lock)
		err = lock(f, ei);
	if (err)
		disk_file_close(f);
	return err;
}

void disk_file_close(struct disk_file *f)
{
	if (f->fd < 0)
		return;
	/* A descriptor that was given lives on in its owner, and the lock with it. */
	struct flock l = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
	if (f->locked)
		(void)fcntl(f->fd, F_OFD_SETLK, &l);
	f->locked = false;
	(void)close(f->fd);
	f->fd = -1;
}
