/* The files a VM boots from: opened once, kept for resets. */
#ifndef SRC_VMM_VM_BOOT_H
#define SRC_VMM_VM_BOOT_H

#include "boot/boot.h"
#include "vmm/vm.h"

struct boot_files;

/* Check OPTS and take over its strings and descriptors. Opens no path yet. */
VMM_WARN_UNUSED vmm_err_t vm_boot_take(const vmm_boot_opts_t *opts, struct boot_files **out,
                                       vmm_err_info_t *ei);
/*
 * Open everything and describe it in PLAN, whose pointers stay valid until vm_boot_close. The parts
 * of a guest image have been checked against their hashes then; RAM_BYTES bounds a packed kernel.
 */
VMM_WARN_UNUSED vmm_err_t vm_boot_open(struct boot_files *files, uint64_t ram_bytes,
                                       struct boot_plan *plan, vmm_err_info_t *ei);
void vm_boot_close(struct boot_files *files);

#endif
