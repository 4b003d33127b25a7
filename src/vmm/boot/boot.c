/*
 * Boot: decode the kernel, place everything, then load it. See boot.h. boot_check does the first
 * half, boot_load both.
 */
#include "boot.h"

#include <string.h>

#include "../errset.h"
#include "acpi.h"
#include "enter.h"
#include "fdt.h"
#include "kernel.h"
#include "memmap.h"
#include "part.h"

#define MACHINE_ACPI_BYTES (MACHINE_ACPI_END - MACHINE_ACPI)

/* Everything decided, nothing written yet. */
struct layout {
	struct kernel kernel;
	struct boot_range initrd;
	struct boot_range policy;
};

static vmm_err_t decode_kernel(const struct boot_plan *plan, uint64_t low_ram_end, struct kernel *k,
                               vmm_err_info_t *ei)
{
	const struct boot_part *part = &plan->kernel;
	uint8_t head[BZIMAGE_HEAD_BYTES] = {0};
	size_t len = part->len_bytes < sizeof(head) ? (size_t)part->len_bytes : sizeof(head);
	vmm_err_t err = part_read(part, 0, head, len, "the first bytes", ei);
	if (err)
		return err;
	if (elf_matches(head, len))
		return elf_decode(part, plan->protocol, low_ram_end, k, ei);
	if (!bzimage_matches(head, len))
		return err_set(ei, VMM_E_FORMAT, part->name,
		               "%s is not a kernel: neither a bzImage ('HdrS' at 0x202) nor ELF%s",
		               part->name,
		               head[0] == 0x1f && head[1] == 0x8b
		                       ? "; it is compressed by gzip: gunzip it first"
		                       : "");
	if (plan->protocol == BOOT_PVH)
		return err_set(ei, VMM_E_UNSUPPORTED, part->name,
		               "%s is a bzImage, which has no PVH entry; its vmlinux may have one",
		               part->name);
	return bzimage_decode(head, len, part->len_bytes, low_ram_end, part->name, k, ei);
}

static vmm_err_t check_cmdline(const struct boot_plan *plan, const struct kernel *k,
                               vmm_err_info_t *ei)
{
	size_t len = strlen(plan->cmdline);
	size_t max =
	        k->cmdline_max < MACHINE_CMDLINE_MAX ? k->cmdline_max : MACHINE_CMDLINE_MAX - 1;
	if (len > max)
		return err_set(ei, VMM_E_LIMIT, "cmdline",
		               "%zu bytes; the kernel takes at most %zu", len, max);
	return VMM_OK;
}

/* As high as possible below TOP, page aligned, and clear of the kernel. */
static vmm_err_t place_below(uint64_t top, const struct boot_part *part, const struct kernel *k,
                             struct boot_range *out, vmm_err_info_t *ei)
{
	const uint64_t mask = ~(uint64_t)(MACHINE_PAGE_SIZE - 1);
	uint64_t len = part->len_bytes;
	if (len == 0)
		return err_set(ei, VMM_E_FORMAT, part->name, "%s is empty", part->name);
	uint64_t at = top > len ? (top - len) & mask : 0;
	if (at < k->end && top > k->base)
		at = k->base > len ? (k->base - len) & mask : 0;
	if (at < MACHINE_HIMEM)
		return err_set(ei, VMM_E_LIMIT, part->name,
		               "%s (%llu KiB) does not fit into memory beside the kernel "
		               "(0x%llx-0x%llx), which may use it up to 0x%llx: give the guest "
		               "more",
		               part->name, (unsigned long long)((len + 1023) >> 10),
		               (unsigned long long)k->base, (unsigned long long)k->end,
		               (unsigned long long)top);
	*out = (struct boot_range){at, len};
	return VMM_OK;
}

static vmm_err_t place_parts(const struct boot_plan *plan, uint64_t low_ram_end, struct layout *l,
                             vmm_err_info_t *ei)
{
	const struct kernel *k = &l->kernel;
	uint64_t top = k->initrd_end < low_ram_end ? k->initrd_end : low_ram_end;
	if (part_present(&plan->initrd)) {
		vmm_err_t err = place_below(top, &plan->initrd, k, &l->initrd, ei);
		if (err)
			return err;
		top = l->initrd.addr;
	}
	if (!part_present(&plan->policy))
		return VMM_OK;
	if (k->protocol != BOOT_PVH)
		return err_set(ei, VMM_E_UNSUPPORTED, plan->policy.name,
		               "%s: only a kernel entered by PVH can be given a policy",
		               plan->policy.name);
	return place_below(top, &plan->policy, k, &l->policy, ei);
}

static vmm_err_t make_layout(const struct boot_plan *plan, uint64_t ram_bytes, struct layout *l,
                             vmm_err_info_t *ei)
{
	*l = (struct layout){0};
	uint64_t low_ram_end = ram_bytes < MACHINE_LOW_RAM_END ? ram_bytes : MACHINE_LOW_RAM_END;
	if (low_ram_end <= MACHINE_HIMEM)
		return err_set(ei, VMM_E_LIMIT, "memory", "%llu KiB: a guest needs more than 1 MiB",
		               (unsigned long long)(low_ram_end >> 10));
	vmm_err_t err = decode_kernel(plan, low_ram_end, &l->kernel, ei);
	if (!err)
		err = check_cmdline(plan, &l->kernel, ei);
	if (!err)
		err = place_parts(plan, low_ram_end, l, ei);
	return err;
}

