/*
 * A guest of a few instructions, for programs that want to show a VM without a kernel at hand: the
 * smallest ELF file with a PVH note, in a memfd. The code starts at TINY_ENTRY in 32-bit protected
 * mode, paging off, interrupts off, flat segments, no stack.
 */
#ifndef EXAMPLES_TINY_GUEST_H
#define EXAMPLES_TINY_GUEST_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TINY_ENTRY 0x100000u
#define TINY_MAX   2048u

struct tiny_file {
	Elf64_Ehdr header;
	Elf64_Phdr load;
	Elf64_Phdr note;
	struct {
		Elf64_Nhdr head;
		char name[4];
		uint32_t entry;
	} pvh;
	uint8_t code[TINY_MAX];
};

/* A descriptor of the file (the caller closes it), or -1. */
static inline int tiny_guest(const void *code, size_t len)
{
	struct tiny_file f;
	memset(&f, 0, sizeof(f));
	if (len > TINY_MAX)
		return -1;
	memcpy(f.header.e_ident, ELFMAG, SELFMAG);
	f.header.e_ident[EI_CLASS] = ELFCLASS64;
	f.header.e_ident[EI_DATA] = ELFDATA2LSB;
	f.header.e_ident[EI_VERSION] = EV_CURRENT;
	f.header.e_type = ET_EXEC;
	f.header.e_machine = EM_X86_64;
	f.header.e_version = EV_CURRENT;
	f.header.e_entry = TINY_ENTRY;
	f.header.e_phoff = offsetof(struct tiny_file, load);
	f.header.e_ehsize = sizeof(Elf64_Ehdr);
	f.header.e_phentsize = sizeof(Elf64_Phdr);
	f.header.e_phnum = 2;
	f.load.p_type = PT_LOAD;
	f.load.p_flags = PF_R | PF_W | PF_X;
	f.load.p_offset = offsetof(struct tiny_file, code);
	f.load.p_vaddr = f.load.p_paddr = TINY_ENTRY;
	f.load.p_filesz = f.load.p_memsz = len;
	f.note.p_type = PT_NOTE;
	f.note.p_offset = offsetof(struct tiny_file, pvh);
	f.note.p_filesz = f.note.p_memsz = sizeof(f.pvh);
	f.note.p_align = 4; /* QEMU divides by it */
	f.pvh.head.n_namesz = 4;
	f.pvh.head.n_descsz = 4;
	f.pvh.head.n_type = 18; /* XEN_ELFNOTE_PHYS32_ENTRY */
	memcpy(f.pvh.name, "Xen", 4);
	f.pvh.entry = TINY_ENTRY;
	memcpy(f.code, code, len);
	int fd = memfd_create("tiny-guest", MFD_CLOEXEC);
	if (fd >= 0 && write(fd, &f, sizeof(f)) != (ssize_t)sizeof(f)) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

#endif
