/* virtio over PCI: the structures of 4.1.4, interrupts by MSI-X and by pin, reset. */
#include <check.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>
#include <string.h>

#include "devices/pci/host_bridge.h"
#include "devices/virtio/pci.h"
#include "devices/virtio/rng.h"
#include "suite.h"
#include "vdev_rig.h"

#define TABLE 0x4000u
#define DESC  RIG_QUEUE_BASE

static struct rig rig;
static struct irq_chip chip;
static struct msi_routes routes;
static struct pci_bus pci;
static struct bus bus;
static struct vpci *vpci;
static struct pci_func *f;
static uint32_t common, isr, notify, device, msix;

static uint32_t cfg(uint32_t reg, unsigned size)
{
	return pci_bus_config_read(&pci, f->devfn, reg, size);
}

static void set_cfg(uint32_t reg, unsigned size, uint32_t value)
{
	pci_bus_config_write(&pci, f->devfn, reg, size, value);
}

static uint64_t get(uint32_t offset, unsigned size)
{
	uint64_t value = 0;
	ck_assert(bus_read(&bus, BUS_MMIO, f->bar[0].addr + offset, size, &value));
	return size == 8 ? value : value & ((1ull << (8 * size)) - 1);
}

static void set(uint32_t offset, unsigned size, uint64_t value)
{
	ck_assert(bus_write(&bus, BUS_MMIO, f->bar[0].addr + offset, size, value));
}

static void find_structures(void)
{
	for (uint32_t at = cfg(PCI_CAPABILITY_LIST, 1); at; at = cfg(at + 1, 1)) {
		uint32_t offset = cfg(at + VIRTIO_PCI_CAP_OFFSET, 4);
		if (cfg(at, 1) == PCI_CAP_ID_MSIX) {
			msix = at;
			continue;
		}
		ck_assert_uint_eq(cfg(at, 1), PCI_CAP_ID_VNDR);
		switch (cfg(at + VIRTIO_PCI_CAP_CFG_TYPE, 1)) {
		case VIRTIO_PCI_CAP_COMMON_CFG:
			common = offset;
			break;
		case VIRTIO_PCI_CAP_NOTIFY_CFG:
			notify = offset;
			break;
		case VIRTIO_PCI_CAP_ISR_CFG:
			isr = offset;
			break;
		case VIRTIO_PCI_CAP_DEVICE_CFG:
			device = offset;
			break;
		default:
			break;
		}
	}
}

