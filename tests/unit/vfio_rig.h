/*
 * A machine with a PCI bus, for tests of passed devices: its parts, which the fixture makes anew
 * for each test, and the fake device (fake_vfio.h) that is added to it.
 */
#ifndef TESTS_UNIT_VFIO_RIG_H
#define TESTS_UNIT_VFIO_RIG_H

#include "devices/vfio/dev_priv.h"
#include "fake_vfio.h"

extern struct fake_vfio fake;
extern struct msi_routes routes;
extern struct pci_bus pci;
extern struct bus mbus;
extern struct machine machine;
extern struct loop *loop;
extern struct vfio_iommu iommu;
extern struct vfio_place place;
extern struct vfio_dev *dev; /* what was added last, or NULL */
extern vmm_err_info_t ei;
extern unsigned lost_count;

/* The second also sees that no descriptor, mapping or message is left. */
void vfio_rig_setup(void);
void vfio_rig_teardown(void);

/* Add the fake device; the second also puts it on the bus, and fails the test if it cannot. */
VMM_WARN_UNUSED vmm_err_t vfio_rig_add(void);
void vfio_rig_add_well(void);
/* It must be refused for WANT, in words with TEXT in them. */
void vfio_rig_refused(vmm_err_t want, const char *text);

#endif
