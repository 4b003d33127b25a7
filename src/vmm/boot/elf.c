/*
 * ELF kernels: program headers, and the note with the PVH entry. System V ABI, chapters 4 and 5;
 * Xen, docs/misc/pvh.pandoc. A vmlinux is entered at its ELF entry by the 64-bit Linux protocol if
 * it has no PVH entry or the user says so.
 */
#include "kernel.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "../errset.h"
#include "abi/pvh.h"
#include "part.h"

#define PHDRS_MAX       64u
#define NOTES_MAX_BYTES (64u << 10)
#define CMDLINE_LINUX   2047u /* COMMAND_LINE_SIZE of Linux on x86, without the NUL */

/* ELFCLASS32 and ELFCLASS64 in one form. */
struct segment {
	uint32_t type;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

struct elf {
	const struct boot_part *part;
	bool wide; /* ELFCLASS64 */
	uint64_t entry;
	uint64_t phoff;
	unsigned phnum;
	unsigned phentsize;
};

bool elf_matches(const uint8_t *head, size_t len)
{
	return len >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0;
}

static vmm_err_t bad(const struct elf *e, const char *field, uint64_t found, const char *right,
                     vmm_err_info_t *ei)
{
	return err_set(ei, VMM_E_FORMAT, e->part->name, "%s: ELF %s is 0x%llx; %s", e->part->name,
	               field, (unsigned long long)found, right);
}

static void decode_header(struct elf *e, const Elf64_Ehdr *wide, uint16_t *type, uint16_t *machine)
{
	if (e->wide) {
		e->entry = wide->e_entry;
		e->phoff = wide->e_phoff;
		e->phnum = wide->e_phnum;
		e->phentsize = wide->e_phentsize;
		*type = wide->e_type;
		*machine = wide->e_machine;
		return;
	}
	Elf32_Ehdr h;
	memcpy(&h, wide, sizeof(h));
	e->entry = h.e_entry;
	e->phoff = h.e_phoff;
	e->phnum = h.e_phnum;
	e->phentsize = h.e_phentsize;
	*type = h.e_type;
	*machine = h.e_machine;
}

static vmm_err_t read_header(struct elf *e, vmm_err_info_t *ei)
{
	Elf64_Ehdr h = {0};
	vmm_err_t err = part_read(e->part, 0, h.e_ident, EI_NIDENT, "ELF identification", ei);
	if (err)
		return err;
	uint8_t class = h.e_ident[EI_CLASS];
	if (class != ELFCLASS64 && class != ELFCLASS32)
		return bad(e, "class", class, "must be 1 (32 bits) or 2 (64 bits)", ei);
	e->wide = class == ELFCLASS64;
	if (h.e_ident[EI_DATA] != ELFDATA2LSB)
		return bad(e, "data encoding", h.e_ident[EI_DATA], "must be 1 (little endian)", ei);
	err = part_read(e->part, 0, &h, e->wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr),
	                "ELF header", ei);
	if (err)
		return err;
	uint16_t type, machine;
	decode_header(e, &h, &type, &machine);
	if (machine != (e->wide ? EM_X86_64 : EM_386))
		return bad(e, "e_machine", machine, "not a kernel for x86", ei);
	if (type != ET_EXEC && type != ET_DYN)
		return bad(e, "e_type", type, "not an executable", ei);
	if (e->phentsize != (e->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)))
		return bad(e, "e_phentsize", e->phentsize, "must be 56 (64 bits) or 32 (32 bits)",
		           ei);
	if (e->phnum == 0 || e->phnum > PHDRS_MAX)
		return bad(e, "e_phnum", e->phnum, "must be 1 to 64", ei);
	return VMM_OK;
}

static struct segment decode_segment(const struct elf *e, const uint8_t *table, unsigned i)
{
	const uint8_t *p = table + (size_t)i * e->phentsize;
	if (e->wide) {
		Elf64_Phdr h;
		memcpy(&h, p, sizeof(h));
		return (struct segment){h.p_type,   h.p_offset, h.p_vaddr, h.p_paddr,
		                        h.p_filesz, h.p_memsz,  h.p_align};
	}
	Elf32_Phdr h;
	memcpy(&h, p, sizeof(h));
	return (struct segment){h.p_type,   h.p_offset, h.p_vaddr, h.p_paddr,
	                        h.p_filesz, h.p_memsz,  h.p_align};
}

