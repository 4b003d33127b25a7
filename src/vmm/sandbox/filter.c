/* Seccomp filters. See filter.h; seccomp(2). */
#include "filter.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sandbox_filters.h"
#include "vmm/sandbox.h"

#define FILTER_MAX 1024u

struct program {
	const struct sock_filter *ops;
	size_t count;
};

#define PROGRAM(array)                                      \
	{                                                   \
		(array), sizeof(array) / sizeof((array)[0]) \
	}

static const struct program programs[SANDBOX_THREADS] = {
        [SANDBOX_MAIN] = PROGRAM(filter_main), [SANDBOX_VCPU] = PROGRAM(filter_vcpu),
        [SANDBOX_LOOP] = PROGRAM(filter_loop), [SANDBOX_DISK] = PROGRAM(filter_disk),
        [SANDBOX_NET] = PROGRAM(filter_net),
};

/* What is known only now: this process's id, and what happens to a call that is not allowed. */
static void complete(struct sock_filter *op, bool trap)
{
	uint16_t kind = BPF_CLASS(op->code);
	if (kind == BPF_JMP && op->k == SANDBOX_PID_MARK)
		op->k = (uint32_t)getpid();
	if (kind == BPF_RET && op->k == SECCOMP_RET_TRAP && !trap)
		op->k = SECCOMP_RET_KILL_PROCESS;
}

/* A blocked SIGSYS ends the process without asking its handler. */
static void unblock_sigsys(void)
{
	sigset_t set;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGSYS);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int sandbox_filter_load(const struct sandbox_filters *f, enum sandbox_thread thread)
{
	if (!f->on)
		return 0;
	const struct program *p = &programs[thread];
	struct sock_filter ops[FILTER_MAX];
	if (p->count > FILTER_MAX)
		return E2BIG;
	memcpy(ops, p->ops, p->count * sizeof(ops[0]));
	for (size_t i = 0; i < p->count; i++)
		complete(&ops[i], f->trap);
	if (f->trap)
		unblock_sigsys();
	const struct sock_fprog program = {.len = (unsigned short)p->count, .filter = ops};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0)
		return errno;
	return 0;
}

const char *vmm_sandbox_call_name(int number)
{
	size_t count = sizeof(call_names) / sizeof(call_names[0]);
	if (number < 0 || (size_t)number >= count || !call_names[number])
		return "unknown";
	return call_names[number];
}
