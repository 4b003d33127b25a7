/*
 * virtio-net (virtio 1.2, 5.1) with as many pairs of queues as the device has, checksum and
 * segmentation offloads both ways and merged receive buffers, as far as it has them. Buffers are
 * the caller's: what carries the protocols offers memory to receive into, and gets it back filled;
 * what it sends goes to the device as it lies, and comes back when it is sent.
 */
#ifndef GK_DRIVERS_NIC_H
#define GK_DRIVERS_NIC_H

#include "guest-kernel/drivers/virtio.h"

#define NIC_HDR_BYTES      12u
#define NIC_SEGS_MAX       (VIRTQ_SEGS_MAX - 1u)
#define NIC_ETH_MIN        14u
#define NIC_SLOTS          VIRTQ_SIZE_MAX /* of a pair */
#define NIC_PAIRS_MAX      8u             /* a device with more is used with one */

#define NIC_F_CSUM         (1ull << 0)
#define NIC_F_GUEST_CSUM   (1ull << 1)
#define NIC_F_HOST_TSO4    (1ull << 11)
#define NIC_F_HOST_TSO6    (1ull << 12)

#define NIC_HDR_NEEDS_CSUM 1u
#define NIC_HDR_DATA_VALID 2u
#define NIC_GSO_TCPV4      1u
#define NIC_GSO_TCPV6      4u
#define NIC_GSO_ECN        0x80u

/* struct virtio_net_hdr_v1; little-endian, as is every machine that this runs on. */
struct nic_hdr {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};

struct nic_slot {
	struct nic_hdr hdr;
	struct nic_slot *next;
	void *cookie;
};

struct nic {
	struct virtio_dev dev;
	struct virtq queues[2 * NIC_PAIRS_MAX + 1]; /* receive, transmit, ...; control */
	unsigned pairs;
	struct nic_command {
		uint8_t class, cmd, pairs_le[2], ack;
	} command; /* the device's as well, until it has answered */
	uint8_t mac[6];
	bool link, merges;
	/* To send with; under the pair's transmit queue's lock. */
	struct nic_slot *slots, *idle[NIC_PAIRS_MAX];
	uint64_t received, received_bytes, sent, sent_bytes, dropped, bad;
	/* There is something to receive, or what was sent is done with, or the link has changed.
	 * In interrupt context. */
	void (*wake)(void *ctx);
	void *wake_ctx;
};

/* Takes DEV, which is copied, into use. False: nic->dev.why says what is wrong. Task context. */
bool nic_attach(struct nic *n, const struct virtio_dev *dev);
/* WAKE is called from now on. Task context. */
void nic_start(struct nic *n, void (*wake)(void *ctx), void *ctx);

/*
 * Receiving, by PAIR of queues below nic->pairs, as all that follows. Each buffer begins with room
 * for a header of NIC_HDR_BYTES and comes back by its COOKIE, with how many bytes were written.
 * False: no room, or a broken device.
 */
bool nic_offer(struct nic *n, unsigned pair, void *data, uint32_t len_bytes, void *cookie);
void *nic_receive(struct nic *n, unsigned pair, uint32_t *len_bytes);
/* How many buffers the frame takes that begins with HDR; 0: the device says nonsense. */
unsigned nic_frame_buffers(const struct nic *n, const struct nic_hdr *hdr, uint32_t len_bytes);
/* The device is told of new buffers, and asked for an interrupt. False: there is more already. */
bool nic_listen(struct nic *n, unsigned pair);

/*
 * Sending: at most NIC_SEGS_MAX pieces, which stay as they are until COOKIE comes back from
 * nic_sent. False: no room, or a broken device. A device gives back what belongs to a flow by the
 * pair that the flow was last sent by (5.1.6.5.6). One caller at a time.
 */
bool nic_send(struct nic *n, unsigned pair, const struct nic_hdr *hdr, const struct virtq_seg *segs,
              unsigned count, void *cookie);
/* The device is told of what was sent since. */
void nic_kick(struct nic *n, unsigned pair);
/* NULL: nothing more is done. */
void *nic_sent(struct nic *n, unsigned pair);
/* An interrupt when something has been sent. False: something has. */
bool nic_listen_sent(struct nic *n, unsigned pair);

/*
 * Resets the device for good. Then what it has not done comes back: buffers to receive into, and
 * what was to be sent; NULL: no more.
 */
void nic_stop(struct nic *n);
void *nic_recall(struct nic *n);
void *nic_recall_sent(struct nic *n);

#endif
