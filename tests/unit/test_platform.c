/* The platform's ports: reset, power-off, debug exit, panic, and the RTC's formats. */
#include <check.h>
#include <time.h>

#include "devices/platform.h"
#include "suite.h"
#include "vmm/machine.h"

struct seen {
	unsigned count;
	enum platform_request what;
	uint32_t code;
};

static void request(void *ctx, enum platform_request what, uint32_t code)
{
	struct seen *s = ctx;
	s->count++;
	s->what = what;
	s->code = code;
}

static struct seen seen;
static struct platform platform;
static struct bus bus;

static void setup(void)
{
	seen = (struct seen){0};
	bus = (struct bus){0};
	platform_init(&platform, request, &seen);
	vmm_err_info_t ei;
	ck_assert_int_eq(platform_add_to_bus(&platform, &bus, &ei), VMM_OK);
	bus_freeze(&bus);
}

static void teardown(void)
{
	platform_fini(&platform);
}

static void out(uint64_t port, uint8_t value)
{
	ck_assert(bus_write(&bus, BUS_PIO, port, 1, value));
}

static uint8_t in(uint64_t port)
{
	uint64_t value;
	ck_assert(bus_read(&bus, BUS_PIO, port, 1, &value));
	return (uint8_t)value;
}

START_TEST(requests)
{
	out(0x64, 0x20);
	out(0x60, 0xfe);
	out(MACHINE_PORT_ACPI, MACHINE_ACPI_SLP_EN);
	out(MACHINE_PORT_ACPI, MACHINE_ACPI_SLP_TYP_S5 << 2);
	out(MACHINE_PORT_ACPI + MACHINE_ACPI_RESET, 0);
	out(MACHINE_PORT_PVPANIC, 0);
	ck_assert_uint_eq(seen.count, 0);
	out(0x64, 0xfe);
	ck_assert_int_eq(seen.what, PLATFORM_RESET);
	out(MACHINE_PORT_ACPI, MACHINE_ACPI_SLP_EN | MACHINE_ACPI_SLP_TYP_S5 << 2);
	ck_assert_int_eq(seen.what, PLATFORM_POWER_OFF);
	out(MACHINE_PORT_ACPI + MACHINE_ACPI_RESET, MACHINE_ACPI_RESET_VALUE);
	ck_assert_int_eq(seen.what, PLATFORM_RESET);
	out(MACHINE_PORT_DEBUG_EXIT, 42);
	ck_assert_int_eq(seen.what, PLATFORM_DEBUG_EXIT);
	ck_assert_uint_eq(seen.code, 42);
	out(MACHINE_PORT_PVPANIC, 1);
	ck_assert_int_eq(seen.what, PLATFORM_PANIC);
	ck_assert_uint_eq(seen.count, 5);
	ck_assert_uint_eq(in(0x64), 0);
	ck_assert_uint_eq(in(MACHINE_PORT_PVPANIC), 3);
}
END_TEST

static uint8_t cmos(uint8_t index)
{
	out(0x70, index);
	return in(0x71);
}

static unsigned from_bcd(uint8_t v)
{
	return (v >> 4) * 10u + (v & 15u);
}

START_TEST(rtc_tells_the_time)
{
	time_t now = time(NULL);
	struct tm tm;
	ck_assert_ptr_nonnull(gmtime_r(&now, &tm));
	ck_assert_uint_eq(from_bcd(cmos(9)) + 100 * from_bcd(cmos(0x32)),
	                  (unsigned)tm.tm_year + 1900);
	ck_assert_uint_eq(from_bcd(cmos(8)), (unsigned)tm.tm_mon + 1);
	ck_assert_uint_eq(cmos(0x0d), 0x80);
	ck_assert_uint_eq(cmos(0x0a) & 0x80, 0);
	out(0x70, 0x0b);
	out(0x71, 0x04); /* binary, 12 hours */
	ck_assert_uint_eq(cmos(8), (unsigned)tm.tm_mon + 1);
	uint8_t hour = cmos(4);
	ck_assert_uint_ge(hour & 0x7f, 1);
	ck_assert_uint_le(hour & 0x7f, 12);
	ck_assert_uint_eq(hour >> 7, tm.tm_hour >= 12);
	out(0x70, 0x50);
	out(0x71, 0xa5);
	ck_assert_uint_eq(cmos(0xd0), 0xa5); /* bit 7 is the NMI mask, not part of the index */
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("platform");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, requests);
	tcase_add_test(tc, rtc_tells_the_time);
	return suite_run("platform", tc);
}
