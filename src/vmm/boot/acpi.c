/* ACPI tables other than the DSDT's contents. See acpi.h. */
#include "acpi.h"

#include <string.h>

#define OEM_ID     "VMM   "
#define OEM_TABLE  "VMMTABLE"
#define CREATOR_ID "VMM "

struct rsdp {
	char signature[8];
	uint8_t checksum; /* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum; /* of everything */
	uint8_t reserved[3];
} __attribute__((packed));

struct table {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} __attribute__((packed));

/* Generic address structure: 5.2.3.2. */
struct gas {
	uint8_t space;
	uint8_t bit_width;
	uint8_t bit_offset;
	uint8_t access_size;
	uint64_t address;
} __attribute__((packed));

#define GAS_SYSTEM_IO   1u
#define GAS_ACCESS_BYTE 1u

/* 5.2.9. What hardware-reduced machines leave zero is not named. */
struct fadt {
	struct table header;
	uint8_t zero_36[73];
	uint16_t iapc_boot_arch;
	uint8_t zero_111;
	uint32_t flags;
	struct gas reset_reg;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor_version;
	uint64_t x_firmware_ctrl;
	uint64_t x_dsdt;
	uint8_t zero_148[96];
	struct gas sleep_control_reg;
	struct gas sleep_status_reg;
	uint64_t hypervisor_vendor;
} __attribute__((packed));

#define FADT_8042            (1u << 1)
#define FADT_NO_VGA          (1u << 2)
#define FADT_NO_CMOS_RTC     (1u << 5)
#define FADT_WBINVD          (1u << 0)
#define FADT_PROC_C1         (1u << 2)
#define FADT_PWR_BUTTON      (1u << 4) /* no fixed power button */
#define FADT_SLP_BUTTON      (1u << 5) /* no fixed sleep button */
#define FADT_RESET_REG_SUP   (1u << 10)
#define FADT_HW_REDUCED_ACPI (1u << 20)

/* 5.2.12. */
struct madt {
	struct table header;
	uint32_t lapic_address;
	uint32_t flags;
} __attribute__((packed));

struct madt_lapic {
	uint8_t type;
	uint8_t length;
	uint8_t processor_uid;
	uint8_t apic_id;
	uint32_t flags;
} __attribute__((packed));

struct madt_ioapic {
	uint8_t type;
	uint8_t length;
	uint8_t id;
	uint8_t reserved;
	uint32_t address;
	uint32_t gsi_base;
} __attribute__((packed));

/* PCI Firmware 3.3, 4.1.2: one range of config space. */
struct mcfg {
	struct table header;
	uint64_t reserved;
	uint64_t base;
	uint16_t segment;
	uint8_t first_bus, last_bus;
	uint32_t reserved_2;
} __attribute__((packed));

#define MADT_LAPIC         0u
#define MADT_IOAPIC        1u
#define MADT_LAPIC_ENABLED 1u

_Static_assert(sizeof(struct rsdp) == 36, "RSDP");
_Static_assert(sizeof(struct table) == 36, "table header");
_Static_assert(sizeof(struct fadt) == 276, "FADT of ACPI 6.4");
_Static_assert(sizeof(struct madt) == 44, "MADT");
_Static_assert(sizeof(struct mcfg) == 60, "MCFG");

static uint8_t checksum(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	return (uint8_t)-sum;
}

static struct table table_header(const char *signature, uint8_t revision)
{
	struct table h = {.revision = revision, .oem_revision = 1, .creator_revision = 1};
	memcpy(h.signature, signature, sizeof(h.signature));
	memcpy(h.oem_id, OEM_ID, sizeof(h.oem_id));
	memcpy(h.oem_table_id, OEM_TABLE, sizeof(h.oem_table_id));
	memcpy(h.creator_id, CREATOR_ID, sizeof(h.creator_id));
	return h;
}

/* The table that began at START ends here: length and checksum, then the next one's alignment. */
static void finish_table(struct aml *a, size_t start)
{
	if (a->full)
		return;
	uint32_t len = (uint32_t)(a->len - start);
	uint8_t *p = a->buf + start;
	memcpy(p + offsetof(struct table, length), &len, sizeof(len));
	p[offsetof(struct table, checksum)] = checksum(p, len);
	size_t pad = -a->len & 7;
	aml_bytes(a, (const uint8_t[8]){0}, pad);
}

static size_t write_dsdt(struct aml *a, const struct machine *m)
{
	size_t start = a->len;
	struct table h = table_header("DSDT", 2);
	aml_bytes(a, &h, sizeof(h));
	acpi_dsdt(a, m);
	finish_table(a, start);
	return start;
}

