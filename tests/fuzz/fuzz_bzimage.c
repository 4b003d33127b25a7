/* The setup header of a bzImage: placed into little memory and much. */
#include <stdint.h>
#include <stdlib.h>

#include "vmm/boot/kernel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What decoding promises: the payload lies within the file and within memory. */
static void check_kernel(const struct kernel *k, uint64_t file_bytes, uint64_t ram)
{
	const struct kernel_piece *p = &k->pieces[0];
	if (k->piece_count != 1 || p->file_offset > file_bytes ||
	    p->file_bytes > file_bytes - p->file_offset)
		abort();
	if (p->addr < MACHINE_HIMEM || p->addr > ram || p->mem_bytes > ram - p->addr ||
	    p->file_bytes > p->mem_bytes)
		abort();
	if (k->entry < k->base || k->entry >= k->end || k->header.code32_start != k->base)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t rams[] = {2ull << 20, 64ull << 20, MACHINE_LOW_RAM_END};
	size_t head = size < BZIMAGE_HEAD_BYTES ? size : BZIMAGE_HEAD_BYTES;
	for (unsigned i = 0; i < sizeof(rams) / sizeof(rams[0]); i++) {
		struct kernel k;
		vmm_err_info_t ei;
		if (bzimage_decode(data, head, size, rams[i], "bzImage", &k, &ei) == VMM_OK)
			check_kernel(&k, size, rams[i]);
	}
	return 0;
}
