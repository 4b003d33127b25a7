/* The guest's memory map, for memory of every shape. */
#include <check.h>

#include "suite.h"
#include "vmm/boot/memmap.h"
#include "vmm/machine.h"

static unsigned make_with(uint64_t bytes, bool pci, struct memmap_entry *out)
{
	const struct gmem_opts o = {.size_bytes = bytes, .fd = -1};
	struct gmem *gm;
	if (gmem_create(&o, &gm, NULL) != VMM_OK)
		return 0;
	unsigned n = memmap_make(gm, pci, out);
	gmem_destroy(gm);
	ck_assert_uint_ge(n, 1);
	ck_assert_uint_le(n, MEMMAP_MAX);
	return n;
}

static unsigned make(uint64_t bytes, struct memmap_entry *out)
{
	return make_with(bytes, false, out);
}

static void is(const struct memmap_entry *e, uint64_t from, uint64_t to, enum memmap_type type)
{
	ck_assert_uint_eq(e->addr, from);
	ck_assert_uint_eq(e->len_bytes, to - from);
	ck_assert_int_eq(e->type, type);
}

/* What a PC has below 1 MiB is reserved, where there is RAM at all. */
START_TEST(the_first_mebibyte)
{
	struct memmap_entry e[MEMMAP_MAX];
	ck_assert_uint_eq(make(512u << 10, e), 1);
	is(&e[0], 0, 512u << 10, MEMMAP_RAM);
	ck_assert_uint_eq(make(MACHINE_HIMEM, e), 2);
	is(&e[0], 0, MACHINE_LOW_END, MEMMAP_RAM);
	is(&e[1], MACHINE_LOW_END, MACHINE_HIMEM, MEMMAP_RESERVED);
	ck_assert_uint_eq(make(MACHINE_HIMEM + 4096, e), 3);
	is(&e[2], MACHINE_HIMEM, MACHINE_HIMEM + 4096, MEMMAP_RAM);
}
END_TEST

START_TEST(up_to_the_hole)
{
	struct memmap_entry e[MEMMAP_MAX];
	ck_assert_uint_eq(make(64u << 20, e), 3);
	is(&e[2], MACHINE_HIMEM, 64u << 20, MEMMAP_RAM);
	unsigned n = make(MACHINE_LOW_RAM_END, e);
	if (n == 0) {
		(void)puts("SKIP up_to_the_hole: this host has less than 3 GiB");
		return;
	}
	ck_assert_uint_eq(n, 3);
	is(&e[2], MACHINE_HIMEM, MACHINE_LOW_RAM_END, MEMMAP_RAM);
}
END_TEST

/* No byte is lost to the hole, and nothing lies in it. */
START_TEST(beyond_the_hole)
{
	struct memmap_entry e[MEMMAP_MAX];
	unsigned n = make(MACHINE_LOW_RAM_END + 4096, e);
	if (n == 0) {
		(void)puts("SKIP beyond_the_hole: this host has no more than 3 GiB");
		return;
	}
	ck_assert_uint_eq(n, 4);
	is(&e[2], MACHINE_HIMEM, MACHINE_LOW_RAM_END, MEMMAP_RAM);
	is(&e[3], MACHINE_HIGH_RAM, MACHINE_HIGH_RAM + 4096, MEMMAP_RAM);
}
END_TEST

/* Below what RAM there is above the hole. */
START_TEST(config_space_of_pci)
{
	struct memmap_entry e[MEMMAP_MAX];
	const uint64_t end = MACHINE_PCI_ECAM + MACHINE_PCI_ECAM_SIZE;
	ck_assert_uint_eq(make_with(64u << 20, true, e), 4);
	is(&e[3], MACHINE_PCI_ECAM, end, MEMMAP_RESERVED);
	unsigned n = make_with(MACHINE_LOW_RAM_END + 4096, true, e);
	if (n == 0) {
		(void)puts("SKIP config_space_of_pci: this host has no more than 3 GiB");
		return;
	}
	ck_assert_uint_eq(n, 5);
	is(&e[3], MACHINE_PCI_ECAM, end, MEMMAP_RESERVED);
	is(&e[4], MACHINE_HIGH_RAM, MACHINE_HIGH_RAM + 4096, MEMMAP_RAM);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("memmap");
	tcase_add_test(tc, the_first_mebibyte);
	tcase_add_test(tc, up_to_the_hole);
	tcase_add_test(tc, beyond_the_hole);
	tcase_add_test(tc, config_space_of_pci);
	return suite_run("memmap", tc);
}
