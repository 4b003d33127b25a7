/*
 * A network card on a bench: its memory, its loop, the driver's side of its queues, and a backend
 * whose far end the test holds. Used by test_net*.c and by the fuzz target; aborts on what can only
 * be a mistake of the rig itself.
 */
#ifndef TESTS_UNIT_NET_RIG_H
#define TESTS_UNIT_NET_RIG_H

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "devices/virtio/net.h"
#include "devices/virtio/net_priv.h"
#include "net/backend/backend.h"

#define RIG_MEMORY     (16ull << 20)
#define RIG_QUEUES     (2 * NET_BACKEND_QUEUES_MAX + 1)
#define RIG_QUEUE_BASE 0x10000ull /* descriptors; rings follow */
#define RIG_QUEUE_STEP 0x8000ull
#define RIG_DATA       0x200000ull /* free for buffers from here on */
#define RIG_HDR        ((uint32_t)sizeof(struct virtio_net_hdr_v1))

struct rig_queue {
	uint16_t size;
	uint16_t next_desc; /* descriptors are handed out in turn */
	uint16_t used_seen;
};

/* The backend: each queue one end of a SOCK_SEQPACKET pair. */
struct rig_backend {
	struct net_backend b;
	int peer[NET_BACKEND_QUEUES_MAX];
	bool on[NET_BACKEND_QUEUES_MAX];
	bool refuse; /* set_queue fails */
	bool link;
	uint32_t offloads; /* last set */
	unsigned *destroyed;
};

struct rig {
	struct gmem *gm;
	struct loop *loop;
	struct log log;
	struct vdev *vd;
	struct vmm_net *net;
	struct rig_backend *be;
	struct rig_queue q[RIG_QUEUES];
	unsigned used_signals[RIG_QUEUES];
	unsigned config_signals;
	unsigned lines; /* of the log */
	unsigned destroyed;
};

/* One segment of a chain. */
struct seg {
	uint64_t addr;
	uint32_t len;
	bool write;
};

/* A card with PAIRS queue pairs, not yet started by a driver. Queues have SIZE entries. */
void rig_open(struct rig *rig, unsigned pairs, uint16_t size, bool offloads);
/* The same on a backend of somebody else's; rig->be is NULL then. */
void rig_open_on(struct rig *rig, struct net_backend *b, uint16_t size);
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

/* A frame from the far end: header of zeros, then LEN bytes that depend on SEED. */
void rig_inject(struct rig *rig, unsigned pair, uint32_t len, uint8_t seed);
/* What the card sent, with its header; -1: nothing. */
int rig_sent(struct rig *rig, unsigned pair, uint8_t *buf, unsigned len);

static inline uint8_t rig_byte(uint32_t i, uint8_t seed)
{
	return (uint8_t)(i * 7 + (i >> 8) + seed);
}

#endif
