/* What this host can do: the facts behind `vmm doctor`. */
#ifndef VMM_HOST_H
#define VMM_HOST_H

#include "vmm/vm.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum vmm_host_kind {
	VMM_HOST_UNKNOWN = 0,
	VMM_HOST_HARDWARE = 1,  /* VT-x or AMD-V: stock guests run */
	VMM_HOST_PAGETABLE = 2, /* KVM without either: guest kernel code is emulated, slowly */
} vmm_host_kind_t;

typedef enum vmm_check_state {
	VMM_CHECK_OK = 0,
	VMM_CHECK_NOTE = 1, /* works, or is optional */
	VMM_CHECK_FAIL = 2, /* no VM can run, or a named feature cannot be used */
} vmm_check_state_t;

typedef struct vmm_host_check {
	vmm_check_state_t state;
	char name[32];   /* "/dev/kvm", "io_uring" */
	char found[160]; /* what is there */
	char fix[240];   /* the command or setting that would change it; empty: nothing to do */
} vmm_host_check_t;

#define VMM_HOST_CHECKS_MAX 24u

typedef struct vmm_host_info {
	size_t struct_size; /* set by the caller */
	vmm_host_kind_t kind;
	uint32_t max_vcpus;
	uint64_t memory_bytes;
	uint32_t check_count;
	vmm_host_check_t check[VMM_HOST_CHECKS_MAX];
} vmm_host_info_t;

/*
 * Look at the host: opens /dev/kvm (KVM_PATH; NULL: "/dev/kvm") and makes an empty VM, changes
 * nothing. Problems are entries of INFO, not errors. VMM_E_INVAL: struct_size.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_host_probe(const char *kvm_path, vmm_host_info_t *info);

#ifdef __cplusplus
}
#endif
#endif
