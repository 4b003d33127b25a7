/*
 * bzImage: decoding of the setup header. Linux, Documentation/arch/x86/boot.rst ('the real-mode
 * kernel header', '64-bit boot protocol').
 */
#include "kernel.h"

#include <stddef.h>
#include <string.h>

#include "../errset.h"

#define BOOT_FLAG          0xaa55u
#define HEADER_MAGIC       0x53726448u /* "HdrS" */
#define VERSION_64BIT      0x020cu     /* the first with xloadflags */
#define SECTOR             512u
#define SETUP_SECTS_OF_0   4u
#define ENTRY_64           0x200u
#define INITRD_MAX_DEFAULT 0x37ffffffu

/* The header ends where its jump leads: boot.rst, 'setup header' length. */
#define JUMP_OFFSET    0x200u
#define HEADER_MIN_END (BZIMAGE_HEADER + offsetof(struct setup_header, handover_offset))

_Static_assert(offsetof(struct boot_params, hdr) == BZIMAGE_HEADER, "setup header");
_Static_assert(BZIMAGE_HEADER + sizeof(struct setup_header) <= BZIMAGE_HEAD_BYTES, "head");

static uint16_t load16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t load32(const uint8_t *p)
{
	return (uint32_t)load16(p) | (uint32_t)load16(p + 2) << 16;
}

