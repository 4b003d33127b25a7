/*
 * What of a passed device's config space its guest sees and may change: config.c holds the table.
 * vfio-pci in the kernel protects the host (it virtualises BARs and what could hurt others); the
 * table here makes the function fit the guest's machine. Pure functions of bytes.
 */
#ifndef SRC_DEVICES_VFIO_CONFIG_H
#define SRC_DEVICES_VFIO_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/pci/func.h"
#include "vmm/err.h"

#define VFIO_CAPS_MAX 48u /* one may start every fourth byte from 0x40 on */

struct vfio_cap {
	uint8_t id;
	uint8_t at;
	uint8_t len; /* as far as it may reach: to the next one, or the end */
};

struct vfio_caps {
	unsigned count;
	struct vfio_cap cap[VFIO_CAPS_MAX];
	uint8_t msi; /* offsets, or 0 */
	uint8_t msix;
	uint8_t pm;
};

/*
 * The capabilities that CONFIG (256 bytes) lists. A list that points into the header, is not
 * aligned, or comes back to where it was, ends there.
 */
void vfio_caps_scan(const uint8_t config[PCI_CFG_SPACE_SIZE], struct vfio_caps *caps);

/*
 * F->config holds LEN bytes (256 or 4096) as the device gave them. Make of them what the guest is
 * to see, fill F->writable, and mark in PASS the bytes that are the device's own: they are read
 * from it and written to it each time. VMM_E_UNSUPPORTED: not a type 0 header.
 */
VMM_WARN_UNUSED vmm_err_t vfio_config_shape(struct pci_func *f, const char *address, size_t len,
                                            uint8_t pass[PCI_CFG_SPACE_EXP_SIZE],
                                            struct vfio_caps *caps, vmm_err_info_t *ei);

/* MSI-X as the capability at CAP describes it. */
struct vfio_msix_place {
	unsigned count;
	unsigned table_bar, pba_bar;
	uint32_t table, pba;
};
void vfio_msix_place(const uint8_t *config, uint8_t cap, struct vfio_msix_place *place);

#endif
