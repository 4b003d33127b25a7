/* Captures: what is in the file, and what happens when it cannot be written. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/pcap.h"
#include "suite.h"

static uint32_t word(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

START_TEST(frames_are_recorded_without_their_header)
{
	char path[] = "/tmp/test-pcap-XXXXXX";
	char a[] = "0123456789abHE", b[] = "LLO", c[] = "beyond";
	const struct iovec iov[] = {{a, 14}, {b, 3}, {c, 6}};
	uint8_t file[200];
	struct stat st;
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	(void)close(fd);
	ck_assert_int_eq(pcap_open(path, &fd, NULL), VMM_OK);
	ck_assert(pcap_write(fd, iov, 3, 12, 17));
	ck_assert(pcap_write(fd, iov, 3, 12, 20));
	ck_assert(!pcap_write(fd, iov, 2, 12, 20)); /* there is not so much */
	(void)close(fd);
	fd = open(path, O_RDONLY);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ssize_t n = read(fd, file, sizeof(file));
	(void)close(fd);
	(void)unlink(path);
	ck_assert_int_eq(n, 24 + 16 + 5 + 16 + 8);
	ck_assert_uint_eq(word(file), 0xa1b23c4d);
	ck_assert_uint_eq(word(file + 20), 1); /* Ethernet */
	ck_assert_uint_eq(word(file + 24 + 8), 5);
	ck_assert_uint_eq(word(file + 24 + 12), 5);
	ck_assert_uint_lt(word(file + 24 + 4), 1000000000);
	ck_assert_int_eq(memcmp(file + 40, "HELLO", 5), 0);
	ck_assert_int_eq(memcmp(file + 61, "HELLObey", 8), 0);
	ck_assert_uint_eq(st.st_mode & 0077, 0);
}
END_TEST

START_TEST(what_cannot_be_written_is_said)
{
	vmm_err_info_t ei;
	char byte = 0;
	const struct iovec iov = {&byte, 1};
	int fd;
	ck_assert_int_eq(pcap_open("/nowhere/at/all", &fd, &ei), VMM_E_NOENT);
	ck_assert_str_eq(ei.field, "pcap");
	ck_assert_int_eq(fd, -1);
	ck_assert_int_eq(pcap_open("/dev/full", &fd, &ei), VMM_E_IO);
	ck_assert_ptr_nonnull(strstr(ei.message, "/dev/full"));
	fd = open("/dev/full", O_WRONLY);
	ck_assert(!pcap_write(fd, &iov, 1, 0, 1));
	ck_assert_int_eq(errno, ENOSPC);
	(void)close(fd);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("pcap");
	tcase_add_test(tc, frames_are_recorded_without_their_header);
	tcase_add_test(tc, what_cannot_be_written_is_said);
	return suite_run("pcap", tc);
}
