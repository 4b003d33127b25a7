/*
 * What the machine consists of: from a device tree that came as a module, else from
 * virtio_mmio.device= on the command line, else from what QEMU's fw_cfg tells. Never from ACPI.
 */
#include "guest-kernel/core/cmdline.h"
#include "guest-kernel/core/devtree.h"
#include <string.h>
#include "x86.h"

#define IOAPIC_DEFAULT 0xfec00000ull

static void from_cmdline(void)
{
	struct cmdline_iter it = cmdline_start(x86_boot.cmdline, "virtio_mmio.device");
	const char *value;
	size_t len;
	while (cmdline_next(&it, &value, &len) && x86_boot.virtio_count < ARCH_VIRTIO_MAX) {
		struct arch_virtio_slot slot;
		if (parse_virtio_slot(value, len, &slot))
			x86_boot.virtio[x86_boot.virtio_count++] = slot;
		else
			x86_boot.complaint = "virtio_mmio.device= is not SIZE@BASE:IRQ";
	}
	if (x86_boot.virtio_count > 0)
		x86_boot.found_by = "command line";
}

static void default_cpus(void)
{
	x86_boot.cpus = 1;
	if (qemu_present())
		x86_boot.cpus = qemu_cpus();
	for (unsigned i = 0; i < x86_boot.cpus; i++)
		x86_apic_ids[i] = i;
}

/* The one that runs is CPU 0, whatever its place in the tree. */
static void take_cpus(const struct devtree *t)
{
	x86_boot.cpus = 1;
	for (unsigned i = 0; i < t->cpu_count && x86_boot.cpus < ARCH_CPUS_MAX; i++) {
		if (t->cpu_ids[i] != x86_apic_ids[0])
			x86_apic_ids[x86_boot.cpus++] = t->cpu_ids[i];
	}
}

static void take_ports(const struct devtree *t)
{
	x86_ports.poweroff = t->poweroff.port;
	x86_ports.poweroff_value = t->poweroff.value;
	x86_ports.reset = t->reset.port;
	x86_ports.reset_value = t->reset.value;
	x86_ports.button_gsi = t->button_gsi;
	x86_ports.panic = t->pvpanic_port;
	x86_ports.debug_exit = t->debug_exit_port;
	if (t->serial_port == 0)
		return;
	x86_ports.serial = t->serial_port;
	x86_ports.serial_gsi = t->serial_gsi;
	serial_init();
}

static void take_tree(const struct devtree *t)
{
	x86_boot.found_by = "device tree";
	x86_boot.machine = t->model ? t->model : x86_boot.machine;
	if (t->bootargs && x86_boot.cmdline[0] == '\0' &&
	    strlen(t->bootargs) < sizeof(x86_boot.cmdline))
		memcpy(x86_boot.cmdline, t->bootargs, strlen(t->bootargs) + 1);
	take_cpus(t);
	take_ports(t);
	memcpy(x86_boot.virtio, t->virtio, sizeof(x86_boot.virtio));
	x86_boot.virtio_count = t->virtio_count;
	x86_boot.pci = t->pci;
	for (unsigned i = 0; i < t->ioapic_count; i++) {
		if (!ioapic_add(t->ioapic[i], 24 * i) && !x86_boot.complaint)
			x86_boot.complaint = "the device tree's IOAPIC does not answer";
	}
}

void machine_find(const struct machine_source *src)
{
	static struct devtree tree; /* too large for a stack */
	if (src->fdt) {
		bool good = devtree_read(src->fdt, src->fdt_bytes, &tree);
		x86_boot.complaint = tree.complaint;
		if (good) {
			take_tree(&tree);
			return;
		}
	}
	default_cpus();
	from_cmdline();
	if (qemu_present())
		qemu_describe();
	else
		(void)ioapic_add(IOAPIC_DEFAULT, 0);
}
