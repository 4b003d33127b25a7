/* Devices of the embedder: a range of ports or of MMIO, and interrupt lines. */
#ifndef VMM_DEVICE_H
#define VMM_DEVICE_H

#include "vmm/vm.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum vmm_space { VMM_SPACE_PIO = 0, VMM_SPACE_MMIO = 1 } vmm_space_t;

/* Where embedders may put MMIO devices: nothing of the machine is here. */
#define VMM_USER_MMIO_BASE  0xd1000000ull
#define VMM_USER_MMIO_BYTES 0x01000000ull

typedef struct vmm_irq vmm_irq_t;

/* vmm_bus_device_opts_t.flags */
#define VMM_BUS_COALESCED (1u << 0) /* MMIO: writes wait in KVM's ring until the next exit */

typedef struct vmm_bus_device_opts {
	size_t struct_size;
	const char *name; /* for messages; copied */
	vmm_space_t space;
	uint64_t base; /* port or guest-physical address */
	uint64_t len_bytes;
	/*
	 * Called on vCPU threads, possibly on several at once: the device locks for itself. SIZE is
	 * 1, 2, 4 or 8; OFFSET + SIZE lies inside the range. Must not wait for another vCPU.
	 */
	uint64_t (*read)(void *ctx, uint64_t offset, unsigned size);
	void (*write)(void *ctx, uint64_t offset, unsigned size, uint64_t value);
	void (*reset)(void *ctx); /* machine reset, no vCPU runs; may be NULL */
	void *ctx;
	uint32_t flags; /* VMM_BUS_* */
} vmm_bus_device_opts_t;

/*
 * Add a device to the bus of a VM that is not built yet. VMM_E_INVAL: the range is empty or
 * overlaps another device (the detail names it), a flag is unknown or does not fit, or a callback
 * is missing; VMM_E_LIMIT; VMM_E_STATE. vmm_vm_build says VMM_E_UNSUPPORTED where KVM lacks
 * VMM_BUS_COALESCED (KVM_CAP_COALESCED_MMIO).
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_bus_device_add(vmm_vm_t *vm,
                                                     const vmm_bus_device_opts_t *opts);

/* Writes to a port or an MMIO address that signal an eventfd inside KVM: the vCPU does not leave.
 */
typedef struct vmm_ioeventfd_opts {
	size_t struct_size;
	vmm_space_t space;
	uint64_t address;   /* port or guest-physical address */
	uint32_t len_bytes; /* of the write: 1, 2, 4 or 8 */
	bool match;         /* only writes of DATA; others leave as usual */
	uint64_t data;
	int fd; /* duplicated */
} vmm_ioeventfd_opts_t;

/*
 * VMM_E_INVAL: struct_size, length or descriptor; VMM_E_LIMIT; VMM_E_STATE after build. KVM's own
 * refusals (two that claim one write) come from vmm_vm_build.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_ioeventfd_add(vmm_vm_t *vm, const vmm_ioeventfd_opts_t *opts);

/* Model-specific registers that the embedder answers, in place of KVM (MSR filter). */
typedef struct vmm_msr_opts {
	size_t struct_size;
	uint32_t first;
	uint32_t count; /* 1 .. VMM_MSRS_MAX */
	/* On vCPU threads, possibly on several at once. False: the guest takes a #GP. */
	bool (*read)(void *ctx, uint32_t msr, uint64_t *value);
	bool (*write)(void *ctx, uint32_t msr, uint64_t value);
	void *ctx;
} vmm_msr_opts_t;

#define VMM_MSRS_MAX 512u

/*
 * Before build. VMM_E_INVAL: struct_size, count, a callback; VMM_E_LIMIT: more than 8 ranges;
 * VMM_E_STATE. vmm_vm_build says VMM_E_UNSUPPORTED where KVM lacks KVM_CAP_X86_USER_SPACE_MSR or
 * KVM_CAP_X86_MSR_FILTER.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_msr_add(vmm_vm_t *vm, const vmm_msr_opts_t *opts);

/*
 * An edge-triggered interrupt line on IOAPIC pin GSI (5..7, 10..12, 16..19; 20..23
 * too, if the VM has no PCI bus). Owned by the VM.
 * VMM_E_INVAL: pin out of range; VMM_E_STATE after build.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_irq_add(vmm_vm_t *vm, uint32_t gsi, vmm_irq_t **irq);

/* One edge. Any thread, never blocks. */
VMM_API void vmm_irq_pulse(vmm_irq_t *irq);

/*
 * Send a message-signalled interrupt: DATA to ADDRESS (0xfee00000 | APIC id << 12; Intel SDM 3,
 * 11.11). Any thread, from build to destroy, also from read and write callbacks, but not from a
 * reset callback. VMM_E_STATE: not built; VMM_E_KVM: no CPU takes it.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_msi_send(vmm_vm_t *vm, uint64_t address, uint32_t data);

/*
 * Copy to or from guest RAM. VMM_E_INVAL if [gpa, gpa + len) is not all RAM; nothing is copied
 * then. After build; any thread. The guest may change the bytes at any time.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_memory_read(vmm_vm_t *vm, uint64_t gpa, void *dst,
                                                  size_t len);
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_memory_write(vmm_vm_t *vm, uint64_t gpa, const void *src,
                                                   size_t len);

/*
 * Give [gpa, gpa + len), both page aligned, back to the host: it reads as zero and is touched for
 * the first time when the guest comes there next. After build; any thread. VMM_E_INVAL: not all
 * RAM; VMM_E_NOMEM: the host refuses.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_memory_discard(vmm_vm_t *vm, uint64_t gpa, uint64_t len);

/*
 * Dirty logging: which pages the guest wrote. After build; one thread at a time. Switched on, all
 * pages are clean. VMM_E_STATE: not built; VMM_E_KVM.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_dirty_log_set(vmm_vm_t *vm, bool on);

/*
 * The 4 KiB pages written since the last call, clean again from now on: bit I of BITMAP is page I
 * of RAM (as in vmm_vm_memory_fd). WORDS: at least RAM / 4 KiB / 64, rounded up. Writes by the
 * VMM's devices are not in it. VMM_E_INVAL: WORDS; VMM_E_STATE: logging is off; VMM_E_KVM.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_dirty_log_read(vmm_vm_t *vm, uint64_t *bitmap, size_t words);

#ifdef __cplusplus
}
#endif
#endif
