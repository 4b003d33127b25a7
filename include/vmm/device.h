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
} vmm_bus_device_opts_t;

/*
 * Add a device to the bus of a VM that is not built yet. VMM_E_INVAL: the range is empty or
 * overlaps another device (the detail names it), or a callback is missing; VMM_E_LIMIT;
 * VMM_E_STATE.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_bus_device_add(vmm_vm_t *vm,
                                                     const vmm_bus_device_opts_t *opts);

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

#ifdef __cplusplus
}
#endif
#endif
