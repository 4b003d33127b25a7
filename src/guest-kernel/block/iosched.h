/*
 * The disk scheduler: 'deadline'. Reads go before writes, unless writes have been passed over twice
 * or one is overdue; within a direction the order is by sector, upwards and around; what lies side
 * by side becomes one request. Reads are overdue after 100 ms, writes after 2 s.
 */
#ifndef GK_BLOCK_IOSCHED_H
#define GK_BLOCK_IOSCHED_H

#include "guest-kernel/block/request.h"
#include "guest-kernel/core/spinlock.h"
#include "guest-kernel/drivers/blk.h"

#define IOSCHED_READ_NS   (100 * NS_PER_MS)
#define IOSCHED_WRITE_NS  (2 * NS_PER_S)
#define IOSCHED_STARVED   2u
#define IOSCHED_IN_FLIGHT 16u

/* One piece to read or write: memory of arch_ram. The caller's until done() is called. */
struct io {
	struct list sorted, fifo;
	bool write;
	uint64_t sector;
	uint32_t len_bytes;
	void *data;
	uint64_t deadline_ns;
	bool failed;
	bool lost; /* failed, and the device has DATA for good */
	/* In interrupt context, no lock held. */
	void (*done)(struct io *io);
};

struct batch; /* a request with the pieces it consists of */

struct iosched {
	struct spinlock lock;
	struct blk *disk;
	struct list sorted[2], fifo[2]; /* by direction: read, write */
	struct list idle;               /* batches */
	struct batch *batches;
	struct batch *held_back; /* the ring was full */
	uint64_t head_sector;    /* where the last request ended */
	unsigned passed_over;    /* how often writes have waited for reads */
	bool dispatching, again;
	uint64_t submitted, merged, expired;
};

/* False: no memory. */
bool iosched_init(struct iosched *q, struct blk *disk);
/* Any context. */
void iosched_add(struct iosched *q, struct io *io);
/* Hands to the driver what there is room for. After one or several iosched_add. Any context. */
void iosched_run(struct iosched *q);

#endif
