/* The device tree as the guest kernel reads it: the one that libvmm writes, and ones that are
 * damaged. */
#include <libfdt.h>
#include <string.h>

#include "../suite.h"
#include "guest-kernel/core/devtree.h"
#include "vmm/boot/fdt.h"

static uint8_t blob[MACHINE_DEVICE_TREE_MAX], damaged[MACHINE_DEVICE_TREE_MAX];

static size_t write_tree(const char *cmdline)
{
	static struct machine machine = {
	        .cpus = 3,
	        .serial = true,
	        .rtc = true,
	        .virtio_count = 2,
	        .pci = true,
	        .virtio = {{MACHINE_VIRTIO_MMIO, 5}, {MACHINE_VIRTIO_MMIO + 0x1000, 6}},
	};
	struct fdt_facts f = {
	        .machine = &machine,
	        .cmdline = cmdline,
	        .map_count = 1,
	        .map = {{0x100000, 0x3f00000, MEMMAP_RAM}},
	};
	size_t len = fdt_write(blob, sizeof(blob), &f);
	ck_assert_uint_gt(len, 0);
	return len;
}

START_TEST(it_reads_what_the_vmm_writes)
{
	struct devtree t;
	size_t len = write_tree("gk.run=\"mem\"");
	ck_assert(devtree_read(blob, len, &t));
	ck_assert_ptr_null(t.complaint);
	ck_assert_str_eq(t.model, "libvmm");
	ck_assert_str_eq(t.bootargs, "gk.run=\"mem\"");
	ck_assert_uint_eq(t.cpu_count, 3);
	ck_assert_uint_eq(t.cpu_ids[2], 2);
	ck_assert_uint_eq(t.virtio_count, 2);
	ck_assert_uint_eq(t.virtio[1].base, MACHINE_VIRTIO_MMIO + 0x1000);
	ck_assert_uint_eq(t.virtio[1].gsi, 6);
	ck_assert(!t.virtio[1].level);
	ck_assert_uint_eq(t.pci.ecam, MACHINE_PCI_ECAM);
	ck_assert_uint_eq(t.pci.ecam_bytes, MACHINE_PCI_ECAM_SIZE);
	ck_assert_uint_eq(t.pci.slot_mask, 3);
	ck_assert_uint_eq(t.pci.pin_count, 16);
	for (unsigned i = 0; i < 16; i++) {
		ck_assert_uint_eq(t.pci.pin[i].gsi,
		                  machine_pci_gsi(t.pci.pin[i].slot, t.pci.pin[i].pin - 1u));
		ck_assert(t.pci.pin[i].level);
	}
	ck_assert_uint_eq(t.ioapic_count, 1);
	ck_assert_uint_eq(t.ioapic[0], MACHINE_IOAPIC);
	ck_assert_uint_eq(t.serial_port, MACHINE_PORT_COM1);
	ck_assert_uint_eq(t.serial_gsi, MACHINE_GSI_COM1);
	ck_assert_uint_eq(t.poweroff.port, MACHINE_PORT_ACPI + MACHINE_ACPI_SLEEP_CONTROL);
	ck_assert_uint_eq(t.poweroff.value, 0x34);
	ck_assert_uint_eq(t.reset.port, MACHINE_PORT_ACPI + MACHINE_ACPI_RESET);
	ck_assert_uint_eq(t.button_gsi, MACHINE_GSI_POWER_BUTTON);
	ck_assert_uint_eq(t.pvpanic_port, MACHINE_PORT_PVPANIC);
	ck_assert_uint_eq(t.debug_exit_port, MACHINE_PORT_DEBUG_EXIT);
}
END_TEST

static void set_cells(const char *path, const char *name, const uint32_t *cells, unsigned count)
{
	fdt32_t be[8];
	int node = fdt_path_offset(blob, path);
	ck_assert_int_ge(node, 0);
	for (unsigned i = 0; i < count; i++)
		be[i] = cpu_to_fdt32(cells[i]);
	ck_assert_int_eq(fdt_setprop_inplace(blob, node, name, be, (int)(count * 4)), 0);
}

