/* The filters of system calls, loaded for good into processes of their own; the table they are
 * made from; what vmm_sandbox_enter refuses. */
#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "suite.h"
#include "vmm/sandbox.h"
#include "vmm/sandbox/filter.h"

/* No calls here, but for what the kernel itself makes of 335 for its probes, past any filter. */
#define GAP_BEGIN 335
#define GAP_END   424
#define CALLS     460 /* beyond the newest of Linux 6.1 */

static volatile unsigned trapped;

/* The call does not happen. */
static void on_sigsys(int signo, siginfo_t *info, void *context)
{
	(void)signo, (void)info;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = -ENOSYS;
	trapped++;
}

static bool in_gap(long nr)
{
	return nr >= GAP_BEGIN && nr < GAP_END;
}

static bool has_rule(long nr, unsigned thread)
{
	for (size_t i = 0; i < sandbox_rule_count; i++)
		if (sandbox_rules[i].nr == nr && (sandbox_rules[i].threads & (1u << thread)))
			return true;
	return false;
}

static bool is_trapped(long nr, long a, long b, long c)
{
	unsigned before = trapped;
	(void)syscall(nr, a, b, c, 0, 0, 0);
	return trapped != before;
}

/* The first mistake of a filter, or 0: the number of a call, plus 1000 where its arguments matter,
 * plus 2000 where it should have gone through. */
static int first_mistake(unsigned thread)
{
	long pid = getpid();
	for (long nr = 0; nr < CALLS; nr++)
		if (!in_gap(nr) && !has_rule(nr, thread) && !is_trapped(nr, 0, 0, 0))
			return (int)nr;
	if (!is_trapped(SYS_ioctl, 0, TIOCSTI, 0))
		return 1000 + SYS_ioctl;
	if (!is_trapped(SYS_prctl, PR_SET_DUMPABLE, 1, 0))
		return 1000 + SYS_prctl;
	if (!is_trapped(SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC))
		return 1000 + SYS_mmap;
	if (!is_trapped(SYS_mprotect, 0, 4096, PROT_READ | PROT_EXEC))
		return 1000 + SYS_mprotect;
	if (!is_trapped(SYS_tgkill, pid + 1, pid + 1, 0))
		return 1000 + SYS_tgkill;
	if (is_trapped(SYS_tgkill, pid, pid, 0) == has_rule(SYS_tgkill, thread))
		return 2000 + SYS_tgkill;
	if (is_trapped(SYS_ioctl, -1, KVM_RUN, 0) == (thread == SANDBOX_VCPU))
		return 2000 + SYS_ioctl;
	if (is_trapped(SYS_gettid, 0, 0, 0))
		return 2000 + SYS_gettid;
	if (is_trapped(SYS_mprotect, 0, 0, PROT_READ))
		return 2000 + SYS_mprotect;
	return 0;
}

static _Noreturn void confined(const struct sandbox_filters *filters, unsigned thread, int out)
{
	const struct sigaction action = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
	(void)sigaction(SIGSYS, &action, NULL);
	int mistake = sandbox_filter_load(filters, (enum sandbox_thread)thread);
	if (mistake == 0)
		mistake = first_mistake(thread);
	else
		mistake = -mistake;
	ssize_t n = write(out, &mistake, sizeof(mistake));
	(void)n;
	/* A filter may allow no way to end but this: the parent's signal. */
	for (;;)
		(void)syscall(SYS_futex, &trapped, 0 /* FUTEX_WAIT */, trapped, NULL, NULL, 0);
}

START_TEST(each_thread_may_do_what_the_table_says)
{
	const struct sandbox_filters filters = {.on = true, .trap = true};
	int ends[2];
	int mistake = -1;
	ck_assert_int_eq(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0)
		confined(&filters, (unsigned)_i, ends[1]);
	ck_assert_int_eq(close(ends[1]), 0);
	ck_assert_int_eq(read(ends[0], &mistake, sizeof(mistake)), sizeof(mistake));
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert_int_eq(close(ends[0]), 0);
	ck_assert_msg(mistake == 0, "%d (%s)", mistake, vmm_sandbox_call_name(mistake % 1000));
}
END_TEST

/* Without a handler for it, a violation is the end of the process. */
START_TEST(a_violation_ends_the_process)
{
	const struct sandbox_filters filters = {.on = true};
	int status = 0;
	pid_t child = fork();
	if (child == 0) {
		if (sandbox_filter_load(&filters, SANDBOX_VCPU) != 0)
			_exit(1);
		(void)syscall(SYS_getppid);
		(void)syscall(SYS_exit, 2);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGSYS);
}
END_TEST

