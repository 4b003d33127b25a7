/*
 * The machine as a flattened device tree, for guest kernels that read one (handed over as a PVH
 * module). The Devicetree Specification 0.4; node by node in docs/guest-images.md.
 */
#ifndef SRC_VMM_BOOT_FDT_H
#define SRC_VMM_BOOT_FDT_H

#include <stddef.h>
#include <stdint.h>

#include "../machine.h"
#include "memmap.h"

struct fdt_facts {
	const struct machine *machine;
	const char *cmdline;
	uint64_t initrd_addr;
	uint64_t initrd_bytes; /* 0: none */
	unsigned map_count;
	struct memmap_entry map[MEMMAP_MAX];
};

/* Write the tree into BUF; returns its length in bytes, or 0 if CAP is too small. Pure. */
size_t fdt_write(void *buf, size_t cap, const struct fdt_facts *facts);

#endif
