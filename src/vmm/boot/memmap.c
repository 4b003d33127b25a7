/* The guest's memory map. See memmap.h. */
#include "memmap.h"

#include "../machine.h"

static unsigned add(struct memmap_entry *out, unsigned n, uint64_t from, uint64_t to,
                    enum memmap_type type)
{
	if (from >= to)
		return n;
	out[n] = (struct memmap_entry){from, to - from, type};
	return n + 1;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

unsigned memmap_make(const struct gmem *gm, bool pci, struct memmap_entry out[MEMMAP_MAX])
{
	uint64_t end = gmem_region_at(gm, 0)->len_bytes;
	unsigned n = add(out, 0, 0, min_u64(end, MACHINE_LOW_END), MEMMAP_RAM);
	n = add(out, n, MACHINE_LOW_END, min_u64(end, MACHINE_HIMEM), MEMMAP_RESERVED);
	n = add(out, n, MACHINE_HIMEM, end, MEMMAP_RAM);
	if (pci)
		n = add(out, n, MACHINE_PCI_ECAM, MACHINE_PCI_ECAM + MACHINE_PCI_ECAM_SIZE,
		        MEMMAP_RESERVED);
	for (unsigned i = 1; i < gmem_region_count(gm); i++) {
		const struct gmem_region *r = gmem_region_at(gm, i);
		n = add(out, n, r->base, r->base + r->len_bytes, MEMMAP_RAM);
	}
	return n;
}
