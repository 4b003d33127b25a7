/* The machine as a device tree, by libfdt's sequential writer. See fdt.h. */
#include "fdt.h"

#include <libfdt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define PHANDLE_IOAPIC 1u
#define EDGE_RISING    0u /* second interrupt cell, as in Linux's intel,ce4100-ioapic binding */
#define LEVEL_LOW      1u
#define ISA_IO         1u /* first address cell of an ISA child: I/O space */

/* First cell of a PCI address (IEEE 1275 PCI bus binding, 2.2.1.1): its space. */
#define PCI_SPACE_IO    0x01000000u
#define PCI_SPACE_MEM32 0x02000000u
#define PCI_SPACE_MEM64 0x03000000u /* not only for prefetchable BARs */
#define PCI_SLOT_SHIFT  11u
#define POWEROFF_VALUE  (MACHINE_ACPI_SLP_EN | MACHINE_ACPI_SLP_TYP_S5 << 2)

/* Carries the first error through a run of calls: each later call does nothing. */
struct writer {
	void *blob;
	int err;
};

static void begin(struct writer *w, const char *name)
{
	if (!w->err)
		w->err = fdt_begin_node(w->blob, name);
}

static void begin_at(struct writer *w, const char *name, uint64_t addr)
{
	char full[48];
	(void)snprintf(full, sizeof(full), "%s@%llx", name, (unsigned long long)addr);
	begin(w, full);
}

static void end(struct writer *w)
{
	if (!w->err)
		w->err = fdt_end_node(w->blob);
}

static void prop(struct writer *w, const char *name, const void *value, size_t len)
{
	if (!w->err)
		w->err = fdt_property(w->blob, name, value, (int)len);
}

static void prop_string(struct writer *w, const char *name, const char *value)
{
	prop(w, name, value, strlen(value) + 1);
}

static void prop_u32(struct writer *w, const char *name, uint32_t value)
{
	fdt32_t v = cpu_to_fdt32(value);
	prop(w, name, &v, sizeof(v));
}

static void prop_u64(struct writer *w, const char *name, uint64_t value)
{
	fdt64_t v = cpu_to_fdt64(value);
	prop(w, name, &v, sizeof(v));
}

static void prop_cells(struct writer *w, const char *name, const uint32_t *cells, size_t count)
{
	fdt32_t be[4];
	for (size_t i = 0; i < count; i++)
		be[i] = cpu_to_fdt32(cells[i]);
	prop(w, name, be, count * sizeof(be[0]));
}

static void prop_reg(struct writer *w, uint64_t addr, uint64_t len)
{
	fdt64_t v[2] = {cpu_to_fdt64(addr), cpu_to_fdt64(len)};
	prop(w, "reg", v, sizeof(v));
}

static void prop_interrupt(struct writer *w, uint32_t gsi)
{
	prop_cells(w, "interrupts", (const uint32_t[]){gsi, EDGE_RISING}, 2);
}

static void add_chosen(struct writer *w, const struct fdt_facts *f)
{
	begin(w, "chosen");
	prop_string(w, "bootargs", f->cmdline);
	if (f->machine->serial)
		prop_string(w, "stdout-path", "/isa/serial@i3f8");
	if (f->initrd_bytes > 0) {
		prop_u64(w, "linux,initrd-start", f->initrd_addr);
		prop_u64(w, "linux,initrd-end", f->initrd_addr + f->initrd_bytes);
	}
	end(w);
}

static void add_memory(struct writer *w, const struct fdt_facts *f)
{
	for (unsigned i = 0; i < f->map_count; i++) {
		const struct memmap_entry *m = &f->map[i];
		if (m->type != MEMMAP_RAM)
			continue;
		begin_at(w, "memory", m->addr);
		prop_string(w, "device_type", "memory");
		prop_reg(w, m->addr, m->len_bytes);
		end(w);
	}
}

