/*
 * A PCI function: config space with its rules, BARs, capabilities (PCI Local Bus 3.0, 6; PCI
 * Express base 3.0, 7). A device embeds it, describes its registers once, and is called for what
 * only it knows; the bus does the rest.
 *
 * Threads and locks: config accesses and moves of BARs come on vCPU threads under the bus's lock,
 * which is outside a device's own. Accesses to BARs hold no lock of the bus.
 */
#ifndef SRC_DEVICES_PCI_FUNC_H
#define SRC_DEVICES_PCI_FUNC_H

#include <linux/pci_regs.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/err.h"

#define PCI_BARS                  6u
#define PCI_ROM                   6u /* the expansion ROM, as if it were a seventh */
#define PCI_REGIONS               7u
#define PCI_DEVFN(slot, function) ((uint8_t)((slot) << 3 | (function)))
#define PCI_DEVFN_SLOT(devfn)     ((devfn) >> 3)

struct pci_bus;
struct pci_func;

enum pci_bar_kind {
	PCI_BAR_NONE, /* also the upper half of a 64-bit BAR */
	PCI_BAR_IO,
	PCI_BAR_MEM32,
	PCI_BAR_MEM64, /* takes this register and the next */
};

struct pci_bar {
	enum pci_bar_kind kind;
	bool prefetchable;
	uint64_t len_bytes; /* a power of two */
	uint64_t initial;   /* where the machine puts it at reset */
	uint64_t addr;      /* where it answers, while MAPPED */
	bool mapped;
};

struct pci_func_ops {
	/* OFFSET + SIZE lies inside the BAR (or ROM). No lock of the bus is held. */
	uint64_t (*bar_read)(struct pci_func *f, unsigned bar, uint64_t offset, unsigned size);
	void (*bar_write)(struct pci_func *f, unsigned bar, uint64_t offset, unsigned size,
	                  uint64_t value);
	/* The rest: under the bus's lock; each may be NULL. */
	/* Give the SIZE bytes at OFFSET, inside one doubleword; VALUE is what the rules give. */
	uint32_t (*config_read)(struct pci_func *f, uint32_t offset, unsigned size, uint32_t value);
	/* They were written, and the rules have been followed already. */
	void (*config_written)(struct pci_func *f, uint32_t offset, unsigned size, uint32_t value);
	/* The BAR answers elsewhere, or no more: bar->mapped and bar->addr are as they are now. */
	void (*bar_moved)(struct pci_func *f, unsigned bar);
	/* As at power-on. The common part of config space is reset after it. No vCPU runs. */
	void (*reset)(struct pci_func *f);
	/* Free the device; runs beside no other operation. */
	void (*destroy)(struct pci_func *f);
};

struct pci_func {
	const struct pci_func_ops *ops;
	const char *name; /* for messages; owned by the device */
	struct pci_bus *bus;
	uint8_t devfn;

	struct pci_bar bar[PCI_REGIONS];
	uint16_t cap_end; /* where the next capability may start */
	uint8_t cap_last; /* the last in the list, or 0 */
	bool intx_wanted; /* the device asserts its pin */
	bool intx_raised; /* and the bus does, which INTX_DISABLE may prevent */

	/* Config space: its bytes, those of a reset, which bits the guest may write, which it
	 * clears by writing 1. Behind the first 256 it changes nothing here. */
	uint8_t config[PCI_CFG_SPACE_EXP_SIZE];
	uint8_t initial[PCI_CFG_SPACE_SIZE];
	uint8_t writable[PCI_CFG_SPACE_SIZE];
	uint8_t clears[PCI_CFG_SPACE_SIZE];
};

struct pci_ids {
	uint16_t vendor, device;
	uint16_t subsystem_vendor, subsystem;
	uint8_t revision;
	uint32_t class_code; /* 24 bits: class, subclass, interface */
};

/* Header type 0 with the command and status bits every device has. F is zeroed before. */
void pci_func_init(struct pci_func *f, const struct pci_func_ops *ops, const char *name,
                   const struct pci_ids *ids);
void pci_func_set_bar(struct pci_func *f, unsigned bar, enum pci_bar_kind kind, bool prefetchable,
                      uint64_t len_bytes);
/* The device has an interrupt pin, INTA. */
void pci_func_set_pin(struct pci_func *f);
/* Room for a capability of LEN bytes, linked into the list; its offset, or 0: no room. */
uint8_t pci_func_add_cap(struct pci_func *f, uint8_t id, uint8_t len);

/* Little-endian fields of config space, from the device's side. OFFSET + SIZE is inside. */
uint32_t pci_config_get(const struct pci_func *f, uint32_t offset, unsigned size);
void pci_config_set(struct pci_func *f, uint32_t offset, unsigned size, uint32_t value);
/* In the first 256 bytes. */
void pci_config_allow(struct pci_func *f, uint32_t offset, unsigned size, uint32_t bits);

/*
 * Store what the guest writes, as far as it may. SIZE bytes inside one doubleword. Part of the bus;
 * here for tests.
 */
void pci_config_store(struct pci_func *f, uint32_t offset, unsigned size, uint32_t value);
/* Where the BAR's register points, whether it is decoded or not. */
uint64_t pci_bar_register(const struct pci_func *f, unsigned bar);
/* Put it there. */
void pci_bar_set_register(struct pci_func *f, unsigned bar, uint64_t addr);
static inline uint32_t pci_bar_offset(unsigned bar)
{
	return bar == PCI_ROM ? PCI_ROM_ADDRESS : PCI_BASE_ADDRESS_0 + 4 * bar;
}
/* Command register and, for a ROM, its own enable bit. */
bool pci_bar_decoded(const struct pci_func *f, unsigned bar);

#endif
