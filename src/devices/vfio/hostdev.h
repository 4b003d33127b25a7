/*
 * A PCI device of the host as sysfs describes it: address, group, driver, identity, and whether it
 * can be passed. Everything here is text that others wrote: lengths are checked, nothing is
 * trusted.
 */
#ifndef SRC_DEVICES_VFIO_HOSTDEV_H
#define SRC_DEVICES_VFIO_HOSTDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/err.h"

#define HOSTDEV_ADDRESS_BYTES 16u /* "0000:01:00.0" and more, for long domains */
#define HOSTDEV_GROUP_MAX     64u /* members that are looked at */

struct hostdev {
	char address[HOSTDEV_ADDRESS_BYTES];
	int group;       /* of the IOMMU, or -1 */
	int cdev;        /* N of its /dev/vfio/devices/vfioN, or -1: it has none */
	char driver[64]; /* or "" */
	uint16_t vendor, device;
	uint32_t class_code;
};

/*
 * The full form of an address: "01:00.0" is in domain 0. VMM_E_INVAL: not an address.
 */
VMM_WARN_UNUSED vmm_err_t hostdev_parse(const char *text, char address[HOSTDEV_ADDRESS_BYTES],
                                        vmm_err_info_t *ei);

/* What SYSFS says of the device. VMM_E_NOENT: there is none. */
VMM_WARN_UNUSED vmm_err_t hostdev_read(const char *sysfs, const char *address, struct hostdev *d,
                                       vmm_err_info_t *ei);

/*
 * Can D be passed as it is? VMM_E_UNSUPPORTED: no IOMMU; VMM_E_BUSY: it, or another member of its
 * group, is bound to a driver of the host.
 */
VMM_WARN_UNUSED vmm_err_t hostdev_viable(const char *sysfs, const struct hostdev *d,
                                         vmm_err_info_t *ei);

/* The character device of D, which has one, under DEV ("/dev"). */
void hostdev_cdev_path(const char *dev, const struct hostdev *d, char *path, size_t size);

/* Call EACH with every name in DIR (addresses), until it returns false. */
bool hostdev_each(const char *dir, bool (*each)(void *ctx, const char *name), void *ctx);

/* Is it a driver that hands devices to VMMs, or one that keeps a bridge alive meanwhile? */
bool hostdev_driver_shares(const char *driver);

#endif
