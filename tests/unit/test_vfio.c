/* Passed devices, with a device that exists only in memory. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "suite.h"
#include "vfio_rig.h"

static uint32_t cfg(uint32_t reg, unsigned size)
{
	return pci_bus_config_read(&pci, vfio_dev_func(dev)->devfn, reg, size);
}

static void set_cfg(uint32_t reg, unsigned size, uint32_t value)
{
	pci_bus_config_write(&pci, vfio_dev_func(dev)->devfn, reg, size, value);
}

static uint64_t table(unsigned vector)
{
	return vfio_dev_func(dev)->bar[0].addr + 0x2000 + vector * 16;
}

static void unmask(unsigned vector)
{
	ck_assert(bus_write(&mbus, BUS_MMIO, table(vector), 8, 0xfee00000));
	ck_assert(bus_write(&mbus, BUS_MMIO, table(vector) + 8, 4, 0x40 + vector));
	ck_assert(bus_write(&mbus, BUS_MMIO, table(vector) + 12, 4, 0));
}

#define MSIX_FLAGS (0x40 + PCI_MSIX_FLAGS)

START_TEST(addresses)
{
	char a[HOSTDEV_ADDRESS_BYTES];
	ck_assert_int_eq(hostdev_parse("01:00.0", a, &ei), VMM_OK);
	ck_assert_str_eq(a, "0000:01:00.0");
	ck_assert_int_eq(hostdev_parse("10000:Af:1F.7", a, &ei), VMM_OK);
	ck_assert_str_eq(a, "10000:af:1f.7");
	static const char *const wrong[] = {
	        "",         "nvme0",     "01:00",           "01:20.0",         "01:00.8",
	        "01:00.0 ", "0000:01:0", "../01:00.0",      "0001:01:00.0/..", "100:00.0",
	        "-1:00.0",  "0x1:00.0",  "0000000:01:00.0", "01:00.0:1",       ":01:00.0"};
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(hostdev_parse(wrong[i], a, &ei) == VMM_E_INVAL, "'%s'", wrong[i]);
}
END_TEST

START_TEST(no_such_device)
{
	struct hostdev d;
	ck_assert_int_eq(hostdev_read(fake.sysfs, "0000:02:00.0", &d, &ei), VMM_E_NOENT);
}
END_TEST

START_TEST(bound_to_the_hosts_driver)
{
	fake_vfio_bind(&fake, "nvme");
	vfio_rig_refused(VMM_E_BUSY, "bound to nvme");
	fake_vfio_bind(&fake, NULL);
	vfio_rig_refused(VMM_E_BUSY, "bound to no driver");
	ck_assert_uint_eq(fake.opens, 0);
}
END_TEST

START_TEST(a_neighbour_is_in_the_way)
{
	fake_vfio_neighbour(&fake, "0000:01:00.1", "e1000e");
	vfio_rig_refused(VMM_E_BUSY, "0000:01:00.1 of the same group, 7, is still bound to e1000e");
	fake_vfio_neighbour(&fake, "0000:01:00.1", NULL);
	vfio_rig_add_well();
}
END_TEST

START_TEST(no_iommu)
{
	struct hostdev d;
	ck_assert_int_eq(hostdev_read(fake.sysfs, FAKE_ADDRESS, &d, &ei), VMM_OK);
	d.group = -1;
	ck_assert_int_eq(hostdev_viable(fake.sysfs, &d, &ei), VMM_E_UNSUPPORTED);
	ck_assert(strstr(ei.message, "no IOMMU group"));
	d.group = FAKE_GROUP;
	d.class_code = 0x060400;
	ck_assert_int_eq(hostdev_viable(fake.sysfs, &d, &ei), VMM_E_UNSUPPORTED);
	ck_assert(strstr(ei.message, "bridge"));
}
END_TEST

START_TEST(vfio_refuses)
{
	fake.fail_open_container = -ENOENT;
	vfio_rig_refused(VMM_E_NOENT, "modprobe vfio-pci");
	fake.fail_open_container = 0;
	fake.fail_open_group = -EBUSY;
	vfio_rig_refused(VMM_E_BUSY, "another process");
	fake.fail_open_group = -EACCES;
	vfio_rig_refused(VMM_E_PERM, "no right");
	fake.fail_open_group = 0;
	fake.not_viable = true;
	vfio_rig_refused(VMM_E_BUSY, "not viable");
	fake.not_viable = false;
	fake.device_flags = VFIO_DEVICE_FLAGS_PLATFORM;
	vfio_rig_refused(VMM_E_UNSUPPORTED, "not a PCI device");
}
END_TEST

START_TEST(headers_of_bridges)
{
	fake_set(&fake, PCI_HEADER_TYPE, 1, PCI_HEADER_TYPE_BRIDGE);
	vfio_rig_refused(VMM_E_UNSUPPORTED, "header type 1");
}
END_TEST

START_TEST(impossible_bars)
{
	fake.region_bytes[0] = 0x3000;
	vfio_rig_refused(VMM_E_FORMAT, "BAR 0 of 12288 bytes");
	fake.region_bytes[0] = 8;
	vfio_rig_refused(VMM_E_FORMAT, "BAR 0 of 8 bytes");
	fake.region_bytes[0] = 1ull << 32;
	fake_set(&fake, PCI_BASE_ADDRESS_0, 4, 0);
	vfio_rig_refused(VMM_E_FORMAT, "BAR 0");
	fake.region_bytes[0] = 0x2000;
	vfio_rig_refused(VMM_E_FORMAT, "MSI-X table, at 0x2000 of BAR 0, is not inside");
	fake.region_bytes[0] = 0x4000;
	fake_set(&fake, 0x48, 4, 0x3ff8 + 7);
	vfio_rig_refused(VMM_E_FORMAT, "MSI-X pending bits");
}
END_TEST

START_TEST(a_bar_larger_than_its_window)
{
	fake.region_bytes[0] = 1ull << 41;
	ck_assert_int_eq(vfio_rig_add(), VMM_OK);
	ck_assert_int_eq(pci_bus_attach(&pci, &machine, &mbus, &ei), VMM_E_LIMIT);
	ck_assert_str_eq(ei.field, FAKE_ADDRESS);
}
END_TEST

START_TEST(a_full_bus)
{
	static const struct pci_func_ops ops;
	static const struct pci_ids ids;
	static struct pci_func others[MACHINE_PCI_SLOTS - 1];
	for (unsigned i = 0; i < MACHINE_PCI_SLOTS - 1; i++) {
		memset(&others[i], 0, sizeof(others[i]));
		pci_func_init(&others[i], &ops, "other", &ids);
		ck_assert_int_eq(pci_bus_add(&pci, &others[i], &ei), VMM_OK);
	}
	vfio_rig_refused(VMM_E_LIMIT, "more than 32 devices");
}
END_TEST

START_TEST(config_space_is_shaped)
{
	vfio_rig_add_well();
	ck_assert_uint_eq(cfg(PCI_VENDOR_ID, 4), 0x58458086);
	ck_assert_uint_eq(cfg(PCI_HEADER_TYPE, 1), 0);
	ck_assert_uint_eq(cfg(PCI_COMMAND, 2), 0);
	ck_assert_uint_eq(cfg(PCI_BASE_ADDRESS_0, 4) & 0xf, PCI_BASE_ADDRESS_MEM_TYPE_64);
	ck_assert_uint_eq(cfg(PCI_INTERRUPT_PIN, 1), 1);
	/* MSI-X, power, Express; the slot id is hidden, with its bytes. */
	ck_assert_uint_eq(cfg(PCI_CAPABILITY_LIST, 1), 0x40);
	ck_assert_uint_eq(cfg(0x41, 1), 0x50);
	ck_assert_uint_eq(cfg(0x51, 1), 0x60);
	ck_assert_uint_eq(cfg(0x61, 1), 0);
	ck_assert_uint_eq(cfg(0x84, 4), 0);
	ck_assert_uint_eq(cfg(0x62, 2) >> 4 & 0xf, PCI_EXP_TYPE_RC_END);
	ck_assert_uint_eq(cfg(0x6c, 4), 0);
	/* SR-IOV keeps only its place. */
	ck_assert_uint_eq(cfg(0x100, 4), PCI_EXT_CAP_ID_ERR | 2u << 16 | 0x140u << 20);
	ck_assert_uint_eq(cfg(0x140, 4), 0x180u << 20);
	ck_assert_uint_eq(cfg(0x148, 4), 0);
	ck_assert_uint_eq(cfg(0x180, 4), PCI_EXT_CAP_ID_DSN | 1u << 16);
	ck_assert_uint_eq(cfg(0x184, 4), 0x22222222);
	/* Passed bytes are the device's at each read, and the guest's writes go there. */
	fake_set(&fake, 0x184, 4, 0x33333333);
	ck_assert_uint_eq(cfg(0x184, 4), 0x33333333);
	set_cfg(0x68, 2, 0x1234); /* Express device control */
	ck_assert_uint_eq(fake.config[0x68], 0x34);
	/* Emulated ones do not. */
	set_cfg(PCI_BASE_ADDRESS_0, 4, UINT32_MAX);
	ck_assert_uint_eq(fake.config[PCI_BASE_ADDRESS_0 + 3], 0xfe);
	ck_assert_uint_eq(cfg(PCI_BASE_ADDRESS_0, 4), 0xffffc000 | PCI_BASE_ADDRESS_MEM_TYPE_64);
}
END_TEST

