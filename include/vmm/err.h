/*
 * Error codes of libvmm, and the detail that goes with them.
 *
 * Every fallible call returns a vmm_err_t: VMM_OK or one negative enumerator. Calls on a handle
 * keep the detail in the handle, for the thread that made them (vmm_vm_error); calls without one
 * take a vmm_err_info_t that the caller owns and that may be NULL where the detail is not wanted.
 */
#ifndef VMM_ERR_H
#define VMM_ERR_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum vmm_err {
	VMM_OK = 0,
	VMM_E_INVAL = -1,       /* an argument or option has a value that is not allowed */
	VMM_E_NOMEM = -2,       /* the host refused memory */
	VMM_E_IO = -3,          /* a read, write or system call on a file failed */
	VMM_E_NOENT = -4,       /* a named file or device does not exist */
	VMM_E_PERM = -5,        /* the caller has no right to a file or device */
	VMM_E_UNSUPPORTED = -6, /* the host or this build lacks what was asked for */
	VMM_E_BUSY = -7,        /* a file or device is in use by someone else */
	VMM_E_STATE = -8,       /* the call does not fit the state of the handle */
	VMM_E_FORMAT = -9,      /* an image, kernel or config file is malformed */
	VMM_E_HASH = -10,       /* a part of an image does not have the hash it should have */
	VMM_E_LIMIT = -11,      /* a documented limit, or that of open descriptors, is exceeded */
	VMM_E_KVM = -12,        /* a KVM call failed; the detail names it */
	VMM_E_TIMEOUT = -13,    /* a bounded wait ended without the event */
} vmm_err_t;

#define VMM_API               __attribute__((visibility("default")))
#define VMM_WARN_UNUSED       __attribute__((warn_unused_result))
#define VMM_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Where an error happened and what would be right. Owned by the caller; plain data. */
typedef struct vmm_err_info {
	vmm_err_t code;
	int sys_errno;     /* errno of the failed system call, or 0 */
	char field[64];    /* the option, key or file that is wrong ("memory", "--disk", a path) */
	char message[448]; /* one sentence: what was found, what would be right */
} vmm_err_info_t;

/* A constant phrase for CODE, never NULL. Any thread. */
VMM_API const char *vmm_strerror(vmm_err_t code);

#ifdef __cplusplus
}
#endif
#endif
