/*
 * Page tables (Intel SDM 3A, 4.5). The image is mapped page by page, each with its own rights; RAM
 * once more as the direct map, never executable, and read-only where the image's read-only parts
 * are; stacks with a hole below each; device registers uncached. Nothing else is mapped: address 0
 * and all low addresses fault.
 */
#include "x86.h"

#define P    0x001ull
#define W    0x002ull
#define PWT  0x008ull
#define PCD  0x010ull
#define BIG  0x080ull
#define G    0x100ull
#define NX   (1ull << 63)
#define ADDR 0x000ffffffffff000ull

#define KIB4 0x1000ull
#define MIB2 0x200000ull
#define GIB1 0x40000000ull

typedef uint64_t table_t[512];

/* Those that are needed before there is memory to take others from. */
static table_t top __attribute__((aligned(4096)));
static table_t image_pdpt __attribute__((aligned(4096)));
static table_t image_pd __attribute__((aligned(4096)));
static table_t image_pt __attribute__((aligned(4096)));
static table_t direct_pdpt __attribute__((aligned(4096)));
static table_t direct_pd __attribute__((aligned(4096)));
static table_t direct_pt __attribute__((aligned(4096)));

uint64_t gk_final_cr3;
static bool have_gib_pages;
static uintptr_t mmio_next = MMIO_WINDOW;

static unsigned index_at(uint64_t addr, unsigned level)
{
	return (unsigned)(addr >> (12 + 9 * level)) & 511;
}

uint64_t arch_phys(const void *p)
{
	uint64_t v = (uintptr_t)p;
	return v >= KERNEL_OFFSET ? v - KERNEL_OFFSET : v - DIRECT_MAP;
}

void *arch_ram(uint64_t phys)
{
	return (void *)(uintptr_t)(phys + DIRECT_MAP);
}

static uint64_t image_rights(uint64_t phys)
{
	if (phys < arch_phys(gk_text_end))
		return P | G;
	return phys < arch_phys(gk_rodata_end) ? P | G | NX : P | W | G | NX;
}

static void map_image(void)
{
	uint64_t base = arch_phys(gk_image);
	for (unsigned i = 0; i < 512; i++) {
		uint64_t phys = base + i * KIB4;
		uint64_t rights = image_rights(phys);
		direct_pt[i] = phys | rights | NX;
		if (phys < arch_phys(gk_image_end))
			image_pt[i] = phys | rights;
	}
	image_pd[index_at((uintptr_t)gk_image, 1)] = arch_phys(image_pt) | P | W;
	image_pdpt[index_at((uintptr_t)gk_image, 2)] = arch_phys(image_pd) | P | W;
	top[index_at((uintptr_t)gk_image, 3)] = arch_phys(image_pdpt) | P | W;
	direct_pd[base / MIB2] = arch_phys(direct_pt) | P | W;
	direct_pdpt[0] = arch_phys(direct_pd) | P | W;
	top[index_at(DIRECT_MAP, 3)] = arch_phys(direct_pdpt) | P | W;
}

/* The table below entry I of TABLE, made if there is none. */
static uint64_t *table_below(uint64_t *table, unsigned i, uint64_t (*get)(void *), void *ctx)
{
	if (!(table[i] & P)) {
		uint64_t frame = get(ctx);
		if (frame == 0)
			return NULL;
		uint64_t *fresh = arch_ram(frame);
		for (unsigned k = 0; k < 512; k++)
			fresh[k] = 0;
		table[i] = frame | P | W;
	}
	return arch_ram(table[i] & ADDR);
}

static uint64_t early(void *ctx)
{
	(void)ctx;
	return early_page();
}

/* The piece of the direct map at PHYS, with the largest page that fits; its size, 0: no memory. */
static uint64_t map_piece(uint64_t phys, uint64_t end)
{
	unsigned gib = index_at(phys, 2);
	if (have_gib_pages && phys % GIB1 == 0 && end - phys >= GIB1 && !(direct_pdpt[gib] & P)) {
		direct_pdpt[gib] = phys | P | W | BIG | G | NX;
		return GIB1;
	}
	uint64_t *pd = gib == 0 ? direct_pd : table_below(direct_pdpt, gib, early, NULL);
	if (!pd)
		return 0;
	if (!(pd[index_at(phys, 1)] & P))
		pd[index_at(phys, 1)] = phys | P | W | BIG | G | NX;
	return MIB2;
}

static bool map_range(const struct arch_range *r, uint64_t from, uint64_t to)
{
	uint64_t end = r->base + r->len_bytes;
	uint64_t phys = r->base / MIB2 * MIB2;
	phys = phys < from ? from : phys;
	end = end > to ? to : end;
	while (phys < end) {
		uint64_t step = map_piece(phys, end);
		if (step == 0)
			return false;
		phys += step;
	}
	return true;
}

