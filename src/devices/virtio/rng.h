/*
 * virtio-rng (virtio 1.2, 5.4): one queue of buffers that are filled by getrandom(2), at a limited
 * rate, so that a guest cannot keep the event loop busy with it.
 */
#ifndef SRC_DEVICES_VIRTIO_RNG_H
#define SRC_DEVICES_VIRTIO_RNG_H

#include "devices/virtio/dev.h"

/* One request is answered with at most this much; a driver asks again for the rest. */
#define RNG_REQUEST_MAX 65536u

/* Tokens are bytes. A bucket starts full. */
struct rng_bucket {
	uint64_t rate; /* bytes a second, 1 .. UINT32_MAX */
	uint64_t burst;
	uint64_t tokens;
	uint64_t filled_ns;
};

/* Add what has accrued until NOW_NS. */
void rng_bucket_fill(struct rng_bucket *b, uint64_t now_ns);
/* How long after NOW_NS there will be WANTED tokens (at most the burst). */
uint64_t rng_bucket_wait_ns(const struct rng_bucket *b, uint64_t wanted);

/* RATE and BURST in bytes (a second), not 0. */
VMM_WARN_UNUSED vmm_err_t rng_create(uint64_t rate, uint64_t burst, struct vdev **out,
                                     vmm_err_info_t *ei);
bool rng_is(const struct vdev *vd);

#endif
