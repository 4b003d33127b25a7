/*
 * The flattened device tree (Devicetree Specification 0.4) that came as a module, read with libfdt.
 * It is checked as a whole first; a node that is not as it should be is left out and named.
 */
#include <libfdt.h>

#include <string.h>
#include "x86.h"

#define VERSION_MIN 17 /* libfdt's check trusts older headers too far */
#define BYTES_MAX   (1u << 20)
#define ISA_IO      1u

static const void *tree;

static void complain(const char *what)
{
	if (!x86_boot.complaint)
		x86_boot.complaint = what;
}

/* Cell I of a property that must have COUNT cells; false if it has not. */
static const fdt32_t *cells(int node, const char *name, unsigned count)
{
	int len;
	const void *p = fdt_getprop(tree, node, name, &len);
	return p && len == (int)(count * sizeof(fdt32_t)) ? p : NULL;
}

static uint64_t pair(const fdt32_t *p)
{
	return (uint64_t)fdt32_ld(p) << 32 | fdt32_ld(p + 1);
}

static void read_virtio(int node)
{
	const fdt32_t *reg = cells(node, "reg", 4), *irq = cells(node, "interrupts", 2);
	if (!reg || !irq || pair(reg) > UINT32_MAX || pair(reg + 2) < 0x100 ||
	    pair(reg + 2) > 0x10000 || fdt32_ld(irq) > 255) {
		complain("a virtio,mmio node of the device tree has no good reg and interrupts");
		return;
	}
	if (x86_boot.virtio_count == ARCH_VIRTIO_MAX)
		return;
	x86_boot.virtio[x86_boot.virtio_count++] = (struct arch_virtio_slot){
	        .base = pair(reg),
	        .len_bytes = (uint32_t)pair(reg + 2),
	        .gsi = fdt32_ld(irq),
	        .level = fdt32_ld(irq + 1) == 1,
	};
}

static void read_ioapic(int node)
{
	const fdt32_t *reg = cells(node, "reg", 4);
	if (!reg || pair(reg) > UINT32_MAX || !ioapic_add(pair(reg), 0))
		complain("the device tree's IOAPIC does not answer");
}

static uint16_t port_of(int node)
{
	const fdt32_t *reg = cells(node, "reg", 3);
	if (!reg || fdt32_ld(reg) != ISA_IO || fdt32_ld(reg + 1) > 0xfff0) {
		complain("an isa device of the device tree has no good reg");
		return 0;
	}
	return (uint16_t)fdt32_ld(reg + 1);
}

static void read_serial(int node)
{
	const fdt32_t *irq = cells(node, "interrupts", 2);
	uint16_t port = port_of(node);
	if (port == 0 || !irq)
		return;
	x86_ports.serial = port;
	x86_ports.serial_gsi = fdt32_ld(irq);
	serial_init();
}

static void read_switch(int node, const char *name, uint16_t *port, uint8_t *value)
{
	const fdt32_t *p = cells(node, name, 2);
	if (!p || fdt32_ld(p) > 0xffff) {
		complain("the device tree's power node has no good poweroff and reset");
		return;
	}
	*port = (uint16_t)fdt32_ld(p);
	*value = (uint8_t)fdt32_ld(p + 1);
}

static void read_power(int node)
{
	read_switch(node, "poweroff", &x86_ports.poweroff, &x86_ports.poweroff_value);
	read_switch(node, "reset", &x86_ports.reset, &x86_ports.reset_value);
}

static void read_panic(int node)
{
	x86_ports.panic = port_of(node);
}

static void read_debug_exit(int node)
{
	x86_ports.debug_exit = port_of(node);
}

static void read_cpu(int node)
{
	const fdt32_t *reg = cells(node, "reg", 1);
	if (!reg || x86_boot.cpus == ARCH_CPUS_MAX) {
		complain(reg ? "the device tree has more than 32 CPUs"
		             : "a cpu node of the device tree has no good reg");
		return;
	}
	/* The one that runs is CPU 0, whatever its place in the tree. */
	if (fdt32_ld(reg) != x86_apic_ids[0])
		x86_apic_ids[x86_boot.cpus++] = fdt32_ld(reg);
}

static const struct {
	const char *compatible;
	void (*read)(int node);
} devices[] = {
        {"virtio,mmio", read_virtio},         {"ns16550a", read_serial},
        {"intel,ce4100-ioapic", read_ioapic}, {"vmm,power", read_power},
        {"vmm,debug-exit", read_debug_exit},  {"qemu,pvpanic", read_panic},
};

static void read_node(int node)
{
	int len;
	const char *compatible = fdt_getprop(tree, node, "compatible", &len);
	if (compatible) {
		for (unsigned i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
			if (fdt_stringlist_contains(compatible, len, devices[i].compatible))
				devices[i].read(node);
		}
		return;
	}
	const char *type = fdt_getprop(tree, node, "device_type", &len);
	if (type && fdt_stringlist_contains(type, len, "cpu"))
		read_cpu(node);
}

static void read_root(void)
{
	int len;
	const char *p = fdt_getprop(tree, 0, "model", &len);
	if (p && len > 0)
		x86_boot.machine = p;
	int chosen = fdt_path_offset(tree, "/chosen");
	p = chosen >= 0 && x86_boot.cmdline[0] == '\0' ? fdt_getprop(tree, chosen, "bootargs", &len)
	                                               : NULL;
	if (p && len > 0 && (size_t)len < sizeof(x86_boot.cmdline))
		memcpy(x86_boot.cmdline, p, (size_t)len);
}

bool devtree_read(const void *blob, uint64_t bytes)
{
	if (bytes > BYTES_MAX || bytes < sizeof(struct fdt_header) ||
	    fdt_magic(blob) != FDT_MAGIC || fdt_version(blob) < VERSION_MIN ||
	    fdt_check_full(blob, bytes) != 0) {
		complain("the device tree is broken: it is not used");
		return false;
	}
	tree = blob;
	x86_boot.cpus = 1;
	read_root();
	for (int node = fdt_next_node(tree, -1, NULL); node >= 0;
	     node = fdt_next_node(tree, node, NULL))
		read_node(node);
	return true;
}
