/* Error codes, their phrases, and the detail that goes with them. */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "suite.h"
#include "vmm/errset.h"

static vmm_err_info_t ei;

static void setup(void)
{
	memset(&ei, 0x55, sizeof(ei));
}

START_TEST(every_code_has_a_phrase_of_its_own)
{
	const char *phrases[1 - VMM_E_TIMEOUT];
	for (int code = 0; code >= VMM_E_TIMEOUT; code--) {
		phrases[-code] = vmm_strerror((vmm_err_t)code);
		ck_assert_str_ne(phrases[-code], "unknown error");
		for (int other = 0; other > code; other--)
			ck_assert_str_ne(phrases[-code], phrases[-other]);
	}
	ck_assert_str_eq(vmm_strerror((vmm_err_t)(VMM_E_TIMEOUT - 1)), "unknown error");
	ck_assert_str_eq(vmm_strerror((vmm_err_t)1), "unknown error");
}
END_TEST

START_TEST(the_detail_is_filled_in)
{
	ck_assert_int_eq(err_set(&ei, VMM_E_INVAL, "memory", "%d bytes", 7), VMM_E_INVAL);
	ck_assert_int_eq(ei.code, VMM_E_INVAL);
	ck_assert_int_eq(ei.sys_errno, 0);
	ck_assert_str_eq(ei.field, "memory");
	ck_assert_str_eq(ei.message, "7 bytes");
	ck_assert_int_eq(err_sys_as(&ei, VMM_E_KVM, EINVAL, "vcpu", "KVM_RUN failed"), VMM_E_KVM);
	ck_assert_int_eq(ei.code, VMM_E_KVM);
	ck_assert_int_eq(ei.sys_errno, EINVAL);
	ck_assert_str_eq(ei.message, "KVM_RUN failed: Invalid argument");
}
END_TEST

START_TEST(nobody_has_to_want_it)
{
	ck_assert_int_eq(err_set(NULL, VMM_E_HASH, "a", "b"), VMM_E_HASH);
	ck_assert_int_eq(err_sys(NULL, ENOENT, "a", "b"), VMM_E_NOENT);
	ck_assert_int_eq(err_sys_as(NULL, VMM_E_KVM, EIO, "a", "b"), VMM_E_KVM);
}
END_TEST

static const struct {
	int errnum;
	vmm_err_t code;
} codes[] = {
        {ENOENT, VMM_E_NOENT},    {ENODEV, VMM_E_NOENT},
        {ENXIO, VMM_E_NOENT},     {ENOTDIR, VMM_E_NOENT},
        {EACCES, VMM_E_PERM},     {EPERM, VMM_E_PERM},
        {EROFS, VMM_E_PERM},      {ENOMEM, VMM_E_NOMEM},
        {EBUSY, VMM_E_BUSY},      {EAGAIN, VMM_E_BUSY},
        {EADDRINUSE, VMM_E_BUSY}, {ENOSYS, VMM_E_UNSUPPORTED},
        {EINVAL, VMM_E_INVAL},    {EOPNOTSUPP, VMM_E_UNSUPPORTED},
        {EMFILE, VMM_E_LIMIT},    {ENFILE, VMM_E_LIMIT},
        {EIO, VMM_E_IO},          {ENOSPC, VMM_E_IO},
};

START_TEST(errnos_have_their_codes)
{
	char want[64];
	ck_assert_int_eq(err_sys(&ei, codes[_i].errnum, "file", "no"), codes[_i].code);
	ck_assert_int_eq(ei.code, codes[_i].code);
	ck_assert_int_eq(ei.sys_errno, codes[_i].errnum);
	(void)snprintf(want, sizeof(want), "no: %s", strerror(codes[_i].errnum));
	ck_assert_str_eq(ei.message, want);
}
END_TEST

/* What is too long is cut, and ends with a NUL: never more than fits, never the reason alone. */
START_TEST(long_texts_are_cut)
{
	char text[1000];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	(void)err_set(&ei, VMM_E_IO, text, "%s", text);
	ck_assert_uint_eq(strlen(ei.field), sizeof(ei.field) - 1);
	ck_assert_uint_eq(strlen(ei.message), sizeof(ei.message) - 1);
	(void)err_sys(&ei, ENOENT, "f", "%s", text);
	ck_assert_uint_eq(strlen(ei.message), sizeof(ei.message) - 1);
	ck_assert_int_eq(ei.message[sizeof(ei.message) - 2], 'x');
	/* Room for a part of the reason only. */
	(void)err_sys(&ei, ENOENT, "f", "%.*s", (int)sizeof(ei.message) - 6, text);
	ck_assert_uint_eq(strlen(ei.message), sizeof(ei.message) - 1);
	ck_assert_str_eq(ei.message + sizeof(ei.message) - 6, ": No ");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("err");
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, every_code_has_a_phrase_of_its_own);
	tcase_add_test(tc, the_detail_is_filled_in);
	tcase_add_test(tc, nobody_has_to_want_it);
	tcase_add_loop_test(tc, errnos_have_their_codes, 0, sizeof(codes) / sizeof(codes[0]));
	tcase_add_test(tc, long_texts_are_cut);
	return suite_run("err", tc);
}
