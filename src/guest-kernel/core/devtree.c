/* The flattened device tree. See devtree.h. */
#include "guest-kernel/core/devtree.h"

#include <libfdt.h>

#include "fdt/tree_check.h"

#define ISA_IO         1u
#define NODES_MAX      4096u

#define PCI_SLOT_SHIFT 11
#define MAP_CELLS      7u

struct reading {
	const void *tree;
	struct devtree *out;
};

static void complain(const struct reading *r, const char *what)
{
	if (!r->out->complaint)
		r->out->complaint = what;
}

/* A property that must have COUNT cells; NULL if it has not. */
static const fdt32_t *cells(const struct reading *r, int node, const char *name, unsigned count)
{
	int len;
	const void *p = fdt_getprop(r->tree, node, name, &len);
	return p && len == (int)(count * sizeof(fdt32_t)) ? p : NULL;
}

static uint64_t pair(const fdt32_t *p)
{
	return (uint64_t)fdt32_ld(p) << 32 | fdt32_ld(p + 1);
}

static void read_virtio(const struct reading *r, int node)
{
	struct devtree *t = r->out;
	const fdt32_t *reg = cells(r, node, "reg", 4), *irq = cells(r, node, "interrupts", 2);
	if (!reg || !irq || pair(reg) > UINT32_MAX || pair(reg + 2) < 0x100 ||
	    pair(reg + 2) > 0x10000 || fdt32_ld(irq) > 255) {
		complain(r, "a virtio,mmio node of the device tree has no good reg and interrupts");
		return;
	}
	if (t->virtio_count == ARCH_VIRTIO_MAX) {
		complain(r, "the device tree has more than 32 virtio devices");
		return;
	}
	t->virtio[t->virtio_count++] = (struct arch_virtio_slot){
	        .base = pair(reg),
	        .len_bytes = (uint32_t)pair(reg + 2),
	        .gsi = fdt32_ld(irq),
	        .level = fdt32_ld(irq + 1) == 1,
	};
}

/*
 * Entries of interrupt-map (Devicetree 0.4, 2.4.4): PCI address of three cells, pin, the IOAPIC,
 * its interrupt of two cells.
 */
static void read_pins(const struct reading *r, int node, struct arch_pci *pci)
{
	int len;
	const fdt32_t *map = fdt_getprop(r->tree, node, "interrupt-map", &len);
	const fdt32_t *mask = cells(r, node, "interrupt-map-mask", 4);
	if (!map || !mask || len % (int)(MAP_CELLS * sizeof(*map)) != 0) {
		complain(r, "the device tree's PCI bridge has no good interrupt-map");
		return;
	}
	pci->slot_mask = fdt32_ld(mask) >> PCI_SLOT_SHIFT & 31;
	unsigned count = (unsigned)len / (unsigned)(MAP_CELLS * sizeof(*map));
	for (unsigned i = 0; i < count && pci->pin_count < ARCH_PCI_PINS_MAX; i++) {
		const fdt32_t *e = map + (size_t)i * MAP_CELLS;
		uint32_t pin = fdt32_ld(e + 3), gsi = fdt32_ld(e + 5);
		if (pin < 1 || pin > 4 || gsi > 255)
			continue;
		pci->pin[pci->pin_count++] = (struct arch_pci_pin){
		        .slot = fdt32_ld(e) >> PCI_SLOT_SHIFT & 31 & pci->slot_mask,
		        .pin = (uint8_t)pin,
		        .level = fdt32_ld(e + 6) == 1,
		        .gsi = gsi,
		};
	}
}

static void read_pci(const struct reading *r, int node)
{
	struct arch_pci *pci = &r->out->pci;
	const fdt32_t *reg = cells(r, node, "reg", 4);
	if (!reg || pair(reg) > UINT32_MAX || pair(reg + 2) < ARCH_PAGE_SIZE ||
	    pair(reg + 2) > UINT32_MAX || pci->ecam_bytes > 0) {
		complain(r, "a PCI bridge of the device tree has no good reg, or is one too many");
		return;
	}
	pci->ecam = pair(reg);
	pci->ecam_bytes = (uint32_t)pair(reg + 2);
	read_pins(r, node, pci);
}

static void read_ioapic(const struct reading *r, int node)
{
	const fdt32_t *reg = cells(r, node, "reg", 4);
	if (!reg || pair(reg) > UINT32_MAX || r->out->ioapic_count == DEVTREE_IOAPICS_MAX)
		complain(r, "an IOAPIC of the device tree has no good reg, or is one too many");
	else
		r->out->ioapic[r->out->ioapic_count++] = pair(reg);
}

