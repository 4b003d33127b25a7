/* What the guest's CPUID says: KVM's table with this VM's topology and clock written into it. */
#ifndef SRC_VMM_CPUID_H
#define SRC_VMM_CPUID_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/err.h"

struct cpuid_shape {
	uint32_t cpu;        /* APIC id of the vCPU */
	uint32_t cpus;       /* in the VM: one package, one thread a core */
	uint32_t tsc_khz;    /* 0: unknown, not told */
	bool tsc_deadline;   /* the LAPIC's timer has TSC-deadline mode */
	bool mwait;          /* MONITOR and MWAIT can be used */
	uint32_t monitor[4]; /* leaf 5 then: the processor's own */
};

/*
 * A table for one vCPU from KVM's SUPPORTED one, which stays as it is. Free *OUT with free().
 * Intel SDM vol. 2 'CPUID'; AMD APM vol. 3, appendix E; Linux Documentation/virt/kvm/x86/cpuid.rst.
 */
VMM_WARN_UNUSED vmm_err_t cpuid_make(const struct kvm_cpuid2 *supported,
                                     const struct cpuid_shape *shape, struct kvm_cpuid2 **out,
                                     vmm_err_info_t *ei);

/* How many bits a guest's physical addresses have. */
unsigned cpuid_phys_bits(struct kvm_cpuid2 *table);

/* The entry of FUNCTION (and INDEX, where the leaf has sub-leaves), or NULL. */
struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *table, uint32_t function, uint32_t index);

#endif
