/* The PCI bus: config space by both ways, BARs that are sized and moved, MSI-X, pins. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/pci/bus.h"
#include "devices/pci/host_bridge.h"
#include "devices/pci/msix.h"
#include "suite.h"

#define VECTORS          5u
#define ECAM(devfn, reg) (MACHINE_PCI_ECAM + ((uint64_t)(devfn) << 12) + (reg))
#define BAR_TABLE        0x1000u
#define BAR_PBA          0x2000u

/* A device with BARs of each kind; it remembers what it was asked. */
struct toy {
	struct pci_func f;
	struct msix msix;
	unsigned bar, moves;
	uint64_t offset, value;
	bool mapped[PCI_REGIONS];
};

static struct bus mbus;
static struct pci_bus pci;
static struct irq_chip chip;
static struct msi_routes routes;
static struct machine machine;
static struct toy *toy;
static unsigned destroyed;

static uint64_t toy_read(struct pci_func *f, unsigned bar, uint64_t offset, unsigned size)
{
	struct toy *t = (struct toy *)f;
	if (bar == 0 && offset >= BAR_PBA)
		return msix_pba_read(&t->msix, offset - BAR_PBA, size);
	if (bar == 0 && offset >= BAR_TABLE)
		return msix_table_read(&t->msix, offset - BAR_TABLE, size);
	t->bar = bar;
	t->offset = offset;
	return 0x5a5a5a5a00ull + offset;
}

static void toy_write(struct pci_func *f, unsigned bar, uint64_t offset, unsigned size,
                      uint64_t value)
{
	struct toy *t = (struct toy *)f;
	if (bar == 0 && offset >= BAR_TABLE) {
		msix_table_write(&t->msix, offset - BAR_TABLE, size, value);
		return;
	}
	t->bar = bar;
	t->offset = offset;
	t->value = value;
}

static void toy_moved(struct pci_func *f, unsigned bar)
{
	struct toy *t = (struct toy *)f;
	t->moves++;
	t->mapped[bar] = f->bar[bar].mapped;
}

static void toy_written(struct pci_func *f, uint32_t offset, unsigned size, uint32_t value)
{
	(void)value;
	msix_config_written(&((struct toy *)f)->msix, offset, size);
}

static void toy_reset(struct pci_func *f)
{
	msix_reset(&((struct toy *)f)->msix);
}

static void toy_destroy(struct pci_func *f)
{
	msix_fini(&((struct toy *)f)->msix);
	free(f);
	destroyed++;
}

static const struct pci_func_ops toy_ops = {
        .bar_read = toy_read,
        .bar_write = toy_write,
        .bar_moved = toy_moved,
        .config_written = toy_written,
        .reset = toy_reset,
        .destroy = toy_destroy,
};
static const struct pci_ids toy_ids = {.vendor = 0x1234, .device = 0x5678, .class_code = 0x010203};

static struct toy *new_toy(void)
{
	struct toy *t = calloc(1, sizeof(*t));
	ck_assert_ptr_nonnull(t);
	pci_func_init(&t->f, &toy_ops, "toy", &toy_ids);
	pci_func_set_pin(&t->f);
	return t;
}

static void setup(void)
{
	memset(&mbus, 0, sizeof(mbus));
	memset(&routes, 0, sizeof(routes));
	memset(&pci, 0, sizeof(pci));
	irq_chip_init(&chip);
	msi_routes_init(&routes);
	pci_bus_init(&pci, &chip);
	machine = (struct machine){.ram_bytes = 256u << 20, .pci = true};
	machine_set_pci_mem64(&machine, 40);
	destroyed = 0;
	ck_assert_int_eq(host_bridge_add(&pci, NULL), VMM_OK);
	toy = new_toy();
	pci_func_set_bar(&toy->f, 0, PCI_BAR_MEM64, true, 0x4000);
	pci_func_set_bar(&toy->f, 2, PCI_BAR_MEM32, false, 0x1000);
	pci_func_set_bar(&toy->f, 3, PCI_BAR_IO, false, 0x20);
	pci_func_set_bar(&toy->f, PCI_ROM, PCI_BAR_MEM32, false, 0x10000);
	ck_assert_int_eq(
	        msix_init(&toy->msix, &toy->f, &routes, VECTORS, 0, BAR_TABLE, BAR_PBA, NULL),
	        VMM_OK);
	ck_assert_int_eq(pci_bus_add(&pci, &toy->f, NULL), VMM_OK);
	ck_assert_uint_eq(toy->f.devfn, PCI_DEVFN(1, 0));
	ck_assert_int_eq(pci_bus_attach(&pci, &machine, &mbus, NULL), VMM_OK);
	bus_freeze(&mbus);
}

