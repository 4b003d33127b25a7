/*
 * An image whose host fails: interrupted calls, short ones, errors, no memory; each operation of
 * disk_io.c with each. The calls are taken by the linker (--wrap), so that they fail to order.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "blk_rig.h"
#include "suite.h"

#define IMAGE_BYTES (1u << 20)
#define EVER        1000000u

/* The next calls of one kind: SKIP go through, then TIMES fail with ERROR, or move one byte only.
 */
static struct plan {
	int error;
	bool is_short;
	unsigned skip, times;
	unsigned hits;
} on_read, on_write, on_sync, on_fallocate, on_pwrite, on_alloc, on_submit;

static bool strikes(struct plan *p)
{
	if (p->skip) {
		p->skip--;
		return false;
	}
	if (!p->times)
		return false;
	p->times--;
	p->hits++;
	return true;
}

static ssize_t refuse(const struct plan *p)
{
	errno = p->error;
	return -1;
}

ssize_t __real_preadv(int fd, const struct iovec *iov, int n, off_t at);
ssize_t __wrap_preadv(int fd, const struct iovec *iov, int n, off_t at);
ssize_t __real_pread(int fd, void *buf, size_t len, off_t at);
ssize_t __wrap_pread(int fd, void *buf, size_t len, off_t at);
ssize_t __real_pwritev2(int fd, const struct iovec *iov, int n, off_t at, int flags);
ssize_t __wrap_pwritev2(int fd, const struct iovec *iov, int n, off_t at, int flags);
ssize_t __real_pwrite(int fd, const void *buf, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *buf, size_t len, off_t at);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_fallocate(int fd, int mode, off_t at, off_t len);
int __wrap_fallocate(int fd, int mode, off_t at, off_t len);
void *__real_aligned_alloc(size_t align, size_t len);
void *__wrap_aligned_alloc(size_t align, size_t len);
int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);

ssize_t __wrap_preadv(int fd, const struct iovec *iov, int n, off_t at)
{
	if (!strikes(&on_read))
		return __real_preadv(fd, iov, n, at);
	const struct iovec one = {iov->iov_base, 1};
	return on_read.is_short ? __real_preadv(fd, &one, 1, at) : refuse(&on_read);
}

ssize_t __wrap_pread(int fd, void *buf, size_t len, off_t at)
{
	if (!strikes(&on_read))
		return __real_pread(fd, buf, len, at);
	return on_read.is_short ? __real_pread(fd, buf, 1, at) : refuse(&on_read);
}

ssize_t __wrap_pwritev2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
	if (!strikes(&on_write))
		return __real_pwritev2(fd, iov, n, at, flags);
	const struct iovec one = {iov->iov_base, 1};
	return on_write.is_short ? __real_pwritev2(fd, &one, 1, at, flags) : refuse(&on_write);
}

ssize_t __wrap_pwrite(int fd, const void *buf, size_t len, off_t at)
{
	if (!strikes(&on_pwrite))
		return __real_pwrite(fd, buf, len, at);
	return on_pwrite.is_short ? __real_pwrite(fd, buf, 1, at) : refuse(&on_pwrite);
}

int __wrap_fdatasync(int fd)
{
	return strikes(&on_sync) ? (int)refuse(&on_sync) : __real_fdatasync(fd);
}

int __wrap_fallocate(int fd, int mode, off_t at, off_t len)
{
	return strikes(&on_fallocate) ? (int)refuse(&on_fallocate)
	                              : __real_fallocate(fd, mode, at, len);
}

void *__wrap_aligned_alloc(size_t align, size_t len)
{
	if (strikes(&on_alloc)) {
		errno = ENOMEM;
		return NULL;
	}
	return __real_aligned_alloc(align, len);
}

int __wrap_io_uring_submit(struct io_uring *ring)
{
	return strikes(&on_submit) ? -on_submit.error : __real_io_uring_submit(ring);
}

static struct disk_file file;
static uint8_t data[8192];

