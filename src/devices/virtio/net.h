/*
 * virtio-net: a network card (virtio 1.2, 5.1) in front of a backend. Frames go straight between
 * the guest's buffers and the backend's descriptor; the header in front of each is the guest's own.
 */
#ifndef SRC_DEVICES_VIRTIO_NET_H
#define SRC_DEVICES_VIRTIO_NET_H

#include "devices/virtio/dev.h"
#include "net/backend/backend.h"
#include "vmm/net.h"

struct net_opts {
	uint8_t mac[6];
	uint16_t mtu; /* 0: not told */
	uint16_t queue_size;
	bool offloads; /* offer checksum and segmentation offloads */
	bool link_up;
	/* Of frames to the guest, and from it; which rate_check passed. NULL: no limit. */
	const vmm_rate_t *rx_rate;
	const vmm_rate_t *tx_rate;
	int pcap_fd; /* what passes the card is recorded there (net/pcap.h), owned by it; or -1 */
};

/* What one card did. Under the card's lock. */
struct net_stats {
	uint64_t rx_frames;
	uint64_t rx_bytes; /* without headers */
	uint64_t rx_dropped;
	uint64_t tx_frames;
	uint64_t tx_bytes;
	uint64_t tx_dropped;
};

/*
 * Make the card number INDEX on backend B, with one queue pair for each of the backend's queues.
 * Takes B over, also on failure.
 */
VMM_WARN_UNUSED vmm_err_t net_create(const struct net_opts *opts, unsigned index,
                                     struct net_backend *b, struct vdev **out, vmm_err_info_t *ei);

/* Is VD a card that net_create made? */
bool net_is(const struct vdev *vd);

struct net_stats net_stats(struct vmm_net *net);

/* The address of card INDEX of the VM called NAME: always the same, unicast, locally administered.
 */
void net_derive_mac(const char *name, unsigned index, uint8_t mac[6]);

#endif
