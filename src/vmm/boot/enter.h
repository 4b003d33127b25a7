/*
 * What a kernel finds when it is entered: the structures of each protocol, written into guest
 * memory after the kernel itself has been loaded. Every address is from machine.h.
 */
#ifndef SRC_VMM_BOOT_ENTER_H
#define SRC_VMM_BOOT_ENTER_H

#include "boot.h"
#include "kernel.h"

/* A range of guest memory; length 0: absent. */
struct boot_range {
	uint64_t addr;
	uint64_t len_bytes;
};

/* Where everything besides the kernel went. */
struct boot_extras {
	struct boot_range initrd;
	struct boot_range policy;
	struct boot_range device_tree;
	uint64_t rsdp; /* 0: no ACPI tables */
	bool pci;      /* there is a PCI bus */
};

/* Linux, 64-bit entry: boot_params, identity map and GDT (linux64.c). */
void linux64_write(const struct gmem *gm, const struct kernel *k, const struct boot_extras *x,
                   struct boot_entry *entry);

/* PVH: start info, module list and memory map (pvh.c). */
void pvh_write(const struct gmem *gm, const struct kernel *k, const struct boot_extras *x,
               struct boot_entry *entry);

#endif
