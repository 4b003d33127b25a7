/* Boot: bzImage, ELF by PVH and by the 64-bit entry; placement, and every header that is wrong. */
#include <check.h>
#include <libfdt.h>
#include <string.h>
#include <unistd.h>

#include "abi/pvh.h"
#include "kernels.h"
#include "suite.h"
#include "vmm/boot/kernel.h"

#define RAM (64ull << 20)

static uint8_t bz[BZ_BYTES];
static uint8_t elf[ELF_BYTES];
static vmm_err_info_t ei;

static struct boot_plan plan_of(const void *kernel, size_t len)
{
	return (struct boot_plan){.protocol = BOOT_AUTO,
	                          .kernel = part_make(kernel, len, "kernel"),
	                          .initrd = part_none(),
	                          .cmdline = "console=ttyS0",
	                          .policy = part_none()};
}

static void plan_close(struct boot_plan *plan)
{
	const struct boot_part *parts[] = {&plan->kernel, &plan->initrd, &plan->policy};
	for (unsigned i = 0; i < 3; i++)
		if (parts[i]->fd >= 0)
			close(parts[i]->fd);
}

static vmm_err_t check(const void *kernel, size_t len, enum boot_protocol protocol, uint64_t ram)
{
	struct boot_plan plan = plan_of(kernel, len);
	plan.protocol = protocol;
	memset(&ei, 0, sizeof(ei));
	vmm_err_t err = boot_check(&plan, ram, &ei);
	ck_assert_int_eq(ei.code, err);
	plan_close(&plan);
	return err;
}

static vmm_err_t check_bz(void)
{
	return check(bz, sizeof(bz), BOOT_AUTO, RAM);
}

static vmm_err_t check_elf(void)
{
	return check(elf, sizeof(elf), BOOT_AUTO, RAM);
}

static struct gmem *memory(uint64_t bytes)
{
	struct gmem *gm = NULL;
	struct gmem_opts opts = {.size_bytes = bytes, .fd = -1};
	ck_assert_int_eq(gmem_create(&opts, &gm, &ei), VMM_OK);
	return gm;
}

static struct boot_entry load(struct boot_plan *plan, const struct gmem *gm)
{
	struct boot_entry entry = {0};
	struct machine m = {
	        .cpus = 1, .ram_bytes = gmem_size_bytes(gm), .serial = true, .acpi = true};
	ck_assert_msg(boot_load(plan, &m, gm, &entry, &ei) == VMM_OK, "%s", ei.message);
	return entry;
}

static void setup(void)
{
	bz_make(bz);
	elf_make(elf);
}

START_TEST(bzimage_is_loaded)
{
	struct gmem *gm = memory(RAM);
	struct boot_plan plan = plan_of(bz, sizeof(bz));
	plan.initrd = part_make("ramdisk", 7, "initrd");
	struct boot_entry e = load(&plan, gm);
	ck_assert_int_eq(e.mode, BOOT_CPU_LONG64);
	ck_assert_uint_eq(e.rip, BZ_PREF + 0x200);
	ck_assert_uint_eq(e.rsi, MACHINE_ZERO_PAGE);
	ck_assert_uint_eq(e.page_tables.addr, MACHINE_PAGE_TABLES);

	const struct boot_params *bp = gmem_at(gm, (struct gpa){e.rsi}, sizeof(*bp));
	ck_assert_uint_eq(bp->hdr.header, 0x53726448);
	ck_assert_uint_eq(bp->hdr.type_of_loader, 0xff);
	ck_assert_uint_eq(bp->hdr.code32_start, BZ_PREF);
	ck_assert_uint_eq(bp->hdr.ramdisk_image, RAM - 4096);
	ck_assert_uint_eq(bp->hdr.ramdisk_size, 7);
	ck_assert_uint_eq(bp->acpi_rsdp_addr, MACHINE_ACPI);
	ck_assert_mem_eq(gmem_at(gm, (struct gpa){MACHINE_ACPI}, 8), "RSD PTR ", 8);
	/* mov $0xfe, %al; out %al, $0x64 */
	ck_assert_mem_eq(gmem_at(gm, (struct gpa){MACHINE_RESET_CODE}, 4), "\xb0\xfe\xe6\x64", 4);
	ck_assert_uint_eq(bp->e820_entries, 3);
	ck_assert_uint_eq(bp->e820_table[2].addr, MACHINE_HIMEM);
	ck_assert_uint_eq(bp->e820_table[2].size, RAM - MACHINE_HIMEM);
	ck_assert_str_eq(gmem_at(gm, (struct gpa){bp->hdr.cmd_line_ptr}, 16), "console=ttyS0");
	ck_assert_mem_eq(gmem_at(gm, (struct gpa){bp->hdr.ramdisk_image}, 7), "ramdisk", 7);
	ck_assert_mem_eq(gmem_at(gm, (struct gpa){BZ_PREF}, BZ_PAYLOAD), bz + BZ_SETUP, BZ_PAYLOAD);
	plan_close(&plan);
	gmem_destroy(gm);
}
END_TEST

