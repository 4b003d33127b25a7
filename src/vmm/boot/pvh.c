/* PVH entry: start info, modules and memory map in one page. See include/abi/pvh.h. */
#include "enter.h"

#include <string.h>

#include "abi/pvh.h"
#include "memmap.h"

/* All of it in the page at MACHINE_ZERO_PAGE. */
struct pvh_page {
	struct pvh_start_info info;
	struct pvh_module modules[PVH_MODULES_MAX];
	char names[PVH_MODULES_MAX][16];
	struct pvh_memmap_entry map[MEMMAP_MAX];
};

_Static_assert(sizeof(struct pvh_page) <= MACHINE_PAGE_SIZE, "one page");

static void add_module(struct pvh_page *page, unsigned i, const char *name,
                       const struct boot_range *r)
{
	size_t len = strlen(name) + 1;
	memcpy(page->names[i], name, len);
	page->modules[i] = (struct pvh_module){
	        .paddr = r->addr,
	        .size_bytes = r->len_bytes,
	        .cmdline_paddr = MACHINE_ZERO_PAGE + offsetof(struct pvh_page, names) +
	                         i * sizeof(page->names[0]),
	};
	page->info.nr_modules = i + 1;
}

static void write_memmap(struct pvh_page *page, const struct gmem *gm, bool pci)
{
	struct memmap_entry map[MEMMAP_MAX];
	unsigned n = memmap_make(gm, pci, map);
	for (unsigned i = 0; i < n; i++)
		page->map[i] = (struct pvh_memmap_entry){
		        .addr = map[i].addr,
		        .size_bytes = map[i].len_bytes,
		        .type = map[i].type,
		};
	page->info.memmap_entries = n;
}

void pvh_write(const struct gmem *gm, const struct kernel *k, const struct boot_extras *x,
               struct boot_entry *entry)
{
	struct pvh_page *page = gmem_at(gm, (struct gpa){MACHINE_ZERO_PAGE}, sizeof(*page));
	page->info = (struct pvh_start_info){
	        .magic = PVH_START_MAGIC,
	        .version = PVH_START_VERSION,
	        .modlist_paddr = MACHINE_ZERO_PAGE + offsetof(struct pvh_page, modules),
	        .cmdline_paddr = MACHINE_CMDLINE,
	        .rsdp_paddr = x->rsdp,
	        .memmap_paddr = MACHINE_ZERO_PAGE + offsetof(struct pvh_page, map),
	};
	add_module(page, PVH_MODULE_RAMDISK, PVH_NAME_RAMDISK, &x->initrd);
	add_module(page, PVH_MODULE_DEVICE_TREE, PVH_NAME_DEVICE_TREE, &x->device_tree);
	if (x->policy.len_bytes > 0)
		add_module(page, PVH_MODULE_POLICY, PVH_NAME_POLICY, &x->policy);
	write_memmap(page, gm, x->pci);
	*entry = (struct boot_entry){
	        .mode = BOOT_CPU_PROT32,
	        .rip = k->entry,
	        .rbx = MACHINE_ZERO_PAGE,
	};
}
