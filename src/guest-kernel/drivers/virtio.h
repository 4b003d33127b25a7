/*
 * virtio, the driver's side (virtio 1.2, 2.7), over mmio (4.2) and PCI (4.1): split rings with
 * event index and indirect descriptors. The device is not trusted: what it says of used elements,
 * lengths and indices is checked against what was asked; a device that lies is stopped and stays
 * so.
 *
 * A queue is used under its lock. Its interrupt comes to the device's on_queue, in interrupt
 * context.
 */
#ifndef GK_DRIVERS_VIRTIO_H
#define GK_DRIVERS_VIRTIO_H

#include "guest-kernel/drivers/pci.h"

#define VIRTIO_ID_NET          1u
#define VIRTIO_ID_BLOCK        2u
#define VIRTIO_ID_CONSOLE      3u
#define VIRTIO_ID_RNG          4u
#define VIRTIO_ID_BALLOON      5u

#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_EVENT_IDX     (1ull << 29)
#define VIRTIO_F_VERSION_1     (1ull << 32)

#define VIRTQ_SIZE_MAX         64u /* a queue lies in one page */
#define VIRTQ_SEGS_MAX         20u

struct virtq;

struct virtio_transport;

/* Where a device on PCI has its registers (4.1.4). */
struct virtio_pci_place {
	struct pci_dev dev;
	const struct arch_pci *bus;
	volatile void *common, *isr, *notify, *config;
	uint32_t notify_bytes, notify_multiplier, config_bytes;
	bool msix;
};

struct virtio_dev {
	const struct virtio_transport *transport;
	volatile void *regs; /* of a device on mmio */
	struct virtio_pci_place pci;
	uint32_t slot; /* of the machine's list, or of the PCI bus */
	uint32_t gsi, id;
	bool level;
	uint64_t features; /* agreed */
	bool broken;       /* it is not used any more */
	bool settled;      /* and the driver has been told */
	bool stopped;      /* and it has been reset: what it was given is not its any more */
	const char *why;   /* what it did wrong */
	unsigned queue_count;
	struct virtq *queues;
	/* Buffers of QUEUE may have been used. */
	void (*on_queue)(struct virtio_dev *dev, struct virtq *queue);
	void (*on_config)(struct virtio_dev *dev); /* or NULL */
	/* The device has failed: nothing that waits for it will be answered. Interrupts are off, no
	 * lock of the queues is held. Once; or NULL, where nobody waits. */
	void (*on_broken)(struct virtio_dev *dev);
	void *driver;
	uint64_t interrupts;
};

/* One piece of a request, in memory of arch_ram. */
struct virtq_seg {
	void *data;
	uint32_t len_bytes;
	bool device_writes;
};

struct virtq_slot {
	void *cookie; /* NULL: free */
	uint32_t writable_bytes;
	uint16_t descs; /* of the ring; an indirect table takes one */
	uint16_t next_free;
};

struct virtq {
	struct virtio_dev *dev;
	struct spinlock lock;
	uint16_t index, size;
	uint32_t notify_at; /* of the device's notify area, on PCI */
	uint16_t avail_idx, kicked_idx, used_seen, free_head, free_count, in_flight;
	uint8_t *page, *tables; /* rings; indirect tables, or NULL */
	struct virtq_slot slot[VIRTQ_SIZE_MAX];
	uint64_t kicks, requests;
};

/* Looks at window SLOT; false if there is no device of version 2 in it. DEV is filled in and reset.
 */
bool virtio_probe(const struct arch_boot *boot, unsigned slot, struct virtio_dev *dev);
/* The same for function DEVFN of the PCI bus. */
bool virtio_pci_probe(const struct arch_boot *boot, unsigned devfn, struct virtio_dev *dev);
/* "net", "blk", ... */
const char *virtio_name(uint32_t id);
/* "slot", "PCI slot": what dev->slot counts. */
const char *virtio_place(const struct virtio_dev *dev);
/* Agrees to those of WANTED that are offered, and VERSION_1, event index, indirect descriptors. */
bool virtio_agree(struct virtio_dev *dev, uint64_t wanted);
/*
 * Makes COUNT queues of at most SIZE entries, connects the interrupt, tells the device to go.
 * False: dev->why says what is missing; the device is reset.
 */
bool virtio_go(struct virtio_dev *dev, struct virtq *queues, unsigned count, unsigned size);
/*
 * The device is at fault: from here on it is given nothing more, and nothing is taken from it. Any
 * context, under any lock; whoever may have caused this calls virtio_settle when it holds no lock
 * of the device's queues.
 */
void virtio_fail(struct virtio_dev *dev, const char *why);
/*
 * If the device has failed, and this is the first to find it: resets it, says so on the console,
 * and tells the driver (on_broken). Any context; no lock of the device's is held.
 */
void virtio_settle(struct virtio_dev *dev);
/* Resets the device; it is not used any more. Task context. */
void virtio_stop(struct virtio_dev *dev);
/* A field of the device's configuration, by an access as wide as it is (virtio 1.2, 4.1.3.1 and
 * 4.2.2.2); one of 64 bits by two, both halves of one state. */
uint8_t virtio_config8(const struct virtio_dev *dev, uint32_t offset);
uint16_t virtio_config16(const struct virtio_dev *dev, uint32_t offset);
uint32_t virtio_config32(const struct virtio_dev *dev, uint32_t offset);
uint64_t virtio_config64(const struct virtio_dev *dev, uint32_t offset);
void virtio_config_set32(struct virtio_dev *dev, uint32_t offset, uint32_t value);
static inline bool virtio_has(const struct virtio_dev *dev, uint64_t feature)
{
	return dev->features & feature;
}

/* The lock is held for all of these. */

/* False when the ring is full, or the device is broken. COOKIE is not NULL and comes back. */
bool virtq_add(struct virtq *q, const struct virtq_seg *segs, unsigned count, void *cookie);
/* Tells the device of what was added, if it wants to be told. */
void virtq_kick(struct virtq *q);
/*
 * The next request that the device is done with: its cookie, and how many bytes the device says it
 * has written, at most what it could. NULL: none.
 */
void *virtq_take(struct virtq *q, uint32_t *written);
/* Of a device that is not used any more: the cookie of a request that was never answered, or NULL.
 */
void *virtq_recall(struct virtq *q);
/* No interrupt until virtq_listen. */
void virtq_quiet(struct virtq *q);
/* An interrupt for the next used buffer; false: there is one already, take it first. */
bool virtq_listen(struct virtq *q);

#endif
