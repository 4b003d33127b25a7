/*
 * From the PVH entry to kernel_main: what the VMM says of memory and modules is checked and copied,
 * then page tables, segments, interrupts, clock and devices are set up, in this order.
 */
#include "abi/pvh.h"
#include "guest-kernel/core/kernel.h"
#include <string.h>
#include "x86.h"

#define LOW_END     0x100000ull /* below lies what firmware and VMMs leave */
#define WAY_UP_END  0x400000ull /* mapped one to one by entry.S */
#define EARLY_PAGES 32u
#define MEMMAP_MAX  64u
#define GIB         (1ull << 30)

struct arch_boot x86_boot = {.machine = "x86", .found_by = "nothing", .cpus = 1};

static uint64_t early_next, early_end;
static struct percpu boot_percpu;
static struct {
	uint8_t hole[ARCH_PAGE_SIZE];
	uint8_t stack[ARCH_PAGE_SIZE];
} boot_ist[DESC_IST_STACKS] __attribute__((aligned(ARCH_PAGE_SIZE)));
static struct arch_range ram[ARCH_RANGES_MAX];
static unsigned ram_count;

void gk_boot(uint64_t start_info, uint64_t cycles);

uint64_t early_page(void)
{
	if (early_next == early_end)
		return 0;
	uint64_t page = early_next;
	early_next += ARCH_PAGE_SIZE;
	return page;
}

static _Noreturn void give_up(const char *why)
{
	arch_console_write("guest-kernel: cannot boot: ", 27);
	arch_console_write(why, strlen(why));
	arch_console_write("\n", 1);
	arch_crash(GK_STATUS_BOOT);
}

static void add_free(uint64_t from, uint64_t to)
{
	from = (from + ARCH_PAGE_SIZE - 1) / ARCH_PAGE_SIZE * ARCH_PAGE_SIZE;
	to = to / ARCH_PAGE_SIZE * ARCH_PAGE_SIZE;
	if (from < to && x86_boot.free_count < ARCH_RANGES_MAX)
		x86_boot.free[x86_boot.free_count++] = (struct arch_range){from, to - from};
}

/* Takes what lies in [FROM, TO) out of the free ranges. */
static void reserve(uint64_t from, uint64_t to)
{
	struct arch_range old[ARCH_RANGES_MAX];
	unsigned count = x86_boot.free_count;
	if (from >= to)
		return;
	memcpy(old, x86_boot.free, sizeof(old));
	x86_boot.free_count = 0;
	for (unsigned i = 0; i < count; i++) {
		uint64_t base = old[i].base, end = base + old[i].len_bytes;
		if (to <= base || from >= end) {
			add_free(base, end);
			continue;
		}
		if (from > base)
			add_free(base, from / ARCH_PAGE_SIZE * ARCH_PAGE_SIZE);
		if (to < end)
			add_free(to, end);
	}
}

static void sort_ram(void)
{
	for (unsigned i = 1; i < ram_count; i++) {
		struct arch_range r = ram[i];
		unsigned k = i;
		for (; k > 0 && ram[k - 1].base > r.base; k--)
			ram[k] = ram[k - 1];
		ram[k] = r;
	}
}

/* Only what entry.S has mapped can be read yet. */
static void read_memory_map(const struct pvh_start_info *info)
{
	if (info->memmap_entries == 0 || info->memmap_entries > MEMMAP_MAX ||
	    info->memmap_paddr >= WAY_UP_END - MEMMAP_MAX * sizeof(struct pvh_memmap_entry))
		give_up("the PVH start info has no memory map of 1 to 64 entries below 4 MiB");
	const struct pvh_memmap_entry *map = (const void *)(uintptr_t)info->memmap_paddr;
	for (unsigned i = 0; i < info->memmap_entries && ram_count < ARCH_RANGES_MAX; i++) {
		struct arch_range r = {map[i].addr, map[i].size_bytes};
		if (map[i].type != PVH_MEMMAP_RAM || r.base >= 512 * GIB)
			continue;
		if (r.len_bytes > 512 * GIB - r.base)
			r.len_bytes = 512 * GIB - r.base;
		ram[ram_count++] = r;
		x86_boot.ram_bytes += r.len_bytes;
	}
	sort_ram();
}

static bool in_ram(uint64_t base, uint64_t len)
{
	for (unsigned i = 0; i < ram_count; i++) {
		if (base >= ram[i].base && len <= ram[i].len_bytes &&
		    base - ram[i].base <= ram[i].len_bytes - len)
			return true;
	}
	return false;
}

/* The first MiB is mapped as a whole: QEMU puts its words into parts that it calls reserved. */
static bool readable(uint64_t at)
{
	return at < LOW_END || in_ram(at, 1);
}

static void find_free_memory(void)
{
	for (unsigned i = 0; i < ram_count; i++)
		add_free(ram[i].base, ram[i].base + ram[i].len_bytes);
	reserve(0, LOW_END);
	reserve(arch_phys(gk_image), arch_phys(gk_image_end));
}

