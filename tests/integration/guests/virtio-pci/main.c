/*
 * The entropy device on PCI (virtio 1.2, 4.1), used well and badly: found by both ways into config
 * space, its BAR moved, its interrupts by MSI-X and by pin, and a driver that breaks the rules of
 * PCI. After each break the device must work again.
 */
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>

#include "virtio.h"

#define BAR_PLACE  0xc8000000ull
#define BAR_OTHER  0xca000000ull
#define VECTOR     0x50u
#define PIN_VECTOR 0x51u
#define SLOT       1u
#define PIN_GSI    (MACHINE_GSI_PCI + SLOT % MACHINE_PCI_PINS)

static uint64_t bar = BAR_PLACE;
static uint32_t common, notify, isr, notify_multiplier;
static uint32_t msix, cfg_access, table, pba;
static struct vq vq;
static uint8_t bytes[64];
static volatile unsigned interrupts, pin_interrupts;

static uint64_t ecam(uint32_t reg)
{
	return MACHINE_PCI_ECAM + ((uint64_t)SLOT << 15) + reg;
}

static uint32_t by_ports(uint32_t reg)
{
	outl(MACHINE_PORT_PCI_ADDRESS, 0x80000000u | SLOT << 11 | reg);
	return inl(MACHINE_PORT_PCI_DATA);
}

static void on_message(unsigned vector)
{
	(void)vector;
	interrupts++;
}

static void on_pin(unsigned vector)
{
	(void)vector;
	/* Reading takes the level away: once for each. */
	if (mmio_read8(bar + isr) & 1)
		pin_interrupts++;
}

static bool interrupted(void)
{
	return interrupts > 0;
}

static bool pin_interrupted(void)
{
	return pin_interrupts > 0;
}

static void find_structures(void)
{
	uint32_t at = mmio_read8(ecam(PCI_CAPABILITY_LIST));
	for (unsigned i = 0; at && i < 48; i++, at = mmio_read8(ecam(at + PCI_CAP_LIST_NEXT))) {
		uint8_t id = mmio_read8(ecam(at));
		if (id == PCI_CAP_ID_MSIX) {
			msix = at;
			table = mmio_read32(ecam(at + PCI_MSIX_TABLE)) & ~7u;
			pba = mmio_read32(ecam(at + PCI_MSIX_PBA)) & ~7u;
		}
		if (id != PCI_CAP_ID_VNDR)
			continue;
		uint32_t offset = mmio_read32(ecam(at + VIRTIO_PCI_CAP_OFFSET));
		switch (mmio_read8(ecam(at + VIRTIO_PCI_CAP_CFG_TYPE))) {
		case VIRTIO_PCI_CAP_COMMON_CFG:
			common = offset;
			break;
		case VIRTIO_PCI_CAP_NOTIFY_CFG:
			notify = offset;
			notify_multiplier = mmio_read32(ecam(at + VIRTIO_PCI_NOTIFY_CAP_MULT));
			break;
		case VIRTIO_PCI_CAP_ISR_CFG:
			isr = offset;
			break;
		case VIRTIO_PCI_CAP_PCI_CFG:
			cfg_access = at;
			break;
		default:
			break;
		}
	}
}

static void move_bar(uint64_t to)
{
	mmio_write32(ecam(PCI_BASE_ADDRESS_0), (uint32_t)to);
	mmio_write32(ecam(PCI_BASE_ADDRESS_1), (uint32_t)(to >> 32));
}

static void set_command(uint16_t command)
{
	mmio_write16(ecam(PCI_COMMAND), command);
}

#define COMMON(bits, reg) mmio_read##bits(bar + common + (reg))

static void set_status(uint8_t status)
{
	mmio_write8(bar + common + VIRTIO_PCI_COMMON_STATUS, status);
}

static void set_queue_address(uint32_t reg, uint64_t addr)
{
	mmio_write32(bar + common + reg, (uint32_t)addr);
	mmio_write32(bar + common + reg + 4, (uint32_t)(addr >> 32));
}