START_TEST(no_filter_is_loaded_unasked)
{
	const struct sandbox_filters filters = {.on = false};
	ck_assert_int_eq(sandbox_filter_load(&filters, SANDBOX_MAIN), 0);
	ck_assert_int_eq(prctl(PR_GET_SECCOMP, 0, 0, 0, 0), 0);
}
END_TEST

START_TEST(rules_make_sense)
{
	ck_assert_uint_gt(sandbox_rule_count, 50);
	for (size_t i = 0; i < sandbox_rule_count; i++) {
		const struct sandbox_rule *r = &sandbox_rules[i];
		ck_assert_msg(r->threads != 0 && r->threads < 1u << SANDBOX_THREADS, "rule %zu", i);
		/* These are for arguments only. */
		if (r->nr == SYS_ioctl || r->nr == SYS_fcntl || r->nr == SYS_prctl)
			ck_assert_msg(r->test == SANDBOX_EQUAL && r->what, "rule %zu", i);
		ck_assert_msg(r->test == SANDBOX_OWN_PID || r->value != SANDBOX_PID_MARK,
		              "rule %zu", i);
		for (size_t k = 0; k < i; k++)
			ck_assert_msg(
			        !(sandbox_rules[k].nr == r->nr &&
			          (sandbox_rules[k].threads & r->threads) &&
			          (r->test == SANDBOX_ANY || sandbox_rules[k].value == r->value)),
			        "rule %zu says again what %zu says (%s)", i, k,
			        vmm_sandbox_call_name(r->nr));
	}
}
END_TEST

START_TEST(names)
{
	ck_assert_str_eq(vmm_sandbox_call_name(SYS_openat), "openat");
	ck_assert_str_eq(vmm_sandbox_call_name(-1), "unknown");
	ck_assert_str_eq(vmm_sandbox_call_name(1 << 20), "unknown");
	ck_assert_str_eq(vmm_sandbox_layer_name(VMM_SANDBOX_LANDLOCK), "Landlock");
	ck_assert_str_eq(vmm_sandbox_layer_name(1u << 31), "unknown");
	for (uint32_t bit = 1; bit <= VMM_SANDBOX_SECCOMP; bit <<= 1)
		ck_assert_str_ne(vmm_sandbox_layer_name(bit), "unknown");
}
END_TEST

START_TEST(looking_changes_nothing)
{
	uint32_t found = vmm_sandbox_available();
	ck_assert(found & VMM_SANDBOX_NO_NEW_PRIVS);
	ck_assert(found & VMM_SANDBOX_NO_DUMP);
	ck_assert(!(found & ~(VMM_SANDBOX_ALL | VMM_SANDBOX_USER)));
	ck_assert_int_eq(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
	ck_assert_uint_eq(vmm_sandbox_available(), found);
}
END_TEST

START_TEST(entering_wants_a_built_vm_and_known_layers)
{
	vmm_vm_opts_t vm_opts = VMM_VM_OPTS_INIT;
	vmm_vm_t *vm = NULL;
	vmm_err_info_t ei = {0};
	uint32_t closed = 1;
	ck_assert_int_eq(vmm_vm_create(&vm_opts, &vm, NULL), VMM_OK);
	vmm_sandbox_opts_t opts = VMM_SANDBOX_OPTS_INIT;
	ck_assert_int_eq(vmm_sandbox_enter(vm, &opts, &closed, &ei), VMM_E_STATE);
	ck_assert_uint_eq(closed, 0);
	opts.layers = 1u << 31;
	ck_assert_int_eq(vmm_sandbox_enter(vm, &opts, NULL, &ei), VMM_E_INVAL);
	ck_assert_str_eq(ei.field, "layers");
	opts = (vmm_sandbox_opts_t){.struct_size = 1};
	ck_assert_int_eq(vmm_sandbox_enter(vm, &opts, NULL, &ei), VMM_E_INVAL);
	ck_assert_str_eq(ei.field, "struct_size");
	ck_assert_int_eq(vmm_sandbox_enter(vm, NULL, NULL, NULL), VMM_E_INVAL);
	/* Not sandboxed: there is nothing to seal. */
	ck_assert_int_eq(vmm_sandbox_seal(vm, &ei), VMM_OK);
	ck_assert_int_eq(prctl(PR_GET_SECCOMP, 0, 0, 0, 0), 0);
	vmm_vm_destroy(vm);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("sandbox");
	tcase_add_loop_test(tc, each_thread_may_do_what_the_table_says, 0, SANDBOX_THREADS);
	tcase_add_test(tc, a_violation_ends_the_process);
	tcase_add_test(tc, no_filter_is_loaded_unasked);
	tcase_add_test(tc, rules_make_sense);
	tcase_add_test(tc, names);
	tcase_add_test(tc, looking_changes_nothing);
	tcase_add_test(tc, entering_wants_a_built_vm_and_known_layers);
	return suite_run("sandbox", tc);
}
