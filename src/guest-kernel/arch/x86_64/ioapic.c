/*
 * IOAPICs (Intel 82093AA): each line in use has a vector of its own, all on CPU 0. So has each
 * message, which counts as a line of a number that no IOAPIC has.
 */
#include "x86.h"

#define REG_SELECT   0x00u
#define REG_WINDOW   0x10u
#define IOAPIC_VER   0x01u
#define REDIRECT     0x10u
#define LEVEL        0x8000u

#define IOAPICS_MAX  2u
#define HANDLERS_MAX 48u
#define LINES_MAX    1024u /* messages begin here */

/* Where messages for a local APIC go (Intel SDM 3A, 11.11.1): its id from bit 12 on. */
#define MSI_ADDRESS  0xfee00000ull
#define MSI_ID_SHIFT 12

static struct {
	volatile void *regs;
	uint32_t first, pins;
} ioapics[IOAPICS_MAX];
static unsigned ioapic_count;

struct handler {
	uint32_t gsi;
	arch_irq_fn fn;
	void *ctx;
};
static struct handler handlers[HANDLERS_MAX];
static unsigned handler_count;
/* Line + 1 of each vector. */
static uint32_t lines[VECTOR_DEVICES_END - VECTOR_DEVICES];

bool ioapic_add(uint64_t phys, uint32_t first_gsi)
{
	if (ioapic_count == IOAPICS_MAX)
		return false;
	volatile void *regs = arch_mmio_map(phys, ARCH_PAGE_SIZE);
	if (!regs)
		return false;
	arch_mmio_write32(regs, REG_SELECT, IOAPIC_VER);
	uint32_t version = arch_mmio_read32(regs, REG_WINDOW);
	if (version == 0xffffffffu)
		return false;
	ioapics[ioapic_count].regs = regs;
	ioapics[ioapic_count].first = first_gsi;
	ioapics[ioapic_count].pins = (version >> 16 & 0xff) + 1;
	ioapic_count++;
	return true;
}

static bool route(uint32_t gsi, uint32_t vector, bool level)
{
	for (unsigned i = 0; i < ioapic_count; i++) {
		if (gsi < ioapics[i].first || gsi - ioapics[i].first >= ioapics[i].pins)
			continue;
		uint32_t reg = REDIRECT + 2 * (gsi - ioapics[i].first);
		volatile void *regs = ioapics[i].regs;
		arch_mmio_write32(regs, REG_SELECT, reg + 1);
		arch_mmio_write32(regs, REG_WINDOW, x86_percpu[0]->apic_id << 24);
		arch_mmio_write32(regs, REG_SELECT, reg);
		arch_mmio_write32(regs, REG_WINDOW, vector | (level ? LEVEL : 0));
		return true;
	}
	return false;
}

static uint32_t vector_of(uint32_t gsi, bool *fresh)
{
	for (uint32_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		*fresh = lines[i] == 0;
		if (*fresh)
			lines[i] = gsi + 1;
		if (lines[i] == gsi + 1)
			return VECTOR_DEVICES + i;
	}
	return 0;
}

/* The vector; 0 if there is none left. */
static uint32_t attach(uint32_t line, arch_irq_fn fn, void *ctx, bool *fresh)
{
	if (handler_count == HANDLERS_MAX)
		return 0;
	uint32_t vector = vector_of(line, fresh);
	if (vector == 0)
		return 0;
	handlers[handler_count] = (struct handler){line, fn, ctx};
	/* The handler before its number, for an interrupt on another CPU. */
	__atomic_store_n(&handler_count, handler_count + 1, __ATOMIC_RELEASE);
	return vector;
}

bool arch_irq_attach(uint32_t gsi, bool level, arch_irq_fn fn, void *ctx)
{
	bool fresh = false;
	uint32_t vector = gsi < LINES_MAX ? attach(gsi, fn, ctx, &fresh) : 0;
	return vector != 0 && (!fresh || route(gsi, vector, level));
}

bool arch_msi_attach(arch_irq_fn fn, void *ctx, uint64_t *address, uint32_t *data)
{
	static uint32_t messages;
	bool fresh;
	uint32_t vector = attach(LINES_MAX + messages, fn, ctx, &fresh);
	if (vector == 0)
		return false;
	messages++;
	*address = MSI_ADDRESS | (uint64_t)x86_percpu[0]->apic_id << MSI_ID_SHIFT;
	*data = vector;
	return true;
}

void ioapic_interrupt(uint32_t vector)
{
	if (vector < VECTOR_DEVICES || vector >= VECTOR_DEVICES_END)
		return;
	uint32_t line = lines[vector - VECTOR_DEVICES];
	unsigned count = __atomic_load_n(&handler_count, __ATOMIC_ACQUIRE);
	for (unsigned i = 0; i < count; i++) {
		if (handlers[i].gsi + 1 == line)
			handlers[i].fn(handlers[i].ctx);
	}
}
