/*
 * Functions of PCI bus 0 (PCI 3.0, 6; PCI Express 3.0, 7.2.2): config space as memory, capability
 * lists, BARs, MSI-X. Who built the machine has given every BAR its address. A function is not
 * trusted: lists have an end, and what is mapped lies in a BAR.
 */
#ifndef GK_DRIVERS_PCI_H
#define GK_DRIVERS_PCI_H

#include "guest-kernel/core/kernel.h"

#define PCI_FUNCS       256u /* of one bus: slot times eight, and the function */
#define PCI_CAP_ID_VNDR 0x09u
#define PCI_CAP_ID_MSIX 0x11u

struct pci_dev {
	volatile void *config; /* its page of config space */
	uint16_t devfn;
	uint16_t vendor, device, subsystem;
};

/* Functions that the device whose function 0 is DEVFN may have: 0, 1 or 8. */
unsigned pci_functions(const struct arch_pci *pci, unsigned devfn);

/* The function at DEVFN; false if there is none, or it is not of header type 0. */
bool pci_probe(const struct arch_pci *pci, unsigned devfn, struct pci_dev *dev);

/* The capability ID behind AT (0: the first of them); 0 if there is no more. */
uint8_t pci_find_cap(const struct pci_dev *dev, uint8_t id, uint8_t at);
uint8_t pci_read8(const struct pci_dev *dev, uint8_t offset);
uint32_t pci_read32(const struct pci_dev *dev, uint8_t offset);

/* LEN bytes at OFFSET of BAR, of memory; NULL if the BAR has no address, or it cannot be mapped. */
volatile void *pci_map(const struct pci_dev *dev, unsigned bar, uint32_t offset, uint32_t len);

/* It answers at its BARs, and may reach memory. */
void pci_enable(const struct pci_dev *dev);

/* MSI-X on, with every vector masked. False: the function has none, or not COUNT vectors. */
bool pci_msix_on(const struct pci_dev *dev, unsigned count);
/*
 * After that: vector I is a message for FNS[I](CTX). False: no messages are left, or the table is
 * nowhere; MSI-X is off then, and nothing comes.
 */
bool pci_msix_connect(const struct pci_dev *dev, const arch_irq_fn *fns, unsigned count, void *ctx);

/* The interrupt line of the function's pin; false if it has none. */
bool pci_pin(const struct arch_pci *pci, const struct pci_dev *dev, uint32_t *gsi, bool *level);

#endif
