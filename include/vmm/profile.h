/*
 * Where a guest's time goes: exits to the VMM by reason and place, with their latency, and the
 * counters that KVM itself keeps. For a VM that was created with VMM_VM_PROFILE.
 */
#ifndef VMM_PROFILE_H
#define VMM_PROFILE_H

#include "vmm/vm.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A histogram of ticks: VMM_PROFILE_SUB buckets to each power of two, so that each is at most a
 * quarter wide; values below 8 have one each.
 */
#define VMM_PROFILE_BITS    2u
#define VMM_PROFILE_SUB     (1u << VMM_PROFILE_BITS)
#define VMM_PROFILE_BUCKETS 252u

/* The smallest tick count of BUCKET. */
VMM_API uint64_t vmm_profile_bucket_low(uint32_t bucket);

/* One kind of exit to the VMM at one place, all vCPUs together. */
typedef struct vmm_profile_entry {
	uint32_t reason;  /* KVM_EXIT_* */
	bool is_write;    /* IO, MMIO, MSR */
	bool is_rest;     /* of all places for which there was no room */
	uint64_t address; /* port, guest-physical address or MSR; else 0 */
	uint64_t count;
	uint64_t ticks; /* from KVM_RUN's return to the next call, summed up */
	uint64_t min_ticks, max_ticks;
	uint64_t bucket[VMM_PROFILE_BUCKETS];
} vmm_profile_entry_t;

#define VMM_PROFILE_PLACES 256u /* of each vCPU */

typedef struct vmm_profile {
	size_t struct_size; /* set by the caller */
	uint32_t cpus;
	uint32_t tsc_khz;    /* ticks to time; 0: unknown */
	uint64_t wall_ticks; /* since the start, of all vCPUs together */
	uint64_t run_ticks;  /* in KVM_RUN: the guest, and KVM for it */
	uint64_t vmm_ticks;  /* in the VMM, for the exits below */
	uint64_t guest_ns;   /* of run_ticks, in the guest, as the kernel accounts it by ticks. Of
	                      * all VMs of the process where seccomp's filters are on (sandbox.h) */
	uint64_t halted_ns;  /* of run_ticks, waiting in HLT; 0 also where KVM does not tell */
	uint64_t exits;      /* to the VMM */
	vmm_profile_entry_t *entries; /* the caller's, most ticks first */
	uint32_t room;
	uint32_t count; /* set: how many were filled */
} vmm_profile_t;

/*
 * The profile so far; consistent enough for people while the guest runs. Any thread, from start to
 * destroy. VMM_E_INVAL: struct_size, entries; VMM_E_STATE: no VMM_VM_PROFILE, or not started;
 * VMM_E_NOMEM.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_vm_profile(vmm_vm_t *vm, vmm_profile_t *profile);

/* One of KVM's own counters (Documentation/virt/kvm/api.rst, 4.136 KVM_GET_STATS_FD). */
typedef struct vmm_kvm_stat {
	char name[48];
	uint64_t value;
	bool is_time; /* nanoseconds */
} vmm_kvm_stat_t;

#define VMM_KVM_STATS_MAX 96u

typedef struct vmm_kvm_stats {
	size_t struct_size; /* set by the caller */
	uint32_t count;
	vmm_kvm_stat_t stat[VMM_KVM_STATS_MAX];
} vmm_kvm_stats_t;

/*
 * KVM's counters of vCPU CPU; histograms are left out. From build to destroy, any thread, also from
 * device callbacks. VMM_E_INVAL: struct_size, CPU; VMM_E_UNSUPPORTED: KVM has none (before Linux
 * 5.14); VMM_E_KVM; VMM_E_FORMAT: KVM's description of them makes no sense.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_vcpu_kvm_stats(vmm_vm_t *vm, uint32_t cpu,
                                                     vmm_kvm_stats_t *stats);

#ifdef __cplusplus
}
#endif
#endif
