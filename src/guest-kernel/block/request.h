/*
 * A request to a disk: whole 512-byte sectors, in memory of arch_ram, in up to REQUEST_SEGS_MAX
 * pieces. Between the parts of the block layer and the driver.
 */
#ifndef GK_BLOCK_REQUEST_H
#define GK_BLOCK_REQUEST_H

#include "guest-kernel/core/list.h"
#include "guest-kernel/core/task.h"

#define SECTOR_BYTES     512u
#define REQUEST_SEGS_MAX 14u

enum request_op { REQUEST_READ, REQUEST_WRITE, REQUEST_FLUSH };
enum request_status {
	REQUEST_PENDING,
	REQUEST_DONE,
	REQUEST_FAILED,
	REQUEST_UNSUPPORTED,
	REQUEST_LOST, /* it failed, and the device still has its memory, for good */
};

struct request {
	struct list link;
	enum request_op op;
	enum request_status status;
	uint64_t sector;
	uint32_t seg_count;
	struct {
		void *data;
		uint32_t len_bytes;
	} segs[REQUEST_SEGS_MAX];
	/* In interrupt context, or on the submitter's stack when it fails at once. */
	void (*done)(struct request *r);
	void *ctx;
	/* The driver's: when it was first seen unanswered (0: not yet), and what the device reads
	 * and writes besides the data. */
	uint64_t seen_ns;
	struct {
		uint32_t type, reserved;
		uint64_t sector;
		uint8_t status;
	} wire;
};

static inline uint64_t request_bytes(const struct request *r)
{
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < r->seg_count; i++)
		bytes += r->segs[i].len_bytes;
	return bytes;
}

#endif