static struct gas port(unsigned number)
{
	return (struct gas){GAS_SYSTEM_IO, 8, 0, GAS_ACCESS_BYTE, number};
}

static size_t write_fadt(struct aml *a, const struct machine *m, uint64_t dsdt)
{
	size_t start = a->len;
	struct fadt f = {
	        .header = table_header("FACP", 6),
	        .iapc_boot_arch = (uint16_t)(FADT_NO_VGA | (m->i8042 ? FADT_8042 : 0u) |
	                                     (m->rtc ? 0u : FADT_NO_CMOS_RTC)),
	        .flags = FADT_WBINVD | FADT_PROC_C1 | FADT_PWR_BUTTON | FADT_SLP_BUTTON |
	                 FADT_RESET_REG_SUP | FADT_HW_REDUCED_ACPI,
	        .reset_reg = port(MACHINE_PORT_ACPI + MACHINE_ACPI_RESET),
	        .reset_value = MACHINE_ACPI_RESET_VALUE,
	        .minor_version = 4,
	        .x_dsdt = dsdt,
	        .sleep_control_reg = port(MACHINE_PORT_ACPI + MACHINE_ACPI_SLEEP_CONTROL),
	        .sleep_status_reg = port(MACHINE_PORT_ACPI + MACHINE_ACPI_SLEEP_STATUS),
	};
	memcpy(&f.hypervisor_vendor, "libvmm\0", sizeof(f.hypervisor_vendor));
	aml_bytes(a, &f, sizeof(f));
	finish_table(a, start);
	return start;
}

static size_t write_madt(struct aml *a, const struct machine *m)
{
	size_t start = a->len;
	struct madt t = {.header = table_header("APIC", 5),
	                 .lapic_address = (uint32_t)MACHINE_LAPIC};
	aml_bytes(a, &t, sizeof(t));
	for (uint32_t i = 0; i < m->cpus; i++) {
		struct madt_lapic l = {MADT_LAPIC, sizeof(l), (uint8_t)i, (uint8_t)i,
		                       MADT_LAPIC_ENABLED};
		aml_bytes(a, &l, sizeof(l));
	}
	struct madt_ioapic io = {MADT_IOAPIC, sizeof(io), 0, 0, (uint32_t)MACHINE_IOAPIC, 0};
	aml_bytes(a, &io, sizeof(io));
	finish_table(a, start);
	return start;
}

static size_t write_mcfg(struct aml *a)
{
	size_t start = a->len;
	struct mcfg t = {.header = table_header("MCFG", 1), .base = MACHINE_PCI_ECAM};
	aml_bytes(a, &t, sizeof(t));
	finish_table(a, start);
	return start;
}

/* MCFG is 0 where there is no PCI bus. */
static size_t write_xsdt(struct aml *a, uint64_t fadt, uint64_t madt, uint64_t mcfg)
{
	size_t start = a->len;
	struct table h = table_header("XSDT", 1);
	uint64_t entries[] = {fadt, madt, mcfg};
	aml_bytes(a, &h, sizeof(h));
	aml_bytes(a, entries, mcfg ? sizeof(entries) : 2 * sizeof(entries[0]));
	finish_table(a, start);
	return start;
}

static void write_rsdp(uint8_t *area, uint64_t xsdt)
{
	struct rsdp r = {.revision = 2, .length = sizeof(r), .xsdt = xsdt};
	memcpy(r.signature, "RSD PTR ", sizeof(r.signature));
	memcpy(r.oem_id, OEM_ID, sizeof(r.oem_id));
	r.checksum = checksum((const uint8_t *)&r, offsetof(struct rsdp, length));
	r.extended_checksum = checksum((const uint8_t *)&r, sizeof(r));
	memcpy(area, &r, sizeof(r));
}

bool acpi_write(uint8_t *area, size_t cap, uint64_t addr, const struct machine *machine)
{
	/* The tables start 8-byte aligned behind the RSDP. */
	size_t first = (sizeof(struct rsdp) + 7) & ~(size_t)7;
	if (cap < first)
		return false;
	struct aml a = {.buf = area, .cap = cap, .len = first};
	uint64_t dsdt = addr + write_dsdt(&a, machine);
	uint64_t fadt = addr + write_fadt(&a, machine, dsdt);
	uint64_t madt = addr + write_madt(&a, machine);
	uint64_t mcfg = machine->pci ? addr + write_mcfg(&a) : 0;
	uint64_t xsdt = addr + write_xsdt(&a, fadt, madt, mcfg);
	if (a.full)
		return false;
	write_rsdp(area, xsdt);
	return true;
}
