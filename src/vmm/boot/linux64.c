/*
 * The 64-bit entry of Linux: boot_params, a GDT and page tables that map the low 4 GiB onto itself.
 * Linux, Documentation/arch/x86/boot.rst ('64-bit boot protocol'), zero-page.rst.
 */
#include "enter.h"

#include <string.h>

#include "memmap.h"

#define LOADER_UNDEFINED 0xffu
#define VID_MODE_NORMAL  0xffffu

#define PTE_PRESENT      (1ull << 0)
#define PTE_WRITE        (1ull << 1)
#define PTE_ACCESSED     (1ull << 5)
#define PTE_DIRTY        (1ull << 6)
#define PTE_LARGE        (1ull << 7)

#define TABLE_ENTRIES    512u
#define LARGE_PAGE       (2ull << 20)
#define MAPPED_GIB       4u

/* PML4 and PDPT, then one directory a GiB. */
static void write_page_tables(const struct gmem *gm)
{
	const uint64_t pml4 = MACHINE_PAGE_TABLES;
	const uint64_t pdpt = pml4 + MACHINE_PAGE_SIZE;
	const uint64_t pd = pdpt + MACHINE_PAGE_SIZE;
	uint64_t *t = gmem_at(gm, (struct gpa){pml4}, (2 + MAPPED_GIB) * MACHINE_PAGE_SIZE);
	t[0] = pdpt | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED;
	t += TABLE_ENTRIES;
	for (uint64_t i = 0; i < MAPPED_GIB; i++)
		t[i] = (pd + i * MACHINE_PAGE_SIZE) | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED;
	t += TABLE_ENTRIES;
	for (uint64_t i = 0; i < MAPPED_GIB * TABLE_ENTRIES; i++)
		t[i] = (i * LARGE_PAGE) | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY |
		       PTE_LARGE;
}

/* boot.rst: __BOOT_CS 0x10 execute/read, __BOOT_DS 0x18 read/write; both flat. */
static void write_gdt(const struct gmem *gm)
{
	uint64_t *gdt = gmem_at(gm, (struct gpa){MACHINE_GDT}, BOOT_GDT_BYTES);
	gdt[BOOT_SEL_CODE / 8] = 0x00af9b000000ffffull;
	gdt[BOOT_SEL_DATA / 8] = 0x00cf93000000ffffull;
	gdt[BOOT_SEL_TSS / 8] = 0x00008b0000000067ull;
}

static void write_e820(struct boot_params *bp, const struct gmem *gm, bool pci)
{
	struct memmap_entry map[MEMMAP_MAX];
	unsigned n = memmap_make(gm, pci, map);
	for (unsigned i = 0; i < n; i++)
		bp->e820_table[i] = (struct boot_e820_entry){
		        .addr = map[i].addr,
		        .size = map[i].len_bytes,
		        .type = map[i].type,
		};
	bp->e820_entries = (uint8_t)n;
}

void linux64_write(const struct gmem *gm, const struct kernel *k, const struct boot_extras *x,
                   struct boot_entry *entry)
{
	struct boot_params *bp = gmem_at(gm, (struct gpa){MACHINE_ZERO_PAGE}, sizeof(*bp));
	bp->hdr = k->header;
	bp->hdr.type_of_loader = LOADER_UNDEFINED;
	bp->hdr.vid_mode = VID_MODE_NORMAL;
	bp->hdr.cmd_line_ptr = MACHINE_CMDLINE;
	bp->hdr.ramdisk_image = (uint32_t)x->initrd.addr;
	bp->hdr.ramdisk_size = (uint32_t)x->initrd.len_bytes;
	bp->hdr.setup_data = 0;
	bp->acpi_rsdp_addr = x->rsdp;
	write_e820(bp, gm, x->pci);
	write_page_tables(gm);
	write_gdt(gm);
	*entry = (struct boot_entry){
	        .mode = BOOT_CPU_LONG64,
	        .rip = k->entry,
	        .rsp = MACHINE_BOOT_STACK,
	        .rsi = MACHINE_ZERO_PAGE,
	        .page_tables = {MACHINE_PAGE_TABLES},
	};
}
