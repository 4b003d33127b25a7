/*
 * ACPI tables of the machine: RSDP, XSDT, FADT, MADT, DSDT, and MCFG with PCI. Hardware-reduced: no
 * PM timer, no SCI, no 8259; sleep, reset and power button as in machine.h. Linux then leaves PIC
 * and PIT alone, which saves their exits at boot, and takes every interrupt from the IOAPIC as the
 * DSDT says. ACPI 6.4, chapters 4.1 (hardware-reduced), 5.2 (tables), 5.6.9 (generic event device).
 */
#ifndef SRC_VMM_BOOT_ACPI_H
#define SRC_VMM_BOOT_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../machine.h"
#include "aml.h"

/*
 * Write all tables into AREA (CAP bytes, zeroed), which the guest sees at ADDR; the RSDP is at its
 * start. Pure. False if they do not fit.
 */
bool acpi_write(uint8_t *area, size_t cap, uint64_t addr, const struct machine *machine);

/* The byte code of the DSDT, after its header (acpi_dsdt.c). */
void acpi_dsdt(struct aml *a, const struct machine *machine);

/* The part of it that describes PCI (acpi_pci.c). */
void acpi_dsdt_pci(struct aml *a, const struct machine *machine);

#endif
