/* Error codes and their detail. See include/vmm/err.h. */
#include "vmm/err.h"

#include "errset.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *vmm_strerror(vmm_err_t code)
{
	switch (code) {
	case VMM_OK:
		return "success";
	case VMM_E_INVAL:
		return "invalid value";
	case VMM_E_NOMEM:
		return "out of memory";
	case VMM_E_IO:
		return "input/output error";
	case VMM_E_NOENT:
		return "no such file or device";
	case VMM_E_PERM:
		return "permission denied";
	case VMM_E_UNSUPPORTED:
		return "not supported by this host";
	case VMM_E_BUSY:
		return "in use";
	case VMM_E_STATE:
		return "not possible in this state";
	case VMM_E_FORMAT:
		return "malformed file";
	case VMM_E_HASH:
		return "hash mismatch";
	case VMM_E_LIMIT:
		return "limit exceeded";
	case VMM_E_KVM:
		return "KVM call failed";
	case VMM_E_TIMEOUT:
		return "timed out";
	}
	return "unknown error";
}

static vmm_err_t code_of_errno(int errnum)
{
	switch (errnum) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
	case ENOTDIR:
		return VMM_E_NOENT;
	case EACCES:
	case EPERM:
	case EROFS:
		return VMM_E_PERM;
	case ENOMEM:
		return VMM_E_NOMEM;
	case EBUSY:
	case EAGAIN:
	case EADDRINUSE:
		return VMM_E_BUSY;
	case ENOSYS:
	case EOPNOTSUPP:
		return VMM_E_UNSUPPORTED;
	case EINVAL:
		return VMM_E_INVAL;
	case EMFILE:
	case ENFILE:
		return VMM_E_LIMIT;
	default:
		return VMM_E_IO;
	}
}

static void fill(vmm_err_info_t *ei, vmm_err_t code, int errnum, const char *field, const char *fmt,
                 va_list ap)
{
	if (!ei)
		return;
	ei->code = code;
	ei->sys_errno = errnum;
	(void)snprintf(ei->field, sizeof(ei->field), "%s", field);
	int n = vsnprintf(ei->message, sizeof(ei->message), fmt, ap);
	if (errnum == 0 || n < 0 || (size_t)n >= sizeof(ei->message))
		return;
	char text[96];
	const char *why = strerror_r(errnum, text, sizeof(text));
	(void)snprintf(ei->message + n, sizeof(ei->message) - (size_t)n, ": %s", why);
}

vmm_err_t err_set(vmm_err_info_t *ei, vmm_err_t code, const char *field, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fill(ei, code, 0, field, fmt, ap);
	va_end(ap);
	return code;
}

vmm_err_t err_sys(vmm_err_info_t *ei, int errnum, const char *field, const char *fmt, ...)
{
	vmm_err_t code = code_of_errno(errnum);
	va_list ap;
	va_start(ap, fmt);
	fill(ei, code, errnum, field, fmt, ap);
	va_end(ap);
	return code;
}

vmm_err_t err_sys_as(vmm_err_info_t *ei, vmm_err_t code, int errnum, const char *field,
                     const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fill(ei, code, errnum, field, fmt, ap);
	va_end(ap);
	return code;
}
