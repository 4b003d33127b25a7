/*
 * What a network card is plugged into. A backend is a set of queues, and each queue is a
 * nonblocking descriptor: one readv takes one frame, one writev sends one, both with the 12-byte
 * header of virtio 1.2, 5.1.6 (struct virtio_net_hdr_v1, little-endian) in front. The card reads
 * and writes the descriptors itself, so that the kernel copies straight between guest memory and
 * the frame; the operations here are for what is rare.
 *
 * All operations are called with the card's lock held.
 */
#ifndef SRC_NET_BACKEND_BACKEND_H
#define SRC_NET_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/err.h"

#define NET_BACKEND_QUEUES_MAX 8u
#define NET_VNET_HDR_BYTES     12u

/* What the backend may leave to the receiver of its frames. */
#define NET_OFFLOAD_CSUM (1u << 0) /* checksums left to be filled in */
#define NET_OFFLOAD_TSO4 (1u << 1) /* TCP segments of up to 64 KiB; needs CSUM */
#define NET_OFFLOAD_TSO6 (1u << 2)
#define NET_OFFLOAD_ECN  (1u << 3) /* such segments with ECN bits; needs TSO4 or TSO6 */
#define NET_OFFLOAD_ALL  (NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6 | NET_OFFLOAD_ECN)

struct net_backend;
struct sandbox_filters;

struct net_backend_ops {
	/* The VM starts: make the threads that there are to be, each to load its filter of FILTERS.
	 * NULL: there are none. */
	vmm_err_t (*start)(struct net_backend *b, const struct sandbox_filters *filters,
	                   vmm_err_info_t *ei);
	/* Frames that are read from now on use at most OFFLOADS (NET_OFFLOAD_*). */
	void (*set_offloads)(struct net_backend *b, uint32_t offloads);
	/* Frames go to queue Q, or do not. Queue 0 is never turned off. False: the backend cannot.
	 */
	bool (*set_queue)(struct net_backend *b, unsigned q, bool on);
	/* The cable is in, or is not. */
	void (*set_link)(struct net_backend *b, bool up);
	/* Close the descriptors and free B. */
	void (*destroy)(struct net_backend *b);
};

/* Embedded as the first member of a backend's state. */
struct net_backend {
	const struct net_backend_ops *ops;
	char name[32];     /* for messages: the TAP's name */
	uint32_t offloads; /* NET_OFFLOAD_* that the backend can use */
	unsigned queue_count;
	int fd[NET_BACKEND_QUEUES_MAX];
};

#endif