static void add_cpus(struct writer *w, const struct machine *m)
{
	begin(w, "cpus");
	prop_u32(w, "#address-cells", 1);
	prop_u32(w, "#size-cells", 0);
	for (uint32_t i = 0; i < m->cpus; i++) {
		begin_at(w, "cpu", i);
		prop_string(w, "device_type", "cpu");
		prop_u32(w, "reg", i); /* the APIC id */
		end(w);
	}
	end(w);
}

static void add_ioapic(struct writer *w)
{
	begin_at(w, "interrupt-controller", MACHINE_IOAPIC);
	prop_string(w, "compatible", "intel,ce4100-ioapic");
	prop_reg(w, MACHINE_IOAPIC, MACHINE_PAGE_SIZE);
	prop(w, "interrupt-controller", "", 0);
	prop_u32(w, "#interrupt-cells", 2);
	prop_u32(w, "#address-cells", 0); /* of interrupts that a map sends here */
	prop_u32(w, "phandle", PHANDLE_IOAPIC);
	end(w);
}

static void add_virtio(struct writer *w, const struct machine *m)
{
	for (uint32_t i = 0; i < m->virtio_count; i++) {
		begin_at(w, "virtio_mmio", m->virtio[i].base);
		prop_string(w, "compatible", "virtio,mmio");
		prop_reg(w, m->virtio[i].base, MACHINE_VIRTIO_MMIO_SIZE);
		prop_interrupt(w, m->virtio[i].gsi);
		end(w);
	}
}

static size_t put_range(fdt32_t *out, uint32_t space, uint64_t addr, uint64_t len)
{
	/* The bus has the CPU's addresses. */
	const uint32_t cells[] = {
	        space,          (uint32_t)(addr >> 32), (uint32_t)addr, (uint32_t)(addr >> 32),
	        (uint32_t)addr, (uint32_t)(len >> 32),  (uint32_t)len};
	for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++)
		out[i] = cpu_to_fdt32(cells[i]);
	return sizeof(cells);
}

static void add_pci_ranges(struct writer *w, const struct machine *m)
{
	fdt32_t ranges[3 * 7];
	size_t len = put_range(ranges, PCI_SPACE_IO, MACHINE_PORT_PCI_IO,
	                       MACHINE_PORT_PCI_IO_END - MACHINE_PORT_PCI_IO);
	len += put_range(ranges + 7, PCI_SPACE_MEM32, MACHINE_PCI_MEM32,
	                 MACHINE_PCI_MEM32_END - MACHINE_PCI_MEM32);
	if (m->pci_mem64_bytes > 0)
		len += put_range(ranges + 14, PCI_SPACE_MEM64, m->pci_mem64, m->pci_mem64_bytes);
	prop(w, "ranges", ranges, len);
}

/* Where pins go: the same for slots that are PINS apart. */
static void add_pci_pins(struct writer *w)
{
	fdt32_t map[MACHINE_PCI_PINS * MACHINE_PCI_PINS * 7];
	size_t n = 0;
	const uint32_t mask = (MACHINE_PCI_PINS - 1) << PCI_SLOT_SHIFT;
	for (uint32_t slot = 0; slot < MACHINE_PCI_PINS; slot++) {
		for (uint32_t pin = 0; pin < MACHINE_PCI_PINS; pin++) {
			const uint32_t cells[7] = {
			        slot << PCI_SLOT_SHIFT,     0,        0, pin + 1, PHANDLE_IOAPIC,
			        machine_pci_gsi(slot, pin), LEVEL_LOW};
			for (unsigned i = 0; i < 7; i++)
				map[n++] = cpu_to_fdt32(cells[i]);
		}
	}
	prop_cells(w, "interrupt-map-mask", (const uint32_t[]){mask, 0, 0, 7}, 4);
	prop(w, "interrupt-map", map, sizeof(map));
}

