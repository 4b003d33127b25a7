/*
 * A virtio device, as its transport sees it (virtio 1.2, 2 and 3). A model implements features,
 * config space and 'process this queue'; status, feature agreement, queues, notification and
 * interrupts are shared code here, and serve mmio and PCI alike.
 *
 * Threads and locks: register accesses come on vCPU threads, queue work on the event loop; both
 * hold vdev->lock, which is the only lock a model needs. Nothing else is locked while it is held,
 * except a chardev's lock and, innermost, that of the event loop (loop_post).
 */
#ifndef SRC_DEVICES_VIRTIO_DEV_H
#define SRC_DEVICES_VIRTIO_DEV_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/virtio/ring.h"
#include "vmm/err.h"
#include "vmm/gmem.h"
#include "vmm/irq.h"
#include "vmm/logger.h"
#include "vmm/loop.h"
#include "vmm/sandbox/filter.h"

#define VDEV_QUEUES_MAX 64u

struct vdev;

struct vdev_ops {
	const char *name;   /* "virtio-blk" */
	uint32_t device_id; /* VIRTIO_ID_* of <linux/virtio_ids.h> */

	/* The driver set DRIVER_OK: features are agreed, rings that the driver enabled are started.
	 * Return false (and set vdev_fail) if the device cannot work. May be NULL. */
	bool (*activate)(struct vdev *vd);

	/* Back to the state before activation. When it returns, nothing of the device touches guest
	 * memory any more: requests in flight have been waited for. Called with the lock held, from
	 * a vCPU thread or while no vCPU runs. May be NULL. */
	void (*reset)(struct vdev *vd);

	/* The driver stops queue Q while the device is active (QueueReady 0; 4.2.2.2). When it
	 * returns, nothing of the device touches the queue's rings and buffers any more. Lock held,
	 * on a vCPU thread. NULL: nothing of a queue is kept from one kick to the next. */
	void (*stop_queue)(struct vdev *vd, unsigned q);

	/* The driver made buffers available in queue Q. On the loop's thread, lock held, only while
	 * the device is active and the ring is started and not broken. */
	void (*kick)(struct vdev *vd, unsigned q);

	/* The driver wrote LEN bytes of config space at OFFSET, inside config_len; they are already
	 * stored in vd->config. NULL: config space is read-only and writes are dropped. */
	void (*config_written)(struct vdev *vd, uint32_t offset, uint32_t len);

	/* The VM starts. Start the threads that the device has; and, in a sandbox (FILTERS->on),
	 * whose threads make no threads, those that it may want later. Each loads its filter of
	 * FILTERS, which outlives them. May be NULL. */
	void (*start_threads)(struct vdev *vd, const struct sandbox_filters *filters);

	/* Free what the model owns and the model itself. Never runs beside any other operation. */
	void (*destroy)(struct vdev *vd);
};

struct vqueue {
	struct ring ring;
	uint16_t size_max;
	int kick_fd; /* ioeventfd of this queue */
	struct loop_source kick;
	struct vdev *vd;
	uint16_t index;
};

/* What the transport does when the device has something to tell. Lock held. */
struct vdev_transport {
	void (*signal_used)(struct vdev *vd, unsigned q);
	void (*signal_config)(struct vdev *vd);
};

/* Counters that the guest causes; read without the lock for statistics. */
struct vdev_stats {
	_Atomic uint64_t kicks;
	_Atomic uint64_t interrupts;
	_Atomic uint64_t guest_errors; /* rings or requests that broke a rule */
	_Atomic uint64_t resets;
};

/* Embedded as the first member of every model's state. */
struct vdev {
	const struct vdev_ops *ops;
	char id[32]; /* for messages: "disk0", "net1" */

	/* Set by the model before vdev_init. */
	uint64_t features; /* device features without those of vdev itself */
	uint8_t *config;   /* the model's config space, little-endian, or NULL */
	uint32_t config_len;

	/* Given by the VM. */
	const struct gmem *gm;
	struct loop *loop;
	struct log *log;
	struct irq_line irq;
	const struct vdev_transport *transport;
	void *transport_ctx; /* the transport's own */
	bool one_line;       /* all queues share one interrupt: signalling one is signalling all */

