/*
 * Compiles the table of rules.c into seccomp filters, one for each kind of thread, and writes them
 * as C. Runs while the tree is built, so that a VM pays for loading a filter only.
 *
 *   sandbox_gen OUTPUT
 *   sandbox_gen --rules      the table in words: thread, call, what of it, and whether ordinary
 * runs make it ("used") or not ("seldom"), or it is "refused"
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rules.h"

#define CALLS_MAX 512

static void need(int err, const char *what)
{
	if (err >= 0)
		return;
	(void)fprintf(stderr, "sandbox_gen: %s: %s\n", what, strerror(-err));
	exit(EXIT_FAILURE);
}

static int add(scmp_filter_ctx f, const struct sandbox_rule *r)
{
	struct scmp_arg_cmp test = {.arg = r->arg, .op = SCMP_CMP_MASKED_EQ};
	uint32_t action = r->refuse ? SCMP_ACT_ERRNO((unsigned)r->refuse) : SCMP_ACT_ALLOW;
	switch (r->test) {
	case SANDBOX_ANY:
		return seccomp_rule_add(f, action, r->nr, 0);
	case SANDBOX_EQUAL:
		test.datum_a = UINT32_MAX;
		test.datum_b = r->value;
		break;
	case SANDBOX_CLEAR:
		test.datum_a = r->value;
		test.datum_b = 0;
		break;
	case SANDBOX_OWN_PID:
		test.datum_a = UINT32_MAX;
		test.datum_b = SANDBOX_PID_MARK;
		break;
	}
	return seccomp_rule_add_array(f, action, r->nr, 1, &test);
}

static void write_op(FILE *out, struct sock_filter op)
{
	(void)fprintf(out, "\t{0x%04x, %u, %u, 0x%08x},\n", op.code, op.jt, op.jf, op.k);
}

/* What a vCPU calls at each exit is decided first: seven steps, where the table's order, which is
 * libseccomp's, takes three times as many. */
static void write_exit_path(FILE *out)
{
	const uint32_t request = offsetof(struct seccomp_data, args[1]);
	const struct sock_filter ops[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 5),
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, request), /* its low half */
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, KVM_RUN, 0, 1),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		write_op(out, ops[i]);
}

static void write_filter(FILE *out, const char *name, enum sandbox_thread thread)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_TRAP);
	need(f ? 0 : -ENOMEM, "seccomp_init");
	need(seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), "bad arch");
	for (size_t i = 0; i < sandbox_rule_count; i++)
		if (sandbox_rules[i].threads & (1u << thread))
			need(add(f, &sandbox_rules[i]), "a rule");
	need(seccomp_syscall_priority(f, SCMP_SYS(ioctl), 255), "priority");
	int fd = memfd_create("filter", MFD_CLOEXEC);
	need(fd, "memfd_create");
	need(seccomp_export_bpf(f, fd), "seccomp_export_bpf");
	seccomp_release(f);
	struct sock_filter op;
	(void)lseek(fd, 0, SEEK_SET);
	(void)fprintf(out, "static const struct sock_filter %s[] = {\n", name);
	if (thread == SANDBOX_VCPU)
		write_exit_path(out);
	while (read(fd, &op, sizeof(op)) == (ssize_t)sizeof(op))
		write_op(out, op);
	(void)fprintf(out, "};\n\n");
	(void)close(fd);
}

static void write_names(FILE *out)
{
	(void)fprintf(out, "static const char *const call_names[] = {\n");
	for (int nr = 0; nr < CALLS_MAX; nr++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, nr);
		if (name)
			(void)fprintf(out, "\t[%d] = \"%s\",\n", nr, name);
		free(name);
	}
	(void)fprintf(out, "};\n");
}

static int print_rules(void)
{
	static const char *const threads[SANDBOX_THREADS] = {
	        [SANDBOX_MAIN] = "main", [SANDBOX_VCPU] = "vcpu", [SANDBOX_LOOP] = "loop",
	        [SANDBOX_DISK] = "disk", [SANDBOX_NET] = "net",
	};
	for (size_t i = 0; i < sandbox_rule_count; i++) {
		const struct sandbox_rule *r = &sandbox_rules[i];
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, r->nr);
		for (unsigned t = 0; t < SANDBOX_THREADS; t++)
			if (r->threads & (1u << t))
				(void)printf("%s %s %s %s\n", threads[t], name ? name : "?",
				             r->what ? r->what : "-",
				             r->refuse   ? "refused"
				             : r->seldom ? "seldom"
				                         : "used");
		free(name);
	}
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--rules") == 0)
		return print_rules();
	FILE *out = argc == 2 ? fopen(argv[1], "w") : NULL;
	if (!out) {
		(void)fprintf(stderr, "usage: sandbox_gen OUTPUT | --rules\n");
		return EXIT_FAILURE;
	}
	(void)fprintf(out, "/* Made by sandbox_gen from rules.c. */\n");
	write_filter(out, "filter_main", SANDBOX_MAIN);
	write_filter(out, "filter_vcpu", SANDBOX_VCPU);
	write_filter(out, "filter_loop", SANDBOX_LOOP);
	write_filter(out, "filter_disk", SANDBOX_DISK);
	write_filter(out, "filter_net", SANDBOX_NET);
	write_names(out);
	if (fclose(out) != 0)
		need(-errno, argv[1]);
	return EXIT_SUCCESS;
}
