/* The host bridge, as the bus shows it: a function without registers of its own, in slot 0. */
#ifndef SRC_DEVICES_PCI_HOST_BRIDGE_H
#define SRC_DEVICES_PCI_HOST_BRIDGE_H

#include "devices/pci/bus.h"

VMM_WARN_UNUSED vmm_err_t host_bridge_add(struct pci_bus *bus, vmm_err_info_t *ei);

#endif
