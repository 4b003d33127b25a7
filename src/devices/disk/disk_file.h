/*
 * The image behind a disk: a regular file or a block device, opened, measured, locked, and used by
 * blocking calls. Read-only after disk_file_open, so any thread may use it.
 */
#ifndef SRC_DEVICES_DISK_FILE_H
#define SRC_DEVICES_DISK_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/err.h"

#define DISK_SECTOR     512u
#define DISK_RANGES_MAX 16u /* in one discard or write-zeroes operation */

struct disk_file_opts {
	const char *path; /* or */
	int fd;           /* an open one (duplicated); -1 with PATH */
	bool read_only;
	bool direct; /* O_DIRECT; a descriptor is switched to it, which its duplicates share */
	bool lock;   /* shared if read-only, else exclusive, until disk_file_close */
};

struct disk_file {
	int fd;
	uint64_t size_bytes;
	uint32_t block_bytes;    /* power of two: what a request should be a multiple of */
	uint32_t physical_bytes; /* power of two: what it should be a multiple of to be fast */
	uint32_t align_bytes;    /* O_DIRECT: what address, length and offset must be; else 1 */
	bool read_only;
	bool block_device;
	bool in_memory; /* on a tmpfs: no disk to wait for */
	bool locked;
	char name[64]; /* for messages: the end of the path */
};

/*
 * Open, measure and lock an image. On failure nothing stays open.
 *
 * Errors: VMM_E_INVAL: neither a regular file nor a block device, empty, not a multiple of 512
 * bytes (with O_DIRECT: of align_bytes), no O_DIRECT there, or a descriptor without the access that
 * is wanted; VMM_E_BUSY: locked by somebody else; VMM_E_NOENT, VMM_E_PERM, VMM_E_IO.
 */
VMM_WARN_UNUSED vmm_err_t disk_file_open(struct disk_file *f, const struct disk_file_opts *opts,
                                         vmm_err_info_t *ei);
void disk_file_close(struct disk_file *f);

enum disk_op {
	DISK_READ,
	DISK_WRITE,
	DISK_FLUSH, /* all that was written is on stable storage */
	DISK_DISCARD,
	DISK_ZERO,
};

struct disk_range {
	uint64_t offset; /* bytes */
	uint64_t len;
	bool unmap; /* DISK_ZERO: the space may be given back */
};

/*
 * One operation. It belongs to whoever made it; from submission to completion to an engine. The
 * array at IOV is used up on the way.
 */
struct disk_io {
	enum disk_op op;
	bool sync;   /* DISK_WRITE: on stable storage when it completes */
	bool bounce; /* O_DIRECT, and IOV is not as aligned as that needs */
	struct iovec *iov;
	unsigned iov_count;
	uint64_t offset; /* bytes */
	uint64_t left;   /* bytes of IOV */
	const struct disk_range *range;
	unsigned range_count;
	uint64_t zeroed;      /* when completed: bytes that DISK_ZERO had to write by hand */
	int error;            /* when completed: 0 or an errno */
	struct disk_io *next; /* the engine's */
};

/* Are all of IO's segments aligned as F needs them? */
bool disk_io_aligned(const struct disk_file *f, const struct disk_io *io);

/*
 * Account for a call that moved N bytes, or failed with -N. True if IO is complete: done, or
 * failed, with io->error set. False: go on with what is left.
 */
bool disk_io_progress(struct disk_io *io, ssize_t n);

/* Do IO now, blocking; sets io->error. */
void disk_io_perform(const struct disk_file *f, struct disk_io *io);

/*
 * Do a transfer as far as that needs no disk: from the page cache, or wholly where the image is in
 * memory. True: io is complete. False: some or all is left to be done by an engine; *SUPPORTED says
 * if another try makes sense at all.
 */
bool disk_io_try_now(const struct disk_file *f, struct disk_io *io, bool *supported);

#endif
