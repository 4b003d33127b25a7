/*
 * A network card on a bench (vdev_rig.h), with a backend whose far end the test holds. Used by
 * test_net*.c and by the fuzz target.
 */
#ifndef TESTS_UNIT_NET_RIG_H
#define TESTS_UNIT_NET_RIG_H

#include <linux/virtio_net.h>

#include "devices/virtio/net.h"
#include "devices/virtio/net_priv.h"
#include "net/backend/backend.h"
#include "vdev_rig.h"

#define RIG_HDR ((uint32_t)sizeof(struct virtio_net_hdr_v1))

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

/* A card with PAIRS queue pairs, not yet started by a driver. Queues have SIZE entries. */
void rig_open(struct rig *rig, unsigned pairs, uint16_t size, bool offloads);
/* The same on a backend of somebody else's; rig->be is NULL then. */
void rig_open_on(struct rig *rig, struct net_backend *b, uint16_t size);

/* A frame from the far end: header of zeros, then LEN bytes that depend on SEED. */
void rig_inject(struct rig *rig, unsigned pair, uint32_t len, uint8_t seed);
/* What the card sent, with its header; -1: nothing. */
int rig_sent(struct rig *rig, unsigned pair, uint8_t *buf, unsigned len);

#endif
