/* The guest's memory map: what is RAM and what is reserved, for e820, PVH and the device tree. */
#ifndef SRC_VMM_BOOT_MEMMAP_H
#define SRC_VMM_BOOT_MEMMAP_H

#include "../gmem.h"

#define MEMMAP_MAX (GMEM_REGIONS_MAX + 3u)

/* Types as in e820 and PVH. */
enum memmap_type { MEMMAP_RAM = 1, MEMMAP_RESERVED = 2 };

struct memmap_entry {
	uint64_t addr;
	uint64_t len_bytes;
	enum memmap_type type;
};

/*
 * Fill OUT in ascending order; returns the number of entries. With PCI, config space is reserved:
 * who reads no ACPI resources yet must find it here (PCI Firmware 3.3, 4.1.2; Linux takes it for
 * broken otherwise).
 */
unsigned memmap_make(const struct gmem *gm, bool pci, struct memmap_entry out[MEMMAP_MAX]);

#endif
