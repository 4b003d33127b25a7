/*
 * What the machine consists of: from a device tree that came as a module, else from
 * virtio_mmio.device= on the command line, else from what QEMU's fw_cfg tells. Never from ACPI.
 */
#include "guest-kernel/core/cmdline.h"
#include <string.h>
#include "x86.h"

#define IOAPIC_DEFAULT 0xfec00000ull

/* SIZE@BASE:GSI[:ID], as Linux has it (admin-guide/kernel-parameters, virtio_mmio.device). */
static bool parse_device(const char *text, size_t len, struct arch_virtio_slot *out)
{
	uint64_t size, base, gsi;
	size_t n = parse_size(text, len, &size);
	if (n == 0 || n >= len || text[n] != '@')
		return false;
	size_t at = n + 1;
	n = parse_number(text + at, len - at, &base);
	at += n;
	if (n == 0 || at >= len || text[at] != ':')
		return false;
	n = parse_number(text + at + 1, len - at - 1, &gsi);
	if (n == 0 || size < 0x100 || size > 0x10000 || gsi > 255 || base > UINT32_MAX)
		return false;
	*out = (struct arch_virtio_slot){base, (uint32_t)size, (uint32_t)gsi, false};
	return true;
}

static void from_cmdline(void)
{
	struct cmdline_iter it = cmdline_start(x86_boot.cmdline, "virtio_mmio.device");
	const char *value;
	size_t len;
	while (cmdline_next(&it, &value, &len) && x86_boot.virtio_count < ARCH_VIRTIO_MAX) {
		struct arch_virtio_slot slot;
		if (parse_device(value, len, &slot))
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

void machine_find(const struct machine_source *src)
{
	if (src->fdt && devtree_read(src->fdt, src->fdt_bytes)) {
		x86_boot.found_by = "device tree";
		return;
	}
	default_cpus();
	from_cmdline();
	if (qemu_present())
		qemu_describe();
	else
		(void)ioapic_add(IOAPIC_DEFAULT, 0);
}
