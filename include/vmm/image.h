/*
 * Guest images: a FIT (flattened image tree, as U-Boot's mkimage writes) that holds a kernel and
 * optionally a ramdisk, a command line, a policy and defaults for the machine, each part with its
 * hash. docs/guest-images.md has the layout.
 */
#ifndef VMM_IMAGE_H
#define VMM_IMAGE_H

#include "vmm/vm.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VMM_IMAGE_PARTS_MAX  16u
#define VMM_IMAGE_NAME_MAX   64u
#define VMM_IMAGE_HASHES_MAX 4u

typedef struct vmm_image_build_opts {
	size_t struct_size;
	const char *output;      /* written to a temporary file beside it, then renamed */
	const char *kernel;      /* bzImage or ELF; required */
	const char *initrd;      /* or NULL */
	const char *policy;      /* or NULL */
	const char *cmdline;     /* or NULL */
	const char *description; /* or NULL */
	const char *hash;        /* "sha256" (NULL), "sha384", "sha512", "sha1", "md5", "crc32" */
	uint64_t memory_bytes;   /* default of the machine; 0: none */
	uint32_t cpus;           /* default of the machine; 0: none */
	int64_t timestamp;       /* seconds since 1970; -1: SOURCE_DATE_EPOCH, else now */
} vmm_image_build_opts_t;

#define VMM_IMAGE_BUILD_OPTS_INIT                                              \
	{                                                                      \
		.struct_size = sizeof(vmm_image_build_opts_t), .timestamp = -1 \
	}

/*
 * Write a guest image. On failure OUTPUT is as it was. EI may be NULL; its field is the option or
 * the file. VMM_E_INVAL (options; OUTPUT is no regular file), VMM_E_FORMAT, VMM_E_UNSUPPORTED and
 * VMM_E_LIMIT (what could not be booted, or is too large), VMM_E_NOENT, VMM_E_PERM, VMM_E_IO.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_image_build(const vmm_image_build_opts_t *opts,
                                                  vmm_err_info_t *ei);

typedef enum vmm_hash_state {
	VMM_HASH_GOOD = 1,
	VMM_HASH_BAD = 2,
	VMM_HASH_UNKNOWN = 3, /* an algorithm that this library does not have */
} vmm_hash_state_t;

typedef struct vmm_image_hash {
	char algo[16];
	char value[129]; /* hexadecimal, as stored */
	vmm_hash_state_t state;
} vmm_image_hash_t;

typedef struct vmm_image_part {
	char name[VMM_IMAGE_NAME_MAX];
	char type[32]; /* "kernel", "ramdisk", "policy"; "configuration": only a hash */
	char description[VMM_IMAGE_NAME_MAX];
	char compression[16]; /* "none", "gzip" */
	uint64_t offset;      /* of the data in the file */
	uint64_t len_bytes;   /* as stored; 0 for a configuration */
	bool in_default;      /* part of the default configuration */
	uint32_t hash_count;
	vmm_image_hash_t hash[VMM_IMAGE_HASHES_MAX];
} vmm_image_part_t;

typedef struct vmm_image_info {
	size_t struct_size; /* set by the caller */
	char description[VMM_IMAGE_NAME_MAX];
	char configuration[VMM_IMAGE_NAME_MAX]; /* the default one */
	char cmdline[2048];
	int64_t timestamp;     /* -1: none */
	uint64_t memory_bytes; /* 0: no default */
	uint32_t cpus;         /* 0: no default */
	uint32_t part_count;
	vmm_image_part_t part[VMM_IMAGE_PARTS_MAX];
} vmm_image_info_t;

/*
 * Read what PATH holds and check every hash; a bad hash is reported in INFO, not as an error. Texts
 * have '?' for control characters; a command line with any is malformed.
 * VMM_E_FORMAT: not a guest image, or a malformed one (the detail names node and property);
 * VMM_E_NOENT, VMM_E_PERM, VMM_E_IO, VMM_E_INVAL (struct_size).
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_image_inspect(const char *path, vmm_image_info_t *info,
                                                    vmm_err_info_t *ei);

/*
 * As vmm_image_inspect, and VMM_E_HASH if a hash of the default configuration is bad, missing or
 * unknown, or if the kernel would not be accepted by vmm_vm_build.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_image_verify(const char *path, vmm_err_info_t *ei);

/* True if PATH starts like a guest image (and not like a kernel). False also if unreadable. */
VMM_API bool vmm_image_is(const char *path);

#ifdef __cplusplus
}
#endif
#endif
