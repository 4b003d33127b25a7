/* virtio-rng. See rng.h. */
#include "devices/virtio/rng.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "devices/rate.h"
#include "vmm/clock.h"
#include "vmm/errset.h"

#define RNG_QUEUE_SIZE 64u
#define RNG_PIECE      256u /* getrandom gives up to 256 bytes whole, whatever signals come */
/* After a drought, wait for this much, so that a starved queue is not served byte by byte. */
#define RNG_QUANTUM 256u

struct rng {
	struct vdev vd;
	struct rate_bucket bucket; /* of bytes */
	struct loop_timer timer;
};

static struct rng *rng_of(struct vdev *vd)
{
	return (struct rng *)vd;
}

/* Up to LEN random bytes into the chain; how many. */
static uint32_t fill(const struct ring_chain *chain, uint32_t len)
{
	uint8_t piece[RNG_PIECE];
	uint32_t done = 0;
	while (done < len) {
		uint32_t part = len - done < sizeof(piece) ? len - done : sizeof(piece);
		ssize_t n = getrandom(piece, part, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += chain_write(chain, done, piece, (uint32_t)n);
	}
	return done;
}

static void serve(struct rng *rng, const struct ring_chain *chain)
{
	uint32_t len = chain->write_bytes < RNG_REQUEST_MAX ? chain->write_bytes : RNG_REQUEST_MAX;
	if (len == 0 || chain->nread > 0)
		vdev_guest_error(&rng->vd, "a request must be one writable buffer");
	uint64_t left = rate_bucket_tokens(&rng->bucket);
	uint32_t done = fill(chain, len < left ? len : (uint32_t)left);
	rate_bucket_take(&rng->bucket, done);
	ring_push(&rng->vd.queue[0].ring, chain->head, done);
}

static void rng_kick(struct vdev *vd, unsigned q)
{
	struct rng *rng = rng_of(vd);
	struct ring *r = &vd->queue[q].ring;
	struct ring_chain chain;
	struct iovec iov[RNG_QUEUE_SIZE];
	rate_bucket_fill(&rng->bucket, clock_now_ns());
	unsigned budget = RNG_QUEUE_SIZE;
	for (; budget > 0 && rate_bucket_tokens(&rng->bucket); budget--) {
		enum ring_result res = vdev_pop(vd, q, &chain, iov, RNG_QUEUE_SIZE);
		if (res == RING_EMPTY && ring_kick_enable(r))
			continue;
		if (res != RING_OK) {
			vdev_flush_used(vd, q);
			return;
		}
		serve(rng, &chain);
	}
	vdev_flush_used(vd, q);
	if (rate_bucket_tokens(&rng->bucket)) {
		vdev_kick_again(vd, q);
		return;
	}
	uint64_t wait = rate_bucket_wait_ns(&rng->bucket, RNG_QUANTUM);
	loop_timer_set(vd->loop, &rng->timer, clock_now_ns() + wait);
}

static void timer_expired(void *ctx)
{
	struct rng *rng = ctx;
	vdev_kick(&rng->vd, 0);
}

static void rng_destroy(struct vdev *vd)
{
	struct rng *rng = rng_of(vd);
	if (vd->loop)
		loop_timer_cancel(vd->loop, &rng->timer);
	vdev_fini(vd);
	free(rng);
}

static const struct vdev_ops rng_ops = {
        .name = "virtio-rng",
        .device_id = VIRTIO_ID_RNG,
        .kick = rng_kick,
        .destroy = rng_destroy,
};

vmm_err_t rng_create(uint64_t rate, uint64_t burst, struct vdev **out, vmm_err_info_t *ei)
{
	static const uint16_t sizes[] = {RNG_QUEUE_SIZE};
	*out = NULL;
	struct rng *rng = calloc(1, sizeof(*rng));
	if (!rng)
		return err_set(ei, VMM_E_NOMEM, "rng", "out of memory");
	rng->vd.ops = &rng_ops;
	(void)snprintf(rng->vd.id, sizeof(rng->vd.id), "rng");
	rng->timer = (struct loop_timer){.expired = timer_expired, .ctx = rng};
	rate_bucket_init(&rng->bucket, rate, burst, clock_now_ns());
	vmm_err_t err = vdev_init(&rng->vd, 1, sizes, ei);
	if (err) {
		rng_destroy(&rng->vd);
		return err;
	}
	*out = &rng->vd;
	return VMM_OK;
}

bool rng_is(const struct vdev *vd)
{
	return vd->ops == &rng_ops;
}
