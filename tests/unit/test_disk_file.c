/* Images: opening, measuring, locking, and the arithmetic of short transfers. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/disk/disk_file.h"
#include "suite.h"

static char dir[64];
static char path[96];
static struct disk_file f, other;
static vmm_err_info_t ei;

static void setup(void)
{
	(void)snprintf(dir, sizeof(dir), "disk-file-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/image", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
	(void)close(fd);
}

static void teardown(void)
{
	(void)unlink(path);
	ck_assert_int_eq(rmdir(dir), 0);
}

static vmm_err_t open_it(struct disk_file *file, bool read_only)
{
	struct disk_file_opts o = {.path = path, .fd = -1, .read_only = read_only, .lock = true};
	return disk_file_open(file, &o, &ei);
}

START_TEST(measures_a_file)
{
	ck_assert_int_eq(open_it(&f, false), VMM_OK);
	ck_assert_uint_eq(f.size_bytes, 1 << 20);
	ck_assert_uint_eq(f.block_bytes, 512);
	ck_assert_uint_eq(f.align_bytes, 1);
	ck_assert_str_eq(f.name, path);
	ck_assert(!f.block_device);
	/* As io_uring needs it. */
	ck_assert(!(fcntl(f.fd, F_GETFL) & O_NONBLOCK));
	disk_file_close(&f);
	ck_assert_int_eq(f.fd, -1);
}
END_TEST

START_TEST(locks)
{
	ck_assert_int_eq(open_it(&f, false), VMM_OK);
	ck_assert_int_eq(open_it(&other, false), VMM_E_BUSY);
	ck_assert_str_eq(ei.field, path);
	ck_assert_ptr_nonnull(strstr(ei.message, "another VM"));
	ck_assert_int_eq(open_it(&other, true), VMM_E_BUSY);
	disk_file_close(&f);
	ck_assert_int_eq(open_it(&f, true), VMM_OK);
	ck_assert_int_eq(open_it(&other, true), VMM_OK);
	disk_file_close(&other);
	ck_assert_int_eq(open_it(&other, false), VMM_E_BUSY);
	struct disk_file_opts o = {.path = path, .fd = -1};
	ck_assert_int_eq(disk_file_open(&other, &o, &ei), VMM_OK); /* without a lock */
	disk_file_close(&other);
	disk_file_close(&f);
}
END_TEST

/* The descriptor stays its owner's, and is not locked any more. */
START_TEST(takes_a_descriptor)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct disk_file_opts o = {.fd = fd, .lock = true};
	ck_assert_int_eq(disk_file_open(&f, &o, &ei), VMM_OK);
	ck_assert_int_ne(f.fd, fd);
	ck_assert_int_eq(open_it(&other, false), VMM_E_BUSY);
	disk_file_close(&f);
	ck_assert_int_eq(open_it(&other, false), VMM_OK);
	disk_file_close(&other);
	ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
	(void)close(fd);
	ck_assert_int_eq(disk_file_open(&f, &o, &ei), VMM_E_INVAL);

	o.fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(disk_file_open(&f, &o, &ei), VMM_E_INVAL);
	ck_assert_ptr_nonnull(strstr(ei.message, "open for reading only"));
	o.read_only = true;
	ck_assert_int_eq(disk_file_open(&f, &o, &ei), VMM_OK);
	disk_file_close(&f);
	(void)close(o.fd);
	o.fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(disk_file_open(&f, &o, &ei), VMM_E_INVAL);
	(void)close(o.fd);
}
END_TEST

START_TEST(refuses_what_is_no_disk)
{
	ck_assert_int_eq(truncate(path, 1000), 0);
	ck_assert_int_eq(open_it(&f, false), VMM_E_INVAL);
	ck_assert_ptr_nonnull(strstr(ei.message, "has 1000 bytes: must be a multiple of 512"));
	ck_assert_int_eq(truncate(path, 0), 0);
	ck_assert_int_eq(open_it(&f, false), VMM_E_INVAL);
	ck_assert_ptr_nonnull(strstr(ei.message, "is empty"));
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(open_it(&f, false), VMM_E_NOENT);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(open_it(&f, false), VMM_E_INVAL);
	struct disk_file_opts o = {.path = "/dev/zero", .fd = -1};
	ck_assert_int_eq(disk_file_open(&f, &o, &ei), VMM_E_INVAL);
	ck_assert_ptr_nonnull(strstr(ei.message, "neither a regular file nor a block device"));
	o.path = dir;
	ck_assert_int_eq(disk_file_open(&f, &o, &ei), VMM_E_INVAL);
	o.read_only = true;
	ck_assert_int_eq(disk_file_open(&f, &o, &ei), VMM_E_INVAL);
}
END_TEST

