/*
 * KVM: the only ioctls on /dev/kvm, VMs and vCPUs in the tree. Each call names itself in the error.
 * Specification: Linux, Documentation/virt/kvm/api.rst.
 */
#ifndef SRC_VMM_KVM_H
#define SRC_VMM_KVM_H

#include <linux/kvm.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/err.h"

struct gmem;

/* What the host offers, asked once. */
struct kvm_caps {
	uint32_t max_vcpus;
	uint32_t run_bytes; /* size of a vCPU's shared page area */
	bool tsc_deadline;
	bool tsc_khz; /* KVM_GET_TSC_KHZ */
	bool immediate_exit;
	bool kvmclock_ctrl;
	bool msr_exits;      /* MSR filter and exits to user space */
	bool stats;          /* KVM_GET_STATS_FD */
	uint32_t idle_exits; /* KVM_X86_DISABLE_EXITS_* of HLT, PAUSE and MWAIT that KVM allows */
	uint32_t
	        coalesced_bytes; /* where in a vCPU's area the ring of coalesced MMIO is; 0: none */
	bool hardware;           /* VT-x or SVM shows in CPUID; else a pagetable-based host */
};

/* Open PATH (or duplicate FD, if not negative), check the API version and what we need. */
VMM_WARN_UNUSED vmm_err_t kvm_open(const char *path, int fd, int *kvm_fd, struct kvm_caps *caps,
                                   vmm_err_info_t *ei);

/* A VM with RAM mapped, the in-kernel irqchip and PIT, in the order that starts fastest. */
VMM_WARN_UNUSED vmm_err_t kvm_vm_create(int kvm_fd, const struct gmem *gm, int *vm_fd,
                                        vmm_err_info_t *ei);
/* The instructions of EXITS (kvm_caps.idle_exits) exit no more. Before there are vCPUs. */
VMM_WARN_UNUSED vmm_err_t kvm_leave_idle(int vm_fd, uint32_t exits, vmm_err_info_t *ei);
/* The processor's CPUID leaf 5, which is the guest's where MWAIT is left to it: EAX to EDX. */
void kvm_monitor_leaf(uint32_t leaf[4]);
VMM_WARN_UNUSED vmm_err_t kvm_irqfd(int vm_fd, int event_fd, uint32_t gsi, vmm_err_info_t *ei);
/* As kvm_irqfd, and back; for what the guest changes while it runs. */
bool kvm_irqfd_set(int vm_fd, int event_fd, uint32_t gsi, bool on);
/*
 * A level: EVENT_FD raises the pin, the guest's end of interrupt lowers it and signals RESAMPLE_FD
 * (api.rst, KVM_IRQFD_FLAG_RESAMPLE).
 */
bool kvm_irqfd_level(int vm_fd, int event_fd, int resample_fd, uint32_t gsi, bool on);
bool kvm_set_gsi_routing(int vm_fd, const struct kvm_irq_routing *table);
/* Host memory as a slot of the guest; length 0 takes it away. */
bool kvm_set_slot(int vm_fd, uint32_t slot, uint64_t gpa, void *host, uint64_t len_bytes);
/* KVM_DEV_TYPE_VFIO: *DEVICE_FD, by which KVM learns what the guest drives. */
VMM_WARN_UNUSED vmm_err_t kvm_vfio_create(int vm_fd, int *device_fd, vmm_err_info_t *ei);
/* A write of LEN bytes (0: of any length) to a port or MMIO address, of any value if not MATCH. */
struct kvm_doorbell {
	bool pio;
	uint64_t addr;
	uint32_t len;
	bool match;
	uint64_t data;
};
/* Such a write signals EVENT_FD instead of exiting, or does not any more. */
VMM_WARN_UNUSED vmm_err_t kvm_ioeventfd(int vm_fd, int event_fd, const struct kvm_doorbell *d,
                                        bool on, vmm_err_info_t *ei);
VMM_WARN_UNUSED vmm_err_t kvm_coalesce_mmio(int vm_fd, uint64_t addr, uint64_t len,
                                            vmm_err_info_t *ei);
