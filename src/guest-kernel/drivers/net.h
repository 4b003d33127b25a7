/*
 * virtio-net (virtio 1.2, 5.1) with one pair of queues and no offloads: whole Ethernet frames in,
 * whole frames out. What carries the protocols sits on net->receive.
 */
#ifndef GK_DRIVERS_NET_H
#define GK_DRIVERS_NET_H

#include "guest-kernel/drivers/virtio.h"

#define NET_FRAME_MAX 1514u
#define NET_BUFFERS   32u

struct net_buffer;

struct net {
	struct virtio_dev dev;
	struct virtq queues[2]; /* receive, transmit */
	uint8_t mac[6];
	bool link;
	struct net_buffer *buffers; /* NET_BUFFERS of each */
	struct work more;           /* of a device that receives faster than one interrupt takes */
	struct list idle;           /* to send with; under the transmit queue's lock */
	uint64_t received, received_bytes, sent, sent_bytes, dropped, bad;
	/* A frame has come; it is gone after the call. In interrupt context. NULL: dropped. */
	void (*receive)(void *ctx, const uint8_t *frame, size_t len);
	void *receive_ctx;
};

/* Takes DEV, which is copied, into use. False: net->dev.why says what is wrong. Task context. */
bool net_attach(struct net *n, const struct virtio_dev *dev);
/* Copies the frame. False: too long or too short, no room, or a broken device. Any context. */
bool net_send(struct net *n, const uint8_t *frame, size_t len);

#endif
