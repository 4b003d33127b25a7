/*
 * The machine: every guest-visible address and interrupt in one place. The boot code describes it
 * to the guest (ACPI, device tree, memory map); vm.c builds it. Nothing else names an address.
 */
#ifndef SRC_VMM_MACHINE_H
#define SRC_VMM_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#define MACHINE_PAGE_SIZE 4096u

/* RAM below the 32-bit hole ends here at the latest; the rest continues at 4 GiB. */
#define MACHINE_LOW_RAM_END 0xc0000000ull
#define MACHINE_HIGH_RAM    0x100000000ull

/* First MiB. 0x500-0x9fbff is usable RAM; 0x9fc00-0xfffff is reserved (EBDA, BIOS area). */
#define MACHINE_GDT             0x0500u
#define MACHINE_ZERO_PAGE       0x7000u /* struct boot_params, or hvm_start_info */
#define MACHINE_BOOT_STACK      0x8ff0u
#define MACHINE_PAGE_TABLES     0x9000u /* PML4, PDPT, 4 PD: identity map of 4 GiB */
#define MACHINE_CMDLINE         0x20000u
#define MACHINE_CMDLINE_MAX     0x10000u /* bytes, with the terminating NUL */
#define MACHINE_DEVICE_TREE     0x30000u /* PVH only */
#define MACHINE_DEVICE_TREE_MAX 0x20000u
#define MACHINE_LOW_END         0x9fc00u
#define MACHINE_ACPI            0xe0000u /* RSDP first, 16-byte aligned; tables after it */
#define MACHINE_ACPI_END        0xffff0u
#define MACHINE_RESET_CODE      0xffff0u /* where a PC's firmware starts over: f000:fff0 */
#define MACHINE_HIMEM           0x100000u

/* MMIO, in the hole. */
#define MACHINE_VIRTIO_MMIO      0xd0000000ull
#define MACHINE_VIRTIO_MMIO_SIZE 0x1000u
#define MACHINE_VIRTIO_MAX       32u
#define MACHINE_USER_MMIO        0xd1000000ull /* 16 MiB for devices of the embedder */
#define MACHINE_USER_MMIO_END    0xd2000000ull
#define MACHINE_PCI_MEM32        0xc0000000ull /* window of 32-bit BARs */
#define MACHINE_PCI_MEM32_END    0xd0000000ull
#define MACHINE_PCI_ECAM         0xe0000000ull /* config space of bus 0, the only one */
#define MACHINE_PCI_ECAM_SIZE    0x100000ull
#define MACHINE_IOAPIC           0xfec00000ull
#define MACHINE_LAPIC            0xfee00000ull
#define MACHINE_IDENTITY_MAP     0xfeffc000ull /* KVM on VT-x: one page */
#define MACHINE_TSS              0xfeffd000ull /* KVM on VT-x: three pages */

/* Ports. */
#define MACHINE_PORT_I8042_DATA    0x60u
#define MACHINE_PORT_I8042_COMMAND 0x64u
#define MACHINE_PORT_PVPANIC       0x505u /* one byte; ACPI QEMU0001 */
#define MACHINE_PORT_RTC           0x70u  /* and 0x71 */
#define MACHINE_PORT_COM1          0x3f8u /* eight */
#define MACHINE_PORT_PCI_ADDRESS   0xcf8u
#define MACHINE_PORT_PCI_DATA      0xcfcu
#define MACHINE_PORT_PCI_IO        0xc000u /* window of I/O BARs, to the end of the space */
#define MACHINE_PORT_PCI_IO_END    0x10000u
#define MACHINE_PORT_DEBUG_EXIT    0xf4u  /* one byte: ends the VM with that code */
#define MACHINE_PORT_ACPI          0x600u /* sleep control, sleep status, reset */
#define MACHINE_ACPI_SLEEP_CONTROL 0u
#define MACHINE_ACPI_SLEEP_STATUS  1u
#define MACHINE_ACPI_RESET         2u
#define MACHINE_ACPI_PORTS         4u
#define MACHINE_ACPI_RESET_VALUE   0x01u
#define MACHINE_ACPI_SLP_EN        0x20u
#define MACHINE_ACPI_SLP_TYP_S5    5u

/* Interrupts: GSIs of the IOAPIC (24 pins), edge triggered, active high. */
#define MACHINE_GSI_COM1         4u
#define MACHINE_GSI_RTC          8u
#define MACHINE_GSI_POWER_BUTTON 9u  /* ACPI generic event device */
#define MACHINE_GSI_PCI          20u /* and the next three: INTx; level triggered */
#define MACHINE_IOAPIC_PINS      24u
#define MACHINE_PCI_SLOTS        32u
#define MACHINE_PCI_PINS         4u

struct machine_virtio {
	uint64_t base;
	uint32_t gsi;
};

/* What this VM's machine consists of; filled by vm.c at build, read by the boot code. */
struct machine {
	uint32_t cpus; /* APIC ids are 0 .. cpus - 1 */
	uint64_t ram_bytes;
	bool serial;
	bool rtc;
	bool i8042;
	bool acpi;             /* ACPI tables; else devices by command line or device tree */
	uint32_t virtio_count; /* of those on mmio */
	struct machine_virtio virtio[MACHINE_VIRTIO_MAX];
	bool pci;
	uint64_t pci_mem64; /* window of 64-bit BARs, above RAM */
	uint64_t pci_mem64_bytes;
};

/*
 * The GSI of virtio-mmio device I. Ten pins that nothing else uses, shared in turn by further
 * devices: the interrupts are edge triggered and each device has its own status register.
 */
uint32_t machine_virtio_gsi(uint32_t i);

/* Whether GSI is one of those pins: they are for the embedder's devices as well. */
bool machine_gsi_is_for_devices(uint32_t gsi);

/* The GSI of pin PIN (0: INTA) of the PCI device in SLOT. */
uint32_t machine_pci_gsi(uint32_t slot, uint32_t pin);

/*
 * Where the window of 64-bit BARs goes: above RAM, below the end of a guest's physical addresses,
 * which have PHYS_BITS bits. Its length is 0 if nothing is left.
 */
void machine_set_pci_mem64(struct machine *m, unsigned phys_bits);

#endif
