/*
 * Boot: turn what the user named (a kernel, a ramdisk, a command line, a guest image) into bytes in
 * guest memory and the registers of vCPU 0. Called once at build and again at every reset, on one
 * thread, while no vCPU runs.
 */
#ifndef SRC_VMM_BOOT_BOOT_H
#define SRC_VMM_BOOT_BOOT_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/err.h"
#include "../gmem.h"
#include "../machine.h"

/* A range of an open file; fd -1 means absent. The plan does not own the descriptor. */
struct boot_part {
	int fd;
	uint64_t offset;
	uint64_t len_bytes;
	const char *name; /* for messages: the path, or the image part */
};

enum boot_protocol {
	BOOT_AUTO, /* bzImage -> Linux 64-bit; ELF with a PVH note -> PVH; other ELF -> Linux 64-bit
	            */
	BOOT_LINUX64, /* Linux x86 boot protocol, 64-bit entry (Documentation/arch/x86/boot.rst) */
	BOOT_PVH,     /* Xen x86/HVM direct boot ABI (docs/misc/pvh.html) */
};

struct boot_plan {
	enum boot_protocol protocol;
	struct boot_part kernel;
	struct boot_part initrd;
	const char *cmdline;     /* never NULL */
	struct boot_part policy; /* handed to the guest as a PVH module, or absent */
};

enum boot_cpu_mode {
	BOOT_CPU_LONG64, /* paging on (CR3 = page_tables), CS.L, flat segments, GDT at MACHINE_GDT
	                  */
	BOOT_CPU_PROT32, /* PVH: 32-bit flat, paging off */
};

/*
 * Selectors of the GDT at MACHINE_GDT (LONG64 only): CS, and all data segments, flat; TR a busy
 * 64-bit TSS with base 0 and limit 0x67. For PROT32 the guest loads a GDT of its own first.
 */
#define BOOT_SEL_CODE  0x10u
#define BOOT_SEL_DATA  0x18u
#define BOOT_SEL_TSS   0x20u
#define BOOT_GDT_BYTES 0x30u

/* How vCPU 0 starts. */
struct boot_entry {
	enum boot_cpu_mode mode;
	uint64_t rip;
	uint64_t rsp;
	uint64_t rsi; /* boot_params for LINUX64 */
	uint64_t rbx; /* hvm_start_info for PVH */
	struct gpa page_tables;
};

/*
 * Check everything about PLAN that can be checked without a guest: the kernel's format and headers,
 * that all parts fit together into RAM_BYTES, the command line's length.
 */
VMM_WARN_UNUSED vmm_err_t boot_check(const struct boot_plan *plan, uint64_t ram_bytes,
                                     vmm_err_info_t *ei);

/*
 * Load everything: kernel, ramdisk, command line, memory map, ACPI tables (acpi.h), device tree
 * (fdt.h, for PVH as a module), page tables and GDT where the mode wants them. GM is zeroed RAM.
 */
VMM_WARN_UNUSED vmm_err_t boot_load(const struct boot_plan *plan, const struct machine *machine,
                                    const struct gmem *gm, struct boot_entry *entry,
                                    vmm_err_info_t *ei);

#endif
