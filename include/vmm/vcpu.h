/*
 * The low-level loop: drive one vCPU until its next exit and look at that exit. For a VM that was
 * created with VMM_VM_STEP.
 */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include "vmm/vm.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum vmm_exit_kind {
	VMM_EXIT_PIO = 1,         /* port access; DATA points to COUNT items of SIZE bytes */
	VMM_EXIT_MMIO = 2,        /* memory-mapped access of SIZE bytes at ADDRESS */
	VMM_EXIT_INTERRUPTED = 3, /* vmm_vcpu_kick */
	VMM_EXIT_SHUTDOWN = 4,    /* triple fault */
	VMM_EXIT_ERROR = 5,       /* KVM cannot go on; see vmm_vm_next_event for the text */
	VMM_EXIT_OTHER = 6,       /* REASON is the KVM_EXIT_* number */
} vmm_exit_kind_t;

typedef struct vmm_exit {
	vmm_exit_kind_t kind;
	uint32_t reason; /* KVM_EXIT_* */
	uint32_t vcpu;
	bool is_write;
	uint32_t size;    /* bytes of one item */
	uint32_t count;   /* items (string I/O), 1 for MMIO */
	uint64_t address; /* port or guest-physical address */
	void *data;       /* to read (writes) or to fill (reads); valid until the next step */
} vmm_exit_t;

/*
 * Run vCPU CPU on the calling thread until it exits; nothing is dispatched. The thread's kick
 * signal is blocked from the first call on. One thread steps a vCPU at a time.
 * VMM_E_STATE: the VM is not built, or has vCPU threads of its own; VMM_E_INVAL: no such vCPU;
 * VMM_E_KVM.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_vcpu_step(vmm_vm_t *vm, uint32_t cpu, vmm_exit_t *exit);

/*
 * Let the VM's own devices answer EXIT (a PIO or MMIO exit of the latest step). False if no device
 * is there: a read then gives all ones.
 */
VMM_API bool vmm_exit_dispatch(vmm_vm_t *vm, const vmm_exit_t *exit);

/* Make the present or next vmm_vcpu_step of CPU return VMM_EXIT_INTERRUPTED. Any thread. */
VMM_API void vmm_vcpu_kick(vmm_vm_t *vm, uint32_t cpu);

/* The general registers, for tools and tests. */
typedef struct vmm_regs {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rip, rflags;
	uint64_t cr0, cr2, cr3, cr4, efer;
} vmm_regs_t;

/* Where a vCPU begins in 64-bit user mode (CPL 3), flat segments, interrupts as they are. */
typedef struct vmm_user_entry {
	size_t struct_size;
	uint64_t rip;
	uint64_t rsp;
	uint64_t page_tables; /* guest-physical, for CR3; pages must have their user bit */
	uint32_t iopl;        /* 0 .. 3: 3 lets it use ports */
} vmm_user_entry_t;

/*
 * Let vCPU CPU begin there instead of at the kernel's entry. Nothing takes it out of CPL 3 unless
 * the guest has tables for that: for guests without a kernel, and for hosts whose KVM emulates CPL
 * 0 (pagetable-based) but runs CPL 3 at full speed. Between build and start. VMM_E_INVAL: CPU,
 * struct_size, iopl; VMM_E_STATE; VMM_E_KVM.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_vcpu_set_user_entry(vmm_vm_t *vm, uint32_t cpu,
                                                          const vmm_user_entry_t *entry);

/* The rate of the guest's TSC in kHz; 0: KVM does not tell, or not built. */
VMM_API uint32_t vmm_vm_tsc_khz(const vmm_vm_t *vm);

/*
 * Let the guest's TSC show the host's, so that times taken on both sides can be compared. Between
 * build and start; a reset undoes it. VMM_E_STATE; VMM_E_UNSUPPORTED: KVM lacks KVM_VCPU_TSC_OFFSET
 * (Linux 5.16), or scales the TSC.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_vm_tsc_align(vmm_vm_t *vm);

/* Only while the vCPU does not run (paused, halted, or between steps). VMM_E_STATE, VMM_E_KVM. */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_vcpu_regs(vmm_vm_t *vm, uint32_t cpu, vmm_regs_t *regs);

#ifdef __cplusplus
}
#endif
#endif
