/* An ELF kernel: headers, segments and notes, by each protocol. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/boot/kernel.h"

#define RAM (64ull << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What decoding promises: every piece lies within the file and within memory. */
static void check_pieces(const struct kernel *k, uint64_t file_bytes)
{
	for (unsigned i = 0; i < k->piece_count; i++) {
		const struct kernel_piece *p = &k->pieces[i];
		if (p->file_offset > file_bytes || p->file_bytes > file_bytes - p->file_offset)
			abort();
		if (p->addr < MACHINE_HIMEM || p->addr > RAM || p->mem_bytes > RAM - p->addr ||
		    p->file_bytes > p->mem_bytes)
			abort();
	}
	if (k->entry < k->base || k->entry >= k->end)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum boot_protocol protocols[] = {BOOT_AUTO, BOOT_LINUX64, BOOT_PVH};
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	struct boot_part part = {.fd = fd, .len_bytes = size, .name = "vmlinux"};
	for (unsigned i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		struct kernel k;
		vmm_err_info_t ei;
		if (elf_decode(&part, protocols[i], RAM, &k, &ei) == VMM_OK)
			check_pieces(&k, size);
	}
	(void)close(fd);
	return 0;
}
