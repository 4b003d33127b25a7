/*
 * The PCI host bridge in the DSDT: its windows (_CRS), where pins go (_PRT), and the config space
 * that the MCFG table names, reserved as a motherboard resource. PCI Firmware 3.3, 4.1 and 4.3;
 * ACPI 6.4, 6.2.13 and 6.4.3.5.
 */
#include "acpi.h"

static void add_crs(struct aml *a, const struct machine *m)
{
	struct aml_mark crs = aml_resources(a);
	aml_bus_numbers(a, 0, 0);
	aml_io(a, MACHINE_PORT_PCI_ADDRESS, 8);
	aml_io_window(a, MACHINE_PORT_PCI_IO, MACHINE_PORT_PCI_IO_END - 1);
	aml_memory_window(a, MACHINE_PCI_MEM32, MACHINE_PCI_MEM32_END - 1);
	/* Not prefetchable, as nothing is lost by it: else no other BAR could be in it. */
	if (m->pci_mem64_bytes > 0)
		aml_memory_window(a, m->pci_mem64, m->pci_mem64 + m->pci_mem64_bytes - 1);
	aml_resources_close(a, crs);
}

/* Package { slot << 16 | 0xffff, pin, 0, GSI } for each: interrupts of the IOAPIC, by number. */
static void add_prt(struct aml *a)
{
	struct aml_mark prt =
	        aml_name_package_open(a, "_PRT", MACHINE_PCI_SLOTS * MACHINE_PCI_PINS);
	for (uint32_t slot = 0; slot < MACHINE_PCI_SLOTS; slot++) {
		for (uint32_t pin = 0; pin < MACHINE_PCI_PINS; pin++) {
			struct aml_mark entry = aml_package(a, 4);
			aml_integer(a, slot << 16 | 0xffff);
			aml_integer(a, pin);
			aml_integer(a, 0);
			aml_integer(a, machine_pci_gsi(slot, pin));
			aml_close(a, entry);
		}
	}
	aml_close(a, prt);
}

void acpi_dsdt_pci(struct aml *a, const struct machine *m)
{
	struct aml_mark dev = aml_device(a, "PCI0");
	aml_name_eisaid(a, "_HID", "PNP0A08");
	aml_name_eisaid(a, "_CID", "PNP0A03");
	aml_name_integer(a, "_SEG", 0);
	aml_name_integer(a, "_BBN", 0);
	aml_name_integer(a, "_UID", 0);
	add_crs(a, m);
	add_prt(a);
	aml_close(a, dev);
	dev = aml_device(a, "PCIE");
	aml_name_eisaid(a, "_HID", "PNP0C02");
	struct aml_mark crs = aml_resources(a);
	aml_memory32(a, (uint32_t)MACHINE_PCI_ECAM, (uint32_t)MACHINE_PCI_ECAM_SIZE);
	aml_resources_close(a, crs);
	aml_close(a, dev);
}