	pthread_mutex_t lock;
	uint8_t status; /* VIRTIO_CONFIG_S_* */
	uint64_t features_acked;
	bool features_unknown; /* the driver also accepted some above bit 63 */
	uint32_t config_generation;
	_Atomic uint32_t interrupt_status; /* VIRTIO_MMIO_INT_*, which PCI's ISR has as well */
	bool active;
	unsigned queue_count;
	struct vqueue *queue;
	struct vdev_stats stats;
};

/*
 * Complete a model whose ops, id, features and config are set: QUEUE_COUNT queues of at most
 * SIZE_MAX[i] entries. Adds VIRTIO_F_VERSION_1, RING_F_EVENT_IDX and RING_F_INDIRECT_DESC.
 */
VMM_WARN_UNUSED vmm_err_t vdev_init(struct vdev *vd, unsigned queue_count, const uint16_t *size_max,
                                    vmm_err_info_t *ei);

/*
 * Give the device its surroundings and put its queues on the loop. GM, LOOP and LOG outlive the
 * device. Before the loop runs.
 */
VMM_WARN_UNUSED vmm_err_t vdev_attach(struct vdev *vd, const struct gmem *gm, struct loop *loop,
                                      struct log *log, const struct vdev_transport *transport,
                                      vmm_err_info_t *ei);

/* Release what vdev_init and vdev_attach took (from a model's destroy). */
void vdev_fini(struct vdev *vd);

static inline bool vdev_has(const struct vdev *vd, unsigned feature_bit)
{
	return vd->features_acked & (1ull << feature_bit);
}

/* For models, lock held. */

/* Publish the used ring of queue Q and interrupt the driver if it wants that. */
void vdev_flush_used(struct vdev *vd, unsigned q);
/*
 * The two halves of vdev_flush_used, for a model that wants one interrupt for what it did on
 * several queues: publish returns true if the driver wants one for Q; signal sends those of the
 * queues in MASK (bit Q is queue Q).
 */
bool vdev_publish_used(struct vdev *vd, unsigned q);
void vdev_signal_queues(struct vdev *vd, uint64_t mask);
/* Config space changed: new generation and a config interrupt. */
void vdev_config_changed(struct vdev *vd);
/* The driver broke a rule: DEVICE_NEEDS_RESET, a config interrupt, a counter, a limited log line.
 */
void vdev_fail(struct vdev *vd, const char *fmt, ...) VMM_PRINTF(2, 3);
/* One request was malformed, the device goes on: a counter and a limited log line. */
void vdev_guest_error(struct vdev *vd, const char *fmt, ...) VMM_PRINTF(2, 3);
/* Queue Q was left before it was empty: its kick comes again, after others had their turn. */
void vdev_kick_again(struct vdev *vd, unsigned q);
/* ring_pop with the failure handled: RING_BAD is turned into vdev_fail. */
enum ring_result vdev_pop(struct vdev *vd, unsigned q, struct ring_chain *chain, struct iovec *iov,
                          unsigned iov_max);

/* For transports, lock held. */
uint64_t vdev_offered(const struct vdev *vd);
/* Write of the status register (virtio 1.2, 2.1 and 3.1); 0 resets. */
void vdev_set_status(struct vdev *vd, uint8_t status);
/* DRIVER_OK state is left, rings stop, everything agreed is forgotten. */
void vdev_reset(struct vdev *vd);
/* Queue Q leaves its ring until the next reset. */
void vdev_stop_queue(struct vdev *vd, unsigned q);
/* Size 1, 2, 4 or 8 at OFFSET of config space; outside it reads 0 and writes nothing. */
uint64_t vdev_config_read(struct vdev *vd, uint64_t offset, unsigned size);
void vdev_config_write(struct vdev *vd, uint64_t offset, unsigned size, uint64_t value);

/* Process queue Q now, as if its notification had come through the loop. Takes the lock. */
void vdev_kick(struct vdev *vd, unsigned q);

#endif
