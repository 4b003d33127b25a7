/* virtio-rng. See rng.h. */
#include "devices/virtio/rng.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "vmm/clock.h"
#include "vmm/errset.h"

#define RNG_QUEUE_SIZE 64u
#define RNG_PIECE      256u /* getrandom gives up to 256 bytes whole, whatever signals come */
/* After a drought, wait for this much, so that a starved queue is not served byte by byte. */
#define RNG_QUANTUM 256u

struct rng {
	struct vdev vd;
	struct rng_bucket bucket;
	struct loop_timer timer;
};

static struct rng *rng_of(struct vdev *vd)
{
	return (struct rng *)vd;
}

void rng_bucket_fill(struct rng_bucket *b, uint64_t now_ns)
{
	uint64_t elapsed = now_ns - b->filled_ns;
	uint64_t seconds = elapsed / NS_PER_SECOND;
	/* A full bucket has no use for more; the bound also keeps the products in range. */
	if (seconds > b->burst / b->rate) {
		b->tokens = b->burst;
		b->filled_ns = now_ns;
		return;
	}
	uint64_t added = seconds * b->rate + elapsed % NS_PER_SECOND * b->rate / NS_PER_SECOND;
	if (added == 0)
		return; /* the time counts on until it is worth a byte */
	b->filled_ns = now_ns;
	b->tokens = added < b->burst - b->tokens ? b->tokens + added : b->burst;
}

uint64_t rng_bucket_wait_ns(const struct rng_bucket *b, uint64_t wanted)
{
	if (wanted > b->burst)
		wanted = b->burst;
	if (wanted <= b->tokens)
		return 0;
	uint64_t missing = wanted - b->tokens;
	uint64_t seconds = missing / b->rate;
	return seconds * NS_PER_SECOND +
	       (missing % b->rate * NS_PER_SECOND + b->rate - 1) / b->rate;
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
	if (len > rng->bucket.tokens)
		len = (uint32_t)rng->bucket.tokens;
	uint32_t done = fill(chain, len);
	rng->bucket.tokens -= done;
	ring_push(&rng->vd.queue[0].ring, chain->head, done);
}

static void rng_kick(struct vdev *vd, unsigned q)
{
	struct rng *rng = rng_of(vd);
	struct ring *r = &vd->queue[q].ring;
	struct ring_chain chain;
	struct iovec iov[RNG_QUEUE_SIZE];
	rng_bucket_fill(&rng->bucket, clock_now_ns());
	unsigned budget = RNG_QUEUE_SIZE;
	for (; budget > 0 && rng->bucket.tokens > 0; budget--) {
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
	if (rng->bucket.tokens > 0) {
		vdev_kick_again(vd, q);
		return;
	}
	uint64_t wait = rng_bucket_wait_ns(&rng->bucket, RNG_QUANTUM);
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
	rng->bucket = (struct rng_bucket){
	        .rate = rate < UINT32_MAX ? rate : UINT32_MAX,
	        .burst = burst,
	        .tokens = burst,
	        .filled_ns = clock_now_ns(),
	};
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