static vmm_err_t check_segment(const struct elf *e, const struct segment *s, uint64_t low_ram_end,
                               vmm_err_info_t *ei)
{
	if (s->filesz > s->memsz)
		return bad(e, "p_filesz", s->filesz, "larger than p_memsz", ei);
	if (s->offset > e->part->len_bytes || s->filesz > e->part->len_bytes - s->offset)
		return err_set(ei, VMM_E_FORMAT, e->part->name,
		               "%s: truncated: a segment of %llu bytes at offset %llu, the file "
		               "has %llu bytes",
		               e->part->name, (unsigned long long)s->filesz,
		               (unsigned long long)s->offset,
		               (unsigned long long)e->part->len_bytes);
	if (s->paddr < MACHINE_HIMEM)
		return bad(e, "p_paddr", s->paddr, "below 1 MiB, where the boot data lies", ei);
	if (s->paddr > low_ram_end || s->memsz > low_ram_end - s->paddr)
		return err_set(ei, VMM_E_LIMIT, e->part->name,
		               "%s: a segment of 0x%llx bytes at 0x%llx does not fit, memory ends "
		               "at 0x%llx: give the guest more",
		               e->part->name, (unsigned long long)s->memsz,
		               (unsigned long long)s->paddr, (unsigned long long)low_ram_end);
	return VMM_OK;
}

static vmm_err_t add_segment(const struct elf *e, const struct segment *s, uint64_t low_ram_end,
                             struct kernel *k, vmm_err_info_t *ei)
{
	vmm_err_t err = check_segment(e, s, low_ram_end, ei);
	if (err)
		return err;
	for (unsigned i = 0; i < k->piece_count; i++) {
		const struct kernel_piece *p = &k->pieces[i];
		if (s->paddr < p->addr + p->mem_bytes && p->addr < s->paddr + s->memsz)
			return bad(e, "p_paddr", s->paddr, "the segment overlaps another one", ei);
	}
	if (k->piece_count == KERNEL_PIECES_MAX)
		return bad(e, "number of segments", k->piece_count + 1, "at most 32 are loaded",
		           ei);
	k->pieces[k->piece_count++] =
	        (struct kernel_piece){s->offset, s->filesz, s->paddr, s->memsz};
	k->base = k->piece_count == 1 || s->paddr < k->base ? s->paddr : k->base;
	k->end = s->paddr + s->memsz > k->end ? s->paddr + s->memsz : k->end;
	return VMM_OK;
}

/* Search the notes in BUF for the PVH entry. Pure; a malformed note ends the search. */
static bool find_entry_note(const uint8_t *buf, uint64_t len, uint64_t align, uint64_t *entry)
{
	uint64_t at = 0;
	while (len - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr h;
		memcpy(&h, buf + at, sizeof(h));
		at += sizeof(h);
		uint64_t name_room = ((uint64_t)h.n_namesz + align - 1) & ~(align - 1);
		uint64_t desc_room = ((uint64_t)h.n_descsz + align - 1) & ~(align - 1);
		if (name_room > len - at || h.n_descsz > len - at - name_room)
			return false;
		const uint8_t *desc = buf + at + name_room;
		if (h.n_type == XEN_ELFNOTE_PHYS32_ENTRY && h.n_namesz == 4 &&
		    memcmp(buf + at, "Xen", 4) == 0 && (h.n_descsz == 4 || h.n_descsz == 8)) {
			*entry = 0;
			memcpy(entry, desc, h.n_descsz);
			return true;
		}
		if (desc_room > len - at - name_room)
			return false;
		at += name_room + desc_room;
	}
	return false;
}

static vmm_err_t read_notes(const struct elf *e, const struct segment *s, bool *found,
                            uint64_t *entry, vmm_err_info_t *ei)
{
	if (s->filesz > NOTES_MAX_BYTES)
		return bad(e, "p_filesz of a note segment", s->filesz, "must be at most 64 KiB",
		           ei);
	if (s->filesz == 0)
		return VMM_OK;
	uint8_t *buf = malloc(s->filesz);
	if (!buf)
		return err_set(ei, VMM_E_NOMEM, e->part->name, "out of memory");
	vmm_err_t err = part_read(e->part, s->offset, buf, s->filesz, "ELF notes", ei);
	if (!err)
		*found = find_entry_note(buf, s->filesz, s->align == 8 ? 8 : 4, entry);
	free(buf);
	return err;
}