START_TEST(names_a_long_path_by_its_end)
{
	char longer[256];
	(void)snprintf(longer, sizeof(longer), "%0150d/end-of-path", 0);
	struct disk_file_opts o = {.path = longer, .fd = -1};
	ck_assert_int_eq(disk_file_open(&f, &o, &ei), VMM_E_NOENT);
	ck_assert_uint_eq(strlen(ei.field), 63);
	ck_assert_ptr_nonnull(strstr(ei.field, "/end-of-path"));
	ck_assert_int_eq(strncmp(ei.field, "...0", 4), 0);
}
END_TEST

START_TEST(goes_on_after_short_transfers)
{
	uint8_t buf[100];
	struct iovec iov[] = {{buf, 10}, {buf + 10, 20}, {buf + 30, 70}};
	struct disk_io io = {
	        .op = DISK_READ, .iov = iov, .iov_count = 3, .offset = 512, .left = 100};
	ck_assert(!disk_io_progress(&io, 4));
	ck_assert_uint_eq(io.iov_count, 3);
	ck_assert_ptr_eq(io.iov->iov_base, buf + 4);
	ck_assert(!disk_io_progress(&io, -EINTR));
	ck_assert(!disk_io_progress(&io, 6));
	ck_assert_uint_eq(io.iov_count, 2);
	ck_assert(!disk_io_progress(&io, 50));
	ck_assert_uint_eq(io.offset, 572);
	ck_assert_uint_eq(io.left, 40);
	ck_assert_uint_eq(io.iov_count, 1);
	ck_assert_ptr_eq(io.iov->iov_base, buf + 60);
	struct disk_io end = io;
	ck_assert(disk_io_progress(&io, 40));
	ck_assert_int_eq(io.error, 0);
	ck_assert_uint_eq(io.iov_count, 0);
	io = end;
	ck_assert(disk_io_progress(&io, 0));
	ck_assert_int_eq(io.error, EIO);
	io = end;
	ck_assert(disk_io_progress(&io, 41)); /* more than there is room for */
	ck_assert_int_eq(io.error, EIO);
	io = end;
	ck_assert(disk_io_progress(&io, -ENOSPC));
	ck_assert_int_eq(io.error, ENOSPC);
}
END_TEST

START_TEST(knows_what_direct_needs)
{
	uint8_t *buf = aligned_alloc(4096, 8192);
	struct iovec iov[] = {{buf, 512}, {buf + 1024, 512}};
	struct disk_io io = {.op = DISK_READ, .iov = iov, .iov_count = 2, .left = 1024};
	f.align_bytes = 512;
	ck_assert(disk_io_aligned(&f, &io));
	iov[1].iov_base = buf + 1025;
	ck_assert(!disk_io_aligned(&f, &io));
	iov[1] = (struct iovec){buf + 512, 511};
	ck_assert(!disk_io_aligned(&f, &io));
	iov[1].iov_len = 512;
	io.offset = 256;
	ck_assert(!disk_io_aligned(&f, &io));
	f.align_bytes = 1;
	ck_assert(disk_io_aligned(&f, &io));
	free(buf);
}
END_TEST

/* Where the host cannot make zeros itself, they are written: sealed memory refuses holes. */
START_TEST(zeroes_exactly)
{
	int fd = memfd_create("zero", MFD_CLOEXEC);
	uint8_t all[4096];
	memset(all, 0xaa, sizeof(all));
	for (unsigned i = 0; i < 256; i++)
		ck_assert_int_eq(write(fd, all, sizeof(all)), sizeof(all));
	struct disk_file_opts o = {.fd = fd};
	ck_assert_int_eq(disk_file_open(&f, &o, &ei), VMM_OK);
	/* memfd has no FALLOC_FL_ZERO_RANGE: without leave to unmap, this is written by hand. */
	const struct disk_range r[] = {{512, 512, false}, {4096, 600 << 10, false}};
	struct disk_io io = {.op = DISK_ZERO, .range = r, .range_count = 2};
	disk_io_perform(&f, &io);
	ck_assert_int_eq(io.error, 0);
	for (off_t at = 0; at < 1 << 20; at += 256) {
		uint8_t byte;
		ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
		bool zero = (at >= 512 && at < 1024) || (at >= 4096 && at < 4096 + (600 << 10));
		ck_assert_uint_eq(byte, zero ? 0 : 0xaa);
	}
	disk_file_close(&f);
	(void)close(fd);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("disk_file");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, measures_a_file);
	tcase_add_test(tc, locks);
	tcase_add_test(tc, takes_a_descriptor);
	tcase_add_test(tc, refuses_what_is_no_disk);
	tcase_add_test(tc, names_a_long_path_by_its_end);
	tcase_add_test(tc, goes_on_after_short_transfers);
	tcase_add_test(tc, knows_what_direct_needs);
	tcase_add_test(tc, zeroes_exactly);
	return suite_run("disk_file", tc);
}
