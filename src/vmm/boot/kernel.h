/*
 * A kernel after its headers have been read and checked: where which bytes of the file go, and how
 * it is entered. Decoding changes nothing (bzimage.c, elf.c); boot.c acts on the result.
 */
#ifndef SRC_VMM_BOOT_KERNEL_H
#define SRC_VMM_BOOT_KERNEL_H

#include <asm/bootparam.h>

#include "boot.h"

#define KERNEL_PIECES_MAX 32u

/* FILE_BYTES at FILE_OFFSET of the kernel part go to ADDR; what is left of MEM_BYTES is zero. */
struct kernel_piece {
	uint64_t file_offset;
	uint64_t file_bytes;
	uint64_t addr;
	uint64_t mem_bytes;
};

struct kernel {
	enum boot_protocol protocol; /* LINUX64 or PVH */
	uint64_t entry;
	/* [base, end): what it needs for itself until it runs, room to decompress included. */
	uint64_t base;
	uint64_t end;
	uint64_t initrd_end;        /* the ramdisk's last byte must lie below */
	uint32_t cmdline_max;       /* bytes, without the NUL */
	struct setup_header header; /* LINUX64: what goes into boot_params */
	unsigned piece_count;
	struct kernel_piece pieces[KERNEL_PIECES_MAX];
};

/* Offset of the setup header in a bzImage and in struct boot_params. */
#define BZIMAGE_HEADER 0x1f1u
/* As much of a bzImage as the header can occupy. */
#define BZIMAGE_HEAD_BYTES 0x290u

/* True if HEAD, the first LEN bytes of a file, is that of a bzImage (any version). */
bool bzimage_matches(const uint8_t *head, size_t len);

/*
 * Decode the setup header of a bzImage of FILE_BYTES and place the kernel into RAM that ends at
 * LOW_RAM_END. HEAD holds its first LEN bytes. Pure. VMM_E_FORMAT: malformed or truncated;
 * VMM_E_UNSUPPORTED: no 64-bit entry; VMM_E_LIMIT: does not fit into memory. NAME is for messages.
 */
VMM_WARN_UNUSED vmm_err_t bzimage_decode(const uint8_t *head, size_t len, uint64_t file_bytes,
                                         uint64_t low_ram_end, const char *name, struct kernel *k,
                                         vmm_err_info_t *ei);

bool elf_matches(const uint8_t *head, size_t len);

/*
 * The same for an ELF executable: PROTOCOL chooses between its PVH entry and its ELF entry. Reads
 * program headers and notes of PART. Errors as above.
 */
VMM_WARN_UNUSED vmm_err_t elf_decode(const struct boot_part *part, enum boot_protocol protocol,
                                     uint64_t low_ram_end, struct kernel *k, vmm_err_info_t *ei);

#endif