static void forget_plans(void)
{
	struct plan *const all[] = {&on_read,   &on_write, &on_sync,  &on_fallocate,
	                            &on_pwrite, &on_alloc, &on_submit};
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		*all[i] = (struct plan){0};
}

static void setup(void)
{
	int fd = blk_rig_image(IMAGE_BYTES);
	const struct disk_file_opts o = {.fd = fd};
	vmm_err_info_t ei;
	forget_plans();
	ck_assert_int_eq(disk_file_open(&file, &o, &ei), VMM_OK);
	(void)close(fd);
}

static void teardown(void)
{
	forget_plans();
	disk_file_close(&file);
}

/* OP on 8192 bytes at 4096, of DATA in three pieces. Returns its error. */
static int perform(enum disk_op op, bool bounce)
{
	struct iovec iov[] = {{data, 100}, {data + 100, 4000}, {data + 4100, 4092}};
	const struct disk_range range = {4096, sizeof(data), false};
	struct disk_io io = {.op = op, .bounce = bounce};
	if (op == DISK_READ || op == DISK_WRITE) {
		io.iov = iov;
		io.iov_count = 3;
		io.offset = 4096;
		io.left = sizeof(data);
	} else if (op != DISK_FLUSH) {
		io.sync = true;
		io.range = &range;
		io.range_count = 1;
	}
	disk_io_perform(&file, &io);
	return io.error;
}

static void fill(uint8_t seed)
{
	for (uint32_t i = 0; i < sizeof(data); i++)
		data[i] = rig_byte(i, seed);
}

static bool holds(uint8_t seed)
{
	for (uint32_t i = 0; i < sizeof(data); i++)
		if (data[i] != rig_byte(i, seed))
			return false;
	return true;
}

/* Interrupted, then one byte at a time: the data is right all the same. */
START_TEST(transfers_go_on)
{
	fill(1);
	on_write = (struct plan){.error = EINTR, .times = 3};
	ck_assert_int_eq(perform(DISK_WRITE, _i), 0);
	ck_assert_uint_eq(on_write.hits, 3);
	memset(data, 0, sizeof(data));
	on_read = (struct plan){.error = EINTR, .times = 3};
	ck_assert_int_eq(perform(DISK_READ, _i), 0);
	ck_assert_uint_eq(on_read.hits, 3);
	ck_assert(holds(1));
	fill(2);
	on_write = (struct plan){.is_short = true, .times = 150};
	ck_assert_int_eq(perform(DISK_WRITE, _i), 0);
	memset(data, 0, sizeof(data));
	on_read = (struct plan){.is_short = true, .times = 150};
	ck_assert_int_eq(perform(DISK_READ, _i), 0);
	ck_assert_uint_eq(on_read.hits, 150);
	ck_assert(holds(2));
}
END_TEST

/* An error in the middle is that operation's error. */
START_TEST(errors_are_told)
{
	static const int errors[] = {EIO, ENOSPC, EDQUOT};
	for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		on_write = (struct plan){.is_short = true, .times = 1};
		ck_assert_int_eq(perform(DISK_WRITE, _i), 0);
		on_write = (struct plan){.error = errors[i], .times = EVER};
		ck_assert_int_eq(perform(DISK_WRITE, _i), errors[i]);
		on_read = (struct plan){.error = errors[i], .times = EVER};
		ck_assert_int_eq(perform(DISK_READ, _i), errors[i]);
		on_sync = (struct plan){.error = errors[i], .times = EVER};
		ck_assert_int_eq(perform(DISK_FLUSH, false), errors[i]);
		ck_assert_int_eq(perform(DISK_DISCARD, false), errors[i]); /* its sync */
		forget_plans();
		on_fallocate = (struct plan){.error = errors[i], .times = EVER};
		ck_assert_int_eq(perform(DISK_DISCARD, false), errors[i]);
		ck_assert_int_eq(perform(DISK_ZERO, false), errors[i]);
		forget_plans();
	}
	on_alloc = (struct plan){.times = 1};
	ck_assert_int_eq(perform(DISK_WRITE, true), ENOMEM);
	ck_assert_int_eq(perform(DISK_WRITE, true), 0);
}
END_TEST

