/* ACPI tables: checksums, links, what each machine shows; iasl reads the byte code back. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suite.h"
#include "vmm/boot/acpi.h"

#define ADDR 0xe0000ull
#define CAP  0x20000u

static uint8_t area[CAP];

static struct machine machine_of(uint32_t virtio)
{
	struct machine m = {.cpus = 4, .serial = true, .rtc = true, .virtio_count = virtio};
	for (uint32_t i = 0; i < virtio; i++)
		m.virtio[i] = (struct machine_virtio){
		        MACHINE_VIRTIO_MMIO + (uint64_t)i * MACHINE_VIRTIO_MMIO_SIZE,
		        machine_virtio_gsi(i)};
	return m;
}

static uint32_t u32_at(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t u64_at(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static void assert_sum(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	ck_assert_uint_eq(sum, 0);
}

/* The table at guest address ADDR, its signature and checksum checked. */
static const uint8_t *table_at(uint64_t addr, const char *signature)
{
	ck_assert_uint_ge(addr, ADDR);
	ck_assert_uint_lt(addr - ADDR, CAP - 36);
	const uint8_t *t = area + (addr - ADDR);
	ck_assert_mem_eq(t, signature, 4);
	ck_assert_uint_le(u32_at(t + 4), CAP - (addr - ADDR));
	assert_sum(t, u32_at(t + 4));
	return t;
}

struct tables {
	const uint8_t *fadt, *madt, *dsdt;
};

static struct tables make(const struct machine *m)
{
	memset(area, 0, sizeof(area));
	ck_assert(acpi_write(area, sizeof(area), ADDR, m));
	ck_assert_mem_eq(area, "RSD PTR ", 8);
	assert_sum(area, 20);
	assert_sum(area, 36);
	const uint8_t *xsdt = table_at(u64_at(area + 24), "XSDT");
	ck_assert_uint_eq(u32_at(xsdt + 4), 36 + 2 * 8);
	struct tables t = {.fadt = table_at(u64_at(xsdt + 36), "FACP"),
	                   .madt = table_at(u64_at(xsdt + 44), "APIC")};
	t.dsdt = table_at(u64_at(t.fadt + 140), "DSDT");
	return t;
}

static bool contains(const uint8_t *table, const char *what)
{
	return memmem(table, u32_at(table + 4), what, strlen(what)) != NULL;
}

START_TEST(fadt_says_what_there_is)
{
	struct machine m = machine_of(1);
	struct tables t = make(&m);
	ck_assert_uint_eq(u32_at(t.fadt + 4), 276);
	ck_assert_uint_eq(u32_at(t.fadt + 112) >> 20 & 1, 1); /* hardware-reduced */
	ck_assert_uint_eq(t.fadt[109], 0x04);                 /* no VGA, no 8042, an RTC */
	ck_assert_uint_eq(t.fadt[116], 1);                    /* reset register: I/O */
	ck_assert_uint_eq(u64_at(t.fadt + 120), 0x602);
	ck_assert_uint_eq(t.fadt[128], MACHINE_ACPI_RESET_VALUE);
	ck_assert_uint_eq(u64_at(t.fadt + 248), 0x600); /* sleep control */
	ck_assert_uint_eq(u64_at(t.fadt + 260), 0x601); /* sleep status */
	m.rtc = false;
	m.i8042 = true;
	t = make(&m);
	ck_assert_uint_eq(t.fadt[109], 0x26);
}
END_TEST

START_TEST(madt_lists_every_cpu)
{
	struct machine m = machine_of(0);
	m.cpus = 32;
	struct tables t = make(&m);
	ck_assert_uint_eq(u32_at(t.madt + 36), 0xfee00000);
	ck_assert_uint_eq(u32_at(t.madt + 4), 44 + 32 * 8 + 12);
	for (uint32_t i = 0; i < 32; i++) {
		const uint8_t *l = t.madt + 44 + (size_t)i * 8;
		ck_assert_uint_eq(l[0], 0);
		ck_assert_uint_eq(l[3], i);
		ck_assert_uint_eq(u32_at(l + 4), 1);
	}
	const uint8_t *io = t.madt + 44 + 32 * 8;
	ck_assert_uint_eq(io[0], 1);
	ck_assert_uint_eq(u32_at(io + 4), 0xfec00000);
	ck_assert_uint_eq(u32_at(io + 8), 0);
}
END_TEST

START_TEST(dsdt_names_the_devices)
{
	struct machine m = machine_of(32);
	struct tables t = make(&m);
	ck_assert(contains(t.dsdt, "V000"));
	ck_assert(contains(t.dsdt, "V031"));
	ck_assert(contains(t.dsdt, "LNRO0005"));
	ck_assert(contains(t.dsdt, "ACPI0013"));
	ck_assert(contains(t.dsdt, "QEMU0001"));
	ck_assert(contains(t.dsdt, "COM1"));
	ck_assert(contains(t.dsdt, "RTC_"));
	ck_assert(!contains(t.dsdt, "PS2_"));
	m.serial = m.rtc = false;
	m.i8042 = true;
	m.virtio_count = 0;
	t = make(&m);
	ck_assert(!contains(t.dsdt, "COM1"));
	ck_assert(!contains(t.dsdt, "RTC_"));
	ck_assert(contains(t.dsdt, "PS2_"));
	ck_assert(!contains(t.dsdt, "LNRO0005"));
}
END_TEST