static void setup(void)
{
	struct vdev *vd;
	struct machine m = {.ram_bytes = RIG_MEMORY, .pci = true};
	memset(&rig, 0, sizeof(rig));
	memset(&bus, 0, sizeof(bus));
	ck_assert_int_eq(rng_create(1 << 20, 1 << 20, &vd, NULL), VMM_OK);
	rig_attach(&rig, vd);
	vd->transport = &vpci_transport;
	memset(&routes, 0, sizeof(routes));
	memset(&pci, 0, sizeof(pci));
	irq_chip_init(&chip);
	msi_routes_init(&routes);
	pci_bus_init(&pci, &chip);
	machine_set_pci_mem64(&m, 40);
	ck_assert_int_eq(host_bridge_add(&pci, NULL), VMM_OK);
	ck_assert_int_eq(vpci_add(&pci, &routes, vd, &vpci, NULL), VMM_OK);
	ck_assert_int_eq(pci_bus_attach(&pci, &m, &bus, NULL), VMM_OK);
	bus_freeze(&bus);
	f = vpci_func(vpci);
	set_cfg(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	common = isr = notify = device = msix = 0;
	find_structures();
}

static void teardown(void)
{
	pci_bus_fini(&pci);
	rig_close(&rig);
	msi_routes_fini(&routes);
	irq_chip_fini(&chip);
}

static void start(uint16_t vector)
{
	set(common + VIRTIO_PCI_COMMON_STATUS, 1, 0);
	set(common + VIRTIO_PCI_COMMON_STATUS, 1, 3);
	set(common + VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	set(common + VIRTIO_PCI_COMMON_GF, 4, 1);
	set(common + VIRTIO_PCI_COMMON_STATUS, 1, 11);
	ck_assert_uint_eq(get(common + VIRTIO_PCI_COMMON_STATUS, 1), 11);
	set(common + VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	set(common + VIRTIO_PCI_COMMON_Q_MSIX, 2, vector);
	set(common + VIRTIO_PCI_COMMON_Q_DESCLO, 8, DESC); /* both halves at once */
	set(common + VIRTIO_PCI_COMMON_Q_AVAILLO, 4, DESC + 0x4000);
	set(common + VIRTIO_PCI_COMMON_Q_USEDLO, 4, DESC + 0x5000);
	set(common + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	set(common + VIRTIO_PCI_COMMON_STATUS, 1, 15);
	ck_assert_uint_eq(get(common + VIRTIO_PCI_COMMON_STATUS, 1), 15);
	rig.q[0] = (struct rig_queue){.size = rig.vd->queue[0].size_max};
}

static void request(void)
{
	const struct seg s = {RIG_DATA, 64, true};
	uint16_t head;
	uint32_t len;
	(void)rig_add(&rig, 0, &s, 1);
	set(notify, 2, 0);
	rig_run(&rig);
	ck_assert(rig_used(&rig, 0, &head, &len));
	ck_assert_uint_eq(len, 64);
}

START_TEST(identity)
{
	ck_assert_uint_eq(cfg(0, 4), 0x10441af4);
	ck_assert_uint_eq(cfg(PCI_REVISION_ID, 1), 1);
	ck_assert(msix && isr && notify && common == 0);
	ck_assert_uint_eq(device, 0); /* the entropy device has none */
	ck_assert_uint_eq(get(common + VIRTIO_PCI_COMMON_NUMQ, 2), 1);
	ck_assert_uint_eq(get(common + VIRTIO_PCI_COMMON_Q_SIZE, 2), rig.vd->queue[0].size_max);
	set(common + VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	ck_assert_uint_eq(get(common + VIRTIO_PCI_COMMON_DF, 4), 1);
	set(common + VIRTIO_PCI_COMMON_DFSELECT, 4, 2);
	ck_assert_uint_eq(get(common + VIRTIO_PCI_COMMON_DF, 4), 0);
}
END_TEST

START_TEST(a_request_by_pin)
{
	start(VIRTIO_MSI_NO_VECTOR);
	request();
	ck_assert(f->intx_raised);
	ck_assert_uint_eq(get(isr, 1), 1);
	ck_assert(!f->intx_raised);
	ck_assert_uint_eq(get(isr, 1), 0);
}
END_TEST

START_TEST(a_request_by_message)
{
	set(TABLE, 8, 0xfee00000);
	set(TABLE + 8, 8, 0x41);
	set_cfg(msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	start(0);
	request();
	const struct msi_route *r = &routes.route[0];
	ck_assert(r->set);
	ck_assert_uint_eq(r->data, 0x41);
	ck_assert(!f->intx_wanted);
	ck_assert_uint_eq(get(isr, 1), 0);
	/* A driver that wants no vector gets no interrupt, not even by pin. */
	start(VIRTIO_MSI_NO_VECTOR);
	request();
	ck_assert(!f->intx_wanted);
}
END_TEST

START_TEST(vectors_that_are_not_there)
{
	set(common + VIRTIO_PCI_COMMON_MSIX, 2, 2);
	ck_assert_uint_eq(get(common + VIRTIO_PCI_COMMON_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
	set(common + VIRTIO_PCI_COMMON_MSIX, 2, 1);
	ck_assert_uint_eq(get(common + VIRTIO_PCI_COMMON_MSIX, 2), 1);
	set(common + VIRTIO_PCI_COMMON_STATUS, 1, 0);
	ck_assert_uint_eq(get(common + VIRTIO_PCI_COMMON_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
}
END_TEST

START_TEST(wrong_widths_are_counted)
{
	uint64_t before = rig.vd->stats.guest_errors;
	set(common + VIRTIO_PCI_COMMON_STATUS, 4, 15);
	(void)get(common + VIRTIO_PCI_COMMON_NUMQ, 1);
	(void)get(common + VIRTIO_PCI_COMMON_GF + 1, 4);
	ck_assert_uint_eq(get(common + VIRTIO_PCI_COMMON_STATUS, 1), 0);
	ck_assert_uint_eq(rig.vd->stats.guest_errors, before + 3);
}
END_TEST

START_TEST(queues_described_when_ready)
{
	start(VIRTIO_MSI_NO_VECTOR);
	uint64_t before = rig.vd->stats.guest_errors;
	set(common + VIRTIO_PCI_COMMON_Q_DESCLO, 4, 0x5000);
	ck_assert_uint_eq(get(common + VIRTIO_PCI_COMMON_Q_DESCLO, 4), DESC);
	ck_assert_uint_eq(rig.vd->stats.guest_errors, before + 1);
	set(common + VIRTIO_PCI_COMMON_Q_SELECT, 2, 7);
	ck_assert_uint_eq(get(common + VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
	set(common + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	ck_assert_uint_eq(get(common + VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
}
END_TEST

START_TEST(a_machine_reset)
{
	start(VIRTIO_MSI_NO_VECTOR);
	request();
	pci_bus_reset(&pci);
	ck_assert(!f->intx_raised);
	ck_assert_uint_eq(rig.vd->status, 0);
	set_cfg(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	start(VIRTIO_MSI_NO_VECTOR);
	memset(rig_mem(&rig, DESC, RIG_QUEUE_STEP), 0, RIG_QUEUE_STEP);
	request();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("virtio_pci");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, identity);
	tcase_add_test(tc, a_request_by_pin);
	tcase_add_test(tc, a_request_by_message);
	tcase_add_test(tc, vectors_that_are_not_there);
	tcase_add_test(tc, wrong_widths_are_counted);
	tcase_add_test(tc, queues_described_when_ready);
	tcase_add_test(tc, a_machine_reset);
	return suite_run("virtio_pci", tc);
}