static bool is_power_of_two(uint64_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

bool bzimage_matches(const uint8_t *head, size_t len)
{
	return len >= 0x206 && load16(head + 0x1fe) == BOOT_FLAG &&
	       load32(head + 0x202) == HEADER_MAGIC;
}

/* Copy as much of the header as the file says it has; later fields stay zero. */
static vmm_err_t copy_header(const uint8_t *head, size_t len, const char *name,
                             struct setup_header *h, vmm_err_info_t *ei)
{
	if (!bzimage_matches(head, len))
		return err_set(ei, VMM_E_FORMAT, name, "%s is not a bzImage: no 'HdrS' at 0x202",
		               name);
	if (len < 0x208)
		return err_set(ei, VMM_E_FORMAT, name, "%s: truncated within its setup header",
		               name);
	if (load16(head + 0x206) < VERSION_64BIT)
		return err_set(ei, VMM_E_UNSUPPORTED, name,
		               "%s: boot protocol %x.%02x; 64-bit entry needs 2.12 (Linux 3.8)",
		               name, head[0x207], head[0x206]);
	size_t end = JUMP_OFFSET + 2 + head[JUMP_OFFSET + 1];
	if (end < HEADER_MIN_END)
		return err_set(ei, VMM_E_FORMAT, name,
		               "%s: setup header ends at 0x%zx, before init_size (0x%zx)", name,
		               end, HEADER_MIN_END);
	if (end > BZIMAGE_HEADER + sizeof(*h))
		end = BZIMAGE_HEADER + sizeof(*h);
	if (end > len)
		return err_set(ei, VMM_E_FORMAT, name,
		               "%s: truncated within its setup header (%zu of %zu bytes)", name,
		               len, end);
	memset(h, 0, sizeof(*h));
	memcpy(h, head + BZIMAGE_HEADER, end - BZIMAGE_HEADER);
	return VMM_OK;
}

static vmm_err_t check_header(const struct setup_header *h, const char *name, vmm_err_info_t *ei)
{
	if (!(h->loadflags & LOADED_HIGH))
		return err_set(ei, VMM_E_UNSUPPORTED, name,
		               "%s: a zImage (loadflags 0x%x), not a bzImage", name, h->loadflags);
	if (!(h->xloadflags & XLF_KERNEL_64))
		return err_set(ei, VMM_E_UNSUPPORTED, name,
		               "%s: a 32-bit kernel (xloadflags 0x%x has no XLF_KERNEL_64)", name,
		               h->xloadflags);
	if (!is_power_of_two(h->kernel_alignment) || h->kernel_alignment < MACHINE_PAGE_SIZE ||
	    h->kernel_alignment > 1u << 30)
		return err_set(ei, VMM_E_FORMAT, name,
		               "%s: kernel_alignment is 0x%x; must be a power of two from 4 KiB to "
		               "1 GiB",
		               name, h->kernel_alignment);
	if (h->cmdline_size == 0)
		return err_set(ei, VMM_E_FORMAT, name, "%s: cmdline_size is 0", name);
	if (h->pref_address < MACHINE_HIMEM || h->pref_address % MACHINE_PAGE_SIZE != 0)
		return err_set(ei, VMM_E_FORMAT, name,
		               "%s: pref_address is 0x%llx; must be page aligned and at least 1 "
		               "MiB",
		               name, (unsigned long long)h->pref_address);
	return VMM_OK;
}

static vmm_err_t find_payload(const struct setup_header *h, uint64_t file_bytes, const char *name,
                              struct kernel_piece *piece, vmm_err_info_t *ei)
{
	uint64_t sects = h->setup_sects ? h->setup_sects : SETUP_SECTS_OF_0;
	uint64_t setup = (sects + 1) * SECTOR;
	uint64_t len = (uint64_t)h->syssize * 16;
	if (len <= ENTRY_64)
		return err_set(ei, VMM_E_FORMAT, name, "%s: syssize is %u: no kernel in it", name,
		               h->syssize);
	/* Paragraphs of 16 bytes, rounded up: of the last one the file may hold a part. */
	if (setup < file_bytes && len > file_bytes - setup && len - (file_bytes - setup) < 16)
		len = file_bytes - setup;
	if (setup > file_bytes || len > file_bytes - setup)
		return err_set(ei, VMM_E_FORMAT, name,
		               "%s: truncated: setup_sects and syssize ask for %llu bytes, the "
		               "file has %llu",
		               name, (unsigned long long)(setup + len),
		               (unsigned long long)file_bytes);
	piece->file_offset = setup;
	piece->file_bytes = len;
	return VMM_OK;
}

static bool fits(uint64_t addr, uint64_t len, uint64_t end)
{
	return addr <= end && len <= end - addr;
}

/* Where it prefers to be, else (if it can be moved) as low as it may. */
static vmm_err_t place(const struct setup_header *h, uint64_t low_ram_end, const char *name,
                       struct kernel_piece *piece, vmm_err_info_t *ei)
{
	uint64_t need = h->init_size > piece->file_bytes ? h->init_size : piece->file_bytes;
	uint64_t align = h->kernel_alignment;
	uint64_t lowest = (MACHINE_HIMEM + align - 1) & ~(align - 1);
	bool preferred = h->pref_address % align == 0 || !h->relocatable_kernel;
	piece->mem_bytes = need;
	piece->addr = preferred ? h->pref_address : lowest;
	if (!fits(piece->addr, need, low_ram_end) && h->relocatable_kernel)
		piece->addr = lowest;
	if (!fits(piece->addr, need, low_ram_end))
		return err_set(ei, VMM_E_LIMIT, name,
		               "%s needs 0x%llx bytes of memory at 0x%llx, but memory ends at "
		               "0x%llx: give the guest more",
		               name, (unsigned long long)need, (unsigned long long)piece->addr,
		               (unsigned long long)low_ram_end);
	return VMM_OK;
}

vmm_err_t bzimage_decode(const uint8_t *head, size_t len, uint64_t file_bytes, uint64_t low_ram_end,
                         const char *name, struct kernel *k, vmm_err_info_t *ei)
{
	*k = (struct kernel){.protocol = BOOT_LINUX64, .piece_count = 1};
	struct setup_header *h = &k->header;
	vmm_err_t err = copy_header(head, len, name, h, ei);
	if (!err)
		err = check_header(h, name, ei);
	if (!err)
		err = find_payload(h, file_bytes, name, &k->pieces[0], ei);
	if (!err)
		err = place(h, low_ram_end, name, &k->pieces[0], ei);
	if (err)
		return err;
	k->base = k->pieces[0].addr;
	k->end = k->base + k->pieces[0].mem_bytes;
	k->entry = k->base + ENTRY_64;
	k->cmdline_max = h->cmdline_size;
	uint32_t initrd_max = h->initrd_addr_max ? h->initrd_addr_max : INITRD_MAX_DEFAULT;
	k->initrd_end = (uint64_t)initrd_max + 1;
	h->code32_start = (uint32_t)k->base;
	return VMM_OK;
}
