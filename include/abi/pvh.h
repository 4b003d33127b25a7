/*
 * What a guest entered by PVH finds at the address in EBX: Xen's x86/HVM direct boot ABI, version 1
 * (docs/misc/pvh.pandoc, xen/include/public/arch-x86/hvm/start_info.h). Freestanding: the VMM
 * writes it, the guest kernel reads it. All fields little endian, all addresses guest-physical.
 *
 * At entry: 32-bit protected mode, paging off, flat code and data segments, interrupts off, EBX =
 * address of struct pvh_start_info. There is no stack and no GDT to rely on.
 */
#ifndef ABI_PVH_H
#define ABI_PVH_H

#include <stdint.h>

/* ELF note, name "Xen": the 32-bit physical address at which to enter (4 or 8 bytes). */
#define XEN_ELFNOTE_PHYS32_ENTRY 18u

#define PVH_START_MAGIC          0x336ec578u
#define PVH_START_VERSION        1u

struct pvh_start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags; /* SIF_*: 0 for a guest that is not a Xen domain */
	uint32_t nr_modules;
	uint64_t modlist_paddr; /* struct pvh_module[nr_modules] */
	uint64_t cmdline_paddr; /* NUL-terminated */
	uint64_t rsdp_paddr;    /* ACPI, or 0 */
	uint64_t memmap_paddr;  /* struct pvh_memmap_entry[memmap_entries] */
	uint32_t memmap_entries;
	uint32_t reserved;
};

/*
 * The modules, always in this order. An absent ramdisk is present with size 0, because Linux takes
 * the first module for its ramdisk whatever it is; an absent policy is left out. cmdline_paddr of
 * each names it, for guests that would rather look than count.
 */
enum pvh_module_index {
	PVH_MODULE_RAMDISK = 0,
	PVH_MODULE_DEVICE_TREE = 1, /* flattened, version 17 */
	PVH_MODULE_POLICY = 2,
};
#define PVH_MODULES_MAX      3u

#define PVH_NAME_RAMDISK     "ramdisk"
#define PVH_NAME_DEVICE_TREE "device-tree"
#define PVH_NAME_POLICY      "policy"

struct pvh_module {
	uint64_t paddr; /* page aligned */
	uint64_t size_bytes;
	uint64_t cmdline_paddr; /* one of PVH_NAME_*, NUL-terminated */
	uint64_t reserved;
};

/* Types as in e820. */
#define PVH_MEMMAP_RAM      1u
#define PVH_MEMMAP_RESERVED 2u

struct pvh_memmap_entry {
	uint64_t addr;
	uint64_t size_bytes;
	uint32_t type;
	uint32_t reserved;
};

_Static_assert(sizeof(struct pvh_start_info) == 56, "pvh start info");
_Static_assert(sizeof(struct pvh_module) == 32, "pvh module");
_Static_assert(sizeof(struct pvh_memmap_entry) == 24, "pvh memory map entry");

#endif
