/*
 * Parsing of virtio-blk requests (virtio 1.2, 5.2.6): a chain goes in, an operation that is known
 * to be allowed comes out. Touches nothing but its arguments and the chain's readable part.
 */
#ifndef SRC_DEVICES_VIRTIO_BLK_REQ_H
#define SRC_DEVICES_VIRTIO_BLK_REQ_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/disk/disk_file.h"
#include "devices/virtio/ring.h"

/* What one range of a discard or write-zeroes request may cover: 1 GiB. */
#define BLK_RANGE_SECTORS_MAX (1u << 21)

/* What the disk allows. */
struct blk_limits {
	uint64_t size_bytes;
	uint32_t align_bytes; /* of offset and length of reads and writes: at least 512 */
	bool read_only;
	bool discard; /* VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_F_WRITE_ZEROES agreed */
	bool write_zeroes;
};

enum blk_verdict {
	BLK_DO,     /* io describes what to do */
	BLK_GET_ID, /* the serial number goes to io.iov */
	BLK_ANSWER, /* refuse with status */
	BLK_NO_ROOM /* not even a status can be given */
};

struct blk_req {
	enum blk_verdict verdict;
	uint8_t answer;       /* VIRTIO_BLK_S_* of BLK_ANSWER */
	const char *why;      /* what the driver did wrong, or NULL */
	uint8_t *status;      /* host address of the status byte; not with BLK_NO_ROOM */
	uint32_t write_bytes; /* of the chain's writable part, with the status */
	uint32_t data_bytes;  /* of io, before anything is done */
	struct disk_io io;    /* its iov points into the chain's array */
	struct disk_range range[DISK_RANGES_MAX];
};

/* CHAIN's array of segments is changed and must stay in place as long as REQ is used. */
void blk_req_parse(struct blk_req *req, struct ring_chain *chain, const struct blk_limits *limits);

#endif
