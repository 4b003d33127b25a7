/* What is used of QEMU's qemu-plugin.h, which Debian does not ship (version 1, as of QEMU 7.2). */
#ifndef TESTS_LAB_EMULATOR_PLUGIN_H
#define TESTS_LAB_EMULATOR_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef uint64_t qemu_plugin_id_t;
typedef void (*tb_trans_cb)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*exec_cb)(unsigned cpu, void *ctx);
enum {
	INLINE_ADD_U64 = 0, /* enum qemu_plugin_op */
	CB_NO_REGS = 0,     /* enum qemu_plugin_cb_flags */
};

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, tb_trans_cb cb);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *to,
                                              uint64_t add);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, exec_cb cb, int flags,
                                          void *ctx);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, exec_cb cb, int flags,
                                            void *ctx);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);

#define PLUGIN_EXPORT __attribute__((visibility("default")))

PLUGIN_EXPORT int qemu_plugin_version = 1;

PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);

static inline bool is_vmrun(const struct qemu_plugin_insn *insn)
{
	static const uint8_t vmrun[] = {0x0f, 0x01, 0xd8}; /* AMD APM vol. 3 */

	return qemu_plugin_insn_size(insn) == sizeof(vmrun) &&
	       memcmp(qemu_plugin_insn_data(insn), vmrun, sizeof(vmrun)) == 0;
}

#endif
