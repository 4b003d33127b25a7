/* Structures of other versions of the headers. */
#include <string.h>

#include "suite.h"
#include "vmm/sized.h"
#include "vmm/vm.h"

struct newer {
	vmm_vm_opts_t opts;
	uint64_t later;
};

START_TEST(longer_ones_are_taken_if_what_is_new_is_unset)
{
	vmm_err_info_t ei = {0};
	vmm_vm_t *vm;
	struct newer n = {.opts = VMM_VM_OPTS_INIT};
	n.opts.struct_size = sizeof(n);
	ck_assert_int_eq(vmm_vm_create(&n.opts, &vm, &ei), VMM_OK);
	vmm_vm_destroy(vm);
	n.later = 1ull << 40;
	ck_assert_int_eq(vmm_vm_create(&n.opts, &vm, &ei), VMM_E_INVAL);
	ck_assert_str_eq(ei.field, "struct_size");
	ck_assert_ptr_nonnull(strstr(ei.message, "newer library"));
}
END_TEST

START_TEST(others_are_refused)
{
	vmm_err_info_t ei = {0};
	size_t sizes[] = {0, 8, 47, 4097, SIZE_MAX};
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		ck_assert(!sized_opts(&sizes[i], 48, &ei));
		ck_assert_str_eq(ei.field, "struct_size");
		ck_assert(!sized_info(&sizes[i], 48, &ei));
	}
	ck_assert(!sized_opts(NULL, 48, &ei));
	ck_assert(!sized_info(NULL, 48, NULL));
}
END_TEST

START_TEST(only_the_known_part_is_filled)
{
	struct {
		vmm_stats_t stats;
		uint64_t later;
	} s = {.stats.struct_size = sizeof(s), .later = 42};
	vmm_vm_opts_t opts = VMM_VM_OPTS_INIT;
	vmm_vm_t *vm;
	ck_assert_int_eq(vmm_vm_create(&opts, &vm, NULL), VMM_OK);
	ck_assert_int_eq(vmm_vm_stats(vm, &s.stats), VMM_OK);
	ck_assert_uint_eq(s.stats.struct_size, sizeof(s.stats));
	ck_assert_uint_gt(s.stats.created_ns, 0);
	ck_assert_uint_eq(s.later, 42);
	vmm_vm_destroy(vm);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("sized");
	tcase_add_test(tc, longer_ones_are_taken_if_what_is_new_is_unset);
	tcase_add_test(tc, others_are_refused);
	tcase_add_test(tc, only_the_known_part_is_filled);
	return suite_run("sized", tc);
}
