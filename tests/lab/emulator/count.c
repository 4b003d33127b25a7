/*
 * A plugin of the lab's emulator (QEMU's TCG plugins, version 1 of their interface) that says who
 * executed how many instructions between two marks: user space and kernel of the inner guest, and
 * the same of the outer machine, which are the VMM and the kernel with its KVM. A machine that
 * waits executes none. scripts/lab loads it for cases with CASE_COUNT=1; a program in the inner
 * guest sets the marks (lab_mark in tests/lab/tools/mark.h).
 *
 * Writes a line to standard error at each second mark: LAB-COUNT, then guest user, guest kernel,
 * VMM, outer kernel, and how often the guest was entered. One emulated CPU only.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "plugin.h"

#define RETURNS    16u          /* places where VMRUN is */
#define USER_SPACE (1ull << 47) /* addresses below it */

enum { GUEST_USER, GUEST_KERNEL, HOST_USER, HOST_KERNEL, ENTRIES, COUNTS };

static const uint8_t mark[] = {0x0f, 0x1f, 0x84, 0x00, 0x4c, 0x41, 0x42}; /* and its number */

static uint64_t count[COUNTS];
static uint64_t begun[COUNTS];
static bool in_guest;
static uint64_t return_at[RETURNS]; /* where the outer machine goes on after #VMEXIT */
static unsigned returns;

static void enter(unsigned cpu, void *ctx)
{
	(void)cpu, (void)ctx;
	in_guest = true;
	count[ENTRIES]++;
}

static void leave(unsigned cpu, void *ctx)
{
	(void)cpu, (void)ctx;
	in_guest = false;
}

static void begin(unsigned cpu, void *ctx)
{
	(void)cpu, (void)ctx;
	memcpy(begun, count, sizeof(begun));
}

static void end(unsigned cpu, void *ctx)
{
	(void)cpu, (void)ctx;
	fprintf(stderr, "\nLAB-COUNT");
	for (unsigned i = 0; i < COUNTS; i++)
		fprintf(stderr, " %llu", (unsigned long long)(count[i] - begun[i]));
	fprintf(stderr, "\n");
}

static bool is_return(uint64_t vaddr)
{
	for (unsigned i = 0; i < returns; i++)
		if (return_at[i] == vaddr)
			return true;
	return false;
}

static void look_at(struct qemu_plugin_insn *insn)
{
	const uint8_t *code = qemu_plugin_insn_data(insn);
	size_t size = qemu_plugin_insn_size(insn);
	uint64_t next = qemu_plugin_insn_vaddr(insn) + size;

	if (size == sizeof(mark) + 1 && memcmp(code, mark, sizeof(mark)) == 0)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, code[sizeof(mark)] == 1 ? begin : end,
		                                       CB_NO_REGS, NULL);
	if (!is_vmrun(insn))
		return;
	qemu_plugin_register_vcpu_insn_exec_cb(insn, enter, CB_NO_REGS, NULL);
	if (!is_return(next) && returns < RETURNS)
		return_at[returns++] = next;
}

/*
 * Code is translated when it is about to run, and the emulator keeps that of guest mode apart: who
 * runs it now runs it always. VMRUN ends a block, so what follows it begins one.
 */
static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	uint64_t vaddr = qemu_plugin_tb_vaddr(tb);
	size_t n = qemu_plugin_tb_n_insns(tb);
	bool kernel = vaddr >= USER_SPACE;
	bool guest = in_guest && !is_return(vaddr);

	(void)id;
	if (is_return(vaddr))
		qemu_plugin_register_vcpu_tb_exec_cb(tb, leave, CB_NO_REGS, NULL);
	for (size_t i = 0; i < n; i++)
		look_at(qemu_plugin_tb_get_insn(tb, i));
	qemu_plugin_register_vcpu_tb_exec_inline(
	        tb, INLINE_ADD_U64, &count[(guest ? GUEST_USER : HOST_USER) + (kernel ? 1 : 0)], n);
}

PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	(void)info, (void)argc, (void)argv;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