static void teardown(void)
{
	pci_bus_fini(&pci);
	ck_assert_uint_eq(destroyed, 1);
	for (unsigned i = 0; i < MSI_ROUTES_MAX; i++)
		ck_assert(!routes.route[i].taken);
	msi_routes_fini(&routes);
	irq_chip_fini(&chip);
}

static uint64_t get(enum bus_space space, uint64_t addr, unsigned size)
{
	uint64_t value;
	(void)bus_read(&mbus, space, addr, size, &value);
	return size == 8 ? value : value & ((1ull << (8 * size)) - 1);
}

static uint32_t cfg(uint32_t reg, unsigned size)
{
	return (uint32_t)get(BUS_MMIO, ECAM(toy->f.devfn, reg), size);
}

static void set_cfg(uint32_t reg, unsigned size, uint32_t value)
{
	ck_assert(bus_write(&mbus, BUS_MMIO, ECAM(toy->f.devfn, reg), size, value));
}

START_TEST(config_space_by_ports_is_the_same)
{
	ck_assert_uint_eq(cfg(PCI_VENDOR_ID, 4), 0x56781234);
	ck_assert_uint_eq(cfg(PCI_CLASS_REVISION, 4), 0x01020300);
	ck_assert(bus_write(&mbus, BUS_PIO, 0xcf8, 4, 0x80000000u | 8u << 8));
	ck_assert_uint_eq(get(BUS_PIO, 0xcf8, 4), 0x80000800);
	ck_assert_uint_eq(get(BUS_PIO, 0xcfc, 4), 0x56781234);
	ck_assert_uint_eq(get(BUS_PIO, 0xcfe, 2), 0x5678);
	ck_assert_uint_eq(get(BUS_PIO, 0xcfd, 1), 0x12);
	/* Bytes do not reach the address register; disabled or on another bus, nothing answers. */
	ck_assert(bus_write(&mbus, BUS_PIO, 0xcf8, 1, 0));
	ck_assert_uint_eq(get(BUS_PIO, 0xcf8, 4), 0x80000800);
	ck_assert(bus_write(&mbus, BUS_PIO, 0xcf8, 4, 0x80010800u));
	ck_assert_uint_eq(get(BUS_PIO, 0xcfc, 4), UINT32_MAX);
	ck_assert(bus_write(&mbus, BUS_PIO, 0xcf8, 4, 8u << 8));
	ck_assert_uint_eq(get(BUS_PIO, 0xcfc, 4), UINT32_MAX);
	ck_assert(bus_write(&mbus, BUS_PIO, 0xcf8, 4, 0x80000800u | PCI_INTERRUPT_LINE));
	ck_assert(bus_write(&mbus, BUS_PIO, 0xcfc + (PCI_INTERRUPT_LINE & 3), 1, 0x77));
	ck_assert_uint_eq(cfg(PCI_INTERRUPT_LINE, 1), 0x77);
}
END_TEST

START_TEST(absent_functions_read_all_ones)
{
	ck_assert_uint_eq(get(BUS_MMIO, ECAM(PCI_DEVFN(2, 0), 0), 4), UINT32_MAX);
	ck_assert_uint_eq(get(BUS_MMIO, ECAM(PCI_DEVFN(1, 1), 0), 4), UINT32_MAX);
	ck_assert_uint_eq(get(BUS_MMIO, ECAM(PCI_DEVFN(31, 7), 0xffc), 4), UINT32_MAX);
	ck_assert(bus_write(&mbus, BUS_MMIO, ECAM(PCI_DEVFN(31, 7), 4), 4, 7));
}
END_TEST