static uint16_t port_of(const struct reading *r, int node)
{
	const fdt32_t *reg = cells(r, node, "reg", 3);
	if (!reg || fdt32_ld(reg) != ISA_IO || fdt32_ld(reg + 1) > 0xfff0) {
		complain(r, "an isa device of the device tree has no good reg");
		return 0;
	}
	return (uint16_t)fdt32_ld(reg + 1);
}

static void read_serial(const struct reading *r, int node)
{
	const fdt32_t *irq = cells(r, node, "interrupts", 2);
	uint16_t port = port_of(r, node);
	if (port == 0 || !irq || fdt32_ld(irq) > 255 || r->out->serial_port != 0)
		return;
	r->out->serial_port = port;
	r->out->serial_gsi = fdt32_ld(irq);
}

static void read_switch(const struct reading *r, int node, const char *name,
                        struct devtree_switch *out)
{
	const fdt32_t *p = cells(r, node, name, 2);
	if (!p || fdt32_ld(p) == 0 || fdt32_ld(p) > 0xffff)
		complain(r, "the device tree's power node has no good poweroff and reset");
	else
		*out = (struct devtree_switch){(uint16_t)fdt32_ld(p), (uint8_t)fdt32_ld(p + 1)};
}

static void read_power(const struct reading *r, int node)
{
	read_switch(r, node, "poweroff", &r->out->poweroff);
	read_switch(r, node, "reset", &r->out->reset);
	const fdt32_t *irq = cells(r, node, "interrupts", 2);
	if (!irq || fdt32_ld(irq) == 0 || fdt32_ld(irq) > 255)
		complain(r, "the device tree's power node has no good interrupt: no power button");
	else
		r->out->button_gsi = fdt32_ld(irq);
}

static void read_pvpanic(const struct reading *r, int node)
{
	r->out->pvpanic_port = port_of(r, node);
}

static void read_debug_exit(const struct reading *r, int node)
{
	r->out->debug_exit_port = port_of(r, node);
}

static void read_cpu(const struct reading *r, int node)
{
	const fdt32_t *reg = cells(r, node, "reg", 1);
	if (!reg)
		complain(r, "a cpu node of the device tree has no good reg");
	else if (r->out->cpu_count == ARCH_CPUS_MAX)
		complain(r, "the device tree has more than 32 CPUs; 32 are used");
	else
		r->out->cpu_ids[r->out->cpu_count++] = fdt32_ld(reg);
}

static const struct {
	const char *compatible;
	void (*read)(const struct reading *r, int node);
} devices[] = {
        {"virtio,mmio", read_virtio},         {"ns16550a", read_serial},
        {"intel,ce4100-ioapic", read_ioapic}, {"vmm,power", read_power},
        {"vmm,debug-exit", read_debug_exit},  {"qemu,pvpanic", read_pvpanic},
        {"pci-host-ecam-generic", read_pci},
};

static void read_node(const struct reading *r, int node)
{
	int len;
	const char *compatible = fdt_getprop(r->tree, node, "compatible", &len);
	for (unsigned i = 0; compatible && i < sizeof(devices) / sizeof(devices[0]); i++) {
		if (fdt_stringlist_contains(compatible, len, devices[i].compatible)) {
			devices[i].read(r, node);
			return;
		}
	}
	const char *type = fdt_getprop(r->tree, node, "device_type", &len);
	if (type && fdt_stringlist_contains(type, len, "cpu"))
		read_cpu(r, node);
}

/* A property that is one string; NULL if it is not. */
static const char *string(const struct reading *r, int node, const char *name)
{
	int len;
	const char *p = fdt_getprop(r->tree, node, name, &len);
	if (!p || len <= 0)
		return NULL;
	for (int i = 0; i < len; i++) {
		if (p[i] == '\0')
			return i == len - 1 ? p : NULL;
	}
	return NULL;
}

bool devtree_read(const void *blob, uint64_t bytes, struct devtree *out)
{
	struct reading r = {blob, out};
	*out = (struct devtree){0};
	if (bytes > DEVTREE_BYTES_MAX || tree_check(blob, bytes) != 0) {
		out->complaint = "the device tree is broken: it is not used";
		return false;
	}
	out->model = string(&r, 0, "model");
	int chosen = fdt_path_offset(blob, "/chosen");
	out->bootargs = chosen >= 0 ? string(&r, chosen, "bootargs") : NULL;
	int node = fdt_next_node(blob, -1, NULL);
	for (unsigned i = 0; node >= 0 && i < NODES_MAX; i++) {
		read_node(&r, node);
		node = fdt_next_node(blob, node, NULL);
	}
	return true;
}
