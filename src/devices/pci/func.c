/* A PCI function's config space. See func.h. */
#include "devices/pci/func.h"

#include <string.h>

#define COMMAND_BITS \
	(PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE)
#define STATUS_ERRORS                                                                    \
	(PCI_STATUS_PARITY | PCI_STATUS_SIG_TARGET_ABORT | PCI_STATUS_REC_TARGET_ABORT | \
	 PCI_STATUS_REC_MASTER_ABORT | PCI_STATUS_SIG_SYSTEM_ERROR | PCI_STATUS_DETECTED_PARITY)

uint32_t pci_config_get(const struct pci_func *f, uint32_t offset, unsigned size)
{
	uint32_t value = 0;
	for (unsigned i = 0; i < size; i++)
		value |= (uint32_t)f->config[offset + i] << (8 * i);
	return value;
}

static void put(uint8_t *bytes, uint32_t offset, unsigned size, uint32_t value)
{
	for (unsigned i = 0; i < size; i++)
		bytes[offset + i] = (uint8_t)(value >> (8 * i));
}

void pci_config_set(struct pci_func *f, uint32_t offset, unsigned size, uint32_t value)
{
	put(f->config, offset, size, value);
}

void pci_config_allow(struct pci_func *f, uint32_t offset, unsigned size, uint32_t bits)
{
	put(f->writable, offset, size, bits);
}

void pci_func_init(struct pci_func *f, const struct pci_func_ops *ops, const char *name,
                   const struct pci_ids *ids)
{
	f->ops = ops;
	f->name = name;
	f->cap_end = PCI_STD_HEADER_SIZEOF;
	pci_config_set(f, PCI_VENDOR_ID, 2, ids->vendor);
	pci_config_set(f, PCI_DEVICE_ID, 2, ids->device);
	pci_config_set(f, PCI_REVISION_ID, 1, ids->revision);
	pci_config_set(f, PCI_CLASS_PROG, 1, ids->class_code & 0xff);
	pci_config_set(f, PCI_CLASS_DEVICE, 2, ids->class_code >> 8);
	pci_config_set(f, PCI_SUBSYSTEM_VENDOR_ID, 2, ids->subsystem_vendor);
	pci_config_set(f, PCI_SUBSYSTEM_ID, 2, ids->subsystem);
	pci_config_allow(f, PCI_COMMAND, 2, COMMAND_BITS);
	put(f->clears, PCI_STATUS, 2, STATUS_ERRORS);
	pci_config_allow(f, PCI_CACHE_LINE_SIZE, 1, 0xff);
	pci_config_allow(f, PCI_INTERRUPT_LINE, 1, 0xff);
}

/* The bits below a BAR's length are hard-wired: that is how its length is found (PCI 3.0, 6.2.5.1).
 */
void pci_func_set_bar(struct pci_func *f, unsigned bar, enum pci_bar_kind kind, bool prefetchable,
                      uint64_t len_bytes)
{
	uint32_t at = pci_bar_offset(bar);
	uint32_t low = (uint32_t) ~(len_bytes - 1);
	f->bar[bar] = (struct pci_bar){
	        .kind = kind,
	        .prefetchable = prefetchable,
	        .len_bytes = len_bytes,
	};
	uint32_t flags = prefetchable ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0;
	switch (kind) {
	case PCI_BAR_IO:
		pci_config_set(f, at, 4, PCI_BASE_ADDRESS_SPACE_IO);
		pci_config_allow(f, at, 4, low & (uint32_t)PCI_BASE_ADDRESS_IO_MASK & 0xffff);
		break;
	case PCI_BAR_MEM64:
		flags |= PCI_BASE_ADDRESS_MEM_TYPE_64;
		pci_config_allow(f, at + 4, 4, (uint32_t)(~(len_bytes - 1) >> 32));
		pci_config_set(f, at + 4, 4, 0);
		low = len_bytes >> 32 ? 0 : low;
		pci_config_set(f, at, 4, flags);
		pci_config_allow(f, at, 4, low & (uint32_t)PCI_BASE_ADDRESS_MEM_MASK);
		break;
	case PCI_BAR_MEM32:
		pci_config_set(f, at, 4, bar == PCI_ROM ? 0 : flags);
		pci_config_allow(f, at, 4,
		                 bar == PCI_ROM
		                         ? (low & PCI_ROM_ADDRESS_MASK) | PCI_ROM_ADDRESS_ENABLE
		                         : low & (uint32_t)PCI_BASE_ADDRESS_MEM_MASK);
		break;
	case PCI_BAR_NONE:
		break;
	}
}

