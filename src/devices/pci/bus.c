/* PCI bus 0: functions, config space, interrupt pins. See bus.h; windows are in window.c. */
#include "devices/pci/bus.h"

#include <string.h>

#include "devices/pci/window.h"
#include "vmm/errset.h"

#define ADDRESS_ENABLE 0x80000000u
#define ADDRESS_BITS   0x80fffffcu
#define CONFIG_BYTES   PCI_CFG_SPACE_EXP_SIZE

void pci_bus_init(struct pci_bus *bus, struct irq_chip *chip)
{
	bus->chip = chip;
	(void)pthread_mutex_init(&bus->lock, NULL);
	(void)pthread_rwlock_init(&bus->map_lock, NULL);
	(void)pthread_mutex_init(&bus->intx_lock, NULL);
}

void pci_bus_fini(struct pci_bus *bus)
{
	for (unsigned i = 0; i < PCI_FUNCS_MAX; i++) {
		if (bus->func[i] && bus->func[i]->ops->destroy)
			bus->func[i]->ops->destroy(bus->func[i]);
		bus->func[i] = NULL;
	}
	(void)pthread_mutex_destroy(&bus->lock);
	(void)pthread_rwlock_destroy(&bus->map_lock);
	(void)pthread_mutex_destroy(&bus->intx_lock);
}

unsigned pci_bus_free_slot(const struct pci_bus *bus)
{
	for (unsigned slot = 0; slot < MACHINE_PCI_SLOTS; slot++) {
		bool taken = false;
		for (unsigned fn = 0; fn < 8; fn++)
			taken |= bus->func[PCI_DEVFN(slot, fn)] != NULL;
		if (!taken)
			return slot;
	}
	return MACHINE_PCI_SLOTS;
}

vmm_err_t pci_bus_add_at(struct pci_bus *bus, struct pci_func *f, uint8_t devfn, vmm_err_info_t *ei)
{
	if (bus->func[devfn]) {
		if (f->ops->destroy)
			f->ops->destroy(f);
		return err_set(ei, VMM_E_BUSY, "pci", "slot %u, function %u is taken already",
		               PCI_DEVFN_SLOT(devfn), devfn & 7u);
	}
	f->bus = bus;
	f->devfn = devfn;
	bus->func[devfn] = f;
	if (devfn & 7) {
		struct pci_func *first = bus->func[devfn & ~7u];
		uint32_t type = first ? pci_config_get(first, PCI_HEADER_TYPE, 1) : 0;
		if (first)
			pci_config_set(first, PCI_HEADER_TYPE, 1, type | 0x80);
	}
	return VMM_OK;
}

vmm_err_t pci_bus_add(struct pci_bus *bus, struct pci_func *f, vmm_err_info_t *ei)
{
	unsigned slot = pci_bus_free_slot(bus);
	if (slot == MACHINE_PCI_SLOTS) {
		if (f->ops->destroy)
			f->ops->destroy(f);
		return err_set(ei, VMM_E_LIMIT, "pci", "more than %u devices on the bus",
		               MACHINE_PCI_SLOTS);
	}
	return pci_bus_add_at(bus, f, PCI_DEVFN(slot, 0), ei);
}

