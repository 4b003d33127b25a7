/* One operation on an image, by blocking calls. See disk_file.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "devices/disk/disk_file.h"

#define BOUNCE_ALIGN 4096u
#define BOUNCE_BYTES (256u << 10)

bool disk_io_aligned(const struct disk_file *f, const struct disk_io *io)
{
	uint64_t bits = io->offset;
	for (unsigned i = 0; i < io->iov_count; i++)
		bits |= (uintptr_t)io->iov[i].iov_base | io->iov[i].iov_len;
	return (bits & (f->align_bytes - 1)) == 0;
}

bool disk_io_progress(struct disk_io *io, ssize_t n)
{
	if (n == -EINTR || n == -EAGAIN)
		return false;
	if (n < 0) {
		io->error = (int)-n;
		return true;
	}
	if (io->op == DISK_FLUSH)
		return true;
	if (n == 0 || (uint64_t)n > io->left) {
		io->error = EIO; /* the end of a file that became shorter */
		return true;
	}
	io->offset += (uint64_t)n;
	io->left -= (uint64_t)n;
	if (io->left == 0) {
		io->iov_count = 0; /* and nobody looks at the segments again */
		return true;
	}
	for (size_t done = (size_t)n; done;) {
		size_t part = done < io->iov->iov_len ? done : io->iov->iov_len;
		io->iov->iov_base = (uint8_t *)io->iov->iov_base + part;
		io->iov->iov_len -= part;
		done -= part;
		if (io->iov->iov_len == 0) {
			io->iov++;
			io->iov_count--;
		}
	}
	return false;
}

static ssize_t result(ssize_t n)
{
	return n < 0 ? -errno : n;
}

static ssize_t move(const struct disk_file *f, const struct disk_io *io)
{
	off_t at = (off_t)io->offset;
	int n = (int)io->iov_count;
	if (io->op == DISK_READ)
		return result(preadv(f->fd, io->iov, n, at));
	return result(pwritev2(f->fd, io->iov, n, at, io->sync ? RWF_DSYNC : 0));
}

bool disk_io_try_now(const struct disk_file *f, struct disk_io *io, bool *supported)
{
	ssize_t n;
	/* tmpfs knows no RWF_NOWAIT, and does not need it. Into one segment without a list: the
	 * kernel has less to do for each page of it then. */
	if (f->in_memory && io->op == DISK_READ && io->iov_count == 1)
		n = result(pread(f->fd, io->iov->iov_base, io->iov->iov_len, (off_t)io->offset));
	else if (f->in_memory)
		n = move(f, io);
	else if (io->op == DISK_READ)
		n = result(
		        preadv2(f->fd, io->iov, (int)io->iov_count, (off_t)io->offset, RWF_NOWAIT));
	else
		return false;
	*supported = n != -EOPNOTSUPP && n != -ENOSYS;
	/* Anything but data is for the engine to meet again, and to report. */
	return n > 0 && disk_io_progress(io, n);
}

/* Between IO's segments, from its start, and BUF; IO is not advanced. */
static void copy(const struct disk_io *io, uint8_t *buf, size_t len)
{
	for (unsigned i = 0; len; i++) {
		size_t part = len < io->iov[i].iov_len ? len : io->iov[i].iov_len;
		if (io->op == DISK_READ)
			memcpy(io->iov[i].iov_base, buf, part);
		else
			memcpy(buf, io->iov[i].iov_base, part);
		buf += part;
		len -= part;
	}
}

/* Through an aligned buffer, piece by piece, so that what a guest can make us take is bounded. */
static void bounce(const struct disk_file *f, struct disk_io *io)
{
	uint8_t *buf = aligned_alloc(BOUNCE_ALIGN, BOUNCE_BYTES);
	if (!buf) {
		io->error = ENOMEM;
		return;
	}
	ssize_t n;
	do {
		size_t want = io->left < BOUNCE_BYTES ? (size_t)io->left : BOUNCE_BYTES;
		struct iovec whole = {buf, want};
		struct disk_io part = *io;
		part.iov = &whole;
		part.iov_count = 1;
		if (io->op == DISK_WRITE)
			copy(io, buf, want);
		n = move(f, &part);
		if (n > 0 && io->op == DISK_READ)
			copy(io, buf, (size_t)n);
	} while (!disk_io_progress(io, n));
	free(buf);
}

