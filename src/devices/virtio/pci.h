/*
 * virtio over PCI, modern only (virtio 1.2, 4.1): one BAR with common configuration, ISR, device
 * configuration, notifications (ioeventfds) and MSI-X (irqfds); the configuration access capability
 * for guests that cannot reach BARs.
 */
#ifndef SRC_DEVICES_VIRTIO_PCI_H
#define SRC_DEVICES_VIRTIO_PCI_H

#include "devices/pci/bus.h"
#include "devices/virtio/dev.h"
#include "vmm/msi.h"

struct vpci;

/*
 * Put VD, which stays the caller's, on BUS. What it takes is freed with the bus. VMM_E_NOMEM;
 * VMM_E_LIMIT: the bus is full.
 */
VMM_WARN_UNUSED vmm_err_t vpci_add(struct pci_bus *bus, struct msi_routes *routes, struct vdev *vd,
                                   struct vpci **out, vmm_err_info_t *ei);

/* Notifications go to this VM's ioeventfds from now on; -1: there is none. No vCPU runs. */
void vpci_set_vm(struct vpci *p, int vm_fd);

/* The function, for tests. */
struct pci_func *vpci_func(struct vpci *p);

/* Interrupts by MSI-X or by pin, as the driver chose. */
extern const struct vdev_transport vpci_transport;

#endif
