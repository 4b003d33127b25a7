/* The memory balloon: take memory from a running guest and give it back (virtio 1.2, 5.5). */
#ifndef VMM_BALLOON_H
#define VMM_BALLOON_H

#include "vmm/vm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* vmm_balloon_opts_t.flags */
#define VMM_BALLOON_DEFLATE_ON_OOM (1u << 0) /* the guest may take pages back when it runs out */
#define VMM_BALLOON_REPORTING      (1u << 1) /* pages the guest does not use go to the host */

typedef struct vmm_balloon vmm_balloon_t;

typedef struct vmm_balloon_opts {
	size_t struct_size;
	uint32_t flags; /* VMM_BALLOON_* */
	uint64_t
	        target_bytes; /* size at the start, below the guest's memory; a multiple of 4 KiB */
	uint32_t stats_interval_ms; /* how often the guest is asked for statistics; 0: never */
} vmm_balloon_opts_t;

#define VMM_BALLOON_OPTS_INIT                                                \
	{                                                                    \
		.struct_size = sizeof(vmm_balloon_opts_t),                   \
		.flags = VMM_BALLOON_DEFLATE_ON_OOM | VMM_BALLOON_REPORTING, \
		.stats_interval_ms = 1000                                    \
	}

/*
 * Add a balloon to a VM that is not built yet; at most one. *BALLOON (may be NULL) is owned by the
 * VM. VMM_E_STATE after build; VMM_E_INVAL: unknown flags, or a target that is not below the
 * guest's memory or not whole pages; VMM_E_LIMIT: there is one; VMM_E_NOMEM.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_balloon_add(vmm_vm_t *vm, const vmm_balloon_opts_t *opts,
                                                  vmm_balloon_t **balloon);

/*
 * Ask the guest to give up TARGET bytes in all (0: take everything back). The guest does it in its
 * own time. Any thread, from build to destroy. VMM_E_INVAL as above.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_balloon_set_target(vmm_balloon_t *balloon,
                                                         uint64_t target_bytes);

#define VMM_BALLOON_UNKNOWN UINT64_MAX

typedef struct vmm_balloon_stats {
	size_t struct_size;    /* set by the caller */
	uint64_t target_bytes; /* what was asked for */
	uint64_t actual_bytes; /* what the guest says it gave up */
	uint64_t discarded;    /* bytes returned to the host, since the start */
	uint64_t reported;     /* of these, by free page reporting */
	/* The guest's own figures, VMM_BALLOON_UNKNOWN until it told them. Bytes, or counts. */
	uint64_t guest_swap_in;
	uint64_t guest_swap_out;
	uint64_t guest_major_faults;
	uint64_t guest_minor_faults;
	uint64_t guest_free;
	uint64_t guest_total;
	uint64_t guest_available;
	uint64_t guest_caches;
} vmm_balloon_stats_t;

/* Any thread, from build to destroy. VMM_E_INVAL: struct_size. */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_balloon_stats(vmm_balloon_t *balloon,
                                                    vmm_balloon_stats_t *stats);

#ifdef __cplusplus
}
#endif
#endif