/* From reset to DRIVER_OK; the rings at DESC, or where they are. */
static bool start(uint64_t desc, uint16_t vector)
{
	set_status(0);
	if (COMMON(8, VIRTIO_PCI_COMMON_STATUS) != 0)
		return false;
	set_status(STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	mmio_write32(bar + common + VIRTIO_PCI_COMMON_GFSELECT, 1);
	mmio_write32(bar + common + VIRTIO_PCI_COMMON_GF, 1); /* VERSION_1 */
	set_status(STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
	if (!(COMMON(8, VIRTIO_PCI_COMMON_STATUS) & STATUS_FEATURES_OK))
		return false;
	memset(&vq, 0, sizeof(vq));
	mmio_write16(bar + common + VIRTIO_PCI_COMMON_Q_SELECT, 0);
	mmio_write16(bar + common + VIRTIO_PCI_COMMON_Q_SIZE, VQ_SIZE);
	mmio_write16(bar + common + VIRTIO_PCI_COMMON_Q_MSIX, vector);
	set_queue_address(VIRTIO_PCI_COMMON_Q_DESCLO, desc ? desc : (uint64_t)vq.desc);
	set_queue_address(VIRTIO_PCI_COMMON_Q_AVAILLO, (uint64_t)&vq.avail);
	set_queue_address(VIRTIO_PCI_COMMON_Q_USEDLO, (uint64_t)&vq.used);
	mmio_write16(bar + common + VIRTIO_PCI_COMMON_Q_ENABLE, 1);
	set_status(STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
	return !(COMMON(8, VIRTIO_PCI_COMMON_STATUS) & STATUS_NEEDS_RESET);
}

static void offer(void)
{
	memset(bytes, 0, sizeof(bytes));
	vq_desc(&vq, 0, bytes, sizeof(bytes), DESC_WRITE, 0);
	vq_offer(&vq, 0);
}

static void kick(void)
{
	barrier();
	uint32_t off = COMMON(16, VIRTIO_PCI_COMMON_Q_NOFF);
	mmio_write16(bar + notify + off * notify_multiplier, 0);
}

static bool answered(void)
{
	uint32_t len = 0;
	return vq_wait(&vq, &len) && len > 0 && len <= sizeof(bytes);
}

static bool works(void)
{
	if (!start(0, 0))
		return false;
	offer();
	kick();
	return answered();
}

static void set_entry(unsigned i, uint32_t vector, uint32_t control)
{
	uint64_t at = bar + table + i * PCI_MSIX_ENTRY_SIZE;
	mmio_write32(at + PCI_MSIX_ENTRY_LOWER_ADDR, (uint32_t)MACHINE_LAPIC);
	mmio_write32(at + PCI_MSIX_ENTRY_UPPER_ADDR, 0);
	mmio_write32(at + PCI_MSIX_ENTRY_DATA, vector);
	mmio_write32(at + PCI_MSIX_ENTRY_VECTOR_CTRL, control);
}

static void set_msix(uint16_t flags)
{
	mmio_write16(ecam(msix + PCI_MSIX_FLAGS), flags);
}

static void test_finding(void)
{
	check_eq("both ways into config space", by_ports(PCI_VENDOR_ID), mmio_read32(ecam(0)));
	check_eq("the device", mmio_read32(ecam(0)), 0x10441af4);
	uint32_t first = mmio_read32(ecam(PCI_BASE_ADDRESS_0));
	check_eq("a 64-bit prefetchable BAR", first & 0xf, 0xc);
	mmio_write32(ecam(PCI_BASE_ADDRESS_0), UINT32_MAX);
	check_eq("its length", ~(mmio_read32(ecam(PCI_BASE_ADDRESS_0)) & ~0xfu) + 1, 0x8000);
	find_structures();
	check("its structures", msix && notify && isr && cfg_access && notify_multiplier);
	move_bar(BAR_PLACE);
	set_command(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	check("a queue", COMMON(16, VIRTIO_PCI_COMMON_NUMQ) == 1);
}

static void test_messages(void)
{
	irq_handle(VECTOR, on_message);
	set_msix(PCI_MSIX_FLAGS_ENABLE);
	set_entry(0, VECTOR, 0);
	check("started", start(0, 0));
	offer();
	kick();
	check("MSI-X", halt_until(interrupted, 4 * RT_TICKS_SECOND) && answered());
	set_entry(0, VECTOR, PCI_MSIX_ENTRY_CTRL_MASKBIT);
	interrupts = 0;
	offer();
	kick();
	check("answered while masked", answered());
	check_eq("it is pending", mmio_read64(bar + pba), 1);
	check("and did not come", interrupts == 0);
	set_entry(0, VECTOR, 0);
	check("it comes when unmasked", halt_until(interrupted, 4 * RT_TICKS_SECOND));
	check_eq("nothing is pending", mmio_read64(bar + pba), 0);
	mmio_write16(bar + common + VIRTIO_PCI_COMMON_Q_MSIX, 999);
	check_eq("no such vector", COMMON(16, VIRTIO_PCI_COMMON_Q_MSIX), VIRTIO_MSI_NO_VECTOR);
}

static void let_interrupts_in(void)
{
	irq_on();
	for (unsigned i = 0; i < 1000; i++)
		pause();
	irq_off();
}

static void test_pin(void)
{
	set_msix(0);
	irq_handle(PIN_VECTOR, on_pin);
	ioapic_route(PIN_GSI, PIN_VECTOR | 1u << 15); /* level */
	check("started without MSI-X", start(0, VIRTIO_MSI_NO_VECTOR));
	offer();
	kick();
	check("the pin", halt_until(pin_interrupted, 4 * RT_TICKS_SECOND) && answered());
	/* Some hosts end a level interrupt as they deliver it: a second one is then on its way. */
	let_interrupts_in();
	check_eq("once", pin_interrupts, 1);
	set_command(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	pin_interrupts = 0;
	offer();
	kick();
	check("answered with the pin off", answered());
	check("its state shows", mmio_read16(ecam(PCI_STATUS)) & PCI_STATUS_INTERRUPT);
	let_interrupts_in();
	check("no interrupt", pin_interrupts == 0);
	(void)mmio_read8(bar + isr);
	set_command(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	ioapic_mask(PIN_GSI);
}

/* Registers through config space, for those who cannot reach BARs. */
static void test_config_access(void)
{
	mmio_write8(ecam(cfg_access + VIRTIO_PCI_CAP_BAR), 0);
	mmio_write32(ecam(cfg_access + VIRTIO_PCI_CAP_OFFSET), common + VIRTIO_PCI_COMMON_STATUS);
	mmio_write32(ecam(cfg_access + VIRTIO_PCI_CAP_LENGTH), 1);
	check_eq("status through config space", mmio_read8(ecam(cfg_access + 16)),
	         COMMON(8, VIRTIO_PCI_COMMON_STATUS));
	mmio_write8(ecam(cfg_access + 16), 0);
	check_eq("a reset through it", COMMON(8, VIRTIO_PCI_COMMON_STATUS), 0);
	/* A window that is none. */
	mmio_write8(ecam(cfg_access + VIRTIO_PCI_CAP_BAR), 5);
	(void)mmio_read32(ecam(cfg_access + 16));
	mmio_write8(ecam(cfg_access + VIRTIO_PCI_CAP_BAR), 0);
	mmio_write32(ecam(cfg_access + VIRTIO_PCI_CAP_OFFSET), 0xfffffffc);
	mmio_write32(ecam(cfg_access + VIRTIO_PCI_CAP_LENGTH), 4);
	mmio_write32(ecam(cfg_access + 16), UINT32_MAX);
	(void)mmio_read32(ecam(cfg_access + 16));
	check("works after windows that are none", works());
}

static void test_moves(void)
{
	static const uint64_t bad[] = {0,          0x100000,   MACHINE_PCI_ECAM,
	                               0xfec00000, 0xfee00000, 0xfffffff0,
	                               1ull << 63, ~0xfull,    MACHINE_PCI_MEM32_END - 0x4000};
	uint64_t before = *(volatile uint64_t *)0x100000;
	check("started", start(0, 0));
	offer();
	move_bar(BAR_OTHER);
	bar = BAR_OTHER;
	kick();
	check("moved in mid-flight", answered());
	check_eq("nothing where it was", mmio_read32(BAR_PLACE + common), UINT32_MAX);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		move_bar(bad[i]);
	check_eq("memory is not hidden", *(volatile uint64_t *)0x100000, before);
	check("nor the interrupt chips", (lapic_read(0x30) & 0xff) >= 0x10);
	move_bar(BAR_PLACE);
	bar = BAR_PLACE;
	check("works after all these moves", works());
	set_command(0);
	check_eq("not decoded, not there", mmio_read32(bar + common), UINT32_MAX);
	set_command(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	check("works when decoded again", works());
}

static void test_abuse(void)
{
	for (uint32_t reg = 0; reg < 0x1000; reg += 4)
		if (reg != PCI_COMMAND && (reg < PCI_BASE_ADDRESS_0 || reg > PCI_BASE_ADDRESS_1))
			mmio_write32(ecam(reg), UINT32_MAX);
	check_eq("read-only fields stay", mmio_read32(ecam(0)), 0x10441af4);
	set_msix(0);
	check("works after all ones", works());
	for (unsigned at = 0; at < 0x8000; at += 7) {
		mmio_write8(bar + at, 0xa5);
		mmio_write16(bar + at, 0xa5a5);
		(void)mmio_read64(bar + at);
	}
	check("works after accesses of any width", works());
	for (unsigned i = 0; i < 64; i++)
		set_entry(i, 0xffffffff, 0);
	set_msix(PCI_MSIX_FLAGS_ENABLE);
	for (unsigned i = 0; i < 32; i++) {
		set_entry(i % 2, i << 24 | i, i & 1);
		set_msix((uint16_t)(i % 3 ? PCI_MSIX_FLAGS_ENABLE : 0));
	}
	check("started with messages that mean nothing", start(0, 0));
	offer();
	kick();
	check("answered all the same", answered());
	set_msix(0);
	check("works without them", works());
	check("rings in the hole are refused", !start(0xd8000000, 0));
	check("works after them", works());
	check("rings that wrap are refused", !start(0xfffffffffffff000, 0));
	check("works after them too", works());
	mmio_write16(bar + common + VIRTIO_PCI_COMMON_Q_SELECT, 0xffff);
	mmio_write16(bar + common + VIRTIO_PCI_COMMON_Q_ENABLE, 1);
	mmio_write16(bar + common + VIRTIO_PCI_COMMON_Q_SIZE, 0xffff);
	check_eq("a queue that is not there", COMMON(16, VIRTIO_PCI_COMMON_Q_SIZE), 0);
	for (uint32_t at = 0; at < 0x1000; at += 2)
		mmio_write16(bar + notify + at, 0xffff);
	check("works after notifications of nothing", works());
	outl(MACHINE_PORT_PCI_ADDRESS, 0xffffffff);
	check_eq("no other bus", inl(MACHINE_PORT_PCI_DATA), UINT32_MAX);
	outl(MACHINE_PORT_PCI_ADDRESS, 0x80000000);
	check("but this one", (inl(MACHINE_PORT_PCI_DATA) & 0xffff) == 0x1b36);
}

void guest_main(void)
{
	if (mmio_read32(ecam(0)) != 0x10441af4) {
		check("device", false);
		return;
	}
	test_finding();
	test_messages();
	test_pin();
	test_config_access();
	test_moves();
	test_abuse();
}
