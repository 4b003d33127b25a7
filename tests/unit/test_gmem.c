/* Guest memory: layout around the 32-bit hole, bounds, discard, bad sizes. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "suite.h"
#include "vmm/gmem.h"
#include "vmm/machine.h"

static struct gmem *make(uint64_t bytes)
{
	struct gmem *gm = NULL;
	vmm_err_info_t ei = {0};
	struct gmem_opts opts = {.size_bytes = bytes, .fd = -1};
	ck_assert_msg(gmem_create(&opts, &gm, &ei) == VMM_OK, "%s", ei.message);
	return gm;
}

START_TEST(bounds_are_exact)
{
	struct gmem *gm = make(1 << 20);
	ck_assert_ptr_nonnull(gmem_at(gm, (struct gpa){0}, 1 << 20));
	ck_assert_ptr_null(gmem_at(gm, (struct gpa){0}, (1 << 20) + 1));
	ck_assert_ptr_nonnull(gmem_at(gm, (struct gpa){(1 << 20) - 1}, 1));
	ck_assert_ptr_null(gmem_at(gm, (struct gpa){(1 << 20) - 1}, 2));
	ck_assert_ptr_null(gmem_at(gm, (struct gpa){1 << 20}, 1));
	ck_assert_ptr_null(gmem_at(gm, (struct gpa){UINT64_MAX}, 1));
	ck_assert_ptr_null(gmem_at(gm, (struct gpa){1}, UINT64_MAX));
	ck_assert_ptr_null(gmem_at(gm, (struct gpa){0}, 0));
	gmem_destroy(gm);
}
END_TEST

START_TEST(hole_splits_large_memory)
{
	struct gmem *gm = make(MACHINE_LOW_RAM_END + (2 << 20));
	ck_assert_uint_eq(gmem_region_count(gm), 2);
	uint8_t *low = gmem_at(gm, (struct gpa){MACHINE_LOW_RAM_END - 1}, 1);
	uint8_t *high = gmem_at(gm, (struct gpa){MACHINE_HIGH_RAM}, 2 << 20);
	ck_assert_ptr_nonnull(low);
	ck_assert_ptr_nonnull(high);
	ck_assert_ptr_eq(low + 1, high);
	ck_assert_ptr_null(gmem_at(gm, (struct gpa){MACHINE_LOW_RAM_END - 1}, 2));
	ck_assert_ptr_null(gmem_at(gm, (struct gpa){MACHINE_LOW_RAM_END}, 1));
	ck_assert_ptr_null(gmem_at(gm, (struct gpa){MACHINE_HIGH_RAM}, (2 << 20) + 1));
	gmem_destroy(gm);
}
END_TEST

static void check_copies_and_discard(struct gmem *gm)
{
	char buf[8] = {0};
	ck_assert(gmem_write(gm, (struct gpa){0x3000}, "guest", 6));
	ck_assert(gmem_read(gm, (struct gpa){0x3000}, buf, 6));
	ck_assert_str_eq(buf, "guest");
	ck_assert(!gmem_write(gm, (struct gpa){(1 << 20) - 3}, "guest", 6));
	ck_assert(!gmem_discard(gm, (struct gpa){0x3001}, 4096));
	ck_assert(gmem_discard(gm, (struct gpa){0x3000}, 4096));
	ck_assert(gmem_read(gm, (struct gpa){0x3000}, buf, 6));
	ck_assert_int_eq(buf[0], 0);
	ck_assert(gmem_write(gm, (struct gpa){0}, "x", 1));
	ck_assert(gmem_discard_all(gm));
	ck_assert(gmem_read(gm, (struct gpa){0}, buf, 1));
	ck_assert_int_eq(buf[0], 0);
	gmem_destroy(gm);
}

START_TEST(copies_and_discard)
{
	check_copies_and_discard(make(1 << 20));
}
END_TEST

START_TEST(copies_and_discard_in_a_file)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
	struct gmem *gm = NULL;
	vmm_err_info_t ei = {0};
	struct gmem_opts opts = {.size_bytes = 1 << 20, .fd = fd};
	ck_assert_msg(gmem_create(&opts, &gm, &ei) == VMM_OK, "%s", ei.message);
	ck_assert(gmem_write(gm, (struct gpa){0x3ffc}, "file", 5));
	char buf[5] = {0};
	ck_assert_int_eq(pread(fd, buf, 5, 0x3ffc), 5);
	ck_assert_str_eq(buf, "file");
	check_copies_and_discard(gm);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(a_memfd_shows_the_memory)
{
	struct gmem *gm = NULL;
	vmm_err_info_t ei = {0};
	struct gmem_opts opts = {.size_bytes = 1 << 20, .memfd = true, .fd = -1};
	ck_assert_msg(gmem_create(&opts, &gm, &ei) == VMM_OK, "%s", ei.message);
	ck_assert(gmem_write(gm, (struct gpa){0x2000}, "seen", 5));
	char buf[5] = {0};
	ck_assert_int_eq(pread(gmem_fd(gm), buf, 5, 0x2000), 5);
	ck_assert_str_eq(buf, "seen");
	check_copies_and_discard(gm);
	gm = make(1 << 20);
	ck_assert_int_eq(gmem_fd(gm), -1);
	gmem_destroy(gm);
}
END_TEST

/* Huge pages need it: host and guest addresses agree modulo their size. */
START_TEST(memory_is_aligned)
{
	struct gmem *gm = make(6 << 20);
	ck_assert_uint_eq((uintptr_t)gmem_at(gm, (struct gpa){0}, 1) & ((2 << 20) - 1), 0);
	gmem_destroy(gm);
}
END_TEST