/* 0, or an errno other than EINTR. */
static int punch(const struct disk_file *f, int mode, const struct disk_range *r)
{
	int n;
	do
		n = fallocate(f->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)r->offset, (off_t)r->len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? errno : 0;
}

static int discard_blocks(const struct disk_file *f, const struct disk_range *r)
{
	uint64_t mask = f->block_bytes - 1;
	uint64_t start = (r->offset + mask) & ~mask;
	uint64_t end = (r->offset + r->len) & ~mask;
	uint64_t range[2] = {start, end - start};
	int n = 0;
	if (end <= start)
		return 0;
	do
		n = ioctl(f->fd, BLKDISCARD, range);
	while (n < 0 && errno == EINTR);
	return n < 0 ? errno : 0;
}

/* Only a hint: what the host cannot give back stays as it is. */
static int discard(const struct disk_file *f, const struct disk_range *r)
{
	int error = f->block_device ? discard_blocks(f, r) : punch(f, FALLOC_FL_PUNCH_HOLE, r);
	return error == EOPNOTSUPP || error == ENOSYS ? 0 : error;
}

/* By hand, where the host has no call for it. */
static int write_zeroes(const struct disk_file *f, const struct disk_range *r, uint64_t *written)
{
	uint8_t *buf = aligned_alloc(BOUNCE_ALIGN, BOUNCE_BYTES);
	if (!buf)
		return ENOMEM;
	memset(buf, 0, BOUNCE_BYTES);
	int error = 0;
	for (uint64_t done = 0; done < r->len && !error;) {
		uint64_t left = r->len - done;
		ssize_t n = pwrite(f->fd, buf, left < BOUNCE_BYTES ? (size_t)left : BOUNCE_BYTES,
		                   (off_t)(r->offset + done));
		if (n > 0) {
			done += (uint64_t)n;
			*written += (uint64_t)n;
		} else if (n == 0 || errno != EINTR) {
			error = n == 0 ? EIO : errno;
		}
	}
	free(buf);
	return error;
}

/* Not a failure: another way to the same end may work. */
static bool unsupported(int error)
{
	return error == EOPNOTSUPP || error == ENOSYS || error == EINVAL;
}

static int zero(const struct disk_file *f, const struct disk_range *r, uint64_t *written)
{
	const int modes[] = {FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE};
	/* A hole is no longer allocated: only if the driver allows that (5.2.6.2). */
	for (unsigned i = r->unmap ? 0 : 1; i < 2; i++) {
		int error = punch(f, modes[i], r);
		if (!unsupported(error))
			return error;
	}
	return write_zeroes(f, r, written);
}

static int sync_data(const struct disk_file *f)
{
	int n;
	do
		n = fdatasync(f->fd);
	while (n < 0 && errno == EINTR);
	return n < 0 ? errno : 0;
}

static void ranges(const struct disk_file *f, struct disk_io *io)
{
	for (unsigned i = 0; i < io->range_count && !io->error; i++)
		io->error = io->op == DISK_ZERO ? zero(f, &io->range[i], &io->zeroed)
		                                : discard(f, &io->range[i]);
	if (!io->error && io->sync)
		io->error = sync_data(f);
}

void disk_io_perform(const struct disk_file *f, struct disk_io *io)
{
	io->error = 0;
	switch (io->op) {
	case DISK_READ:
	case DISK_WRITE:
		if (io->bounce)
			bounce(f, io);
		else
			while (!disk_io_progress(io, move(f, io)))
				;
		break;
	case DISK_FLUSH:
		io->error = sync_data(f);
		break;
	case DISK_DISCARD:
	case DISK_ZERO:
		ranges(f, io);
		break;
	}
}