/* MSRs of COUNT ranges leave to user space instead of being answered by KVM. */
struct kvm_msr_span {
	uint32_t first;
	uint32_t count;
};
#define KVM_MSR_SPANS_MAX 8u
VMM_WARN_UNUSED vmm_err_t kvm_filter_msrs(int vm_fd, const struct kvm_msr_span *spans,
                                          unsigned count, vmm_err_info_t *ei);
/* Dirty logging of the slots that kvm_vm_create made. */
VMM_WARN_UNUSED vmm_err_t kvm_dirty_log_set(int vm_fd, const struct gmem *gm, bool on,
                                            vmm_err_info_t *ei);
VMM_WARN_UNUSED vmm_err_t kvm_dirty_log_read(int vm_fd, unsigned slot, uint64_t *bitmap,
                                             vmm_err_info_t *ei);
VMM_WARN_UNUSED vmm_err_t kvm_signal_msi(int vm_fd, uint64_t addr, uint32_t data,
                                         vmm_err_info_t *ei);

VMM_WARN_UNUSED vmm_err_t kvm_vcpu_create(int vm_fd, uint32_t id, uint32_t run_bytes, int *vcpu_fd,
                                          struct kvm_run **run, vmm_err_info_t *ei);
void kvm_vcpu_close(int vcpu_fd, struct kvm_run *run, uint32_t run_bytes);

/* KVM_GET_SUPPORTED_CPUID into a freshly allocated table (free it). */
VMM_WARN_UNUSED vmm_err_t kvm_supported_cpuid(int kvm_fd, struct kvm_cpuid2 **out,
                                              vmm_err_info_t *ei);
VMM_WARN_UNUSED vmm_err_t kvm_set_cpuid(int vcpu_fd, const struct kvm_cpuid2 *cpuid,
                                        vmm_err_info_t *ei);
VMM_WARN_UNUSED vmm_err_t kvm_set_msr(int vcpu_fd, uint32_t index, uint64_t value,
                                      vmm_err_info_t *ei);
VMM_WARN_UNUSED vmm_err_t kvm_get_regs(int vcpu_fd, struct kvm_regs *r, vmm_err_info_t *ei);
VMM_WARN_UNUSED vmm_err_t kvm_set_regs(int vcpu_fd, const struct kvm_regs *r, vmm_err_info_t *ei);
VMM_WARN_UNUSED vmm_err_t kvm_get_sregs(int vcpu_fd, struct kvm_sregs *s, vmm_err_info_t *ei);
VMM_WARN_UNUSED vmm_err_t kvm_set_sregs(int vcpu_fd, const struct kvm_sregs *s, vmm_err_info_t *ei);
VMM_WARN_UNUSED vmm_err_t kvm_get_lapic(int vcpu_fd, struct kvm_lapic_state *l, vmm_err_info_t *ei);
VMM_WARN_UNUSED vmm_err_t kvm_set_lapic(int vcpu_fd, const struct kvm_lapic_state *l,
                                        vmm_err_info_t *ei);
/* The signals that may interrupt KVM_RUN are those that are not in MASK. */
VMM_WARN_UNUSED vmm_err_t kvm_set_signal_mask(int vcpu_fd, const sigset_t *mask,
                                              vmm_err_info_t *ei);
/* The guest-physical address of a linear one; false if it is not mapped. */
bool kvm_translate(int vcpu_fd, uint64_t linear, uint64_t *gpa);
/* The guest's TSC runs OFFSET ticks ahead of the host's. */
VMM_WARN_UNUSED vmm_err_t kvm_set_tsc_offset(int vcpu_fd, uint64_t offset, vmm_err_info_t *ei);
/* A descriptor of KVM's binary statistics of a VM or vCPU, or -1 with errno. */
int kvm_stats_fd(int fd);
/* TSC frequency of a vCPU in kHz, or 0 if unknown. */
uint32_t kvm_tsc_khz(int vcpu_fd);
/* Tell the guest's clock that the vCPU was paused (KVM_KVMCLOCK_CTRL). Best effort. */
void kvm_clock_was_paused(int vcpu_fd);

/* KVM_RUN: 0, or the errno (EINTR: a signal that the mask lets through is pending). */
int kvm_run_once(int vcpu_fd);

#endif