/* Frames for page tables and devices' registers, below 1 GiB: that is mapped first. */
static void take_early_pages(void)
{
	uint64_t want = (EARLY_PAGES + x86_boot.ram_bytes / GIB) * ARCH_PAGE_SIZE;
	for (unsigned i = 0; i < x86_boot.free_count; i++) {
		const struct arch_range *r = &x86_boot.free[i];
		if (r->len_bytes < want || r->base + want > GIB)
			continue;
		early_next = r->base;
		early_end = early_next + want;
		reserve(early_next, early_end);
		return;
	}
	give_up("there is no memory for page tables; the guest kernel needs 16 MiB");
}

struct modules {
	struct pvh_module module[PVH_MODULES_MAX];
	unsigned count;
};

static void read_modules(const struct pvh_start_info *info, struct modules *m)
{
	uint64_t bytes = (uint64_t)info->nr_modules * sizeof(struct pvh_module);
	if (info->nr_modules > PVH_MODULES_MAX || info->modlist_paddr >= WAY_UP_END - bytes)
		return;
	m->count = info->nr_modules;
	if (m->count > 0)
		memcpy(m->module, (const void *)(uintptr_t)info->modlist_paddr, bytes);
	for (unsigned i = 0; i < m->count; i++) {
		if (!in_ram(m->module[i].paddr, m->module[i].size_bytes))
			m->module[i].size_bytes = 0;
		reserve(m->module[i].paddr, m->module[i].paddr + m->module[i].size_bytes);
	}
}

/* Modules are known by name; QEMU names none, and its only one is the ramdisk. */
static struct arch_range module_named(const struct modules *m, const char *name)
{
	for (unsigned i = 0; i < m->count; i++) {
		const struct pvh_module *p = &m->module[i];
		bool named = p->cmdline_paddr != 0 && in_ram(p->cmdline_paddr, 16);
		const char *is = named ? arch_ram(p->cmdline_paddr) : PVH_NAME_RAMDISK;
		if (strnlen(is, 16) < 16 && strcmp(is, name) == 0)
			return (struct arch_range){p->paddr, p->size_bytes};
	}
	return (struct arch_range){0};
}

static void read_cmdline(uint64_t paddr)
{
	if (paddr == 0 || !readable(paddr))
		return;
	const char *text = arch_ram(paddr);
	size_t n = 0;
	while (n < ARCH_CMDLINE_MAX - 1 && readable(paddr + n) && text[n])
		n++;
	memcpy(x86_boot.cmdline, text, n);
	x86_boot.cmdline[n] = '\0';
}

/* What overflows one of CPU 0's stacks faults, instead of writing to what lies below. */
static void guard_stacks(void)
{
	paging_make_hole(gk_boot_stack_hole);
	for (unsigned i = 0; i < DESC_IST_STACKS; i++)
		paging_make_hole(boot_ist[i].hole);
}

static void silence_8259(void)
{
	x86_outb(0x21, 0xff);
	x86_outb(0xa1, 0xff);
}

/* Everything that a stack protector may guard; gk_boot itself runs before there is a canary. */
static void __attribute__((noinline)) boot(const struct pvh_start_info *info)
{
	struct modules modules = {0};
	if (info->magic != PVH_START_MAGIC)
		give_up("EBX does not point to a PVH start info");
	struct pvh_start_info copy = *info;
	read_memory_map(&copy);
	find_free_memory();
	read_modules(&copy, &modules);
	take_early_pages();
	if (!paging_init(ram, ram_count))
		give_up("there is no memory for page tables");
	guard_stacks();
	x86_boot.direct_map = DIRECT_MAP;
	x86_boot.image_bytes = (uint64_t)(gk_image_end - gk_image);
	read_cmdline(copy.cmdline_paddr);
	x86_boot.ramdisk = module_named(&modules, PVH_NAME_RAMDISK);
	x86_boot.policy = module_named(&modules, PVH_NAME_POLICY);
	silence_8259();
	apic_init_cpu();
	boot_percpu.apic_id = apic_id();
	x86_apic_ids[0] = boot_percpu.apic_id;
	clock_init();
	struct arch_range tree = module_named(&modules, PVH_NAME_DEVICE_TREE);
	machine_find(&(struct machine_source){tree.len_bytes ? arch_ram(tree.base) : NULL,
	                                      tree.len_bytes});
	kernel_main(&x86_boot);
}

__attribute__((no_stack_protector)) void gk_boot(uint64_t start_info, uint64_t cycles)
{
	uint8_t *const ist[DESC_IST_STACKS] = {boot_ist[0].stack, boot_ist[1].stack,
	                                       boot_ist[2].stack};
	x86_percpu[0] = &boot_percpu;
	desc_init(&boot_percpu, 0, ist);
	x86_boot.entry_cycles = cycles;
	serial_init();
	if (start_info == 0 || start_info > WAY_UP_END - sizeof(struct pvh_start_info))
		give_up("the PVH start info is not below 4 MiB");
	boot((const struct pvh_start_info *)(uintptr_t)start_info);
	for (;;)
		x86_hlt();
}