START_TEST(pci_is_described)
{
	struct machine m = machine_of(0);
	m.pci = true;
	m.ram_bytes = 256u << 20;
	machine_set_pci_mem64(&m, 40);
	memset(area, 0, sizeof(area));
	ck_assert(acpi_write(area, sizeof(area), ADDR, &m));
	const uint8_t *xsdt = table_at(u64_at(area + 24), "XSDT");
	ck_assert_uint_eq(u32_at(xsdt + 4), 36 + 3 * 8);
	const uint8_t *mcfg = table_at(u64_at(xsdt + 52), "MCFG");
	ck_assert_uint_eq(u32_at(mcfg + 4), 60);
	ck_assert_uint_eq(u64_at(mcfg + 44), MACHINE_PCI_ECAM);
	ck_assert_uint_eq(mcfg[54], 0);
	ck_assert_uint_eq(mcfg[55], 0);
	const uint8_t *fadt = table_at(u64_at(xsdt + 36), "FACP");
	const uint8_t *dsdt = table_at(u64_at(fadt + 140), "DSDT");
	ck_assert(contains(dsdt, "PCI0"));
	ck_assert(contains(dsdt, "_PRT"));
}
END_TEST

START_TEST(too_little_room_is_noticed)
{
	struct machine m = machine_of(32);
	struct tables t = make(&m);
	size_t used = CAP;
	while (used > 0 && area[used - 1] == 0)
		used--;
	(void)t;
	static uint8_t small[CAP];
	for (size_t cap = 0; cap < used; cap++)
		ck_assert(!acpi_write(small, cap, ADDR, &m));
	ck_assert(acpi_write(small, used + 16, ADDR, &m));
}
END_TEST

/* The disassembly of the DSDT, in BUF; it compiles again. */
static void disassemble(const struct tables *t, char *buf, size_t size)
{
	char dir[] = "/tmp/vmm-acpi-XXXXXX";
	char path[64];
	char command[256];
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/dsdt.aml", dir);
	FILE *f = fopen(path, "wb");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(t->dsdt, 1, u32_at(t->dsdt + 4), f), u32_at(t->dsdt + 4));
	ck_assert_int_eq(fclose(f), 0);
	(void)snprintf(command, sizeof(command),
	               "cd %s && iasl -d dsdt.aml >log 2>&1 && iasl dsdt.dsl >>log 2>&1", dir);
	int status = system(command); /* NOLINT */
	ck_assert_int_eq(status, 0);
	(void)snprintf(path, sizeof(path), "%s/dsdt.dsl", dir);
	f = fopen(path, "rb");
	ck_assert_ptr_nonnull(f);
	size_t n = fread(buf, 1, size - 1, f);
	buf[n] = '\0';
	(void)fclose(f);
	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0); /* NOLINT */
}

START_TEST(iasl_reads_it_back)
{
	static char text[1 << 18];
	struct machine m = machine_of(16);
	m.i8042 = true;
	m.pci = true;
	m.ram_bytes = 256u << 20;
	machine_set_pci_mem64(&m, 40);
	memset(area, 0, sizeof(area));
	ck_assert(acpi_write(area, sizeof(area), ADDR, &m));
	const uint8_t *xsdt = table_at(u64_at(area + 24), "XSDT");
	struct tables t = {.fadt = table_at(u64_at(xsdt + 36), "FACP")};
	t.dsdt = table_at(u64_at(t.fadt + 140), "DSDT");
	disassemble(&t, text, sizeof(text));
	static const char *const expected[] = {
	        "Name (_HID, \"LNRO0005\")",
	        "Name (_HID, EisaId (\"PNP0501\")",
	        "Name (_HID, EisaId (\"PNP0C0C\")",
	        "Name (_HID, \"ACPI0013\"",
	        "Name (_HID, \"QEMU0001\"",
	        "Name (_STA, 0x0F)",
	        "0x0505,             // Range Minimum",
	        "0xD0000000,         // Address Base",
	        "Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive, ,, )",
	        "Interrupt (ResourceConsumer, Edge, ActiveHigh, Shared, ,, )",
	        "Notify (\\_SB.PWRB, 0x80)",
	        "Name (\\_S5, Package",
	        "Method (_EVT, 1, NotSerialized)",
	        "Name (_HID, EisaId (\"PNP0A08\")",
	        "WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,",
	        "WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,",
	        "DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, "
	        "ReadWrite,",
	        "QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, "
	        "ReadWrite,",
	        "Name (_PRT, Package (0x80)",
	};
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		ck_assert_msg(strstr(text, expected[i]) != NULL, "no '%s'", expected[i]);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("acpi");
	tcase_add_test(tc, fadt_says_what_there_is);
	tcase_add_test(tc, madt_lists_every_cpu);
	tcase_add_test(tc, dsdt_names_the_devices);
	tcase_add_test(tc, pci_is_described);
	tcase_add_test(tc, too_little_room_is_noticed);
	if (suite_has("iasl", "acpi/iasl_reads_it_back"))
		tcase_add_test(tc, iasl_reads_it_back);
	return suite_run("acpi", tc);
}