void pci_func_set_pin(struct pci_func *f)
{
	pci_config_set(f, PCI_INTERRUPT_PIN, 1, 1);
}

uint8_t pci_func_add_cap(struct pci_func *f, uint8_t id, uint8_t len)
{
	uint16_t at = f->cap_end;
	if (len > PCI_CFG_SPACE_SIZE - at)
		return 0;
	f->cap_end = (uint16_t)(at + ((len + 3u) & ~3u));
	pci_config_set(f, at + PCI_CAP_LIST_ID, 1, id);
	pci_config_set(f, at + PCI_CAP_LIST_NEXT, 1, 0);
	pci_config_set(f, f->cap_last ? f->cap_last + PCI_CAP_LIST_NEXT : PCI_CAPABILITY_LIST, 1,
	               at);
	f->cap_last = (uint8_t)at;
	uint32_t status = pci_config_get(f, PCI_STATUS, 2);
	pci_config_set(f, PCI_STATUS, 2, status | PCI_STATUS_CAP_LIST);
	return (uint8_t)at;
}

void pci_config_store(struct pci_func *f, uint32_t offset, unsigned size, uint32_t value)
{
	for (unsigned i = 0; i < size && offset + i < PCI_CFG_SPACE_SIZE; i++) {
		uint8_t *byte = &f->config[offset + i];
		uint8_t may = f->writable[offset + i];
		uint8_t given = (uint8_t)(value >> (8 * i));
		*byte = (uint8_t)((*byte & ~may) | (given & may));
		*byte &= (uint8_t) ~(given & f->clears[offset + i]);
	}
}

uint64_t pci_bar_register(const struct pci_func *f, unsigned bar)
{
	const struct pci_bar *b = &f->bar[bar];
	uint64_t value = pci_config_get(f, pci_bar_offset(bar), 4);
	if (b->kind == PCI_BAR_MEM64)
		value |= (uint64_t)pci_config_get(f, pci_bar_offset(bar) + 4, 4) << 32;
	return value & ~(b->len_bytes - 1);
}

void pci_bar_set_register(struct pci_func *f, unsigned bar, uint64_t addr)
{
	const struct pci_bar *b = &f->bar[bar];
	uint32_t at = pci_bar_offset(bar);
	uint32_t flags = pci_config_get(f, at, 4) & (uint32_t)(b->len_bytes - 1) & 0xf;
	pci_config_set(f, at, 4, (uint32_t)addr | flags);
	if (b->kind == PCI_BAR_MEM64)
		pci_config_set(f, at + 4, 4, (uint32_t)(addr >> 32));
}

bool pci_bar_decoded(const struct pci_func *f, unsigned bar)
{
	uint32_t command = pci_config_get(f, PCI_COMMAND, 2);
	switch (f->bar[bar].kind) {
	case PCI_BAR_IO:
		return command & PCI_COMMAND_IO;
	case PCI_BAR_MEM32:
	case PCI_BAR_MEM64:
		return (command & PCI_COMMAND_MEMORY) &&
		       (bar != PCI_ROM ||
		        (pci_config_get(f, PCI_ROM_ADDRESS, 4) & PCI_ROM_ADDRESS_ENABLE));
	case PCI_BAR_NONE:
		break;
	}
	return false;
}
