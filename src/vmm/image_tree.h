/* The tree of a guest image that vmm_image_build writes, apart from files. */
#ifndef SRC_VMM_IMAGE_TREE_H
#define SRC_VMM_IMAGE_TREE_H

#include <stddef.h>
#include <stdint.h>

#include "boot/hash.h"
#include "vmm/image.h"

#define IMAGE_TREE_MAX  16384u
#define IMAGE_PARTS_MAX 3u /* kernel, ramdisk, policy */

struct image_tree_part {
	const char *name;
	const char *description;
	uint64_t offset; /* in the file */
	uint64_t len_bytes;
	uint8_t digest[HASH_BYTES_MAX];
};

struct image_tree {
	const vmm_image_build_opts_t *opts;
	const struct hash_algo *algo;
	const char *algo_name;
	uint32_t timestamp;
	uint64_t data_start; /* what data-offset counts from: the tree's end, rounded up to 4 */
	unsigned count;
	struct image_tree_part part[IMAGE_PARTS_MAX];
};

/*
 * Write the tree into BUF. Its length does not depend on digests or offsets, so that it can be
 * written once to learn it. 0: it does not fit into CAP. Pure.
 */
size_t image_tree_write(void *buf, size_t cap, const struct image_tree *tree);

#endif