static vmm_err_t load_range(const struct gmem *gm, const struct boot_part *part,
                            const struct boot_range *r, vmm_err_info_t *ei)
{
	return gmem_load_fd(gm, (struct gpa){r->addr}, part->fd, part->offset, r->len_bytes,
	                    part->name, ei);
}

static vmm_err_t load_parts(const struct boot_plan *plan, const struct layout *l,
                            const struct gmem *gm, vmm_err_info_t *ei)
{
	const struct kernel *k = &l->kernel;
	vmm_err_t err = VMM_OK;
	for (unsigned i = 0; i < k->piece_count && !err; i++) {
		const struct kernel_piece *p = &k->pieces[i];
		err = gmem_load_fd(gm, (struct gpa){p->addr}, plan->kernel.fd,
		                   plan->kernel.offset + p->file_offset, p->file_bytes,
		                   plan->kernel.name, ei);
	}
	if (!err)
		err = load_range(gm, &plan->initrd, &l->initrd, ei);
	if (!err)
		err = load_range(gm, &plan->policy, &l->policy, ei);
	return err;
}

/* What describes the machine: ACPI tables, and a device tree where there is a way to pass it. */
static vmm_err_t write_tables(const struct boot_plan *plan, const struct machine *machine,
                              const struct gmem *gm, enum boot_protocol protocol,
                              struct boot_extras *x, vmm_err_info_t *ei)
{
	if (machine->acpi) {
		uint8_t *area = gmem_at(gm, (struct gpa){MACHINE_ACPI}, MACHINE_ACPI_BYTES);
		if (!area || !acpi_write(area, MACHINE_ACPI_BYTES, MACHINE_ACPI, machine))
			return err_set(ei, VMM_E_LIMIT, "memory", "no room for the ACPI tables");
		x->rsdp = MACHINE_ACPI;
	}
	if (protocol != BOOT_PVH)
		return VMM_OK;
	struct fdt_facts facts = {
	        .machine = machine,
	        .cmdline = plan->cmdline,
	        .initrd_addr = x->initrd.addr,
	        .initrd_bytes = x->initrd.len_bytes,
	};
	facts.map_count = memmap_make(gm, machine->pci, facts.map);
	void *blob = gmem_at(gm, (struct gpa){MACHINE_DEVICE_TREE}, MACHINE_DEVICE_TREE_MAX);
	size_t len = blob ? fdt_write(blob, MACHINE_DEVICE_TREE_MAX, &facts) : 0;
	if (len == 0)
		return err_set(ei, VMM_E_LIMIT, "memory", "no room for the device tree");
	x->device_tree = (struct boot_range){MACHINE_DEVICE_TREE, len};
	return VMM_OK;
}

/*
 * A kernel that finds no other way to start over jumps, in real mode, to where a PC has its
 * firmware: Linux with tables of hardware-reduced ACPI, as these are, and no EFI does so at once
 * ("efi", then "bios": arch/x86/kernel/reboot.c). There is no firmware; the keyboard controller's
 * line resets.
 */
static vmm_err_t write_reset_code(const struct gmem *gm, vmm_err_info_t *ei)
{
	static const uint8_t code[] = {
	        0xb0, 0xfe, /* mov $0xfe, %al */
	        0xe6, 0x64, /* out %al, $0x64 */
	        0xf4,       /* 1: hlt */
	        0xeb, 0xfd, /* jmp 1b */
	};
	if (!gmem_write(gm, (struct gpa){MACHINE_RESET_CODE}, code, sizeof(code)))
		return err_set(ei, VMM_E_LIMIT, "memory", "less than 1 MiB");
	return VMM_OK;
}

vmm_err_t boot_check(const struct boot_plan *plan, uint64_t ram_bytes, vmm_err_info_t *ei)
{
	struct layout l;
	return make_layout(plan, ram_bytes, &l, ei);
}

vmm_err_t boot_load(const struct boot_plan *plan, const struct machine *machine,
                    const struct gmem *gm, struct boot_entry *entry, vmm_err_info_t *ei)
{
	struct layout l;
	vmm_err_t err = make_layout(plan, gmem_size_bytes(gm), &l, ei);
	if (!err)
		err = load_parts(plan, &l, gm, ei);
	if (err)
		return err;
	struct boot_extras x = {.initrd = l.initrd, .policy = l.policy, .pci = machine->pci};
	err = write_tables(plan, machine, gm, l.kernel.protocol, &x, ei);
	if (!err)
		err = write_reset_code(gm, ei);
	if (err)
		return err;
	if (!gmem_write(gm, (struct gpa){MACHINE_CMDLINE}, plan->cmdline,
	                strlen(plan->cmdline) + 1))
		return err_set(ei, VMM_E_LIMIT, "cmdline", "does not fit into memory");
	if (l.kernel.protocol == BOOT_PVH)
		pvh_write(gm, &l.kernel, &x, entry);
	else
		linux64_write(gm, &l.kernel, &x, entry);
	return VMM_OK;
}
