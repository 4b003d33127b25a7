/* The devices of this machine: what was found in its virtio windows, and who drives it. */
#ifndef GK_DRIVERS_DEVICES_H
#define GK_DRIVERS_DEVICES_H

#include "guest-kernel/drivers/balloon.h"
#include "guest-kernel/drivers/blk.h"
#include "guest-kernel/drivers/console.h"
#include "guest-kernel/drivers/entropy.h"
#include "guest-kernel/drivers/nic.h"

#define DISKS_MAX 8u
#define NICS_MAX  4u

struct devices {
	struct entropy entropy;
	struct blk *disks[DISKS_MAX];
	struct nic *nics[NICS_MAX];
	struct console *console;
	struct balloon *balloon;
	unsigned disk_count, nic_count, found, refused;
};

/* Looks into every window. What does not work is named on the console and left out. Task context.
 */
void devices_find(struct devices *d, const struct arch_boot *boot);

#endif
