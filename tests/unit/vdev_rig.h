/*
 * A virtio device on a bench: its memory, its loop, and the driver's side of its queues. net_rig.h
 * and blk_rig.h put a device on it. Aborts on what can only be a mistake of the rig itself.
 */
#ifndef TESTS_UNIT_VDEV_RIG_H
#define TESTS_UNIT_VDEV_RIG_H

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "devices/virtio/dev.h"

#define RIG_MEMORY     (16ull << 20)
#define RIG_QUEUES     17u
#define RIG_QUEUE_BASE 0x10000ull /* descriptors; rings follow */
#define RIG_QUEUE_STEP 0x8000ull
#define RIG_DATA       0x200000ull /* free for buffers from here on */

struct rig_queue {
	uint16_t size;
	uint16_t next_desc; /* descriptors are handed out in turn */
	uint16_t used_seen;
};

struct rig {
	struct gmem *gm;
	struct loop *loop;
	struct log log;
	struct vdev *vd;
	struct rig_queue q[RIG_QUEUES];
	unsigned used_signals[RIG_QUEUES];
	unsigned config_signals;
	unsigned lines; /* of the log */
	/* The driver's handler of interrupts for queues, or NULL; on the loop, the device's lock
	 * held. */
	void (*interrupted)(struct rig *rig);

	/* net_rig.c */
	struct vmm_net *net;
	struct rig_backend *be;
	unsigned destroyed;
};

/* One segment of a chain. */
struct seg {
	uint64_t addr;
	uint32_t len;
	bool write;
};

/* Give VD its surroundings; RIG is zeroed before. */
void rig_attach(struct rig *rig, struct vdev *vd);
/* The same for a device that was made on LOOP, which the rig owns from here on. */
void rig_attach_on(struct rig *rig, struct vdev *vd, struct loop *loop);
/* Destroy the device and what is around it. */
void rig_close(struct rig *rig);

/* The driver's part: agree to FEATURES (VERSION_1 is added), describe all queues, DRIVER_OK. */
void rig_start(struct rig *rig, uint64_t features);
void rig_reset(struct rig *rig);

/* Make a chain available, without notification. Returns its head. */
uint16_t rig_add(struct rig *rig, unsigned q, const struct seg *segs, unsigned n);
/* Notify the device of queue Q and let its loop run. */
void rig_kick(struct rig *rig, unsigned q);
/* Let the loop run until it has nothing to do. */
void rig_run(struct rig *rig);
/* The next used element; false if there is none. */
bool rig_used(struct rig *rig, unsigned q, uint16_t *head, uint32_t *len);

struct vring_desc *rig_desc(struct rig *rig, unsigned q);
struct vring_avail *rig_avail(struct rig *rig, unsigned q);
struct vring_used *rig_used_ring(struct rig *rig, unsigned q);
void *rig_mem(struct rig *rig, uint64_t addr, uint64_t len);

/* Ends the program unless OK; WHAT and errno say why. */
void rig_must(bool ok, const char *what);

static inline uint8_t rig_byte(uint32_t i, uint8_t seed)
{
	return (uint8_t)(i * 7 + (i >> 8) + seed);
}

#endif
