/* Where BARs answer: the windows of a PCI bus. Part of the bus; see bus.h. */
#ifndef SRC_DEVICES_PCI_WINDOW_H
#define SRC_DEVICES_PCI_WINDOW_H

#include "devices/pci/bus.h"

/* Take the windows from the machine's bus and place every BAR, the largest first. */
VMM_WARN_UNUSED vmm_err_t pci_windows_attach(struct pci_bus *bus, const struct machine *m,
                                             struct bus *machine_bus, vmm_err_info_t *ei);

/*
 * F's registers changed: its BARs answer where they say now. Those outside a window, and those
 * that overlap another's, do not answer at all. The bus's lock is held.
 */
void pci_windows_update(struct pci_bus *bus, struct pci_func *f);

#endif
