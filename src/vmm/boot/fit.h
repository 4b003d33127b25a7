/*
 * Guest images: reading a FIT (U-Boot, doc/usage/fit/source_file_format.rst) that nobody vouches
 * for. Parsing is a pure function of the tree's bytes; hashing reads the parts from the file in
 * chunks. docs/guest-images.md has the layout.
 */
#ifndef SRC_VMM_BOOT_FIT_H
#define SRC_VMM_BOOT_FIT_H

#include "boot.h"
#include "vmm/image.h"

/* The tree itself; with embedded data that is nearly the whole file. Larger: use external data. */
#define FIT_TREE_MAX (256u << 20)
#define FIT_NONE     UINT32_MAX

/* Properties of ours in a configuration; "kernel", "ramdisk" are U-Boot's. */
#define FIT_PROP_CMDLINE "bootargs"
#define FIT_PROP_POLICY  "vmm,policy"
#define FIT_PROP_MEMORY  "vmm,memory-bytes"
#define FIT_PROP_CPUS    "vmm,cpus"
/* Type of the entry that stands for the configuration itself, where it has a hash. */
#define FIT_TYPE_CONFIGURATION "configuration"

#define FIT_LABEL_MAX          256u

struct fit {
	vmm_image_info_t info; /* hash states 0 until fit_hash_part */
	/* Of the default configuration: indices into info.part, or FIT_NONE. */
	uint32_t kernel;
	uint32_t ramdisk;
	uint32_t policy;
	/* "file:part", for messages about a part. */
	char label_kernel[FIT_LABEL_MAX];
	char label_ramdisk[FIT_LABEL_MAX];
	char label_policy[FIT_LABEL_MAX];
};

/* True if HEAD, the first LEN bytes of a file, is that of a flattened tree. */
bool fit_matches(const uint8_t *head, size_t len);

/*
 * Parse the tree in BLOB (LEN bytes), the start of a file of FILE_BYTES. Pure. VMM_E_FORMAT with
 * node and property; VMM_E_LIMIT: more parts or hashes, or a longer command line, than image.h
 * allows. NAME is for messages.
 */
VMM_WARN_UNUSED vmm_err_t fit_parse(const void *blob, size_t len, uint64_t file_bytes,
                                    const char *name, struct fit *fit, vmm_err_info_t *ei);

/* Read the tree of the image PART (a whole file) and parse it. */
VMM_WARN_UNUSED vmm_err_t fit_read(const struct boot_part *part, struct fit *fit,
                                   vmm_err_info_t *ei);

/* Hash the data of every part, or of those of the default configuration only; sets the states. */
VMM_WARN_UNUSED vmm_err_t fit_hash(const struct boot_part *image, struct fit *fit,
                                   bool default_only, vmm_err_info_t *ei);

/* VMM_E_HASH unless each part of the default configuration has a good hash and no bad one. */
VMM_WARN_UNUSED vmm_err_t fit_require(const struct fit *fit, const char *name, vmm_err_info_t *ei);

/*
 * What the default configuration boots: kernel, ramdisk, policy and command line of PLAN. FIT must
 * outlive the plan. A gzip kernel is unpacked (at most MAX_BYTES) into *MEMFD, the caller's to
 * close; else *MEMFD is -1. VMM_E_UNSUPPORTED: another compression.
 */
VMM_WARN_UNUSED vmm_err_t fit_plan(const struct boot_part *image, struct fit *fit,
                                   uint64_t max_bytes, struct boot_plan *plan, int *memfd,
                                   vmm_err_info_t *ei);

#endif
