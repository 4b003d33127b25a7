/*
 * The split virtqueue, device side (virtio 1.2, 2.7): the only code that touches a ring. It keeps
 * its indices privately, copies each descriptor once, and checks index, chain length, loop,
 * direction, address and total bytes before a device sees anything. Called with the device's lock
 * held. Freestanding apart from gmem.h, so that fuzzing needs no KVM.
 */
#ifndef SRC_DEVICES_VIRTIO_RING_H
#define SRC_DEVICES_VIRTIO_RING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/gmem.h"

#define RING_SIZE_MAX 1024u
/* A chain may describe at most this much, unless the device allows more once the ring is started;
 * virtio 1.2, 2.7.5 forbids more than 2^32 anyway. */
#define RING_CHAIN_BYTES_MAX (64u << 20)

struct ring {
	/* Set by the transport. */
	uint16_t size; /* power of two, at most RING_SIZE_MAX */
	bool ready;
	struct gpa desc_addr;
	struct gpa avail_addr;
	struct gpa used_addr;

	/* Resolved and owned from ring_start to ring_stop. */
	const struct gmem *gm;
	const volatile void *desc; /* struct vring_desc[size] */
	volatile void *avail;      /* struct vring_avail, and used_event */
	volatile void *used;       /* struct vring_used, and avail_event */
	bool event_idx;            /* VIRTIO_F_EVENT_IDX agreed */
	uint32_t chain_bytes_max;  /* RING_CHAIN_BYTES_MAX from ring_start on */
	bool indirect;             /* VIRTIO_F_INDIRECT_DESC agreed */
	bool broken;               /* the driver broke a rule; nothing more is taken */
	uint16_t last_avail;       /* next entry of the available ring to take */
	uint16_t next_used;        /* next entry of the used ring to fill */
	uint16_t published_used;   /* used index that the driver sees */
	uint16_t signalled_used;   /* used index at the last interrupt decision */
	const char *why;           /* what the driver did wrong, once broken */
};

/*
 * One checked chain: iov[0 .. nread) is for the device to read, iov[nread .. nread + nwrite) for it
 * to write. The addresses are host addresses of guest RAM, valid while the VM lives; the contents
 * may change at any time.
 */
struct ring_chain {
	uint16_t head;
	uint16_t nread;
	uint16_t nwrite;
	uint32_t read_bytes;
	uint32_t write_bytes;
	struct iovec *iov; /* the caller's array */
};

enum ring_result {
	RING_EMPTY, /* nothing to take */
	RING_OK,    /* CHAIN holds one */
	RING_BAD,   /* the driver broke a rule: ring->why says which; the ring takes nothing more */
};

/*
 * Start using the ring that the driver described. False (and ring->why) if size, alignment or
 * addresses are not as virtio 1.2, 2.7 wants them.
 */
bool ring_start(struct ring *r, const struct gmem *gm, bool event_idx, bool indirect);
void ring_stop(struct ring *r);

/* Take the next available chain; its segments go to IOV, at most IOV_MAX of them. */
enum ring_result ring_pop(struct ring *r, struct ring_chain *chain, struct iovec *iov,
                          unsigned iov_max);

/* Give the last popped chain back, as if it had not been taken (it will be popped again). */
void ring_unpop(struct ring *r);

/* How many chains the driver has made available and the device has not taken. */
unsigned ring_available(struct ring *r);

/* Put a chain into the used ring; WRITTEN bytes of its writable part were filled, from its start.
 */
void ring_push(struct ring *r, uint16_t head, uint32_t written);

/*
 * Make all pushed chains visible to the driver. True if the driver wants an interrupt for them
 * (virtio 1.2, 2.7.7 and 2.7.8): the caller then calls vdev_signal_used.
 */
bool ring_publish(struct ring *r);

/*
 * Tell the driver that its notifications are not needed, or needed again. ring_kick_enable returns
 * true if something became available meanwhile, or the index became invalid: the caller must pop
 * again, which returns RING_BAD then.
 */
void ring_kick_disable(struct ring *r);
bool ring_kick_enable(struct ring *r);

/* Copy between a chain's parts and a buffer, from byte OFFSET on; returns the bytes copied. */
uint32_t chain_read(const struct ring_chain *c, uint32_t offset, void *dst, uint32_t len);
uint32_t chain_write(const struct ring_chain *c, uint32_t offset, const void *src, uint32_t len);

#endif
