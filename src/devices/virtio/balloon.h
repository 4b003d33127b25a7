/*
 * virtio-balloon (virtio 1.2, 5.5): pages that the guest gives up go back to the host at once, and
 * come back (as zeros) when the guest touches them again. Optional: statistics, deflating when the
 * guest runs out of memory, and free page reporting.
 */
#ifndef SRC_DEVICES_VIRTIO_BALLOON_H
#define SRC_DEVICES_VIRTIO_BALLOON_H

#include "devices/virtio/dev.h"
#include "vmm/balloon.h"

/* An inflate or deflate request may name at most this many pages; Linux names 256. */
#define BALLOON_PFNS_MAX 16384u

/* OPTS is checked (vm_balloon.c). MEMORY_BYTES is the size of the guest's RAM. */
VMM_WARN_UNUSED vmm_err_t balloon_create(const vmm_balloon_opts_t *opts, uint64_t memory_bytes,
                                         struct vdev **out, vmm_err_info_t *ei);
bool balloon_is(const struct vdev *vd);

/* Any thread; take the device's lock. */
/* False: not whole pages, or not below the guest's memory. */
VMM_WARN_UNUSED bool balloon_set_target(struct vdev *vd, uint64_t target_bytes);
void balloon_stats(struct vdev *vd, vmm_balloon_stats_t *stats);

#endif
