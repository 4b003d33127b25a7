/* The machine's assignment of interrupts and windows. See machine.h. */
#include "machine.h"

#include <stddef.h>

#define PCI_MEM64_STEP (1ull << 35)
#define PCI_MEM64_MAX  (1ull << 40)

static const uint8_t device_pins[] = {5, 6, 7, 10, 11, 12, 16, 17, 18, 19};
#define DEVICE_PINS (sizeof(device_pins) / sizeof(device_pins[0]))

uint32_t machine_virtio_gsi(uint32_t i)
{
	return device_pins[i % DEVICE_PINS];
}

bool machine_gsi_is_for_devices(uint32_t gsi)
{
	for (size_t i = 0; i < DEVICE_PINS; i++)
		if (device_pins[i] == gsi)
			return true;
	return false;
}

/* Rotated by slot, so that single-pin devices do not all share one. */
uint32_t machine_pci_gsi(uint32_t slot, uint32_t pin)
{
	return MACHINE_GSI_PCI + (slot + pin) % MACHINE_PCI_PINS;
}

void machine_set_pci_mem64(struct machine *m, unsigned phys_bits)
{
	uint64_t end = 1ull << (phys_bits < 63 ? phys_bits : 63);
	uint64_t ram_end = MACHINE_HIGH_RAM;
	if (m->ram_bytes > MACHINE_LOW_RAM_END)
		ram_end += m->ram_bytes - MACHINE_LOW_RAM_END;
	uint64_t base = (ram_end + PCI_MEM64_STEP - 1) & ~(PCI_MEM64_STEP - 1);
	m->pci_mem64 = base;
	m->pci_mem64_bytes = base >= end                  ? 0
	                     : end - base > PCI_MEM64_MAX ? PCI_MEM64_MAX
	                                                  : end - base;
}
