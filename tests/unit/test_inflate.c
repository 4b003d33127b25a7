/*
 * Unpacking gzip parts of images: whole ones, bad ones, and a host that fails. Its writes and
 * memory files are taken by the linker (--wrap).
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "suite.h"
#include "vmm/boot/inflate.h"

#define CHUNK  (64u << 10) /* inflate.c's */
#define LARGE  (3 * CHUNK + 5)
#define BEFORE 100u /* other bytes in front of the part */

ssize_t __real_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len);
int __real_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags);

static int file_fd = -1; /* what is unpacked into */
static int first_unused;
static bool no_file;
static unsigned interrupted, halved;
static bool fails, writes_nothing;

int __wrap_memfd_create(const char *name, unsigned flags)
{
	if (no_file) {
		errno = EMFILE;
		return -1;
	}
	file_fd = __real_memfd_create(name, flags);
	return file_fd;
}

ssize_t __wrap_write(int fd, const void *data, size_t len)
{
	if (fd != file_fd)
		return __real_write(fd, data, len);
	if (interrupted) {
		interrupted--;
		errno = EINTR;
		return -1;
	}
	if (fails) {
		errno = ENOSPC;
		return -1;
	}
	if (writes_nothing)
		return 0;
	if (halved && len > 1) {
		halved--;
		len /= 2;
	}
	return __real_write(fd, data, len);
}

static uint8_t plain[LARGE];
static uint8_t packed[2 * LARGE];
static struct boot_part part, out;
static vmm_err_info_t ei;

/* The lowest descriptor that is free. */
static int unused(void)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	(void)close(fd);
	return fd;
}

static void setup(void)
{
	uint32_t x = 1;
	for (size_t i = 0; i < sizeof(plain); i++) {
		x = x * 1664525u + 1013904223u;
		plain[i] = i % 3 ? (uint8_t)(x >> 24) : 'z';
	}
	part = (struct boot_part){.fd = memfd_create("packed", MFD_CLOEXEC), .name = "kernel"};
	ck_assert_int_ge(part.fd, 0);
	file_fd = -1;
	out = (struct boot_part){.fd = -7};
	first_unused = unused();
}

static void teardown(void)
{
	/* Where nothing came out, nothing stays open. */
	if (out.fd == -7)
		ck_assert_int_eq(unused(), first_unused);
	else
		(void)close(out.fd);
	(void)close(part.fd);
}

/* LEN bytes of PLAIN as WINDOW wants them (zlib: 31 is gzip, 15 zlib's own), as the part. */
static size_t pack(size_t len, int window)
{
	z_stream z = {.next_in = plain,
	              .avail_in = (uInt)len,
	              .next_out = packed,
	              .avail_out = sizeof(packed)};
	ck_assert_int_eq(deflateInit2(&z, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	(void)deflateEnd(&z);
	return z.total_out;
}

static void put(size_t len)
{
	ck_assert_int_eq(pwrite(part.fd, packed, len, BEFORE), (ssize_t)len);
	part.offset = BEFORE;
	part.len_bytes = len;
}

static vmm_err_t unpack(uint64_t max_bytes)
{
	return inflate_part(&part, max_bytes, &out, &ei);
}

static void came_out(size_t len)
{
	static uint8_t got[LARGE + 1];
	ck_assert_uint_eq(out.len_bytes, len);
	ck_assert_uint_eq(out.offset, 0);
	ck_assert_str_eq(out.name, "kernel");
	ck_assert_int_eq(pread(out.fd, got, sizeof(got), 0), (ssize_t)len);
	ck_assert_mem_eq(got, plain, len);
	ck_assert_int_ne(fcntl(out.fd, F_GETFD) & FD_CLOEXEC, 0);
}

static void refused(uint64_t max_bytes, vmm_err_t code, const char *text)
{
	ck_assert_int_eq(unpack(max_bytes), code);
	ck_assert_msg(strstr(ei.message, text) != NULL, "'%s' does not say '%s'", ei.message, text);
	ck_assert_int_eq(out.fd, -7);
}

static const size_t sizes[] = {1, CHUNK - 1, CHUNK, CHUNK + 1, LARGE};

START_TEST(whole_parts)
{
	put(pack(sizes[_i], 31));
	ck_assert_int_eq(unpack(sizes[_i]), VMM_OK); /* as much as is allowed, and no more */
	came_out(sizes[_i]);
}
END_TEST

START_TEST(more_than_is_allowed)
{
	put(pack(sizes[_i], 31));
	refused(sizes[_i] - 1, VMM_E_LIMIT, "give the guest more memory");
}
END_TEST

START_TEST(cut_short)
{
	size_t len = pack(LARGE, 31);
	for (size_t keep = 0; keep < len; keep += keep < 32 || keep + 32 > len ? 1 : len / 7) {
		put(keep);
		refused(LARGE, VMM_E_FORMAT, "ends too early");
	}
	/* A file that is shorter than the part it is said to hold. */
	put(len);
	ck_assert_int_eq(ftruncate(part.fd, (off_t)(BEFORE + len / 2)), 0);
	ck_assert_int_ne(unpack(LARGE), VMM_OK);
	ck_assert_int_eq(out.fd, -7);
}
END_TEST

START_TEST(not_proper)
{
	size_t len = pack(LARGE, 31);
	packed[len - 8] ^= 1; /* CRC32 (RFC 1952, 2.3) */
	put(len);
	refused(LARGE, VMM_E_FORMAT, "incorrect data check");
	packed[len - 8] ^= 1;
	packed[len - 1] ^= 1; /* ISIZE */
	put(len);
	refused(LARGE, VMM_E_FORMAT, "incorrect length check");
	packed[0] ^= 1; /* ID1 */
	put(len);
	refused(LARGE, VMM_E_FORMAT, "not proper gzip");
	put(pack(LARGE, 15)); /* zlib's format, which is another */
	refused(LARGE, VMM_E_FORMAT, "not proper gzip");
	put(pack(0, 31));
	refused(LARGE, VMM_E_FORMAT, "unpacks to nothing");
}
END_TEST

START_TEST(a_host_that_fails)
{
	put(pack(LARGE, 31));
	interrupted = 2;
	halved = 3;
	ck_assert_int_eq(unpack(LARGE), VMM_OK);
	ck_assert_uint_eq(interrupted, 0);
	ck_assert_uint_eq(halved, 0);
	came_out(LARGE);
	(void)close(out.fd);
	out.fd = -7;
	fails = true;
	refused(LARGE, VMM_E_IO, strerror(ENOSPC));
	fails = false;
	writes_nothing = true;
	refused(LARGE, VMM_E_IO, strerror(EIO));
	writes_nothing = false;
	no_file = true;
	refused(LARGE, VMM_E_LIMIT, "no memory file");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("inflate");
	const int n = sizeof(sizes) / sizeof(sizes[0]);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, whole_parts, 0, n);
	tcase_add_loop_test(tc, more_than_is_allowed, 0, n);
	tcase_add_test(tc, cut_short);
	tcase_add_test(tc, not_proper);
	tcase_add_test(tc, a_host_that_fails);
	return suite_run("inflate", tc);
}