START_TEST(the_device_always_decodes)
{
	vfio_rig_add_well();
	ck_assert_uint_eq(fake.config[PCI_COMMAND], 3);
	set_cfg(PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	ck_assert_uint_eq(fake.config[PCI_COMMAND], 7);
	set_cfg(PCI_COMMAND, 2, 0);
	ck_assert_uint_eq(fake.config[PCI_COMMAND], 3);
	ck_assert_uint_eq(cfg(PCI_COMMAND, 2), 0);
	/* Power states are the guest's to set; the device stays where it is. */
	set_cfg(0x50 + PCI_PM_CTRL, 2, 3);
	ck_assert_uint_eq(cfg(0x50 + PCI_PM_CTRL, 2), 3 | PCI_PM_CTRL_NO_SOFT_RESET);
	ck_assert_uint_eq(fake.config[0x50 + PCI_PM_CTRL], 0);
}
END_TEST

START_TEST(only_the_tables_pages_are_trapped)
{
	vfio_rig_add_well();
	/* 0x0000-0x1fff is mapped; 0x2000 holds the table, 0x3000 the pending bits. */
	ck_assert_uint_eq(fake.mmaps, 1);
	ck_assert_uint_eq(fake.mmap_offset[0], 0);
	ck_assert_uint_eq(fake.mmap_len[0], 0x2000);
	set_cfg(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	uint64_t base = vfio_dev_func(dev)->bar[0].addr;
	uint64_t value;
	ck_assert(bus_read(&mbus, BUS_MMIO, base + 0x2008, 4, &value));
	ck_assert_uint_eq((uint32_t)value, 0);
	/* What shares the table's page is the device's. */
	ck_assert(bus_read(&mbus, BUS_MMIO, base + 0x2800, 4, &value));
	ck_assert_uint_eq((uint32_t)value, 0x5a5a5a5a);
	ck_assert(bus_write(&mbus, BUS_MMIO, base + 0x2800, 4, 0x1234));
	ck_assert_uint_eq(fake.bar_written, 0x2800);
	ck_assert_uint_eq(fake.bar_value, 0x1234);
}
END_TEST

static void set_sparse(unsigned region, const struct vfio_region_sparse_mmap_area *areas,
                       uint32_t count, uint32_t said)
{
	struct vfio_region_info_cap_sparse_mmap cap = {
	        .header = {VFIO_REGION_INFO_CAP_SPARSE_MMAP, 1, 0}, .nr_areas = said};
	memcpy(fake.info_caps[region], &cap, sizeof(cap));
	memcpy(fake.info_caps[region] + sizeof(cap), areas, count * sizeof(*areas));
	fake.info_caps_bytes[region] = (uint32_t)(sizeof(cap) + count * sizeof(*areas));
}

START_TEST(sparse_areas_are_checked)
{
	const struct vfio_region_sparse_mmap_area areas[] = {
	        {0x1000, 0x2000},  /* half of it is the table's */
	        {0x3800, 0x10000}, /* leaves the BAR */
	        {UINT64_MAX, 2},   /* wraps */
	        {0x100, 0x200},    /* no whole page */
	};
	set_sparse(0, areas, 4, 1000);
	vfio_rig_add_well();
	ck_assert_uint_eq(fake.mmaps, 1);
	ck_assert_uint_eq(fake.mmap_offset[0], 0x1000);
	ck_assert_uint_eq(fake.mmap_len[0], 0x1000);
}
END_TEST

START_TEST(capability_chains_end)
{
	/* A chain that points at itself, one that points out, one without room for a header. */
	struct vfio_info_cap_header h = {
	        .id = 99, .version = 1, .next = sizeof(struct vfio_region_info)};
	memcpy(fake.info_caps[0], &h, sizeof(h));
	fake.info_caps_bytes[0] = sizeof(h);
	vfio_rig_add_well();
	ck_assert_uint_eq(fake.mmaps, 1);
}
END_TEST

START_TEST(msix_vectors_are_made_on_demand)
{
	const int *fds = fake.irq_fd[VFIO_PCI_MSIX_IRQ_INDEX];
	vfio_rig_add_well();
	set_cfg(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	set_cfg(MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	/* The device sees that it is on, although all is masked. */
	ck_assert_uint_eq(fake.irq_made[VFIO_PCI_MSIX_IRQ_INDEX], 1);
	ck_assert_int_eq(fds[0], -1);
	unmask(0);
	ck_assert_int_eq(fds[0], -1);
	set_cfg(MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	ck_assert_uint_eq(fake.irq_made[VFIO_PCI_MSIX_IRQ_INDEX], 1);
	ck_assert_int_gt(fds[0], 2);
	unmask(3);
	ck_assert_uint_eq(fake.irq_made[VFIO_PCI_MSIX_IRQ_INDEX], 4);
	ck_assert_int_eq(fds[2], -1);
	ck_assert_int_gt(fds[3], 2);
	ck_assert_uint_eq(fake.irq_remade, 2 + (fake.irq_made[VFIO_PCI_REQ_IRQ_INDEX] > 0));
	/* What the first vector was to tell meanwhile is told. */
	uint64_t n;
	ck_assert_int_eq(read(fds[0], &n, sizeof(n)), 8);
	unmask(2);
	ck_assert_uint_eq(fake.irq_made[VFIO_PCI_MSIX_IRQ_INDEX], 4);
	unmask(9);
	ck_assert_uint_eq(fake.irq_made[VFIO_PCI_MSIX_IRQ_INDEX], 10);
	set_cfg(MSIX_FLAGS, 2, 0);
	ck_assert_uint_eq(fake.irq_made[VFIO_PCI_MSIX_IRQ_INDEX], 0);
}
END_TEST

START_TEST(kernels_that_can_grow_need_no_remaking)
{
	fake.irq_flags[VFIO_PCI_MSIX_IRQ_INDEX] = VFIO_IRQ_INFO_EVENTFD;
	vfio_rig_add_well();
	set_cfg(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	set_cfg(MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	unmask(0);
	unsigned remade = fake.irq_remade;
	unmask(5);
	ck_assert_uint_eq(fake.irq_made[VFIO_PCI_MSIX_IRQ_INDEX], 6);
	ck_assert_uint_eq(fake.irq_remade, remade);
}
END_TEST

static void make_msi(uint32_t flags)
{
	fake_set(&fake, PCI_CAPABILITY_LIST, 1, 0x40);
	memset(fake.config + 0x40, 0, 0x60);
	fake_set(&fake, 0x40, 4, flags << 16 | PCI_CAP_ID_MSI);
	fake.irq_count[VFIO_PCI_MSI_IRQ_INDEX] = 4;
}

START_TEST(msi_with_several_vectors)
{
	const int *fds = fake.irq_fd[VFIO_PCI_MSI_IRQ_INDEX];
	make_msi(PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT | 2u << 1);
	vfio_rig_add_well();
	set_cfg(0x40 + PCI_MSI_ADDRESS_LO, 4, 0xfee01000);
	set_cfg(0x40 + PCI_MSI_DATA_64, 2, 0x4040);
	set_cfg(0x40 + PCI_MSI_MASK_64, 4, 2);
	set_cfg(0x40 + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE | 7u << 4); /* asks for 128 */
	ck_assert_uint_eq(fake.irq_made[VFIO_PCI_MSI_IRQ_INDEX], 4);
	ck_assert(dev->msi[0].connected && !dev->msi[1].connected && dev->msi[3].connected);
	ck_assert_uint_eq(routes.route[dev->msi[3].index].data, 0x4043);
	ck_assert_int_gt(fds[3], 2);
	/* Masked: pending, until unmasked. */
	ck_assert_int_eq(eventfd_write(fds[1], 1), 0);
	ck_assert(msi_line_pending(&dev->msi[1]));
	set_cfg(0x40 + PCI_MSI_MASK_64, 4, 0);
	ck_assert(dev->msi[1].connected);
	set_cfg(0x40 + PCI_MSI_FLAGS, 2, 0);
	ck_assert_uint_eq(fake.irq_made[VFIO_PCI_MSI_IRQ_INDEX], 0);
}
END_TEST

START_TEST(capabilities_that_overlap_or_loop)
{
	/* MSI-X at the very end, a loop, a link into the header. */
	fake_set(&fake, PCI_CAPABILITY_LIST, 1, 0xfc);
	fake_set(&fake, 0xfc, 4, 0xfc00 | PCI_CAP_ID_MSIX);
	vfio_rig_add_well();
	ck_assert_uint_eq(dev->caps.msix, 0);
	ck_assert_uint_eq(cfg(PCI_CAPABILITY_LIST, 1), 0);
}
END_TEST

START_TEST(reset_is_a_device_reset)
{
	vfio_rig_add_well();
	ck_assert_uint_eq(fake.resets, 1);
	set_cfg(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	set_cfg(MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	unmask(1);
	pci_bus_reset(&pci);
	ck_assert_uint_eq(fake.resets, 2);
	ck_assert_uint_eq(fake.config[PCI_COMMAND], 3); /* no bus master any more */
	ck_assert_uint_eq(fake.irq_made[VFIO_PCI_MSIX_IRQ_INDEX], 0);
	ck_assert_uint_eq(cfg(MSIX_FLAGS, 2), 9);
}
END_TEST

START_TEST(the_host_takes_it_back)
{
	vfio_rig_add_well();
	set_cfg(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	set_cfg(MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	unmask(1);
	uint64_t base = vfio_dev_func(dev)->bar[0].addr;
	unsigned closes = fake.closes;
	ck_assert_int_eq(eventfd_write(fake.irq_fd[VFIO_PCI_REQ_IRQ_INDEX][0], 1), 0);
	loop_run_once(loop, 0);
	ck_assert_uint_eq(lost_count, 1);
	ck_assert_uint_eq(fake.closes, closes + 1);
	ck_assert_uint_eq(fake.munmaps, fake.mmaps);
	/* The guest meets a device that was pulled. */
	uint64_t value;
	ck_assert_uint_eq(cfg(PCI_VENDOR_ID, 4), UINT32_MAX);
	(void)bus_read(&mbus, BUS_MMIO, base, 4, &value);
	ck_assert_uint_eq((uint32_t)value, UINT32_MAX);
	ck_assert(bus_write(&mbus, BUS_MMIO, base, 4, 1));
	set_cfg(PCI_COMMAND, 2, 0);
	unsigned resets = fake.resets;
	pci_bus_reset(&pci);
	ck_assert_uint_eq(fake.resets, resets);
}
END_TEST

/* What the hardware does not answer any more, before the host says that it is gone. */
START_TEST(a_device_that_does_not_answer)
{
	vfio_rig_add_well();
	set_cfg(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	uint64_t base = vfio_dev_func(dev)->bar[0].addr;
	uint64_t value = 0;
	fake.fail_io = -EIO;
	ck_assert_uint_eq(cfg(PCI_VENDOR_ID, 4), UINT32_MAX);
	ck_assert(bus_read(&mbus, BUS_MMIO, base + 0x2800, 4, &value));
	ck_assert_uint_eq((uint32_t)value, UINT32_MAX);
	ck_assert(bus_write(&mbus, BUS_MMIO, base + 0x2800, 4, 1));
	set_cfg(0x68, 2, 0x1234);
	pci_bus_reset(&pci);
	fake.fail_io = 0;
	ck_assert_uint_eq(cfg(PCI_VENDOR_ID, 4), 0x58458086);
}
END_TEST

/* And one that is dead from the start is refused. */
START_TEST(a_device_without_config_space)
{
	fake.fail_io = -EIO;
	vfio_rig_refused(VMM_E_IO, "its config space ends after");
}
END_TEST

START_TEST(an_expansion_rom)
{
	uint64_t value = 0;
	fake.region_bytes[VFIO_PCI_ROM_REGION_INDEX] = 0x1800; /* no power of two: 8 KiB */
	fake.region_flags[VFIO_PCI_ROM_REGION_INDEX] = VFIO_REGION_INFO_FLAG_READ;
	vfio_rig_add_well();
	uint64_t at = cfg(PCI_ROM_ADDRESS, 4);
	ck_assert_uint_ne(at, 0);
	ck_assert(!(at & PCI_ROM_ADDRESS_ENABLE));
	set_cfg(PCI_ROM_ADDRESS, 4, UINT32_MAX);
	ck_assert_uint_eq(cfg(PCI_ROM_ADDRESS, 4), 0xffffe000 | PCI_ROM_ADDRESS_ENABLE);
	/* It answers where the guest puts it, when memory and itself are on. */
	at = MACHINE_PCI_MEM32 + 0x8000000;
	set_cfg(PCI_ROM_ADDRESS, 4, (uint32_t)at);
	set_cfg(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	(void)bus_read(&mbus, BUS_MMIO, at, 4, &value);
	ck_assert_uint_eq((uint32_t)value, UINT32_MAX);
	set_cfg(PCI_ROM_ADDRESS, 4, (uint32_t)at | PCI_ROM_ADDRESS_ENABLE);
	ck_assert(bus_read(&mbus, BUS_MMIO, at + 4, 4, &value));
	ck_assert_uint_eq((uint32_t)value, 0x5a5a5a5a);
	/* Behind its real end there is nothing; it cannot be written. */
	ck_assert(bus_read(&mbus, BUS_MMIO, at + 0x1800, 4, &value));
	ck_assert_uint_eq((uint32_t)value, UINT32_MAX);
	ck_assert(bus_write(&mbus, BUS_MMIO, at + 4, 4, 1));
	ck_assert_uint_eq(fake.bar_value, 0);
}
END_TEST

START_TEST(a_prefetchable_bar_of_64_bits_moves)
{
	fake.region_bytes[2] = 1ull << 33;
	fake.region_flags[2] = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	fake_set(&fake, PCI_BASE_ADDRESS_2, 4,
	         PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH);
	vfio_rig_add_well();
	ck_assert_uint_eq(cfg(PCI_BASE_ADDRESS_2, 4), 0xc);
	uint64_t first = (uint64_t)cfg(PCI_BASE_ADDRESS_3, 4) << 32;
	ck_assert_uint_ge(first, machine.pci_mem64);
	/* Sized with both halves. */
	set_cfg(PCI_BASE_ADDRESS_2, 4, UINT32_MAX);
	set_cfg(PCI_BASE_ADDRESS_3, 4, UINT32_MAX);
	ck_assert_uint_eq(cfg(PCI_BASE_ADDRESS_2, 4), 0xc);
	ck_assert_uint_eq(cfg(PCI_BASE_ADDRESS_3, 4), 0xfffffffe);
	uint64_t moved = first + (1ull << 34);
	uint64_t value = 0;
	set_cfg(PCI_BASE_ADDRESS_3, 4, (uint32_t)(moved >> 32));
	set_cfg(PCI_BASE_ADDRESS_2, 4, 0);
	set_cfg(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	ck_assert(bus_read(&mbus, BUS_MMIO, moved + (1ull << 32), 4, &value));
	ck_assert_uint_eq((uint32_t)value, 0x5a5a5a5a);
	ck_assert(bus_write(&mbus, BUS_MMIO, moved + (1ull << 32), 4, 7));
	ck_assert_uint_eq(fake.bar_written, 1ull << 32);
	(void)bus_read(&mbus, BUS_MMIO, first, 4, &value);
	ck_assert_uint_eq((uint32_t)value, UINT32_MAX);
}
END_TEST

START_TEST(memory_is_mapped_around_its_hole)
{
	struct gmem_opts o = {.size_bytes = 4ull << 30, .fd = -1};
	struct gmem *gm;
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
	vfio_rig_add_well();
	if (gmem_create(&o, &gm, &ei) != VMM_OK) { /* a host with less memory */
		o.size_bytes = 64u << 20;
		ck_assert_int_eq(gmem_create(&o, &gm, &ei), VMM_OK);
	}
	(void)setrlimit(RLIMIT_MEMLOCK, &limit);
	vmm_err_t err = vfio_iommu_map(&iommu, gm, &ei);
	if (err == VMM_E_LIMIT) { /* no right to raise the limit: its message is what can be had */
		ck_assert(strstr(ei.message, "ulimit -l"));
	} else {
		ck_assert_int_eq(err, VMM_OK);
		ck_assert_uint_eq(fake.map_count, gmem_region_count(gm));
		ck_assert_uint_eq(fake.map[0].iova, 0);
		if (gmem_region_count(gm) == 2)
			ck_assert_uint_eq(fake.map[1].iova, MACHINE_HIGH_RAM);
		vfio_iommu_unmap(&iommu, gm);
		ck_assert_uint_eq(fake.map_count, 0);
	}
	gmem_destroy(gm);
}
END_TEST

START_TEST(pinned_memory_is_not_discarded)
{
	struct gmem_opts o = {.size_bytes = 4u << 20, .fd = -1};
	struct gmem *gm;
	ck_assert_int_eq(gmem_create(&o, &gm, &ei), VMM_OK);
	gmem_set_pinned(gm, true);
	ck_assert(!gmem_discard(gm, (struct gpa){0x1000}, 0x1000));
	gmem_set_pinned(gm, false);
	ck_assert(gmem_discard(gm, (struct gpa){0x1000}, 0x1000));
	gmem_destroy(gm);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("vfio");
	tcase_add_checked_fixture(tc, vfio_rig_setup, vfio_rig_teardown);
	tcase_add_test(tc, addresses);
	tcase_add_test(tc, no_such_device);
	tcase_add_test(tc, bound_to_the_hosts_driver);
	tcase_add_test(tc, a_neighbour_is_in_the_way);
	tcase_add_test(tc, no_iommu);
	tcase_add_test(tc, vfio_refuses);
	tcase_add_test(tc, headers_of_bridges);
	tcase_add_test(tc, impossible_bars);
	tcase_add_test(tc, a_bar_larger_than_its_window);
	tcase_add_test(tc, a_full_bus);
	tcase_add_test(tc, config_space_is_shaped);
	tcase_add_test(tc, the_device_always_decodes);
	tcase_add_test(tc, only_the_tables_pages_are_trapped);
	tcase_add_test(tc, sparse_areas_are_checked);
	tcase_add_test(tc, capability_chains_end);
	tcase_add_test(tc, msix_vectors_are_made_on_demand);
	tcase_add_test(tc, kernels_that_can_grow_need_no_remaking);
	tcase_add_test(tc, msi_with_several_vectors);
	tcase_add_test(tc, capabilities_that_overlap_or_loop);
	tcase_add_test(tc, reset_is_a_device_reset);
	tcase_add_test(tc, the_host_takes_it_back);
	tcase_add_test(tc, a_device_that_does_not_answer);
	tcase_add_test(tc, a_device_without_config_space);
	tcase_add_test(tc, an_expansion_rom);
	tcase_add_test(tc, a_prefetchable_bar_of_64_bits_moves);
	tcase_add_test(tc, memory_is_mapped_around_its_hole);
	tcase_add_test(tc, pinned_memory_is_not_discarded);
	return suite_run("vfio", tc);
}