START_TEST(page_tables_map_4_gib)
{
	struct gmem *gm = memory(RAM);
	struct boot_plan plan = plan_of(bz, sizeof(bz));
	struct boot_entry e = load(&plan, gm);
	const uint64_t *t = gmem_at(gm, e.page_tables, 6 * 4096ull);
	for (uint64_t addr = 0; addr < 4ull << 30; addr += 511ull << 20) {
		uint64_t pdpt = t[addr >> 39] & ~0xfffull;
		uint64_t pdpte = t[(pdpt - e.page_tables.addr) / 8 + (addr >> 30)];
		uint64_t pde =
		        t[((pdpte & ~0xfffull) - e.page_tables.addr) / 8 + ((addr >> 21) & 511)];
		ck_assert_uint_eq(pde & ~0x1fffffull, addr & ~0x1fffffull);
		ck_assert_uint_eq(pde & 0x83, 0x83);
	}
	const uint64_t *gdt = gmem_at(gm, (struct gpa){MACHINE_GDT}, BOOT_GDT_BYTES);
	ck_assert_uint_eq(gdt[0], 0);
	ck_assert_uint_eq(gdt[2] >> 32 & 0x00209800, 0x00209800); /* long mode, present, code */
	plan_close(&plan);
	gmem_destroy(gm);
}
END_TEST

START_TEST(large_memory_has_a_hole)
{
	struct gmem *gm = memory(MACHINE_LOW_RAM_END + (64ull << 20));
	struct boot_plan plan = plan_of(bz, sizeof(bz));
	plan.initrd = part_make("ramdisk", 7, "initrd");
	struct boot_entry e = load(&plan, gm);
	const struct boot_params *bp = gmem_at(gm, (struct gpa){e.rsi}, sizeof(*bp));
	ck_assert_uint_eq(bp->e820_entries, 4);
	ck_assert_uint_eq(bp->e820_table[3].addr, MACHINE_HIGH_RAM);
	ck_assert_uint_eq(bp->e820_table[3].size, 64ull << 20);
	ck_assert_uint_eq(bp->hdr.ramdisk_image, 0x80000000u - 4096);
	plan_close(&plan);
	gmem_destroy(gm);
}
END_TEST

START_TEST(kernel_moves_where_it_fits)
{
	/* 16 MiB: the preferred address does not fit, 2 MiB does. */
	struct gmem *gm = memory(16ull << 20);
	struct boot_plan plan = plan_of(bz, sizeof(bz));
	struct boot_entry e = load(&plan, gm);
	ck_assert_uint_eq(e.rip, 0x200200);
	plan_close(&plan);
	gmem_destroy(gm);
	bz_header(bz)->relocatable_kernel = 0;
	ck_assert_int_eq(check(bz, sizeof(bz), BOOT_AUTO, 16ull << 20), VMM_E_LIMIT);
	ck_assert_int_eq(check(bz, sizeof(bz), BOOT_AUTO, BZ_PREF + BZ_INIT - 1), VMM_E_LIMIT);
	ck_assert_int_eq(check(bz, sizeof(bz), BOOT_AUTO, BZ_PREF + BZ_INIT), VMM_OK);
}
END_TEST

START_TEST(parts_do_not_overlap)
{
	/* The kernel ends at the end of memory: the ramdisk goes below it. */
	struct gmem *gm = memory(BZ_PREF + BZ_INIT);
	struct boot_plan plan = plan_of(bz, sizeof(bz));
	static uint8_t disk[8193];
	plan.initrd = part_make(disk, sizeof(disk), "initrd");
	struct boot_entry e = load(&plan, gm);
	const struct boot_params *bp = gmem_at(gm, (struct gpa){e.rsi}, sizeof(*bp));
	ck_assert_uint_eq(bp->hdr.ramdisk_image, BZ_PREF - 3 * 4096);
	/* One that fits neither above nor below. */
	plan.initrd.len_bytes = BZ_PREF - MACHINE_HIMEM + 1;
	ck_assert_int_eq(boot_check(&plan, BZ_PREF + BZ_INIT, &ei), VMM_E_LIMIT);
	ck_assert_str_eq(ei.field, "initrd");
	plan.initrd.len_bytes = UINT64_MAX;
	ck_assert_int_eq(boot_check(&plan, BZ_PREF + BZ_INIT, &ei), VMM_E_LIMIT);
	plan.initrd.len_bytes = 0;
	ck_assert_int_eq(boot_check(&plan, BZ_PREF + BZ_INIT, &ei), VMM_E_FORMAT);
	plan_close(&plan);
	gmem_destroy(gm);
}
END_TEST

