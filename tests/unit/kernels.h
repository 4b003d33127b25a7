/* Crafted kernels for the boot tests: the smallest bzImage and ELF files that are right. */
#ifndef TESTS_UNIT_KERNELS_H
#define TESTS_UNIT_KERNELS_H

#include <asm/bootparam.h>
#include <check.h>
#include <elf.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/boot/boot.h"

#define BZ_SETUP   1024u /* boot sector and one sector of setup */
#define BZ_PAYLOAD 0x1000u
#define BZ_BYTES   (BZ_SETUP + BZ_PAYLOAD)
#define BZ_PREF    0x1000000ull
#define BZ_INIT    0x200000u

static inline struct setup_header *bz_header(uint8_t *file)
{
	return (struct setup_header *)(void *)(file + 0x1f1);
}

/* FILE has BZ_BYTES. */
static inline void bz_make(uint8_t *file)
{
	memset(file, 0, BZ_SETUP);
	memset(file + BZ_SETUP, 0xb2, BZ_PAYLOAD);
	*bz_header(file) = (struct setup_header){
	        .setup_sects = 1,
	        .syssize = BZ_PAYLOAD / 16,
	        .boot_flag = 0xaa55,
	        .jump = 0x6aeb, /* the header ends at 0x26c */
	        .header = 0x53726448,
	        .version = 0x020f,
	        .loadflags = LOADED_HIGH,
	        .kernel_alignment = 0x200000,
	        .relocatable_kernel = 1,
	        .xloadflags = XLF_KERNEL_64,
	        .cmdline_size = 2047,
	        .initrd_addr_max = 0x7fffffff,
	        .pref_address = BZ_PREF,
	        .init_size = BZ_INIT,
	};
}

#define ELF_TEXT  0x1000u /* file offset of the segment */
#define ELF_LEN   0x800u
#define ELF_MEM   0x3000u
#define ELF_PADDR 0x200000ull
#define ELF_NOTE  0x200u
#define ELF_BYTES (ELF_TEXT + ELF_LEN)

struct elf_file {
	Elf64_Ehdr header;
	Elf64_Phdr load;
	Elf64_Phdr note;
};

static inline struct elf_file *elf_of(uint8_t *file)
{
	return (struct elf_file *)(void *)file;
}

/* FILE has ELF_BYTES. One segment, virtual addresses in the top 2 GiB, with a PVH note. */
static inline void elf_make(uint8_t *file)
{
	static const struct {
		Elf64_Nhdr h;
		char name[4];
		uint64_t entry;
	} __attribute__((packed)) note = {{4, 8, 18}, "Xen", ELF_PADDR + 0x40};
	memset(file, 0, ELF_TEXT);
	memset(file + ELF_TEXT, 0xe1, ELF_LEN);
	memcpy(file + ELF_NOTE, &note, sizeof(note));
	*elf_of(file) = (struct elf_file){
	        .header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1},
	                   .e_type = ET_EXEC,
	                   .e_machine = EM_X86_64,
	                   .e_version = 1,
	                   .e_entry = ELF_PADDR + 0x80,
	                   .e_phoff = sizeof(Elf64_Ehdr),
	                   .e_ehsize = sizeof(Elf64_Ehdr),
	                   .e_phentsize = sizeof(Elf64_Phdr),
	                   .e_phnum = 2},
	        .load = {.p_type = PT_LOAD,
	                 .p_offset = ELF_TEXT,
	                 .p_vaddr = 0xffffffff80000000ull + ELF_PADDR,
	                 .p_paddr = ELF_PADDR,
	                 .p_filesz = ELF_LEN,
	                 .p_memsz = ELF_MEM,
	                 .p_align = 4096},
	        .note = {.p_type = PT_NOTE,
	                 .p_offset = ELF_NOTE,
	                 .p_filesz = sizeof(note),
	                 .p_memsz = sizeof(note),
	                 .p_align = 4},
	};
}

/* The bytes as an open file; close part.fd. */
static inline struct boot_part part_make(const void *bytes, size_t len, const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, bytes, len, 0), (ssize_t)len);
	return (struct boot_part){.fd = fd, .offset = 0, .len_bytes = len, .name = name};
}

static inline struct boot_part part_none(void)
{
	return (struct boot_part){.fd = -1};
}

#endif