START_TEST(interrupted_syncs_and_holes_go_on)
{
	static const enum disk_op ops[] = {DISK_FLUSH, DISK_DISCARD, DISK_ZERO};
	on_sync = (struct plan){.error = EINTR, .times = 5};
	on_fallocate = (struct plan){.error = EINTR, .times = 5};
	ck_assert_int_eq(perform(ops[_i], false), 0);
	ck_assert_uint_eq(on_sync.hits, 5);
	ck_assert_uint_eq(on_fallocate.hits, ops[_i] == DISK_FLUSH ? 0 : 5);
}
END_TEST

/* A host that has no call for it: a discard is a hint, zeroes are written, whatever comes between.
 */
START_TEST(what_the_host_lacks_is_done_without)
{
	fill(3);
	ck_assert_int_eq(perform(DISK_WRITE, false), 0);
	on_fallocate = (struct plan){.error = EOPNOTSUPP, .times = EVER};
	ck_assert_int_eq(perform(DISK_DISCARD, false), 0);
	ck_assert_int_eq(perform(DISK_READ, false), 0);
	ck_assert(holds(3));
	on_pwrite = (struct plan){.error = EINTR, .times = 2};
	ck_assert_int_eq(perform(DISK_ZERO, false), 0);
	ck_assert_uint_eq(on_pwrite.hits, 2);
	ck_assert_int_eq(perform(DISK_READ, false), 0);
	for (unsigned i = 0; i < sizeof(data); i++)
		ck_assert_uint_eq(data[i], 0);
	on_pwrite = (struct plan){.is_short = true, .times = 7};
	ck_assert_int_eq(perform(DISK_ZERO, false), 0);
	on_pwrite = (struct plan){.error = ENOSPC, .times = EVER};
	ck_assert_int_eq(perform(DISK_ZERO, false), ENOSPC);
	on_alloc = (struct plan){.times = 1};
	ck_assert_int_eq(perform(DISK_ZERO, false), ENOMEM);
}
END_TEST

/* The guest's side of it: I/O errors, a line in the log, a flush that fails too; then all is well.
 */
START_TEST(the_guest_is_told)
{
	struct rig rig;
	struct seg out = {BLK_DATA, 4096, false}, in = {BLK_DATA, 4096, true};
	int fd = blk_rig_image(IMAGE_BYTES);
	blk_rig_open(&rig, &(struct blk_rig_opts){.fd = fd});
	rig_start(&rig, vdev_offered(rig.vd));
	on_write = (struct plan){.error = ENOSPC, .times = EVER};
	on_sync = (struct plan){.error = EIO, .times = EVER};
	ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_OUT, 0, &out, 1, NULL), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_gt(rig.lines, 0);
	ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, NULL),
	                  VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(blk_stats(rig.vd).failures, 2);
	forget_plans();
	ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_OUT, 0, &out, 1, NULL), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, NULL), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_IN, 0, &in, 1, NULL), VIRTIO_BLK_S_OK);
	rig_close(&rig);
	(void)close(fd);
}
END_TEST

/* What is read at once of an image in memory, into one segment and into two, and fails or falls
 * short, is the engine's to meet again. */
