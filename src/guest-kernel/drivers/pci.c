/* PCI functions. See pci.h. */
#include "guest-kernel/drivers/pci.h"

#define VENDOR_ID       0x00u
#define COMMAND         0x04u
#define HEADER_TYPE     0x0eu
#define BASE_ADDRESS_0  0x10u
#define SUBSYSTEM_ID    0x2eu
#define CAPABILITY_LIST 0x34u
#define INTERRUPT_PIN   0x3du
#define FIRST_CAP       0x40u

#define COMMAND_MEMORY  2u
#define COMMAND_MASTER  4u
#define STATUS_CAP_LIST 0x10u
#define MULTI_FUNCTION  0x80u

#define BARS            6u
#define BAR_IO          1u
#define BAR_TYPE        6u
#define BAR_64          4u

#define MSIX_CONTROL    2u
#define MSIX_TABLE      4u
#define MSIX_ENABLE     0x8000u
#define MSIX_MASK_ALL   0x4000u
#define MSIX_COUNT      0x07ffu
#define MSIX_BYTES      12u
#define ENTRY_BYTES     16u
#define ENTRY_CONTROL   12u

#define CAPS_MAX        48u /* one may start every fourth byte from FIRST_CAP on */

uint8_t pci_read8(const struct pci_dev *dev, uint8_t offset)
{
	return arch_mmio_read8(dev->config, offset);
}

uint32_t pci_read32(const struct pci_dev *dev, uint8_t offset)
{
	return arch_mmio_read32(dev->config, offset & ~3u);
}

unsigned pci_functions(const struct arch_pci *pci, unsigned devfn)
{
	struct pci_dev first;
	if (!pci_probe(pci, devfn, &first))
		return 0;
	return pci_read8(&first, HEADER_TYPE) & MULTI_FUNCTION ? 8 : 1;
}

bool pci_probe(const struct arch_pci *pci, unsigned devfn, struct pci_dev *dev)
{
	uint64_t at = (uint64_t)devfn * ARCH_PAGE_SIZE;
	if (at + ARCH_PAGE_SIZE > pci->ecam_bytes)
		return false;
	*dev = (struct pci_dev){.devfn = (uint16_t)devfn};
	dev->config = arch_mmio_map(pci->ecam + at, ARCH_PAGE_SIZE);
	if (!dev->config)
		return false;
	uint32_t identity = pci_read32(dev, VENDOR_ID);
	if ((identity & 0xffff) == 0xffff || (pci_read8(dev, HEADER_TYPE) & ~MULTI_FUNCTION) != 0)
		return false;
	dev->vendor = (uint16_t)identity;
	dev->device = (uint16_t)(identity >> 16);
	dev->subsystem = arch_mmio_read16(dev->config, SUBSYSTEM_ID);
	return true;
}

uint8_t pci_find_cap(const struct pci_dev *dev, uint8_t id, uint8_t at)
{
	if (!(arch_mmio_read16(dev->config, COMMAND + 2) & STATUS_CAP_LIST))
		return 0;
	uint8_t next = pci_read8(dev, at ? (uint8_t)(at + 1) : CAPABILITY_LIST);
	for (unsigned i = 0; i < CAPS_MAX; i++) {
		next &= (uint8_t)~3u;
		if (next < FIRST_CAP)
			return 0;
		if (pci_read8(dev, next) == id)
			return next;
		next = pci_read8(dev, (uint8_t)(next + 1));
	}
	return 0;
}

volatile void *pci_map(const struct pci_dev *dev, unsigned bar, uint32_t offset, uint32_t len)
{
	if (bar >= BARS || len == 0 || offset > UINT32_MAX - len)
		return NULL;
	uint8_t at = (uint8_t)(BASE_ADDRESS_0 + 4 * bar);
	uint64_t base = pci_read32(dev, at);
	if (base & BAR_IO)
		return NULL;
	if ((base & BAR_TYPE) == BAR_64 && bar + 1 < BARS)
		base |= (uint64_t)pci_read32(dev, (uint8_t)(at + 4)) << 32;
	base &= ~0xfull;
	return base && base <= UINT64_MAX - UINT32_MAX ? arch_mmio_map(base + offset, len) : NULL;
}

void pci_enable(const struct pci_dev *dev)
{
	uint16_t command = arch_mmio_read16(dev->config, COMMAND);
	arch_mmio_write16(dev->config, COMMAND,
	                  (uint16_t)(command | COMMAND_MEMORY | COMMAND_MASTER));
}

static uint16_t msix_control(const struct pci_dev *dev, uint8_t cap)
{
	return arch_mmio_read16(dev->config, cap + MSIX_CONTROL);
}

static void set_msix_control(const struct pci_dev *dev, uint8_t cap, uint32_t value)
{
	arch_mmio_write16(dev->config, cap + MSIX_CONTROL, (uint16_t)value);
}

static uint8_t find_msix(const struct pci_dev *dev)
{
	uint8_t cap = pci_find_cap(dev, PCI_CAP_ID_MSIX, 0);
	return cap <= 0x100 - MSIX_BYTES ? cap : 0;
}

bool pci_msix_on(const struct pci_dev *dev, unsigned count)
{
	uint8_t cap = find_msix(dev);
	if (cap == 0 || (msix_control(dev, cap) & MSIX_COUNT) + 1u < count)
		return false;
	set_msix_control(dev, cap, msix_control(dev, cap) | MSIX_ENABLE | MSIX_MASK_ALL);
	return true;
}

bool pci_msix_connect(const struct pci_dev *dev, const arch_irq_fn *fns, unsigned count, void *ctx)
{
	uint8_t cap = find_msix(dev);
	uint32_t place = pci_read32(dev, (uint8_t)(cap + MSIX_TABLE));
	volatile void *table = pci_map(dev, place & 7, place & ~7u, count * ENTRY_BYTES);
	bool done = table != NULL;
	for (unsigned i = 0; i < count && done; i++) {
		uint64_t address = 0;
		uint32_t data = 0;
		done = arch_msi_attach(fns[i], ctx, &address, &data);
		arch_mmio_write32(table, i * ENTRY_BYTES, (uint32_t)address);
		arch_mmio_write32(table, i * ENTRY_BYTES + 4, (uint32_t)(address >> 32));
		arch_mmio_write32(table, i * ENTRY_BYTES + 8, data);
		arch_mmio_write32(table, i * ENTRY_BYTES + ENTRY_CONTROL, 0);
	}
	uint16_t off = done ? MSIX_MASK_ALL : MSIX_ENABLE;
	set_msix_control(dev, cap, msix_control(dev, cap) & ~(uint32_t)off);
	return done;
}

bool pci_pin(const struct arch_pci *pci, const struct pci_dev *dev, uint32_t *gsi, bool *level)
{
	uint8_t pin = pci_read8(dev, INTERRUPT_PIN);
	unsigned slot = dev->devfn >> 3 & pci->slot_mask;
	for (unsigned i = 0; i < pci->pin_count; i++) {
		if (pci->pin[i].slot != slot || pci->pin[i].pin != pin)
			continue;
		*gsi = pci->pin[i].gsi;
		*level = pci->pin[i].level;
		return true;
	}
	return false;
}
