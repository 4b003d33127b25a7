/* Filling in a vmm_err_info_t: the one way an error's detail is written. Any thread. */
#ifndef SRC_VMM_ERRSET_H
#define SRC_VMM_ERRSET_H

#include "vmm/err.h"

/*
 * Record CODE for FIELD with a printf-style sentence and return CODE, so that a caller can write
 * `return err_set(...)`. EI may be NULL. FIELD and the text are truncated to fit.
 */
vmm_err_t err_set(vmm_err_info_t *ei, vmm_err_t code, const char *field, const char *fmt, ...)
        VMM_PRINTF(4, 5);

/* The same for a failed system call: the code is chosen from ERRNUM, its text is appended. */
vmm_err_t err_sys(vmm_err_info_t *ei, int errnum, const char *field, const char *fmt, ...)
        VMM_PRINTF(4, 5);

/* As err_sys, with the code given: for KVM calls (VMM_E_KVM) and the like. */
vmm_err_t err_sys_as(vmm_err_info_t *ei, vmm_err_t code, int errnum, const char *field,
                     const char *fmt, ...) VMM_PRINTF(5, 6);

#endif