/* The physical address of ENTRY, which may be physical or virtual; false if in no segment. */
static bool entry_in_segments(const struct elf *e, const uint8_t *table, uint64_t *entry)
{
	for (unsigned i = 0; i < e->phnum; i++) {
		struct segment s = decode_segment(e, table, i);
		if (s.type == PT_LOAD && *entry >= s.paddr && *entry - s.paddr < s.memsz)
			return true;
	}
	for (unsigned i = 0; i < e->phnum; i++) {
		struct segment s = decode_segment(e, table, i);
		if (s.type == PT_LOAD && *entry >= s.vaddr && *entry - s.vaddr < s.memsz) {
			*entry = s.paddr + (*entry - s.vaddr);
			return true;
		}
	}
	return false;
}

static vmm_err_t choose_entry(const struct elf *e, const uint8_t *table,
                              enum boot_protocol protocol, bool pvh, uint64_t pvh_entry,
                              struct kernel *k, vmm_err_info_t *ei)
{
	const char *name = e->part->name;
	if (protocol == BOOT_PVH && !pvh)
		return err_set(ei, VMM_E_UNSUPPORTED, name,
		               "%s has no PVH entry (ELF note 'Xen', type 18)", name);
	k->protocol = protocol == BOOT_AUTO ? (pvh ? BOOT_PVH : BOOT_LINUX64) : protocol;
	if (k->protocol == BOOT_LINUX64 && !e->wide)
		return err_set(ei, VMM_E_UNSUPPORTED, name,
		               "%s is a 32-bit ELF file without a PVH entry", name);
	k->entry = k->protocol == BOOT_PVH ? pvh_entry : e->entry;
	if (!entry_in_segments(e, table, &k->entry))
		return bad(e, k->protocol == BOOT_PVH ? "PVH entry" : "e_entry", k->entry,
		           "outside every loaded segment", ei);
	return VMM_OK;
}

/* What a bzImage would say of itself; a vmlinux has no setup header. */
static void synthesise_header(struct kernel *k)
{
	k->header = (struct setup_header){
	        .boot_flag = 0xaa55,
	        .header = 0x53726448,
	        .version = 0x020c,
	        .loadflags = LOADED_HIGH,
	        .kernel_alignment = 2u << 20,
	        .xloadflags = XLF_KERNEL_64,
	        .cmdline_size = CMDLINE_LINUX,
	        .initrd_addr_max = (uint32_t)(MACHINE_LOW_RAM_END - 1),
	};
	k->cmdline_max = CMDLINE_LINUX;
}

static vmm_err_t decode_segments(const struct elf *e, const uint8_t *table, uint64_t low_ram_end,
                                 enum boot_protocol protocol, struct kernel *k, vmm_err_info_t *ei)
{
	bool pvh = false;
	uint64_t pvh_entry = 0;
	vmm_err_t err = VMM_OK;
	for (unsigned i = 0; i < e->phnum && !err; i++) {
		struct segment s = decode_segment(e, table, i);
		if (s.type == PT_LOAD && s.memsz > 0)
			err = add_segment(e, &s, low_ram_end, k, ei);
		else if (s.type == PT_NOTE && !pvh)
			err = read_notes(e, &s, &pvh, &pvh_entry, ei);
	}
	if (err)
		return err;
	if (k->piece_count == 0)
		return bad(e, "number of segments to load", 0, "nothing to boot", ei);
	return choose_entry(e, table, protocol, pvh, pvh_entry, k, ei);
}

vmm_err_t elf_decode(const struct boot_part *part, enum boot_protocol protocol,
                     uint64_t low_ram_end, struct kernel *k, vmm_err_info_t *ei)
{
	struct elf e = {.part = part};
	*k = (struct kernel){0};
	vmm_err_t err = read_header(&e, ei);
	if (err)
		return err;
	uint8_t table[PHDRS_MAX * sizeof(Elf64_Phdr)];
	err = part_read(part, e.phoff, table, (size_t)e.phnum * e.phentsize, "ELF program headers",
	                ei);
	if (!err)
		err = decode_segments(&e, table, low_ram_end, protocol, k, ei);
	if (err)
		return err;
	k->initrd_end = MACHINE_LOW_RAM_END;
	k->cmdline_max = MACHINE_CMDLINE_MAX - 1;
	if (k->protocol == BOOT_LINUX64)
		synthesise_header(k);
	return VMM_OK;
}
