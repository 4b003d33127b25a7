/*
 * The device of gk_vdev.h on a PCI bus: config space as bytes that a test may change, one BAR with
 * virtio's areas and the table of MSI-X (virtio 1.2, 4.1; PCI 3.0, 6.8.2).
 */
#ifndef TESTS_UNIT_GK_VPCI_H
#define TESTS_UNIT_GK_VPCI_H

#include "gk_vdev.h"

#define VPCI_ECAM   0xe0000000ull
#define VPCI_BAR(i) (0x4000000000ull + 0x10000ull * (i))
#define VPCI_CAPS   0x40u /* common, isr, device, notify, each 0x14; then MSI-X */
#define VPCI_MSIX   0x90u
#define VPCI_FUNCS  4u

struct vpci {
	struct vdev v;
	unsigned devfn, bar;
	uint8_t config[256];
	uint32_t table[8]; /* two entries of MSI-X */
	uint16_t config_vector, queue_vector[VDEV_QUEUES];
	uint16_t vectors;     /* that it accepts */
	uint32_t notify_skip; /* added to what it says of its queues' places for notifications */
	unsigned messages, pins;
};

/* P, with P->v filled in, as function DEVFN of the bus. */
void vpci_init(struct vpci *p, unsigned devfn);
void vpci_set(struct vpci *p, unsigned offset, unsigned size, uint32_t value);
/* Runs BODY in a kernel with these on its bus. */
void vpci_run(struct vpci *const *devs, unsigned count, task_fn body, void *arg);

#endif