/* Each leaves out one thing, names it, and keeps the rest. */
START_TEST(bad_nodes_are_left_out)
{
	struct devtree t;
	size_t len = write_tree("x");
	set_cells("/virtio_mmio@d0000000", "reg", (const uint32_t[]){1, 0, 0, 0x1000}, 4);
	ck_assert(devtree_read(blob, len, &t));
	ck_assert_uint_eq(t.virtio_count, 1);
	ck_assert_ptr_nonnull(strstr(t.complaint, "virtio,mmio"));
	len = write_tree("x");
	set_cells("/pcie@e0000000", "reg", (const uint32_t[]){0, 0xe0000000, 0, 0x800}, 4);
	ck_assert(devtree_read(blob, len, &t));
	ck_assert_uint_eq(t.pci.ecam_bytes, 0);
	ck_assert_ptr_nonnull(strstr(t.complaint, "PCI bridge"));
	len = write_tree("x");
	set_cells("/virtio_mmio@d0000000", "interrupts", (const uint32_t[]){256, 0}, 2);
	ck_assert(devtree_read(blob, len, &t));
	ck_assert_uint_eq(t.virtio_count, 1);
	len = write_tree("x");
	set_cells("/isa/power@i600", "reset", (const uint32_t[]){0x10000, 0}, 2);
	ck_assert(devtree_read(blob, len, &t));
	ck_assert_uint_eq(t.reset.port, 0);
	ck_assert_uint_ne(t.poweroff.port, 0);
	ck_assert_ptr_nonnull(strstr(t.complaint, "power"));
	len = write_tree("x");
	set_cells("/isa/power@i600", "interrupts", (const uint32_t[]){256, 0}, 2);
	ck_assert(devtree_read(blob, len, &t));
	ck_assert_uint_eq(t.button_gsi, 0);
	ck_assert_uint_ne(t.reset.port, 0);
	ck_assert_ptr_nonnull(strstr(t.complaint, "power button"));
	len = write_tree("x");
	set_cells("/isa/pvpanic@i505", "reg", (const uint32_t[]){0, 0x505, 1}, 3);
	ck_assert(devtree_read(blob, len, &t));
	ck_assert_uint_eq(t.pvpanic_port, 0);
}
END_TEST

START_TEST(a_broken_tree_is_refused)
{
	struct devtree t;
	size_t len = write_tree("x");
	for (size_t cut = 0; cut < len; cut += 7) {
		ck_assert(!devtree_read(blob, cut, &t));
		ck_assert_ptr_nonnull(strstr(t.complaint, "broken"));
		ck_assert_uint_eq(t.virtio_count, 0);
	}
	ck_assert(!devtree_read(blob, DEVTREE_BYTES_MAX + 1, &t));
	fdt_set_version(blob, 16);
	ck_assert(!devtree_read(blob, len, &t));
}
END_TEST

/* Whatever a byte is changed to: no crash, and counts within bounds. */
START_TEST(any_damage_is_survived)
{
	struct devtree t;
	size_t len = write_tree("x");
	for (size_t at = 0; at < len; at++) {
		memcpy(damaged, blob, len);
		damaged[at] ^= (uint8_t)(1u << at % 8);
		(void)devtree_read(damaged, len, &t);
		ck_assert_uint_le(t.virtio_count, ARCH_VIRTIO_MAX);
		ck_assert_uint_le(t.cpu_count, ARCH_CPUS_MAX);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("devtree");
	tcase_add_test(tc, it_reads_what_the_vmm_writes);
	tcase_add_test(tc, bad_nodes_are_left_out);
	tcase_add_test(tc, a_broken_tree_is_refused);
	tcase_add_test(tc, any_damage_is_survived);
	return suite_run("gk_devtree", tc);
}
