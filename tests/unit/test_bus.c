/* The bus: what may be added where, and what an access finds. */
#include <check.h>
#include <string.h>

#include "suite.h"
#include "vmm/bus.h"

static struct bus bus;

static void setup(void)
{
	memset(&bus, 0, sizeof(bus));
}

static uint64_t read_back(void *ctx, uint64_t offset, unsigned size)
{
	return *(uint64_t *)ctx + offset * 16 + size;
}

static void add_up(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	*(uint64_t *)ctx += value + offset + size;
}

static const struct bus_ops ops = {read_back, add_up};

static vmm_err_t add(enum bus_space space, uint64_t base, uint64_t len, uint64_t *ctx)
{
	return bus_add(&bus, space, base, len, &ops, ctx, "device", NULL);
}

START_TEST(accesses_find_their_range)
{
	uint64_t a = 0x1000;
	uint64_t b = 0x2000;
	uint64_t v;
	ck_assert_int_eq(add(BUS_PIO, 0x100, 8, &b), VMM_OK);
	ck_assert_int_eq(add(BUS_PIO, 0xf8, 8, &a), VMM_OK); /* neighbours, out of order */
	bus_freeze(&bus);
	ck_assert(bus_read(&bus, BUS_PIO, 0xff, 1, &v));
	ck_assert_uint_eq(v, 0x1000 + 7 * 16 + 1);
	ck_assert(bus_read(&bus, BUS_PIO, 0x100, 4, &v));
	ck_assert_uint_eq(v, 0x2000 + 4);
	ck_assert(bus_write(&bus, BUS_PIO, 0x104, 2, 5));
	ck_assert_uint_eq(b, 0x2000 + 5 + 4 + 2);
	ck_assert_uint_eq(a, 0x1000);
}
END_TEST

START_TEST(accesses_that_nothing_answers_read_ones)
{
	uint64_t a = 0;
	uint64_t v = 0;
	ck_assert_int_eq(add(BUS_PIO, 0x10, 4, &a), VMM_OK);
	const struct {
		uint64_t addr;
		unsigned size;
	} miss[] = {{0xf, 1}, {0x14, 1}, {0x13, 2}, {0xf, 2}, {0x11, 4}, {UINT64_MAX, 8}};
	for (unsigned i = 0; i < sizeof(miss) / sizeof(miss[0]); i++) {
		ck_assert(!bus_read(&bus, BUS_PIO, miss[i].addr, miss[i].size, &v));
		ck_assert_uint_eq(v, UINT64_MAX);
		ck_assert(!bus_write(&bus, BUS_PIO, miss[i].addr, miss[i].size, 1));
	}
	ck_assert(!bus_read(&bus, BUS_MMIO, 0x10, 4, &v)); /* another space */
	ck_assert_uint_eq(a, 0);
}
END_TEST

START_TEST(overlaps_are_refused)
{
	uint64_t a = 0;
	vmm_err_info_t ei;
	ck_assert_int_eq(add(BUS_MMIO, 0x1000, 0x1000, &a), VMM_OK);
	ck_assert_int_eq(add(BUS_MMIO, 0x1fff, 1, &a), VMM_E_INVAL);
	ck_assert_int_eq(add(BUS_MMIO, 0x800, 0x801, &a), VMM_E_INVAL);
	ck_assert_int_eq(add(BUS_MMIO, 0, UINT64_MAX, &a), VMM_E_INVAL);
	ck_assert_int_eq(bus_add(&bus, BUS_MMIO, 0x1000, 1, &ops, &a, "late", &ei), VMM_E_INVAL);
	ck_assert_str_eq(ei.field, "late");
	ck_assert_ptr_nonnull(strstr(ei.message, "overlaps device at 0x1000"));
	ck_assert_int_eq(add(BUS_MMIO, 0x800, 0x800, &a), VMM_OK);
	ck_assert_int_eq(add(BUS_MMIO, 0x2000, 1, &a), VMM_OK);
}
END_TEST

START_TEST(impossible_ranges_are_refused)
{
	uint64_t a = 0;
	ck_assert_int_eq(add(BUS_PIO, 0x10, 0, &a), VMM_E_INVAL);
	ck_assert_int_eq(add(BUS_PIO, 0x10000, 1, &a), VMM_E_INVAL);
	ck_assert_int_eq(add(BUS_PIO, 0xffff, 2, &a), VMM_E_INVAL);
	ck_assert_int_eq(add(BUS_PIO, 0xffff, 1, &a), VMM_OK);
	ck_assert_int_eq(add(BUS_MMIO, UINT64_MAX - 1, 2, &a), VMM_E_INVAL);
	bus_freeze(&bus);
	ck_assert_int_eq(add(BUS_PIO, 0x10, 1, &a), VMM_E_STATE);
}
END_TEST

START_TEST(a_full_bus_says_so_and_still_finds_all)
{
	static uint64_t a[BUS_RANGES_MAX];
	uint64_t v;
	for (unsigned i = 0; i < BUS_RANGES_MAX; i++) {
		unsigned at = i * 37 % BUS_RANGES_MAX; /* in a scattered order */
		a[at] = at * 1000;
		ck_assert_int_eq(add(BUS_PIO, at * 4, 4, &a[at]), VMM_OK);
	}
	ck_assert_int_eq(add(BUS_PIO, 0x8000, 1, &a[0]), VMM_E_LIMIT);
	for (unsigned i = 0; i < BUS_RANGES_MAX; i++) {
		ck_assert(bus_read(&bus, BUS_PIO, i * 4, 4, &v));
		ck_assert_uint_eq(v, i * 1000 + 4);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("bus");
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, accesses_find_their_range);
	tcase_add_test(tc, accesses_that_nothing_answers_read_ones);
	tcase_add_test(tc, overlaps_are_refused);
	tcase_add_test(tc, impossible_ranges_are_refused);
	tcase_add_test(tc, a_full_bus_says_so_and_still_finds_all);
	return suite_run("bus", tc);
}
