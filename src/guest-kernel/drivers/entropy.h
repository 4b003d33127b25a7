/*
 * Random numbers: a ChaCha20 generator (RFC 8439 for the block function; the key is replaced after
 * every request, so that what was given out cannot be computed again from the state). Its key comes
 * from virtio-rng, the CPU's RDRAND and the jitter of the cycle counter, whatever of them there is.
 */
#ifndef GK_DRIVERS_ENTROPY_H
#define GK_DRIVERS_ENTROPY_H

#include "guest-kernel/drivers/virtio.h"

#define ENTROPY_SEED_BYTES 64u

struct entropy {
	struct spinlock lock;
	uint32_t key[8];
	uint64_t requests, seeds;
	bool device, cpu; /* where seeds came from so far */
	uint8_t *buffer;  /* of the device */
	uint32_t got;
	bool ready;
	struct task *waiter;
	struct virtio_dev dev;
	struct virtq queue;
};

/* One block of 64 bytes (RFC 8439, 2.3). */
void chacha20_block(const uint32_t key[8], uint32_t counter, const uint32_t nonce[3],
                    uint8_t out[64]);

void entropy_init(struct entropy *e);
/* Takes a virtio-rng device into use. False: dev->why. Task context; DEV is copied. */
bool entropy_attach(struct entropy *e, const struct virtio_dev *dev);
/* Mixes fresh bits in; from the device if it answers within a second. Task context. */
void entropy_reseed(struct entropy *e);
void entropy_mix(struct entropy *e, const void *data, size_t len);
void entropy_get(struct entropy *e, void *out, size_t len);

#endif