/* The first GiB first, from static tables: those for the rest come out of it. */
bool paging_init(const struct arch_range *ram, unsigned count)
{
	struct cpuid max = x86_cpuid(0x80000000u, 0);
	have_gib_pages = max.eax >= 0x80000001u && x86_cpuid(0x80000001u, 0).edx & (1u << 26);
	map_image();
	bool good = true;
	for (unsigned i = 0; i < count; i++)
		good = good && map_range(&ram[i], 0, GIB1);
	gk_final_cr3 = arch_phys(top);
	x86_set_cr3(gk_final_cr3);
	for (unsigned i = 0; i < count; i++)
		good = good && map_range(&ram[i], GIB1, 512 * GIB1);
	return good;
}

void paging_make_hole(const uint8_t hole[ARCH_PAGE_SIZE])
{
	image_pt[index_at((uintptr_t)hole, 0)] = 0;
	x86_invlpg((uintptr_t)hole);
}

bool paging_mapped(uint64_t addr)
{
	const uint64_t *table = top;
	if ((uint64_t)((int64_t)(addr << 16) >> 16) != addr)
		return false;
	for (unsigned level = 3;; level--) {
		uint64_t entry = table[index_at(addr, level)];
		if (!(entry & P))
			return false;
		if (level == 0 || entry & BIG)
			return true;
		table = arch_ram(entry & ADDR);
	}
}

static bool map_page(uintptr_t at, uint64_t entry, uint64_t (*get)(void *), void *ctx)
{
	uint64_t *table = top;
	for (unsigned level = 3; level > 0; level--) {
		table = table_below(table, index_at(at, level), get, ctx);
		if (!table)
			return false;
	}
	table[index_at(at, 0)] = entry;
	x86_invlpg(at);
	return true;
}

void *arch_stack_at(unsigned slot)
{
	return (void *)(STACK_WINDOW + (uintptr_t)(slot + 1) * STACK_SLOT - ARCH_STACK_BYTES);
}

void *arch_stack_map(unsigned slot, const uint64_t *frames, const struct arch_frames *tables)
{
	uintptr_t low = (uintptr_t)arch_stack_at(slot);
	for (unsigned i = 0; i < ARCH_STACK_PAGES; i++) {
		if (!map_page(low + i * KIB4, frames[i] | P | W | G | NX, tables->get, tables->ctx))
			return NULL;
	}
	return (void *)low;
}

uint8_t *paging_map_ist(unsigned cpu, unsigned index, uint64_t frame,
                        const struct arch_frames *tables)
{
	uint64_t slot = (uint64_t)cpu * DESC_IST_STACKS + index;
	uintptr_t low = IST_WINDOW + (slot + 1) * IST_SLOT - ARCH_PAGE_SIZE;
	bool good = map_page(low, frame | P | W | G | NX, tables->get, tables->ctx);
	return good ? (uint8_t *)low : NULL;
}

bool paging_below_stack(uint64_t addr)
{
	if (addr >= IST_WINDOW && addr < MMIO_WINDOW)
		return addr % IST_SLOT < IST_SLOT - ARCH_PAGE_SIZE;
	if (addr >= STACK_WINDOW && addr < IST_WINDOW)
		return addr % STACK_SLOT < STACK_SLOT - ARCH_STACK_BYTES;
	/* The image's only pages that are not mapped. */
	return addr >= (uintptr_t)gk_image && addr < (uintptr_t)gk_image_end &&
	       !paging_mapped(addr);
}

volatile void *arch_mmio_map(uint64_t phys, size_t len_bytes)
{
	uintptr_t at = mmio_next;
	uint64_t first = phys / KIB4 * KIB4, last = phys + len_bytes - 1;
	for (uint64_t page = first; page <= last; page += KIB4) {
		if (!map_page(mmio_next, page | P | W | PCD | PWT | G | NX, early, NULL))
			return NULL;
		mmio_next += KIB4;
	}
	return (volatile void *)(at + phys % KIB4);
}

uint32_t arch_mmio_read32(const volatile void *base, uint32_t offset)
{
	return *(const volatile uint32_t *)((const volatile char *)base + offset);
}

void arch_mmio_write32(volatile void *base, uint32_t offset, uint32_t value)
{
	*(volatile uint32_t *)((volatile char *)base + offset) = value;
}

uint16_t arch_mmio_read16(const volatile void *base, uint32_t offset)
{
	return *(const volatile uint16_t *)((const volatile char *)base + offset);
}

void arch_mmio_write16(volatile void *base, uint32_t offset, uint16_t value)
{
	*(volatile uint16_t *)((volatile char *)base + offset) = value;
}

uint8_t arch_mmio_read8(const volatile void *base, uint32_t offset)
{
	return *(const volatile uint8_t *)((const volatile char *)base + offset);
}

void arch_mmio_write8(volatile void *base, uint32_t offset, uint8_t value)
{
	*(volatile uint8_t *)((volatile char *)base + offset) = value;
}