/* The pin as the guest sees it: what the device wants, unless the command register forbids it. */
static void update_intx(struct pci_func *f)
{
	struct pci_bus *bus = f->bus;
	uint32_t pin = pci_config_get(f, PCI_INTERRUPT_PIN, 1);
	bool allowed = !(pci_config_get(f, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
	uint32_t status = pci_config_get(f, PCI_STATUS, 1) & ~(uint32_t)PCI_STATUS_INTERRUPT;
	bool raise = f->intx_wanted && allowed && pin >= 1 && pin <= MACHINE_PCI_PINS;
	pci_config_set(f, PCI_STATUS, 1, status | (f->intx_wanted ? PCI_STATUS_INTERRUPT : 0u));
	if (raise == f->intx_raised)
		return;
	f->intx_raised = raise;
	uint32_t gsi = machine_pci_gsi(PCI_DEVFN_SLOT(f->devfn), pin - 1);
	unsigned *users = &bus->intx_users[gsi - MACHINE_GSI_PCI];
	*users = raise ? *users + 1 : *users - 1;
	/* Wired together: low only when nobody asserts it. */
	if (*users == raise)
		irq_chip_set_level(bus->chip, gsi, raise);
}

void pci_func_set_intx(struct pci_func *f, bool level)
{
	(void)pthread_mutex_lock(&f->bus->intx_lock);
	if (f->intx_wanted != level) {
		f->intx_wanted = level;
		update_intx(f);
	}
	(void)pthread_mutex_unlock(&f->bus->intx_lock);
}

static bool moves_bars(uint32_t offset)
{
	return (offset & ~3u) == PCI_COMMAND || (offset & ~3u) == PCI_ROM_ADDRESS ||
	       (offset >= PCI_BASE_ADDRESS_0 && offset < PCI_BASE_ADDRESS_5 + 4);
}

static uint32_t read_within(struct pci_func *f, uint32_t offset, unsigned size)
{
	(void)pthread_mutex_lock(&f->bus->intx_lock);
	uint32_t value = pci_config_get(f, offset, size);
	(void)pthread_mutex_unlock(&f->bus->intx_lock);
	return f->ops->config_read ? f->ops->config_read(f, offset, size, value) : value;
}

static void write_within(struct pci_func *f, uint32_t offset, unsigned size, uint32_t value)
{
	/* The status byte beside the command is the interrupt lock's. */
	(void)pthread_mutex_lock(&f->bus->intx_lock);
	pci_config_store(f, offset, size, value);
	if ((offset & ~3u) == PCI_COMMAND)
		update_intx(f);
	(void)pthread_mutex_unlock(&f->bus->intx_lock);
	if (f->ops->config_written)
		f->ops->config_written(f, offset, size, value);
	if (moves_bars(offset))
		pci_windows_update(f->bus, f);
}

/* Within one doubleword and aligned? Else it goes byte by byte, as a bridge would split it. */
static bool fits(uint32_t offset, unsigned size)
{
	return (offset & 3) + size <= 4;
}

uint32_t pci_bus_config_read(struct pci_bus *bus, uint8_t devfn, uint32_t offset, unsigned size)
{
	struct pci_func *f = bus->func[devfn];
	if (!f || offset >= CONFIG_BYTES || size > CONFIG_BYTES - offset)
		return UINT32_MAX;
	uint32_t value = 0;
	(void)pthread_mutex_lock(&bus->lock);
	if (fits(offset, size))
		value = read_within(f, offset, size);
	else
		for (unsigned i = 0; i < size; i++)
			value |= read_within(f, offset + i, 1) << (8 * i);
	(void)pthread_mutex_unlock(&bus->lock);
	return value;
}

void pci_bus_config_write(struct pci_bus *bus, uint8_t devfn, uint32_t offset, unsigned size,
                          uint32_t value)
{
	struct pci_func *f = bus->func[devfn];
	if (!f || offset >= CONFIG_BYTES || size > CONFIG_BYTES - offset)
		return;
	(void)pthread_mutex_lock(&bus->lock);
	if (fits(offset, size))
		write_within(f, offset, size, value);
	else
		for (unsigned i = 0; i < size; i++)
			write_within(f, offset + i, 1, value >> (8 * i) & 0xff);
	(void)pthread_mutex_unlock(&bus->lock);
}

/* ECAM: bus, slot, function and register are the address (PCI Express 3.0, 7.2.2). */
static uint64_t ecam_read(void *ctx, uint64_t offset, unsigned size)
{
	uint8_t devfn = (uint8_t)(offset >> 12);
	uint32_t reg = (uint32_t)offset & 0xfff;
	unsigned first = size > 4 ? 4 : size;
	uint64_t value = pci_bus_config_read(ctx, devfn, reg, first);
	if (size > 4)
		value |= (uint64_t)pci_bus_config_read(ctx, devfn, reg + 4, size - 4) << 32;
	return value;
}

static void ecam_write(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	uint8_t devfn = (uint8_t)(offset >> 12);
	uint32_t reg = (uint32_t)offset & 0xfff;
	pci_bus_config_write(ctx, devfn, reg, size > 4 ? 4 : size, (uint32_t)value);
	if (size > 4)
		pci_bus_config_write(ctx, devfn, reg + 4, size - 4, (uint32_t)(value >> 32));
}

/* Ports 0xcf8 to 0xcff, configuration mechanism 1 (PCI 3.0, 3.2.2.3.2). */
static uint64_t ports_read(void *ctx, uint64_t offset, unsigned size)
{
	struct pci_bus *bus = ctx;
	if (offset < 4 && size != 4)
		return UINT64_MAX; /* what is not a doubleword is not for the bridge */
	(void)pthread_mutex_lock(&bus->lock);
	uint32_t address = bus->address;
	(void)pthread_mutex_unlock(&bus->lock);
	if (offset < 4)
		return address;
	if (!(address & ADDRESS_ENABLE) || (address >> 16 & 0xff) != 0 || size > 4)
		return UINT64_MAX;
	uint32_t reg = (address & 0xfc) + ((uint32_t)offset & 3);
	return pci_bus_config_read(bus, (uint8_t)(address >> 8), reg, size);
}

static void ports_write(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	struct pci_bus *bus = ctx;
	if (offset < 4 && size != 4)
		return;
	(void)pthread_mutex_lock(&bus->lock);
	if (offset < 4)
		bus->address = (uint32_t)value & ADDRESS_BITS;
	uint32_t address = bus->address;
	(void)pthread_mutex_unlock(&bus->lock);
	if (offset < 4 || !(address & ADDRESS_ENABLE) || (address >> 16 & 0xff) != 0 || size > 4)
		return;
	uint32_t reg = (address & 0xfc) + ((uint32_t)offset & 3);
	pci_bus_config_write(bus, (uint8_t)(address >> 8), reg, size, (uint32_t)value);
}

static const struct bus_ops ecam_ops = {ecam_read, ecam_write};
static const struct bus_ops ports_ops = {ports_read, ports_write};

vmm_err_t pci_bus_attach(struct pci_bus *bus, const struct machine *m, struct bus *machine_bus,
                         vmm_err_info_t *ei)
{
	vmm_err_t err = bus_add(machine_bus, BUS_MMIO, MACHINE_PCI_ECAM, MACHINE_PCI_ECAM_SIZE,
	                        &ecam_ops, bus, "PCI config space", ei);
	if (!err)
		err = bus_add(machine_bus, BUS_PIO, MACHINE_PORT_PCI_ADDRESS, 8, &ports_ops, bus,
		              "PCI config ports", ei);
	if (!err)
		err = pci_windows_attach(bus, m, machine_bus, ei);
	for (unsigned i = 0; i < PCI_FUNCS_MAX && !err; i++)
		if (bus->func[i])
			memcpy(bus->func[i]->initial, bus->func[i]->config, PCI_CFG_SPACE_SIZE);
	return err;
}

void pci_bus_reset(struct pci_bus *bus)
{
	(void)pthread_mutex_lock(&bus->lock);
	bus->address = 0;
	for (unsigned i = 0; i < PCI_FUNCS_MAX; i++) {
		struct pci_func *f = bus->func[i];
		if (!f)
			continue;
		if (f->ops->reset)
			f->ops->reset(f);
		pci_func_set_intx(f, false);
		memcpy(f->config, f->initial, PCI_CFG_SPACE_SIZE);
		pci_windows_update(bus, f);
	}
	(void)pthread_mutex_unlock(&bus->lock);
}