START_TEST(only_writable_bits_change)
{
	for (uint32_t reg = 0; reg < PCI_CFG_SPACE_EXP_SIZE; reg += 4)
		if (reg != PCI_COMMAND)
			set_cfg(reg, 4, UINT32_MAX);
	ck_assert_uint_eq(cfg(PCI_VENDOR_ID, 4), 0x56781234);
	ck_assert_uint_eq(cfg(PCI_HEADER_TYPE, 1), 0);
	ck_assert_uint_eq(cfg(PCI_INTERRUPT_PIN, 1), 1);
	ck_assert_uint_eq(cfg(0x100, 4), 0);
	set_cfg(PCI_COMMAND, 2, 0xffff);
	ck_assert_uint_eq(cfg(PCI_COMMAND, 2), 0x407);
	ck_assert_uint_eq(cfg(PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
	/* Across a doubleword, and eight bytes at once. */
	set_cfg(PCI_CACHE_LINE_SIZE, 1, 0x10);
	ck_assert_uint_eq(cfg(PCI_REVISION_ID + 1, 4), 0x10010203);
	ck_assert_uint_eq(get(BUS_MMIO, ECAM(toy->f.devfn, 0), 8), 0x0010040756781234);
}
END_TEST

START_TEST(the_capability_list_ends)
{
	ck_assert(cfg(PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
	uint32_t at = cfg(PCI_CAPABILITY_LIST, 1);
	ck_assert_uint_eq(cfg(at, 1), PCI_CAP_ID_MSIX);
	ck_assert_uint_eq(cfg(at + 1, 1), 0);
	ck_assert_uint_eq(cfg(at + PCI_MSIX_FLAGS, 2), VECTORS - 1);
	ck_assert_uint_eq(cfg(at + PCI_MSIX_TABLE, 4), BAR_TABLE);
	/* Config space is full in the end, and says so. */
	unsigned n = 0;
	while (pci_func_add_cap(&toy->f, PCI_CAP_ID_VNDR, 20))
		n++;
	ck_assert_uint_eq(n, (0x100 - 0x4c) / 20);
}
END_TEST

static uint64_t size_bar(uint32_t reg, bool wide)
{
	uint32_t low = cfg(reg, 4);
	uint32_t high = wide ? cfg(reg + 4, 4) : 0;
	set_cfg(reg, 4, UINT32_MAX);
	if (wide)
		set_cfg(reg + 4, 4, UINT32_MAX);
	uint64_t mask = cfg(reg, 4) & (low & 1 ? ~3u : ~15u);
	mask |= wide ? (uint64_t)cfg(reg + 4, 4) << 32 : 0xffffffffull << 32;
	set_cfg(reg, 4, low);
	if (wide)
		set_cfg(reg + 4, 4, high);
	return ~mask + 1;
}

START_TEST(bars_are_sized_as_the_specification_says)
{
	ck_assert_uint_eq(size_bar(PCI_BASE_ADDRESS_0, true), 0x4000);
	ck_assert_uint_eq(size_bar(PCI_BASE_ADDRESS_2, false), 0x1000);
	ck_assert_uint_eq(size_bar(PCI_BASE_ADDRESS_3, false) & 0xffff, 0x20);
	ck_assert_uint_eq(cfg(PCI_BASE_ADDRESS_0, 4) & 0xf,
	                  PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH);
	ck_assert_uint_eq(cfg(PCI_BASE_ADDRESS_3, 4) & 3, PCI_BASE_ADDRESS_SPACE_IO);
	set_cfg(PCI_BASE_ADDRESS_4, 4, UINT32_MAX);
	ck_assert_uint_eq(cfg(PCI_BASE_ADDRESS_4, 4), 0);
	set_cfg(PCI_ROM_ADDRESS, 4, PCI_ROM_ADDRESS_MASK);
	ck_assert_uint_eq(cfg(PCI_ROM_ADDRESS, 4), 0xffff0000);
}
END_TEST

START_TEST(every_bar_has_a_place_of_its_own)
{
	const struct pci_bar *b = toy->f.bar;
	ck_assert_uint_ge(b[0].initial, machine.pci_mem64);
	ck_assert_uint_lt(b[0].initial, machine.pci_mem64 + machine.pci_mem64_bytes);
	ck_assert_uint_ge(b[2].initial, MACHINE_PCI_MEM32);
	ck_assert_uint_ge(b[3].initial, MACHINE_PORT_PCI_IO);
	ck_assert(b[2].initial + 0x1000 <= b[PCI_ROM].initial ||
	          b[PCI_ROM].initial + 0x10000 <= b[2].initial);
	for (unsigned i = 0; i < PCI_REGIONS; i++)
		ck_assert(b[i].kind == PCI_BAR_NONE || b[i].initial % b[i].len_bytes == 0);
}
END_TEST

START_TEST(bars_answer_only_while_decoded)
{
	uint64_t at = toy->f.bar[0].initial;
	ck_assert_uint_eq(get(BUS_MMIO, at + 8, 4), UINT32_MAX);
	set_cfg(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	ck_assert_uint_eq(get(BUS_MMIO, at + 8, 4), 0x5a5a5a08);
	ck_assert(toy->mapped[0] && toy->mapped[2] && !toy->mapped[3] && !toy->mapped[PCI_ROM]);
	set_cfg(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
	ck_assert(bus_write(&mbus, BUS_PIO, toy->f.bar[3].initial + 4, 2, 0x1122));
	ck_assert_uint_eq(toy->bar, 3);
	ck_assert_uint_eq(toy->offset, 4);
	ck_assert_uint_eq(toy->value, 0x1122);
	uint32_t rom = cfg(PCI_ROM_ADDRESS, 4);
	set_cfg(PCI_ROM_ADDRESS, 4, rom | PCI_ROM_ADDRESS_ENABLE);
	ck_assert_uint_eq(get(BUS_MMIO, toy->f.bar[PCI_ROM].initial + 0xfff0, 4), 0x5a5b59f0);
	ck_assert_uint_eq(toy->bar, PCI_ROM);
	set_cfg(PCI_COMMAND, 2, 0);
	ck_assert_uint_eq(get(BUS_MMIO, at + 8, 4), UINT32_MAX);
	ck_assert(!toy->mapped[0] && !toy->mapped[2] && !toy->mapped[3] && !toy->mapped[PCI_ROM]);
}
END_TEST

START_TEST(bars_move_anywhere_in_a_window)
{
	set_cfg(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	uint64_t first = toy->f.bar[0].initial;
	/* A 64-bit BAR may go below 4 GiB. */
	set_cfg(PCI_BASE_ADDRESS_0, 4, (uint32_t)MACHINE_PCI_MEM32_END - 0x4000);
	set_cfg(PCI_BASE_ADDRESS_1, 4, 0);
	ck_assert_uint_eq(get(BUS_MMIO, MACHINE_PCI_MEM32_END - 0x4000 + 0x10, 4), 0x5a5a5a10);
	ck_assert_uint_eq(get(BUS_MMIO, first + 0x10, 4), UINT32_MAX);
	/* Outside every window it answers nowhere: not over RAM, not over the IOAPIC. */
	const uint32_t elsewhere[] = {0, 0x100000, 0xe0000000, 0xfec00000, 0xffffc000};
	for (unsigned i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
		set_cfg(PCI_BASE_ADDRESS_0, 4, elsewhere[i]);
		ck_assert(!toy->f.bar[0].mapped && !toy->mapped[0]);
	}
	/* Half outside is outside. */
	set_cfg(PCI_BASE_ADDRESS_0, 4, 0);
	set_cfg(PCI_BASE_ADDRESS_1, 4, UINT32_MAX);
	ck_assert(!toy->f.bar[0].mapped);
}
END_TEST

START_TEST(overlapping_bars_do_not_both_answer)
{
	set_cfg(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	set_cfg(PCI_BASE_ADDRESS_2, 4, (uint32_t)MACHINE_PCI_MEM32 + 0x4000000);
	set_cfg(PCI_BASE_ADDRESS_0, 4, (uint32_t)MACHINE_PCI_MEM32 + 0x4000000);
	set_cfg(PCI_BASE_ADDRESS_1, 4, 0);
	ck_assert(toy->f.bar[2].mapped && !toy->f.bar[0].mapped);
	(void)get(BUS_MMIO, MACHINE_PCI_MEM32 + 0x4000000, 4);
	ck_assert_uint_eq(toy->bar, 2);
	/* The end of one, from the side of the other. */
	set_cfg(PCI_BASE_ADDRESS_2, 4, (uint32_t)MACHINE_PCI_MEM32 + 0x4003000);
	set_cfg(PCI_BASE_ADDRESS_0, 4, (uint32_t)MACHINE_PCI_MEM32 + 0x4000000);
	ck_assert(toy->f.bar[2].mapped && !toy->f.bar[0].mapped);
	/* An access that leaves the BAR is not answered. */
	ck_assert_uint_eq(get(BUS_MMIO, MACHINE_PCI_MEM32 + 0x4003ffc, 8), UINT64_MAX);
}
END_TEST

START_TEST(reset_puts_everything_back)
{
	set_cfg(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	set_cfg(PCI_BASE_ADDRESS_2, 4, (uint32_t)MACHINE_PCI_MEM32 + 0x4000000);
	set_cfg(PCI_INTERRUPT_LINE, 1, 9);
	pci_bus_reset(&pci);
	ck_assert_uint_eq(cfg(PCI_COMMAND, 2), 0);
	ck_assert_uint_eq(cfg(PCI_BASE_ADDRESS_2, 4), toy->f.bar[2].initial);
	ck_assert_uint_eq(cfg(PCI_INTERRUPT_LINE, 1), 0);
	ck_assert(!toy->mapped[0] && !toy->mapped[2]);
}
END_TEST

START_TEST(too_large_a_bar_is_refused)
{
	struct pci_bus other = {0};
	struct bus other_mbus = {0};
	vmm_err_info_t ei;
	pci_bus_init(&other, &chip);
	struct toy *t = new_toy();
	pci_func_set_bar(&t->f, 0, PCI_BAR_MEM32, false, 512u << 20);
	ck_assert_int_eq(msix_init(&t->msix, &t->f, &routes, 1, 0, 0, 0x800, &ei), VMM_OK);
	ck_assert_int_eq(pci_bus_add(&other, &t->f, &ei), VMM_OK);
	ck_assert_int_eq(pci_bus_attach(&other, &machine, &other_mbus, &ei), VMM_E_LIMIT);
	ck_assert_str_eq(ei.field, "toy");
	ck_assert_msg(strstr(ei.message, "524288 KiB"), "%s", ei.message);
	pci_bus_fini(&other);
	destroyed--;
}
END_TEST

static uint32_t msix_at(void)
{
	return toy->msix.cap + PCI_MSIX_FLAGS;
}

static void set_entry(unsigned i, uint64_t addr, uint32_t data, uint32_t ctrl)
{
	uint64_t at = toy->f.bar[0].addr + BAR_TABLE + i * 16;
	ck_assert(bus_write(&mbus, BUS_MMIO, at, 8, addr));
	ck_assert(bus_write(&mbus, BUS_MMIO, at + 8, 4, data));
	ck_assert(bus_write(&mbus, BUS_MMIO, at + 12, 4, ctrl));
}

static uint64_t pba(void)
{
	return get(BUS_MMIO, toy->f.bar[0].addr + BAR_PBA, 8);
}

START_TEST(msix_vectors_connect_when_unmasked)
{
	struct msix *m = &toy->msix;
	set_cfg(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	ck_assert(!msix_raise(m, 0)); /* not enabled: the pin's */
	set_entry(1, 0xfee01000, 0x4041, 0);
	ck_assert(!m->vector[1].line.connected);
	set_cfg(msix_at(), 2, PCI_MSIX_FLAGS_ENABLE);
	ck_assert(m->vector[1].line.connected);
	ck_assert(!m->vector[0].line.connected);
	const struct msi_route *r = &routes.route[m->vector[1].line.index];
	ck_assert(r->set);
	ck_assert_uint_eq(r->addr, 0xfee01000);
	ck_assert_uint_eq(r->data, 0x4041);
	ck_assert(msix_raise(m, 1));
	ck_assert(msi_line_pending(&m->vector[1].line)); /* in KVM's hands */
	ck_assert_uint_eq(pba(), 0);
	/* A new message takes the place of the old. */
	set_entry(1, 0xfee02000, 0x4042, 0);
	ck_assert_uint_eq(r->addr, 0xfee02000);
	ck_assert_uint_eq(r->data, 0x4042);
}
END_TEST

START_TEST(masked_vectors_are_pending)
{
	struct msix *m = &toy->msix;
	set_cfg(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	set_cfg(msix_at(), 2, PCI_MSIX_FLAGS_ENABLE);
	set_entry(4, 0xfee00000, 0x50, 1);
	ck_assert(msix_raise(m, 4));
	ck_assert_uint_eq(pba(), 1u << 4);
	set_entry(4, 0xfee00000, 0x50, 0);
	ck_assert(m->vector[4].line.connected);
	ck_assert(msi_line_pending(&m->vector[4].line));
	/* The whole function masked. */
	set_cfg(msix_at(), 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	ck_assert(!m->vector[4].line.connected);
	ck_assert_uint_eq(pba(), 1u << 4);
	/* Disabled: forgotten. */
	set_cfg(msix_at(), 2, 0);
	ck_assert_uint_eq(pba(), 0);
	ck_assert_int_eq(m->vector[4].line.fd, -1);
	/* The table is as it was. */
	ck_assert_uint_eq(get(BUS_MMIO, toy->f.bar[0].addr + BAR_TABLE + 4 * 16 + 8, 4), 0x50);
}
END_TEST

START_TEST(hostile_table_accesses_do_nothing)
{
	struct msix *m = &toy->msix;
	set_cfg(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	set_cfg(msix_at(), 2, PCI_MSIX_FLAGS_ENABLE);
	uint64_t table = toy->f.bar[0].addr + BAR_TABLE;
	ck_assert(bus_write(&mbus, BUS_MMIO, table + 1, 1, 0xff));
	ck_assert(bus_write(&mbus, BUS_MMIO, table + 2, 4, UINT32_MAX));
	ck_assert(bus_write(&mbus, BUS_MMIO, table + 4, 8, UINT64_MAX));
	ck_assert(bus_write(&mbus, BUS_MMIO, table + VECTORS * 16, 4, UINT32_MAX));
	ck_assert_uint_eq(get(BUS_MMIO, table, 8), 0);
	ck_assert_uint_eq(get(BUS_MMIO, table + 8, 8), 1ull << 32);
	ck_assert_uint_eq(get(BUS_MMIO, table + VECTORS * 16, 4), 0);
	ck_assert(bus_write(&mbus, BUS_MMIO, table + 12, 4, UINT32_MAX));
	ck_assert_uint_eq(get(BUS_MMIO, table + 12, 4), 1);
	ck_assert(msix_raise(m, VECTORS));
	ck_assert(msix_raise(m, UINT32_MAX));
}
END_TEST

START_TEST(pins_are_wired_together)
{
	struct pci_bus *b = &pci;
	unsigned pin = machine_pci_gsi(1, 0) - MACHINE_GSI_PCI;
	pci_func_set_intx(&toy->f, true);
	pci_func_set_intx(&toy->f, true);
	ck_assert_uint_eq(b->intx_users[pin], 1);
	ck_assert(cfg(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	set_cfg(PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
	ck_assert_uint_eq(b->intx_users[pin], 0);
	ck_assert(cfg(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	set_cfg(PCI_COMMAND, 2, 0);
	ck_assert_uint_eq(b->intx_users[pin], 1);
	pci_func_set_intx(&toy->f, false);
	ck_assert_uint_eq(b->intx_users[pin], 0);
	ck_assert(!(cfg(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT));
	/* A reset releases it. */
	pci_func_set_intx(&toy->f, true);
	pci_bus_reset(b);
	ck_assert_uint_eq(b->intx_users[pin], 0);
}
END_TEST

START_TEST(the_bus_has_thirty_two_slots)
{
	vmm_err_info_t ei;
	for (unsigned i = 2; i < MACHINE_PCI_SLOTS; i++) {
		struct toy *t = new_toy();
		ck_assert_int_eq(pci_bus_add(&pci, &t->f, &ei), VMM_OK);
	}
	struct toy *t = new_toy();
	ck_assert_int_eq(pci_bus_add(&pci, &t->f, &ei), VMM_E_LIMIT);
	t = new_toy();
	ck_assert_int_eq(pci_bus_add_at(&pci, &t->f, PCI_DEVFN(2, 0), &ei), VMM_E_BUSY);
	t = new_toy();
	ck_assert_int_eq(pci_bus_add_at(&pci, &t->f, PCI_DEVFN(2, 3), &ei), VMM_OK);
	ck_assert_uint_eq(pci_config_get(pci.func[PCI_DEVFN(2, 0)], PCI_HEADER_TYPE, 1), 0x80);
	pci_bus_fini(&pci);
	ck_assert_uint_eq(destroyed, 1 + 30 + 3);
	destroyed = 0;
	memset(&pci, 0, sizeof(pci));
	pci_bus_init(&pci, &chip);
	t = new_toy();
	ck_assert_int_eq(pci_bus_add(&pci, &t->f, &ei), VMM_OK);
}
END_TEST

START_TEST(the_wide_window_lies_above_ram)
{
	struct machine m = {.ram_bytes = 256u << 20};
	machine_set_pci_mem64(&m, 40);
	ck_assert_uint_eq(m.pci_mem64, 1ull << 35);
	ck_assert_uint_eq(m.pci_mem64_bytes, (1ull << 40) - (1ull << 35));
	m.ram_bytes = 100ull << 30;
	machine_set_pci_mem64(&m, 39);
	ck_assert_uint_eq(m.pci_mem64, 128ull << 30);
	machine_set_pci_mem64(&m, 36);
	ck_assert_uint_eq(m.pci_mem64_bytes, 0);
	machine_set_pci_mem64(&m, 52);
	ck_assert_uint_eq(m.pci_mem64_bytes, 1ull << 40);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("pci");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, config_space_by_ports_is_the_same);
	tcase_add_test(tc, absent_functions_read_all_ones);
	tcase_add_test(tc, only_writable_bits_change);
	tcase_add_test(tc, the_capability_list_ends);
	tcase_add_test(tc, bars_are_sized_as_the_specification_says);
	tcase_add_test(tc, every_bar_has_a_place_of_its_own);
	tcase_add_test(tc, bars_answer_only_while_decoded);
	tcase_add_test(tc, bars_move_anywhere_in_a_window);
	tcase_add_test(tc, overlapping_bars_do_not_both_answer);
	tcase_add_test(tc, reset_puts_everything_back);
	tcase_add_test(tc, too_large_a_bar_is_refused);
	tcase_add_test(tc, msix_vectors_connect_when_unmasked);
	tcase_add_test(tc, masked_vectors_are_pending);
	tcase_add_test(tc, hostile_table_accesses_do_nothing);
	tcase_add_test(tc, pins_are_wired_together);
	tcase_add_test(tc, the_bus_has_thirty_two_slots);
	tcase_add_test(tc, the_wide_window_lies_above_ram);
	return suite_run("pci", tc);
}
