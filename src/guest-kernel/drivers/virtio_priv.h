/*
 * What the files of virtio share: a transport, the registers of mmio (virtio 1.2, 4.2.2) and the
 * ring's layout (2.7).
 */
#ifndef GK_DRIVERS_VIRTIO_PRIV_H
#define GK_DRIVERS_VIRTIO_PRIV_H

#include "guest-kernel/drivers/virtio.h"

#define REG_MAGIC               0x000u
#define REG_VERSION             0x004u
#define REG_DEVICE_ID           0x008u
#define REG_DEVICE_FEATURES     0x010u
#define REG_DEVICE_FEATURES_SEL 0x014u
#define REG_DRIVER_FEATURES     0x020u
#define REG_DRIVER_FEATURES_SEL 0x024u
#define REG_QUEUE_SEL           0x030u
#define REG_QUEUE_SIZE_MAX      0x034u
#define REG_QUEUE_SIZE          0x038u
#define REG_QUEUE_READY         0x044u
#define REG_QUEUE_NOTIFY        0x050u
#define REG_INTERRUPT_STATUS    0x060u
#define REG_INTERRUPT_ACK       0x064u
#define REG_STATUS              0x070u
#define REG_QUEUE_DESC          0x080u
#define REG_QUEUE_DRIVER        0x090u
#define REG_QUEUE_DEVICE        0x0a0u
#define REG_CONFIG_GENERATION   0x0fcu
#define REG_CONFIG              0x100u

/* How a device's registers are reached. The core calls nothing else. */
struct virtio_transport {
	const char *place;
	uint32_t (*status)(const struct virtio_dev *dev);
	void (*set_status)(struct virtio_dev *dev, uint32_t status);
	uint64_t (*offered)(struct virtio_dev *dev);
	void (*accept)(struct virtio_dev *dev, uint64_t features);
	/* Selects queue I; its greatest size, 0 if it is not there or is in use. */
	uint32_t (*queue_max)(struct virtio_dev *dev, unsigned i);
	/* The selected queue, with its rings: ready. */
	bool (*queue_start)(struct virtio_dev *dev, struct virtq *q);
	/* Before the queues: how interrupts will come. Nothing is left of it in a device that is
	 * reset and not used. */
	bool (*prepare)(struct virtio_dev *dev);
	/* After them: interrupts call virtio_interrupt from now on. */
	bool (*connect)(struct virtio_dev *dev);
	void (*notify)(struct virtq *q);
	/* SIZE bytes, 1, 2 or 4, of the device's own config space. */
	uint32_t (*config)(const struct virtio_dev *dev, uint32_t offset, unsigned size);
	void (*set_config)(struct virtio_dev *dev, uint32_t offset, uint32_t value);
	uint32_t (*generation)(const struct virtio_dev *dev);
};

/* What an interrupt means: of the queues, or of the configuration and the device itself. */
#define VIRTIO_INTERRUPT_QUEUE  1u
#define VIRTIO_INTERRUPT_CONFIG 2u
void virtio_interrupt(struct virtio_dev *dev, uint32_t why);

#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER      2u
#define STATUS_DRIVER_OK   4u
#define STATUS_FEATURES_OK 8u
#define STATUS_NEEDS_RESET 64u
#define STATUS_FAILED      128u

#define DESC_F_NEXT        1u
#define DESC_F_WRITE       2u
#define DESC_F_INDIRECT    4u

struct vring_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct vring_avail {
	uint16_t flags, idx, ring[VIRTQ_SIZE_MAX];
	uint16_t used_event_room; /* used_event is behind the ring's real end */
};

struct vring_used_elem {
	uint32_t id, len;
};

struct vring_used {
	uint16_t flags, idx;
	struct vring_used_elem ring[VIRTQ_SIZE_MAX];
	uint16_t avail_event_room;
};

/* All in one page: 1,024 bytes of descriptors, 134 of avail, 518 of used. */
#define AVAIL_OFFSET 1024u
#define USED_OFFSET  2048u
_Static_assert(sizeof(struct vring_desc) * VIRTQ_SIZE_MAX <= AVAIL_OFFSET, "descriptors");
_Static_assert(AVAIL_OFFSET + sizeof(struct vring_avail) <= USED_OFFSET, "avail");
_Static_assert(USED_OFFSET + sizeof(struct vring_used) <= ARCH_PAGE_SIZE, "used");

static inline struct vring_desc *virtq_desc(const struct virtq *q)
{
	return (struct vring_desc *)q->page;
}

static inline struct vring_avail *virtq_avail(const struct virtq *q)
{
	return (struct vring_avail *)(q->page + AVAIL_OFFSET);
}

static inline struct vring_used *virtq_used(const struct virtq *q)
{
	return (struct vring_used *)(q->page + USED_OFFSET);
}

void virtq_reset(struct virtq *q);
void virtq_free_memory(struct virtq *q);

#endif
