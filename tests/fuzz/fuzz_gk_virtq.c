/*
 * A virtio device that answers the guest kernel with any used ring at all: the driver may call it
 * broken, but must not take what it was not given back, nor touch what is not its own.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest-kernel/arch/hosted/hosted.h"
#include "guest-kernel/drivers/virtio_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define QUEUE 16u

struct input {
	const uint8_t *data;
	size_t left;
	uint32_t status, features, features_sel; /* features: of the low half */
	struct virtio_dev dev;
	struct virtq q;
	bool given[64];
	uint8_t *buffers;
};

static uint32_t device_read(void *ctx, uint32_t offset, unsigned size)
{
	const struct input *in = ctx;
	(void)size;
	switch (offset) {
	case REG_MAGIC:
		return 0x74726976;
	case REG_VERSION:
		return 2;
	case REG_DEVICE_ID:
		return VIRTIO_ID_RNG;
	case REG_DEVICE_FEATURES:
		return in->features_sel ? UINT32_MAX : in->features;
	case REG_QUEUE_SIZE_MAX:
		return QUEUE;
	case REG_STATUS:
		return in->status;
	default:
		return 0;
	}
}

static void device_write(void *ctx, uint32_t offset, unsigned size, uint32_t value)
{
	struct input *in = ctx;
	(void)size;
	if (offset == REG_STATUS)
		in->status = value;
	else if (offset == REG_DEVICE_FEATURES_SEL)
		in->features_sel = value;
}

static uint32_t next(struct input *in)
{
	uint32_t v = 0;
	size_t n = in->left < 2 ? in->left : 2;
	memcpy(&v, in->data, n);
	in->data += n;
	in->left -= n;
	return v;
}

static void add(struct input *in)
{
	uint32_t shape = next(in);
	struct virtq_seg segs[4];
	unsigned count = 1 + shape % 4, at = 0;
	while (at < 64 && in->given[at])
		at++;
	if (at == 64)
		return;
	for (unsigned i = 0; i < count; i++)
		segs[i] =
		        (struct virtq_seg){in->buffers + 64 * at, 1 + shape % 64, shape >> i & 16};
	if (virtq_add(&in->q, segs, count, in->buffers + 64 * at))
		in->given[at] = true;
	virtq_kick(&in->q);
}

static void answer(struct input *in)
{
	struct vring_used *used = virtq_used(&in->q);
	uint32_t slot = next(in) % QUEUE;
	used->ring[slot].id = next(in) % (QUEUE + 2);
	used->ring[slot].len = next(in) % 300;
	used->idx = (uint16_t)(used->idx + next(in) % 3);
}

static void take(struct input *in)
{
	uint32_t written = 0;
	uint8_t *cookie = virtq_take(&in->q, &written);
	if (!cookie)
		return;
	size_t at = (size_t)(cookie - in->buffers) / 64;
	if (at >= 64 || !in->given[at] || written > 4 * 64)
		abort();
	in->given[at] = false;
}

/* Between quiet and listen the device is asked for nothing; what it has done meanwhile is found. */
static void rest(struct input *in)
{
	virtq_quiet(&in->q);
	if (next(in) & 1)
		answer(in);
	(void)virtq_listen(&in->q);
}

/* What was never answered comes back, each once. */
static void recall(struct input *in)
{
	const uint8_t *cookie;
	virtio_stop(&in->dev);
	while ((cookie = virtq_recall(&in->q))) {
		size_t at = (size_t)(cookie - in->buffers) / 64;
		if (at >= 64 || !in->given[at])
			abort();
		in->given[at] = false;
	}
	for (unsigned at = 0; at < 64; at++)
		if (in->given[at])
			abort();
	if (in->q.free_count != in->q.size || in->q.in_flight != 0)
		abort();
}

static void on_queue(struct virtio_dev *dev, struct virtq *q)
{
	(void)dev;
	(void)q;
}

static void body(void *arg)
{
	struct input *in = arg;
	if (!virtio_probe(kernel_of_cpu()->boot, 0, &in->dev))
		abort();
	in->dev.on_queue = on_queue;
	in->buffers = mem_alloc(64 * 64);
	if (!in->buffers || !virtio_agree(&in->dev, 0) || !virtio_go(&in->dev, &in->q, 1, QUEUE))
		abort();
	(void)arch_irq_save();
	while (in->left > 0 && !in->dev.broken) {
		switch (next(in) % 8) {
		case 0:
		case 1:
		case 4:
			add(in);
			break;
		case 2:
		case 6:
			answer(in);
			break;
		case 5:
			rest(in);
			break;
		default:
			take(in);
			break;
		}
		if (in->q.free_count > in->q.size || in->q.in_flight > in->q.size)
			abort();
	}
	recall(in);
	arch_irq_on();
	/* As virtio_go does where a later queue has no memory. */
	virtq_free_memory(&in->q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct input in;
	in = (struct input){.data = data, .left = size};
	/* With or without event index and indirect descriptors. */
	in.features = next(&in) << 28;
	struct hosted_device window = {
	        .base = 0xd0000000,
	        .len_bytes = 0x1000,
	        .gsi = 5,
	        .ctx = &in,
	        .read = device_read,
	        .write = device_write,
	};
	struct hosted_opts opts = {
	        .virtual_clock = true,
	        .memory_bytes = 4 << 20,
	        .devices = &window,
	        .device_count = 1,
	};
	if (hosted_run(&opts, body, &in) != HOSTED_POWER_OFF)
		abort();
	return 0;
}
