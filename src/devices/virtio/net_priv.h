/*
 * Inside virtio-net: its state, and what net.c, net_rx.c, net_tx.c and net_ctrl.c call of each
 * other. Everything is called with the card's lock held, on the loop's thread except where noted.
 */
#ifndef SRC_DEVICES_VIRTIO_NET_PRIV_H
#define SRC_DEVICES_VIRTIO_NET_PRIV_H

#include <linux/virtio_net.h>

#include "devices/rate.h"
#include "devices/virtio/net.h"

/*
 * A receive buffer has at most NET_RX_SEGS_BUF segments, and buffers are collected up to
 * NET_RX_SEGS_HELD segments, so that one more always fits. One entry is for the stash.
 */
#define NET_RX_SEGS_MAX  1024u /* IOV_MAX of Linux */
#define NET_RX_SEGS_HELD 512u
#define NET_RX_SEGS_BUF  (NET_RX_SEGS_MAX - NET_RX_SEGS_HELD - 1)

/* The largest frame with its header: 64 KiB of segment, Ethernet header, a VLAN tag. */
#define NET_FRAME_MAX (NET_VNET_HDR_BYTES + 65536u + 14u + 4u)

/* A receive buffer that was taken from the ring and not used up yet. */
struct net_rx_buf {
	uint16_t head;
	uint16_t segs;
	uint32_t bytes;
};

/*
 * Reception. Buffers are taken from the ring once, checked, and held here as one array of segments
 * for readv. How many are held follows the size of recent frames; what does not fit lands in the
 * stash behind them and is copied from there.
 */
struct net_rx {
	struct iovec iov[NET_RX_SEGS_MAX];
	struct net_rx_buf buf[NET_RX_SEGS_MAX];
	unsigned iov_head, iov_tail; /* segments held: iov[iov_head .. iov_tail) */
	unsigned buf_head, buf_tail;
	uint32_t bytes;          /* room in the buffers held */
	uint32_t goal;           /* room that the next frame should find */
	uint32_t pending;        /* length of a frame that waits for more buffers, or 0 */
	uint32_t pending_direct; /* as much of it is in the buffers; the rest is in the stash */
	uint8_t stash[NET_FRAME_MAX];
};

struct net_pair {
	struct vmm_net *net;
	unsigned index;
	struct loop_source source; /* the backend's descriptor, level triggered */
	uint32_t watched;          /* EPOLL* that it is watched for */
	unsigned burst;            /* frames that the next reception may find at once */
	bool rx_starved;           /* until the driver gives buffers */
	bool rx_late;              /* until the rate allows more */
	bool tx_late;
	bool rx_more;    /* reception is to go on */
	bool tx_more;    /* transmission is to go on */
	bool tx_blocked; /* until the descriptor is writable */
	struct net_rx rx;
};

struct vmm_net {
	struct vdev vd;
	struct net_backend *backend;
	struct virtio_net_config config;
	uint8_t mac[6]; /* as created; config.mac is the driver's choice */
	bool link_up;
	bool backend_failed; /* said once */
	bool mrg;            /* VIRTIO_NET_F_MRG_RXBUF agreed */
	uint32_t offloads;   /* NET_OFFLOAD_* that the driver agreed to */
	unsigned pairs;      /* in use: pair[0 .. pairs) */
	unsigned pair_count;
	unsigned ctrl_queue; /* 0: none */
	bool ctrl_more;      /* commands are left for later */
	uint64_t signals;    /* queues whose interrupt is due: bit q */
	int pcap_fd;         /* or -1 */
	struct loop_task work;
	struct rate rx_rate;
	struct rate tx_rate;
	struct loop_timer due; /* when the earlier of them lets a pair go on */
	struct net_stats stats;
	struct iovec iov[RING_SIZE_MAX]; /* of the chain at hand: transmit and control */
	struct net_pair pair[];
};

static inline struct vmm_net *net_of(struct vdev *vd)
{
	return (struct vmm_net *)vd;
}

/* Active, and the driver has broken no rule. */
static inline bool net_usable(const struct vmm_net *net)
{
	return net->vd.active && !(net->vd.status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* net.c: does RATE let another frame pass? If not, the pair is run again when it does. */
bool net_in_rate(struct vmm_net *net, struct rate *rate);
/* net.c: run the pairs' rx_more and tx_more on the loop. Any thread. */
void net_post(struct vmm_net *net);
/* Make what was put into queue Q's used ring visible; the interrupt follows with net_signal. */
void net_publish(struct vmm_net *net, unsigned q);
/* One interrupt for all that was published. */
void net_signal(struct vmm_net *net);
/* Use PAIRS pairs from now on. False: the backend cannot. Any thread. */
bool net_set_pairs(struct vmm_net *net, unsigned pairs);
/* NET_OFFLOAD_* of the VIRTIO_NET_F_GUEST_* bits in FEATURES that make sense together. */
uint32_t net_guest_offloads(uint64_t features);
/* The backend's descriptor fails for good: say so once. */
void net_backend_failed(struct vmm_net *net, const char *what, int errnum);

/* net_rx.c: receive until there is no frame, no buffer, or the budget is spent. */
void net_rx_run(struct net_pair *p);
/* Forget held buffers and a waiting frame. Any thread. */
void net_rx_forget(struct net_pair *p);
/* Throw away the frames that wait in the backend. Any thread. */
void net_rx_drain(struct vmm_net *net, unsigned q);

/* net.c: record LEN bytes, header included, of a frame. */
void net_capture(struct vmm_net *net, const struct iovec *iov, unsigned count, size_t len);

/* net_tx.c: send what the driver made available, until the budget is spent. */
void net_tx_run(struct net_pair *p);

/* net_ctrl.c: answer the commands of the control queue. */
void net_ctrl_run(struct vmm_net *net);

#endif
