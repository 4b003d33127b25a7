/* What vmm_cgroup_join refuses, on any host; what it does with a group: scripts/lab cgroup. */
#include <string.h>

#include "suite.h"
#include "vmm/cgroup.h"

static const char *const no_line[] = {""};

static const struct refusal {
	vmm_cgroup_opts_t opts;
	vmm_err_t code;
	const char *field;
	const char *says;
} refusals[] = {
        {{.struct_size = 1, .path = "/tmp/group"}, VMM_E_INVAL, "struct_size", "must be"},
        {{.path = NULL}, VMM_E_INVAL, "path", "absolute"},
        {{.path = ""}, VMM_E_INVAL, "path", "absolute"},
        {{.path = "sys/fs/cgroup/web"}, VMM_E_INVAL, "path", "absolute"},
        {{.path = "/"}, VMM_E_INVAL, "path", "end with the group's name"},
        {{.path = "/tmp/.."}, VMM_E_INVAL, "path", "end with the group's name"},
        {{.path = "/tmp/./"}, VMM_E_INVAL, "path", "end with the group's name"},
        {{.path = "/no/such/directory"}, VMM_E_NOENT, "path", "cannot be opened"},
        {{.path = "/dev/null/group"}, VMM_E_NOENT, "path", "cannot be opened"},
        {{.path = "/tmp/group"}, VMM_E_INVAL, "path", "not in a cgroup v2 file system"},
        {{.path = "/tmp/group//"}, VMM_E_INVAL, "path", "not in a cgroup v2 file system"},
        {{.path = "/tmp/group", .cpu_millis = 9}, VMM_E_INVAL, "cpu", "hundredth"},
        {{.path = "/tmp/group", .io_count = 1}, VMM_E_INVAL, "io", "io.max"},
        {{.path = "/tmp/group", .io = no_line, .io_count = 1}, VMM_E_INVAL, "io", "io.max"},
};

START_TEST(a_mistake_is_named)
{
	const struct refusal *r = &refusals[_i];
	vmm_cgroup_opts_t opts = r->opts;
	vmm_err_info_t ei = {0};
	if (!opts.struct_size)
		opts.struct_size = sizeof(opts);
	ck_assert_int_eq(vmm_cgroup_join(&opts, &ei), r->code);
	ck_assert_str_eq(ei.field, r->field);
	ck_assert_msg(strstr(ei.message, r->says), "%s", ei.message);
	ck_assert_int_eq(vmm_cgroup_join(&opts, NULL), r->code);
}
END_TEST

START_TEST(a_name_has_a_limit)
{
	char path[400] = "/tmp/";
	memset(path + 5, 'x', 300);
	const vmm_cgroup_opts_t opts = {.struct_size = sizeof(opts), .path = path};
	vmm_err_info_t ei = {0};
	ck_assert_int_eq(vmm_cgroup_join(&opts, &ei), VMM_E_INVAL);
	ck_assert_str_eq(ei.field, "path");
	ck_assert_int_eq(vmm_cgroup_join(NULL, &ei), VMM_E_INVAL);
	ck_assert_str_eq(ei.field, "struct_size");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("cgroup");
	tcase_add_loop_test(tc, a_mistake_is_named, 0, sizeof(refusals) / sizeof(refusals[0]));
	tcase_add_test(tc, a_name_has_a_limit);
	return suite_run("cgroup", tc);
}