START_TEST(bad_sizes_are_refused)
{
	struct gmem *gm = NULL;
	vmm_err_info_t ei;
	struct gmem_opts opts = {.size_bytes = 0, .fd = -1};
	ck_assert_int_eq(gmem_create(&opts, &gm, &ei), VMM_E_INVAL);
	ck_assert_str_eq(ei.field, "memory");
	opts.size_bytes = 4097;
	ck_assert_int_eq(gmem_create(&opts, &gm, &ei), VMM_E_INVAL);
	opts.size_bytes = 1ull << 50;
	ck_assert_int_eq(gmem_create(&opts, &gm, &ei), VMM_E_LIMIT);
	ck_assert_ptr_null(gm);
}
END_TEST

/* Too few of them must show now, not as a SIGBUS when the guest touches one. */
START_TEST(huge_pages_are_reserved)
{
	struct gmem *gm = NULL;
	vmm_err_info_t ei = {0};
	long unused = 0;
	FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	if (f) {
		ck_assert_int_eq(fscanf(f, "%ld", &unused), 1);
		(void)fclose(f);
	}
	struct gmem_opts opts = {
	        .size_bytes = ((uint64_t)unused + 1) << 21, .huge_pages = true, .fd = -1};
	ck_assert_int_ne(gmem_create(&opts, &gm, &ei), VMM_OK);
	ck_assert_ptr_null(gm);
	ck_assert_str_eq(ei.field, "memory");
}
END_TEST

START_TEST(load_from_file)
{
	char path[] = "/tmp/vmm-test-XXXXXX";
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(write(fd, "0123456789", 10), 10);
	struct gmem *gm = make(1 << 20);
	vmm_err_info_t ei;
	char buf[5] = {0};
	ck_assert_int_eq(gmem_load_fd(gm, (struct gpa){16}, fd, 2, 4, "f", &ei), VMM_OK);
	ck_assert(gmem_read(gm, (struct gpa){16}, buf, 4));
	ck_assert_str_eq(buf, "2345");
	ck_assert_int_eq(gmem_load_fd(gm, (struct gpa){16}, fd, 8, 4, "f", &ei), VMM_E_IO);
	ck_assert_int_eq(gmem_load_fd(gm, (struct gpa){1 << 20}, fd, 0, 4, "f", &ei), VMM_E_LIMIT);
	gmem_destroy(gm);
	close(fd);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("gmem");
	tcase_add_test(tc, bounds_are_exact);
	tcase_add_test(tc, hole_splits_large_memory);
	tcase_add_test(tc, copies_and_discard);
	tcase_add_test(tc, copies_and_discard_in_a_file);
	tcase_add_test(tc, a_memfd_shows_the_memory);
	tcase_add_test(tc, memory_is_aligned);
	tcase_add_test(tc, bad_sizes_are_refused);
	tcase_add_test(tc, huge_pages_are_reserved);
	tcase_add_test(tc, load_from_file);
	return suite_run("gmem", tc);
}
