/*
 * virtio-rng (virtio 1.2, 5.4): one queue of buffers that are filled by getrandom(2), at a limited
 * rate, so that a guest cannot keep the event loop busy with it.
 */
#ifndef SRC_DEVICES_VIRTIO_RNG_H
#define SRC_DEVICES_VIRTIO_RNG_H

#include "devices/virtio/dev.h"

/* One request is answered with at most this much; a driver asks again for the rest. */
#define RNG_REQUEST_MAX 65536u

/* RATE and BURST in bytes (a second), not 0; the burst is at most VMM_BURST_MAX. */
VMM_WARN_UNUSED vmm_err_t rng_create(uint64_t rate, uint64_t burst, struct vdev **out,
                                     vmm_err_info_t *ei);
bool rng_is(const struct vdev *vd);

#endif