START_TEST(command_line_has_a_limit)
{
	static char line[MACHINE_CMDLINE_MAX + 1];
	struct boot_plan plan = plan_of(bz, sizeof(bz));
	memset(line, 'x', 2047);
	plan.cmdline = line;
	ck_assert_int_eq(boot_check(&plan, RAM, &ei), VMM_OK);
	line[2047] = 'x';
	ck_assert_int_eq(boot_check(&plan, RAM, &ei), VMM_E_LIMIT);
	ck_assert_str_eq(ei.field, "cmdline");
	plan_close(&plan);
	plan = plan_of(elf, sizeof(elf));
	memset(line, 'x', MACHINE_CMDLINE_MAX - 1);
	plan.cmdline = line;
	ck_assert_int_eq(boot_check(&plan, RAM, &ei), VMM_OK);
	line[MACHINE_CMDLINE_MAX - 1] = 'x';
	ck_assert_int_eq(boot_check(&plan, RAM, &ei), VMM_E_LIMIT);
	plan_close(&plan);
}
END_TEST

START_TEST(truncated_bzimages)
{
	for (size_t len = 1; len <= sizeof(bz) - 16; len += len < BZ_SETUP ? 1 : 97)
		ck_assert_int_eq(check(bz, len, BOOT_AUTO, RAM), VMM_E_FORMAT);
	/* syssize counts paragraphs: of the last one a part is enough. */
	ck_assert_int_eq(check(bz, sizeof(bz) - 16, BOOT_AUTO, RAM), VMM_E_FORMAT);
	ck_assert_int_eq(check(bz, sizeof(bz) - 15, BOOT_AUTO, RAM), VMM_OK);
}
END_TEST

START_TEST(bad_bzimage_headers)
{
	struct setup_header *h = bz_header(bz);
	ck_assert_int_eq(check_bz(), VMM_OK);
	h->version = 0x0206;
	ck_assert_int_eq(check_bz(), VMM_E_UNSUPPORTED);
	bz_make(bz);
	h->xloadflags = 0;
	ck_assert_int_eq(check_bz(), VMM_E_UNSUPPORTED);
	bz_make(bz);
	h->loadflags = 0;
	ck_assert_int_eq(check_bz(), VMM_E_UNSUPPORTED);
	bz_make(bz);
	h->jump = 0x10eb;
	ck_assert_int_eq(check_bz(), VMM_E_FORMAT);
	bz_make(bz);
	h->kernel_alignment = 0x300000;
	ck_assert_int_eq(check_bz(), VMM_E_FORMAT);
	bz_make(bz);
	h->cmdline_size = 0;
	ck_assert_int_eq(check_bz(), VMM_E_FORMAT);
	bz_make(bz);
	h->syssize = 0;
	ck_assert_int_eq(check_bz(), VMM_E_FORMAT);
	h->syssize = UINT32_MAX;
	ck_assert_int_eq(check_bz(), VMM_E_FORMAT);
	bz_make(bz);
	h->init_size = UINT32_MAX;
	ck_assert_int_eq(check_bz(), VMM_E_LIMIT);
	bz_make(bz);
	h->pref_address = 0;
	ck_assert_int_eq(check_bz(), VMM_E_FORMAT);
	h->pref_address = UINT64_MAX & ~0xfffull;
	h->relocatable_kernel = 0;
	ck_assert_int_eq(check_bz(), VMM_E_LIMIT);
	bz_make(bz);
	h->setup_sects = 0; /* means four: the payload then ends beyond the file */
	ck_assert_int_eq(check_bz(), VMM_E_FORMAT);
	bz_make(bz);
	ck_assert_int_eq(check(bz, sizeof(bz), BOOT_PVH, RAM), VMM_E_UNSUPPORTED);
	ck_assert_int_eq(check(bz, sizeof(bz), BOOT_AUTO, 1 << 20), VMM_E_LIMIT);
	ck_assert_int_eq(check("#!/bin/sh\n", 10, BOOT_AUTO, RAM), VMM_E_FORMAT);
}
END_TEST

