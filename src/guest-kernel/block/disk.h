/*
 * A disk as a range of bytes, through a cache of 4 KiB blocks: reads that run on are read ahead,
 * writes are put off and merged, and are on the disk when disk_flush returns true. Any task;
 * several at a time.
 */
#ifndef GK_BLOCK_DISK_H
#define GK_BLOCK_DISK_H

#include "guest-kernel/block/iosched.h"
#include "guest-kernel/policy/policy.h"

#define DISK_BLOCK_BYTES   4096u
#define DISK_CACHE_MIN     64u /* blocks */
#define DISK_CACHE_MAX     1024u
#define DISK_READ_AHEAD    32u /* blocks, at most */
#define DISK_WRITE_BACK_NS (5 * NS_PER_S)

struct disk;

/* CACHE_BLOCKS DISK_CACHE_MIN to DISK_CACHE_MAX. NULL: no memory. BLK lasts as long as the disk. */
struct disk *disk_create(struct blk *blk, unsigned cache_blocks);
/* Writes what is dirty back; nobody may use it any more. */
void disk_destroy(struct disk *d);

/* What the policy knows it by; the disk gives it back in the end. Without one nobody may use it. */
void disk_set_label(struct disk *d, policy_label_t label);

uint64_t disk_bytes(const struct disk *d);
bool disk_read_only(const struct disk *d);

/*
 * False: not within the disk, no memory, the device failed, or the policy denies it
 * (blk_file { read } or { write }).
 */
bool disk_read(struct disk *d, uint64_t offset, void *out, size_t len);
bool disk_write(struct disk *d, uint64_t offset, const void *data, size_t len);
/* Everything written so far is on the medium. False: something could not be written, now or before.
 */
bool disk_flush(struct disk *d);

struct disk_stats {
	unsigned long blocks, dirty, hits, misses, read_ahead, read_ahead_used;
	unsigned long reads, writes, flushes, errors; /* of the device's requests */
	/* The scheduler's: requests, pieces that became part of another's, and the overdue. */
	unsigned long scheduled, merged, overdue;
};
void disk_stats(const struct disk *d, struct disk_stats *out);

#endif
