/*
 * PCI bus 0: config space over ECAM and over ports 0xcf8/0xcfc, the windows in which BARs live, and
 * the interrupt pins. The bus takes its windows from the machine's bus before the first KVM_RUN,
 * once and for all; where in a window which BAR answers is looked up here, so that guests may move
 * BARs at any time.
 *
 * Locks, outermost first: LOCK (config space; BARs while they move), then a device's own, then
 * MAP_LOCK or INTX_LOCK, then what interrupts take. An access to a BAR holds none of them while
 * the device works: one that moves away meanwhile is answered as before.
 */
#ifndef SRC_DEVICES_PCI_BUS_H
#define SRC_DEVICES_PCI_BUS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/pci/func.h"
#include "vmm/bus.h"
#include "vmm/irq.h"
#include "vmm/machine.h"

#define PCI_FUNCS_MAX 256u
#define PCI_MAPS_MAX  (MACHINE_PCI_SLOTS * PCI_REGIONS)

/* One BAR that answers. */
struct pci_map {
	uint64_t base;
	uint64_t len_bytes;
	struct pci_func *f;
	unsigned bar;
};

/* A range of the machine's bus that is ours. */
struct pci_window {
	struct pci_bus *bus;
	enum bus_space space;
	uint64_t base;
	uint64_t len_bytes;
	uint64_t next; /* for the first placement */
};

enum pci_window_id { PCI_WINDOW_IO, PCI_WINDOW_MEM32, PCI_WINDOW_MEM64, PCI_WINDOWS };

struct pci_bus {
	pthread_mutex_t lock;
	struct pci_func *func[PCI_FUNCS_MAX]; /* by devfn; fixed once the machine's bus is frozen */
	uint32_t address;                     /* the register at port 0xcf8 */
	struct pci_window window[PCI_WINDOWS];

	pthread_rwlock_t map_lock;
	unsigned map_count[BUS_SPACES];
	struct pci_map map[BUS_SPACES][PCI_MAPS_MAX]; /* sorted, without overlap */

	struct irq_chip *chip;
	pthread_mutex_t intx_lock;
	unsigned intx_users[MACHINE_PCI_PINS]; /* devices that assert it */
};

/* Interrupt pins go to CHIP. Windows are empty until pci_bus_attach. BUS is zeroed before. */
void pci_bus_init(struct pci_bus *bus, struct irq_chip *chip);
/* Destroys the functions. */
void pci_bus_fini(struct pci_bus *bus);

/* The bus owns F from now on, also when the call fails. VMM_E_LIMIT: no slot is free. */
VMM_WARN_UNUSED vmm_err_t pci_bus_add(struct pci_bus *bus, struct pci_func *f, vmm_err_info_t *ei);
/* At a given place, for functions of one device. VMM_E_BUSY: taken. */
VMM_WARN_UNUSED vmm_err_t pci_bus_add_at(struct pci_bus *bus, struct pci_func *f, uint8_t devfn,
                                         vmm_err_info_t *ei);
/* The lowest slot without a function, or MACHINE_PCI_SLOTS. */
unsigned pci_bus_free_slot(const struct pci_bus *bus);

/*
 * All functions are there: take the windows and registers from the machine's bus, and give every
 * BAR a place. VMM_E_LIMIT: a BAR is larger than its window, or they are too many.
 */
VMM_WARN_UNUSED vmm_err_t pci_bus_attach(struct pci_bus *bus, const struct machine *m,
                                         struct bus *machine_bus, vmm_err_info_t *ei);

/* As at power-on. No vCPU runs. */
void pci_bus_reset(struct pci_bus *bus);

/* For devices: assert or release the interrupt pin. Any thread; the device's lock may be held. */
void pci_func_set_intx(struct pci_func *f, bool level);

/* Config accesses of SIZE 1, 2 or 4; also those that cross a doubleword. */
uint32_t pci_bus_config_read(struct pci_bus *bus, uint8_t devfn, uint32_t offset, unsigned size);
void pci_bus_config_write(struct pci_bus *bus, uint8_t devfn, uint32_t offset, unsigned size,
                          uint32_t value);

#endif