START_TEST(elf_is_loaded_by_pvh)
{
	struct gmem *gm = memory(RAM);
	struct boot_plan plan = plan_of(elf, sizeof(elf));
	plan.initrd = part_make("ramdisk", 7, "initrd");
	plan.policy = part_make("policy", 6, "policy");
	struct boot_entry e = load(&plan, gm);
	ck_assert_int_eq(e.mode, BOOT_CPU_PROT32);
	ck_assert_uint_eq(e.rip, ELF_PADDR + 0x40);
	const struct pvh_start_info *si = gmem_at(gm, (struct gpa){e.rbx}, sizeof(*si));
	ck_assert_uint_eq(si->magic, PVH_START_MAGIC);
	ck_assert_uint_eq(si->version, 1);
	ck_assert_uint_eq(si->nr_modules, 3);
	ck_assert_uint_eq(si->memmap_entries, 3);
	ck_assert_str_eq(gmem_at(gm, (struct gpa){si->cmdline_paddr}, 16), "console=ttyS0");
	const struct pvh_module *m = gmem_at(gm, (struct gpa){si->modlist_paddr}, 3 * sizeof(*m));
	ck_assert_mem_eq(gmem_at(gm, (struct gpa){m[0].paddr}, 7), "ramdisk", 7);
	ck_assert_mem_eq(gmem_at(gm, (struct gpa){m[2].paddr}, 6), "policy", 6);
	ck_assert_str_eq(gmem_at(gm, (struct gpa){m[2].cmdline_paddr}, 7), PVH_NAME_POLICY);
	ck_assert_uint_eq(si->rsdp_paddr, MACHINE_ACPI);
	ck_assert_int_eq(fdt_check_full(gmem_at(gm, (struct gpa){m[1].paddr}, m[1].size_bytes),
	                                m[1].size_bytes),
	                 0);
	const struct pvh_memmap_entry *map =
	        gmem_at(gm, (struct gpa){si->memmap_paddr}, 3 * sizeof(*map));
	ck_assert_uint_eq(map[1].type, PVH_MEMMAP_RESERVED);
	ck_assert_uint_eq(map[2].addr, MACHINE_HIMEM);
	ck_assert_mem_eq(gmem_at(gm, (struct gpa){ELF_PADDR}, ELF_LEN), elf + ELF_TEXT, ELF_LEN);
	plan_close(&plan);
	gmem_destroy(gm);
}
END_TEST

START_TEST(elf_by_the_linux_entry)
{
	struct gmem *gm = memory(RAM);
	struct boot_plan plan = plan_of(elf, sizeof(elf));
	plan.protocol = BOOT_LINUX64;
	struct boot_entry e = load(&plan, gm);
	ck_assert_int_eq(e.mode, BOOT_CPU_LONG64);
	ck_assert_uint_eq(e.rip, ELF_PADDR + 0x80);
	const struct boot_params *bp = gmem_at(gm, (struct gpa){e.rsi}, sizeof(*bp));
	ck_assert_uint_eq(bp->hdr.boot_flag, 0xaa55);
	ck_assert_uint_eq(bp->hdr.cmd_line_ptr, MACHINE_CMDLINE);
	plan.policy = part_make("policy", 6, "policy");
	ck_assert_int_eq(boot_check(&plan, RAM, &ei), VMM_E_UNSUPPORTED);
	plan_close(&plan);
	gmem_destroy(gm);
	/* A virtual entry address is translated. */
	elf_of(elf)->header.e_entry = 0xffffffff80000000ull + ELF_PADDR + 0x80;
	struct boot_part part = part_make(elf, sizeof(elf), "kernel");
	struct kernel k;
	ck_assert_int_eq(elf_decode(&part, BOOT_LINUX64, RAM, &k, &ei), VMM_OK);
	ck_assert_uint_eq(k.entry, ELF_PADDR + 0x80);
	close(part.fd);
}
END_TEST

START_TEST(elf_without_a_note)
{
	elf_of(elf)->note.p_type = PT_NULL;
	ck_assert_int_eq(check_elf(), VMM_OK);
	ck_assert_int_eq(check(elf, sizeof(elf), BOOT_PVH, RAM), VMM_E_UNSUPPORTED);
}
END_TEST

START_TEST(truncated_elf)
{
	for (size_t len = 1; len < sizeof(elf); len += len < 512 ? 1 : 61) {
		vmm_err_t err = check(elf, len, BOOT_AUTO, RAM);
		ck_assert_int_eq(err, VMM_E_FORMAT);
	}
}
END_TEST

