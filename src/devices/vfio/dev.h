/*
 * A device of the host, passed to the guest as a PCI function: its BARs are mapped into the guest
 * but for the pages of the MSI-X table, its config space is shaped by config.c, its interrupts go
 * from VFIO's eventfds straight into KVM.
 *
 * Threads and locks: as for every PCI function (pci/func.h); interrupt state is under the MSI-X
 * lock or the bus's. Losing the device (the host asks for it back) happens on the event loop.
 */
#ifndef SRC_DEVICES_VFIO_DEV_H
#define SRC_DEVICES_VFIO_DEV_H

#include "devices/pci/bus.h"
#include "devices/vfio/iommu.h"
#include "vmm/logger.h"
#include "vmm/loop.h"
#include "vmm/msi.h"

struct vfio_dev;

/* What a VM gives to its passed devices. All of it outlives them. */
struct vfio_place {
	const struct vfio_sys *sys;
	struct vfio_iommu *iommu;
	struct pci_bus *bus;
	struct msi_routes *routes;
	struct loop *loop;
	struct log *log;
	uint32_t slot_next; /* first number of a KVM memory slot that is free */
	/* The device is gone; the guest goes on without it. On the loop. */
	void (*lost)(void *ctx, const char *address, const char *why);
	void *ctx;
};

/*
 * Open D, reset it, read what it is and put it on the bus, which owns it then; at DEVFN, or in a
 * free slot if DEVFN is negative. Errors name D's address and what is wrong with it.
 */
VMM_WARN_UNUSED vmm_err_t vfio_dev_add(struct vfio_place *place, const struct hostdev *d, int devfn,
                                       struct vfio_dev **out, vmm_err_info_t *ei);

/* BARs and interrupts belong to this VM from now on; -1: to none. No vCPU runs. */
void vfio_dev_set_vm(struct vfio_dev *v, int vm_fd);

const char *vfio_dev_address(const struct vfio_dev *v);
struct pci_func *vfio_dev_func(struct vfio_dev *v);

#endif
