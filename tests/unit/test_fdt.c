/* The device tree of the machine: whole, and what a guest looks for is where it looks. */
#include <check.h>
#include <libfdt.h>
#include <string.h>

#include "suite.h"
#include "vmm/boot/fdt.h"

static uint8_t blob[MACHINE_DEVICE_TREE_MAX];

static struct machine machine = {
        .cpus = 3,
        .serial = true,
        .virtio_count = 2,
        .virtio = {{MACHINE_VIRTIO_MMIO, 5}, {MACHINE_VIRTIO_MMIO + 0x1000, 6}},
};

static struct fdt_facts facts_of(const char *cmdline)
{
	return (struct fdt_facts){
	        .machine = &machine,
	        .cmdline = cmdline,
	        .initrd_addr = 0x3fff000,
	        .initrd_bytes = 7,
	        .map_count = 3,
	        .map = {{0, 0x9fc00, MEMMAP_RAM},
	                {0x9fc00, 0x60400, MEMMAP_RESERVED},
	                {0x100000, 0x3f00000, MEMMAP_RAM}},
	};
}

static const void *value(const char *path, const char *name, int *len)
{
	int node = fdt_path_offset(blob, path);
	ck_assert_msg(node >= 0, "no node %s", path);
	const void *p = fdt_getprop(blob, node, name, len);
	ck_assert_msg(p != NULL, "no property %s of %s", name, path);
	return p;
}

static uint32_t cell(const char *path, const char *name, unsigned i)
{
	int len;
	const fdt32_t *p = value(path, name, &len);
	ck_assert_int_gt(len, (int)(i * 4));
	return fdt32_ld(p + i);
}

START_TEST(the_tree_is_whole)
{
	struct fdt_facts f = facts_of("console=ttyS0");
	size_t len = fdt_write(blob, sizeof(blob), &f);
	ck_assert_uint_gt(len, 0);
	ck_assert_int_eq(fdt_check_full(blob, len), 0);
	int n;
	ck_assert_str_eq(value("/chosen", "bootargs", &n), "console=ttyS0");
	ck_assert_uint_eq(cell("/chosen", "linux,initrd-end", 1), 0x3fff007);
	ck_assert_uint_eq(cell("/memory@100000", "reg", 3), 0x3f00000);
	ck_assert_int_lt(fdt_path_offset(blob, "/memory@9fc00"), 0);
	ck_assert_uint_eq(cell("/cpus/cpu@2", "reg", 0), 2);
	ck_assert_uint_eq(cell("/virtio_mmio@d0001000", "interrupts", 0), 6);
	ck_assert_uint_eq(cell("/isa/serial@i3f8", "reg", 1), 0x3f8);
	ck_assert_uint_eq(cell("/isa/power@i600", "poweroff", 1), 0x34);
	ck_assert_uint_eq(cell("/isa/power@i600", "reset", 0), 0x602);
	ck_assert_uint_eq(cell("/isa/pvpanic@i505", "reg", 1), 0x505);
	ck_assert_int_lt(fdt_path_offset(blob, "/isa/rtc@i70"), 0);
	int at = fdt_node_offset_by_compatible(blob, -1, "virtio,mmio");
	ck_assert_int_ge(at, 0);
}
END_TEST

/* The PCI bus: what pci-host-ecam-generic wants, and each pin where machine.c wires it. */
START_TEST(the_pci_bus)
{
	const char *pcie = "/pcie@e0000000";
	struct fdt_facts f = facts_of("x");
	struct machine m = machine;
	int len;
	ck_assert_uint_gt(fdt_write(blob, sizeof(blob), &f), 0);
	ck_assert_int_lt(fdt_path_offset(blob, pcie), 0);
	m.pci = true;
	m.ram_bytes = 1u << 30;
	machine_set_pci_mem64(&m, 40);
	f.machine = &m;
	size_t bytes = fdt_write(blob, sizeof(blob), &f);
	ck_assert_int_eq(fdt_check_full(blob, bytes), 0);
	ck_assert_uint_eq(cell(pcie, "reg", 1), MACHINE_PCI_ECAM);
	ck_assert_uint_eq(cell(pcie, "reg", 3), MACHINE_PCI_ECAM_SIZE);
	(void)value(pcie, "ranges", &len);
	ck_assert_int_eq(len, 3 * 7 * 4);
	ck_assert_uint_eq(cell(pcie, "ranges", 8), 0); /* the second: 32-bit memory */
	ck_assert_uint_eq(cell(pcie, "ranges", 9), MACHINE_PCI_MEM32);
	ck_assert_uint_eq(cell(pcie, "ranges", 14), 0x03000000);
	ck_assert_uint_eq(cell(pcie, "ranges", 15), m.pci_mem64 >> 32);
	ck_assert_uint_eq(cell(pcie, "interrupt-map-mask", 0), 3u << 11);
	(void)value(pcie, "interrupt-map", &len);
	ck_assert_int_eq(len, 16 * 7 * 4);
	for (unsigned i = 0; i < 16; i++) {
		uint32_t slot = cell(pcie, "interrupt-map", i * 7) >> 11;
		uint32_t pin = cell(pcie, "interrupt-map", i * 7 + 3);
		ck_assert_uint_eq(cell(pcie, "interrupt-map", i * 7 + 5),
		                  machine_pci_gsi(slot, pin - 1));
		ck_assert_uint_eq(machine_pci_gsi(slot + 4, pin - 1),
		                  machine_pci_gsi(slot, pin - 1));
	}
}
END_TEST

START_TEST(the_longest_command_line_fits)
{
	static char line[MACHINE_CMDLINE_MAX];
	memset(line, 'x', sizeof(line) - 1);
	struct fdt_facts f = facts_of(line);
	ck_assert_uint_gt(fdt_write(blob, sizeof(blob), &f), sizeof(line));
}
END_TEST

START_TEST(too_little_room_is_noticed)
{
	static uint8_t small[8192];
	struct fdt_facts f = facts_of("x");
	size_t len = fdt_write(small, sizeof(small), &f);
	ck_assert_uint_gt(len, 0);
	for (size_t cap = 0; cap < len; cap += 3)
		ck_assert_uint_eq(fdt_write(small, cap, &f), 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("fdt");
	tcase_add_test(tc, the_tree_is_whole);
	tcase_add_test(tc, the_pci_bus);
	tcase_add_test(tc, the_longest_command_line_fits);
	tcase_add_test(tc, too_little_room_is_noticed);
	return suite_run("fdt", tc);
}
