/*
 * A virtio-mmio driver (virtio 1.2, 4.2) for test guests. It keeps nothing from the tests: they may
 * write any descriptor and any index themselves.
 */
#ifndef TESTS_INTEGRATION_RT_VIRTIO_H
#define TESTS_INTEGRATION_RT_VIRTIO_H

#include "rt.h"

#define VIRTIO_ID_NET          1u
#define VIRTIO_ID_BLOCK        2u
#define VIRTIO_ID_CONSOLE      3u
#define VIRTIO_ID_RNG          4u
#define VIRTIO_ID_BALLOON      5u

#define REG_MAGIC              0x000u
#define REG_VERSION            0x004u
#define REG_DEVICE_ID          0x008u
#define REG_DEVICE_FEATURES    0x010u
#define REG_DEVICE_SEL         0x014u
#define REG_DRIVER_FEATURES    0x020u
#define REG_DRIVER_SEL         0x024u
#define REG_QUEUE_SEL          0x030u
#define REG_QUEUE_SIZE_MAX     0x034u
#define REG_QUEUE_SIZE         0x038u
#define REG_QUEUE_READY        0x044u
#define REG_QUEUE_NOTIFY       0x050u
#define REG_INTERRUPT_STATUS   0x060u
#define REG_INTERRUPT_ACK      0x064u
#define REG_STATUS             0x070u
#define REG_QUEUE_DESC         0x080u
#define REG_QUEUE_DRIVER       0x090u
#define REG_QUEUE_DEVICE       0x0a0u
#define REG_GENERATION         0x0fcu
#define REG_CONFIG             0x100u

#define STATUS_ACKNOWLEDGE     1u
#define STATUS_DRIVER          2u
#define STATUS_DRIVER_OK       4u
#define STATUS_FEATURES_OK     8u
#define STATUS_NEEDS_RESET     64u
#define STATUS_FAILED          128u

#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_EVENT_IDX     (1ull << 29)
#define VIRTIO_F_VERSION_1     (1ull << 32)

#define DESC_NEXT              1u
#define DESC_WRITE             2u
#define DESC_INDIRECT          4u

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

#define VQ_SIZE 16u

struct vq {
	struct desc desc[VQ_SIZE] __attribute__((aligned(4096)));
	struct {
		uint16_t flags;
		uint16_t idx;
		uint16_t ring[VQ_SIZE];
		uint16_t used_event;
	} avail;
	struct {
		uint16_t flags;
		uint16_t idx;
		struct {
			uint32_t id;
			uint32_t len;
		} ring[VQ_SIZE];
		uint16_t avail_event;
	} used __attribute__((aligned(4096)));
	uint16_t used_seen; /* the driver's own */
	unsigned index;
	uint64_t base;
};

#define VIRTIO_QUEUES_MAX 8u

struct virtio {
	uint64_t base;
	unsigned slot;
	uint64_t features; /* agreed */
	unsigned queue_count;
	struct vq *vq;
};

static inline uint32_t reg(const struct virtio *dev, uint32_t offset)
{
	return mmio_read32(dev->base + offset);
}

static inline void set_reg(const struct virtio *dev, uint32_t offset, uint32_t value)
{
	mmio_write32(dev->base + offset, value);
}

/* The NTH device with that id, reset. False: there is none. */
bool virtio_find(struct virtio *dev, uint32_t id, unsigned nth);
/* Reset and wait until the device says so. */
bool virtio_reset(struct virtio *dev);
/* Up to FEATURES_OK with those of WANTED that the device offers (and VERSION_1). */
bool virtio_features(struct virtio *dev, uint64_t wanted);
/* Give queue I the size VQ_SIZE (or its maximum) and cleared rings. */
bool virtio_queue(struct virtio *dev, unsigned i);
/* All of it: reset, features, QUEUES queues, DRIVER_OK. */
bool virtio_start(struct virtio *dev, uint64_t wanted, unsigned queues, struct vq *vqs);
bool virtio_needs_reset(const struct virtio *dev);

/* Fill descriptor I. */
void vq_desc(struct vq *q, unsigned i, const void *addr, uint32_t len, uint16_t flags,
             uint16_t next);
/* Make the chain that starts at HEAD available; then tell the device. */
void vq_offer(struct vq *q, uint16_t head);
void vq_kick(struct vq *q);
/* Wait for one more used entry; its length goes to *LEN (may be NULL). False: none came. */
bool vq_wait(struct vq *q, uint32_t *len);
bool vq_wait_for(struct vq *q, uint32_t *len, uint64_t ticks);

/*
 * The rules of rings, broken one by one on queue QUEUE of the device with id ID. After each the
 * device must come back by a reset; GOOD then makes one correct request with it and says whether
 * it was answered. PREPARE may be NULL: it is called on the started device before the break.
 */
struct ring_abuse {
	uint32_t id;
	uint64_t features;
	unsigned queues;
	unsigned queue;
	bool (*good)(struct virtio *dev);
};
void ring_abuse_all(const struct ring_abuse *a);
/* The rules of the transport, broken on the same device. */
void transport_abuse_all(const struct ring_abuse *a);

/* Wait until chain HEAD came back or the device asks for a reset: it did something about it. */
bool abuse_settled(struct virtio *dev, struct vq *q);
/* Reset and start the device anew, and let it answer a good request. */
void abuse_recovers(const struct ring_abuse *a, struct virtio *dev, const char *name);

#endif