START_TEST(a_read_at_once_is_gone_on_with)
{
	struct rig rig;
	const struct seg whole = {BLK_DATA, 4096, true};
	const struct seg in[] = {{BLK_DATA, 1024, true}, {BLK_DATA + 1024, 3072, true}};
	int fd = memfd_create("image", MFD_CLOEXEC);
	fill(4);
	ck_assert_int_eq(ftruncate(fd, IMAGE_BYTES), 0);
	ck_assert_int_eq(pwrite(fd, data, 4096, 0), 4096);
	blk_rig_open(&rig, &(struct blk_rig_opts){.fd = fd});
	rig_start(&rig, vdev_offered(rig.vd));
	for (unsigned n = 1; n <= 2; n++) {
		const struct seg *segs = n == 1 ? &whole : in;
		on_read = (struct plan){.is_short = true, .times = 1};
		ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_IN, 0, segs, n, NULL),
		                  VIRTIO_BLK_S_OK);
		ck_assert_uint_eq(on_read.hits, 1);
		ck_assert_int_eq(memcmp(rig_mem(&rig, BLK_DATA, 4096), data, 4096), 0);
		ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_IN, 0, segs, n, NULL),
		                  VIRTIO_BLK_S_OK);
		on_read = (struct plan){.error = EIO, .times = 2};
		ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_IN, 0, segs, n, NULL),
		                  VIRTIO_BLK_S_IOERR);
		ck_assert_uint_eq(on_read.hits, 2);
		ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_IN, 0, segs, n, NULL),
		                  VIRTIO_BLK_S_OK);
	}
	rig_close(&rig);
	(void)close(fd);
}
END_TEST

/* A ring that takes nothing for a moment is asked again; one that never does fails the requests,
 * also those beyond its own size, and is asked anew for the next one. */
START_TEST(a_ring_that_refuses_does_not_keep_the_guest_waiting)
{
	struct rig rig;
	struct seg out = {BLK_DATA, 4096, false}, in = {BLK_DATA, 4096, true};
	int fd = blk_rig_image(IMAGE_BYTES);
	blk_rig_open(&rig, &(struct blk_rig_opts){.fd = fd, .uring = true});
	if (strcmp(blk_engine(rig.vd), "io_uring") != 0) {
		(void)puts("SKIP a_ring_that_refuses: no io_uring here");
		rig_close(&rig);
		(void)close(fd);
		return;
	}
	rig_start(&rig, vdev_offered(rig.vd));
	on_submit = (struct plan){.error = EAGAIN, .times = 5};
	ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_OUT, 0, &out, 1, NULL), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(on_submit.hits, 5);
	ck_assert_uint_eq(blk_stats(rig.vd).failures, 0);

	on_submit = (struct plan){.error = EAGAIN, .times = EVER};
	for (unsigned i = 0; i < 80; i++)
		(void)blk_rig_add(&rig, i, VIRTIO_BLK_T_OUT, i, &(struct seg){BLK_DATA, 512, false},
		                  1);
	rig_kick(&rig, 0);
	ck_assert_uint_eq(blk_rig_wait(&rig, 80), 80);
	for (unsigned i = 0; i < 80; i++)
		ck_assert_uint_eq(blk_rig_status(&rig, i), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(blk_stats(rig.vd).failures, 80);
	ck_assert_uint_gt(rig.lines, 0);
	ck_assert_uint_eq(on_submit.hits, 500);

	/* A reset meets it as well, and ends. */
	(void)blk_rig_add(&rig, 0, VIRTIO_BLK_T_OUT, 0, &out, 1);
	rig_kick(&rig, 0);
	rig_reset(&rig);
	forget_plans();
	rig_start(&rig, vdev_offered(rig.vd));
	ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_OUT, 0, &out, 1, NULL), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(blk_rig_do(&rig, VIRTIO_BLK_T_IN, 0, &in, 1, NULL), VIRTIO_BLK_S_OK);
	rig_close(&rig);
	(void)close(fd);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("disk_faults");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, transfers_go_on, 0, 2);
	tcase_add_loop_test(tc, errors_are_told, 0, 2);
	tcase_add_loop_test(tc, interrupted_syncs_and_holes_go_on, 0, 3);
	tcase_add_test(tc, what_the_host_lacks_is_done_without);
	tcase_add_test(tc, the_guest_is_told);
	tcase_add_test(tc, a_read_at_once_is_gone_on_with);
	tcase_add_test(tc, a_ring_that_refuses_does_not_keep_the_guest_waiting);
	return suite_run("disk_faults", tc);
}