/* The generic host bridge of Linux's pci-host-ecam-generic binding. */
static void add_pci(struct writer *w, const struct machine *m)
{
	begin_at(w, "pcie", MACHINE_PCI_ECAM);
	prop_string(w, "compatible", "pci-host-ecam-generic");
	prop_string(w, "device_type", "pci");
	prop_reg(w, MACHINE_PCI_ECAM, MACHINE_PCI_ECAM_SIZE);
	prop_cells(w, "bus-range", (const uint32_t[]){0, 0}, 2);
	prop_u32(w, "#address-cells", 3);
	prop_u32(w, "#size-cells", 2);
	prop_u32(w, "#interrupt-cells", 1);
	add_pci_ranges(w, m);
	add_pci_pins(w);
	end(w);
}

static void begin_port(struct writer *w, const char *name, const char *compatible, uint32_t port,
                       uint32_t count)
{
	char full[32];
	(void)snprintf(full, sizeof(full), "%s@i%x", name, port);
	begin(w, full);
	prop_string(w, "compatible", compatible);
	prop_cells(w, "reg", (const uint32_t[]){ISA_IO, port, count}, 3);
}

static void add_serial(struct writer *w)
{
	begin_port(w, "serial", "ns16550a", MACHINE_PORT_COM1, 8);
	prop_u32(w, "clock-frequency", 1843200);
	prop_interrupt(w, MACHINE_GSI_COM1);
	end(w);
}

static void add_rtc(struct writer *w)
{
	begin_port(w, "rtc", "motorola,mc146818", MACHINE_PORT_RTC, 2);
	prop_interrupt(w, MACHINE_GSI_RTC);
	end(w);
}

/* Each of poweroff and reset: the port to write one byte to, and the byte. */
static void add_power(struct writer *w)
{
	begin_port(w, "power", "vmm,power", MACHINE_PORT_ACPI, MACHINE_ACPI_PORTS);
	prop_cells(
	        w, "poweroff",
	        (const uint32_t[]){MACHINE_PORT_ACPI + MACHINE_ACPI_SLEEP_CONTROL, POWEROFF_VALUE},
	        2);
	prop_cells(w, "reset",
	           (const uint32_t[]){MACHINE_PORT_ACPI + MACHINE_ACPI_RESET,
	                              MACHINE_ACPI_RESET_VALUE},
	           2);
	prop_interrupt(w, MACHINE_GSI_POWER_BUTTON);
	end(w);
	begin_port(w, "pvpanic", "qemu,pvpanic", MACHINE_PORT_PVPANIC, 1);
	end(w);
	begin_port(w, "debug-exit", "vmm,debug-exit", MACHINE_PORT_DEBUG_EXIT, 1);
	end(w);
}

static void add_ports(struct writer *w, const struct machine *m)
{
	begin(w, "isa");
	prop_string(w, "compatible", "isa");
	prop_u32(w, "#address-cells", 2);
	prop_u32(w, "#size-cells", 1);
	if (m->serial)
		add_serial(w);
	if (m->rtc)
		add_rtc(w);
	add_power(w);
	end(w);
}

static void add_root(struct writer *w, const struct fdt_facts *f)
{
	begin(w, "");
	prop_string(w, "compatible", "vmm,machine");
	prop_string(w, "model", "libvmm");
	prop_u32(w, "#address-cells", 2);
	prop_u32(w, "#size-cells", 2);
	prop_u32(w, "interrupt-parent", PHANDLE_IOAPIC);
	add_chosen(w, f);
	add_memory(w, f);
	add_cpus(w, f->machine);
	add_ioapic(w);
	add_ports(w, f->machine);
	add_virtio(w, f->machine);
	if (f->machine->pci)
		add_pci(w, f->machine);
	end(w);
}

size_t fdt_write(void *buf, size_t cap, const struct fdt_facts *facts)
{
	if (cap > INT_MAX)
		return 0;
	struct writer w = {.blob = buf};
	w.err = fdt_create(buf, (int)cap);
	if (!w.err)
		w.err = fdt_finish_reservemap(buf);
	add_root(&w, facts);
	if (!w.err)
		w.err = fdt_finish(buf);
	return w.err ? 0 : fdt_totalsize(buf);
}
