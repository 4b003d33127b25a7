/*
 * A plugin of the lab's emulator (QEMU's TCG plugins, version 1 of their interface) that mends a
 * defect of it: an interrupt that a hypervisor injects is delivered once.
 *
 * helper_vmrun of QEMU delivers the event of VMCB.EVENTINJ, but leaves its vector in
 * CPUState.exception_index, where the emulator's loop looks for an exception to deliver: if it
 * comes there before the next #VMEXIT or exception, as where its counter of instructions has run
 * out, it delivers the vector again, whatever RFLAGS.IF says. Here the field is set back as soon as
 * the handler's first block runs. Nothing else of the emulator is touched; it runs as it is where
 * the field cannot be found.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "plugin.h"

#define FIRST_INTERRUPT 32  /* vectors below are exceptions (AMD APM vol. 2, 8.2) */
#define LAST_INTERRUPT  255 /* more are the emulator's own reasons */

static ptrdiff_t offset; /* of exception_index in struct CPUState */
static void *(*get_cpu)(int index);

static __thread bool entered; /* this CPU has executed VMRUN, and translated nothing since */

/*
 * cpu_loop_exit_noexc(struct CPUState *) does nothing to its argument but set exception_index to
 * -1: movl $-1, disp32(%rdi) has the place.
 */
static bool find_field(void)
{
	const uint8_t *code = dlsym(RTLD_DEFAULT, "cpu_loop_exit_noexc");
	static const uint8_t minus_one[] = {0xff, 0xff, 0xff, 0xff};

	get_cpu = (void *(*)(int))dlsym(RTLD_DEFAULT, "qemu_get_cpu");
	if (!code || !get_cpu)
		return false;
	for (unsigned i = 0; i < 16; i++) {
		int32_t disp;

		if (code[i] != 0xc7 || code[i + 1] != 0x87 ||
		    memcmp(code + i + 6, minus_one, sizeof(minus_one)) != 0)
			continue;
		memcpy(&disp, code + i + 2, sizeof(disp));
		offset = disp;
		return true;
	}
	return false;
}

static void enter(unsigned cpu, void *ctx)
{
	(void)cpu, (void)ctx;
	entered = true;
}

static void deliver(unsigned cpu, void *ctx)
{
	uint8_t *state = get_cpu((int)cpu);
	int32_t pending;

	(void)ctx;
	memcpy(&pending, state + offset, sizeof(pending));
	if (pending < FIRST_INTERRUPT || pending > LAST_INTERRUPT)
		return;
	pending = -1;
	memcpy(state + offset, &pending, sizeof(pending));
}

/*
 * Code is translated when it is about to run. An interrupt's handler is entered by VMRUN alone, so
 * what is translated next after VMRUN is one, or else the guest's code anywhere, to which it does
 * no harm.
 */
static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);

	(void)id;
	if (entered)
		qemu_plugin_register_vcpu_tb_exec_cb(tb, deliver, CB_NO_REGS, NULL);
	entered = false;
	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		if (is_vmrun(insn))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, enter, CB_NO_REGS, NULL);
	}
}

PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	(void)info, (void)argc, (void)argv;
	if (find_field())
		qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	else
		fprintf(stderr, "once: this QEMU is another; an interrupt may come twice\n");
	return 0;
}
