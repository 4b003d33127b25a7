/*
 * A virtio-mmio device in the test's process, which does as it is told: answers by a function of
 * the test, or lies. It works off its queues when it is notified, on the CPU's thread.
 */
#ifndef TESTS_UNIT_GK_VDEV_H
#define TESTS_UNIT_GK_VDEV_H

#include "gk_rig.h"

#define VDEV_QUEUES  9u
#define VDEV_SEGS    40u
#define VDEV_BASE(i) (0xd0000000ull + 0x1000ull * (i))

enum vdev_lie {
	VDEV_HONEST,
	VDEV_WRONG_ID,    /* an id that was not given */
	VDEV_HUGE_ID,     /* an id beyond the ring */
	VDEV_LONG_LENGTH, /* more bytes than there was room for */
	VDEV_TWICE,       /* the same id twice */
	VDEV_JUMP,        /* a used index that runs ahead */
	VDEV_NO_FEATURES, /* does not keep FEATURES_OK */
	VDEV_NO_QUEUE,    /* queues of size 0 */
	VDEV_NEEDS_RESET, /* DEVICE_NEEDS_RESET instead of an answer */
	VDEV_SILENT,      /* never answers */
	VDEV_LATE_RESET,  /* nor this one: vdev_ask_reset comes instead */
	VDEV_LIES,
};

struct vdev_seg {
	uint8_t *data;
	uint32_t len;
	bool writable;
};

struct vdev {
	uint32_t id, gsi;
	uint64_t features; /* offered; VERSION_1 is added */
	uint8_t config[64];
	uint16_t queue_max;
	enum vdev_lie lie;
	bool no_reset; /* its status is never 0 again */
	/* Answers one request; how many bytes it wrote. UINT32_MAX: it keeps the buffers. */
	uint32_t (*answer)(struct vdev *v, unsigned queue, struct vdev_seg *segs, unsigned count);
	void *ctx;
	/* Interrupts, where they are not on line gsi: 1 of the queues, 2 of the configuration. */
	void (*tell)(struct vdev *v, uint32_t why);

	uint32_t status, features_sel, driver_sel, queue_sel, interrupt;
	uint64_t driver_features;
	struct {
		uint32_t size, ready;
		uint64_t desc, avail, used;
		uint16_t seen, used_idx;
	} queue[VDEV_QUEUES];
	unsigned requests, indirect, kicks;
	uint64_t config_writes;
};

/* An entry for hosted_opts.devices. */
struct hosted_device vdev_window(struct vdev *v, unsigned index);
/* Offers a buffer that was kept: the device's own initiative, as of a network card. False: there is
 * none. */
bool vdev_push(struct vdev *v, unsigned queue, const void *data, uint32_t len);
void vdev_config_changed(struct vdev *v);
/* Works off what was kept (answer gave UINT32_MAX). */
void vdev_resume(struct vdev *v, unsigned queue);
/* Sets DEVICE_NEEDS_RESET, and says so. */
void vdev_ask_reset(struct vdev *v);

/* Runs BODY in a kernel with these devices. */
void vdev_run(struct vdev *const *devs, unsigned count, task_fn body, void *arg);

#endif
