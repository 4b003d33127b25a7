/* Entropy for the guest: virtio-rng, fed by getrandom(2) (virtio 1.2, 5.4). */
#ifndef VMM_RNG_H
#define VMM_RNG_H

#include "vmm/vm.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VMM_RNG_RATE_DEFAULT (1u << 20)

typedef struct vmm_rng_opts {
	size_t struct_size;
	uint64_t bytes_per_second; /* at most this much; 0: VMM_RNG_RATE_DEFAULT */
	uint64_t burst_bytes;      /* may be taken at once; 0: one second's worth */
} vmm_rng_opts_t;

#define VMM_RNG_OPTS_INIT                             \
	{                                             \
		.struct_size = sizeof(vmm_rng_opts_t) \
	}

/*
 * Add an entropy source to a VM that is not built yet; one is enough, and only one is allowed.
 * VMM_E_STATE after build; VMM_E_INVAL: struct_size; VMM_E_LIMIT: there is one; VMM_E_NOMEM.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_rng_add(vmm_vm_t *vm, const vmm_rng_opts_t *opts);

#ifdef __cplusplus
}
#endif
#endif