START_TEST(bad_elf_headers)
{
	struct elf_file *f = elf_of(elf);
	ck_assert_int_eq(check_elf(), VMM_OK);
	f->header.e_ident[EI_CLASS] = 3;
	ck_assert_int_eq(check_elf(), VMM_E_FORMAT);
	elf_make(elf);
	f->header.e_ident[EI_DATA] = ELFDATA2MSB;
	ck_assert_int_eq(check_elf(), VMM_E_FORMAT);
	elf_make(elf);
	f->header.e_machine = EM_AARCH64;
	ck_assert_int_eq(check_elf(), VMM_E_FORMAT);
	elf_make(elf);
	f->header.e_type = ET_REL;
	ck_assert_int_eq(check_elf(), VMM_E_FORMAT);
	elf_make(elf);
	f->header.e_phnum = 0xffff;
	ck_assert_int_eq(check_elf(), VMM_E_FORMAT);
	elf_make(elf);
	f->header.e_phoff = UINT64_MAX - 8;
	ck_assert_int_eq(check_elf(), VMM_E_FORMAT);
	elf_make(elf);
	f->header.e_phentsize = 8;
	ck_assert_int_eq(check_elf(), VMM_E_FORMAT);
	elf_make(elf);
	f->header.e_entry = 0x40;
	ck_assert_int_eq(check(elf, sizeof(elf), BOOT_LINUX64, RAM), VMM_E_FORMAT);
}
END_TEST

START_TEST(bad_elf_segments)
{
	struct elf_file *f = elf_of(elf);
	f->load.p_filesz = f->load.p_memsz + 1;
	ck_assert_int_eq(check_elf(), VMM_E_FORMAT);
	elf_make(elf);
	f->load.p_offset = UINT64_MAX;
	ck_assert_int_eq(check_elf(), VMM_E_FORMAT);
	elf_make(elf);
	f->load.p_paddr = 0x7000;
	ck_assert_int_eq(check_elf(), VMM_E_FORMAT);
	elf_make(elf);
	f->load.p_memsz = UINT64_MAX;
	ck_assert_int_eq(check_elf(), VMM_E_LIMIT);
	elf_make(elf);
	f->load.p_paddr = UINT64_MAX - 0x1000;
	ck_assert_int_eq(check_elf(), VMM_E_LIMIT);
	elf_make(elf);
	f->note = f->load; /* twice the same place */
	ck_assert_int_eq(check_elf(), VMM_E_FORMAT);
	elf_make(elf);
	f->load.p_type = PT_NULL;
	ck_assert_int_eq(check_elf(), VMM_E_FORMAT);
	elf_make(elf);
	f->note.p_filesz = 1 << 20;
	ck_assert_int_eq(check_elf(), VMM_E_FORMAT);
}
END_TEST

START_TEST(bad_elf_notes_are_no_notes)
{
	struct elf_file *f = elf_of(elf);
	uint32_t *note = (uint32_t *)(void *)(elf + ELF_NOTE);
	note[0] = UINT32_MAX;
	ck_assert_int_eq(check(elf, sizeof(elf), BOOT_PVH, RAM), VMM_E_UNSUPPORTED);
	elf_make(elf);
	note[1] = UINT32_MAX - 2;
	ck_assert_int_eq(check(elf, sizeof(elf), BOOT_PVH, RAM), VMM_E_UNSUPPORTED);
	elf_make(elf);
	f->note.p_filesz = 20;
	ck_assert_int_eq(check(elf, sizeof(elf), BOOT_PVH, RAM), VMM_E_UNSUPPORTED);
	elf_make(elf);
	note[4] = 0x1000; /* the entry is outside the segment */
	ck_assert_int_eq(check(elf, sizeof(elf), BOOT_PVH, RAM), VMM_E_FORMAT);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("boot");
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, bzimage_is_loaded);
	tcase_add_test(tc, page_tables_map_4_gib);
	tcase_add_test(tc, large_memory_has_a_hole);
	tcase_add_test(tc, kernel_moves_where_it_fits);
	tcase_add_test(tc, parts_do_not_overlap);
	tcase_add_test(tc, command_line_has_a_limit);
	tcase_add_test(tc, truncated_bzimages);
	tcase_add_test(tc, bad_bzimage_headers);
	tcase_add_test(tc, elf_is_loaded_by_pvh);
	tcase_add_test(tc, elf_by_the_linux_entry);
	tcase_add_test(tc, elf_without_a_note);
	tcase_add_test(tc, truncated_elf);
	tcase_add_test(tc, bad_elf_headers);
	tcase_add_test(tc, bad_elf_segments);
	tcase_add_test(tc, bad_elf_notes_are_no_notes);
	return suite_run("boot", tc);
}
