/*
 * Which rules of the sandbox's table (src/vmm/sandbox/rules.c) a run of vmm uses, seen by ptrace.
 *
 * sandbox_trace RECORD COMMAND [ARGUMENT...] runs it, with its output, input and signals as
 * without. Adds 'RULE THREAD' lines to RECORD for what its threads do once their filters are
 * loaded, and 'MISSING ...' for a call that no rule allows. Exit status: the command's, 128 + N if
 * signal N ended it, 125 if it cannot run.
 *
 * sandbox_trace --judge RECORD gives a verdict for each rule: one that states no reason to be used
 * seldom must have been, by each of its threads. Exit status: 1 if one was not, or a call had none.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/sandbox.h"
#include "vmm/sandbox/rules.h"

#define TASKS_MAX   1024u
#define RULES_MAX   256u
#define MISSING_MAX 64u
#define CANNOT_RUN  125

static const char *const thread_names[SANDBOX_THREADS] = {"main", "vcpu", "loop", "disk", "net"};

struct task {
	pid_t tid;
	bool loading; /* between the entry and the exit of the call that loads a filter */
	bool filtered;
	enum sandbox_thread thread;
};

static struct task tasks[TASKS_MAX];
static unsigned used[RULES_MAX]; /* bits 1 << enum sandbox_thread */
static char missing[MISSING_MAX][96];
static unsigned missing_count;

static struct task *task_of(pid_t tid)
{
	struct task *unused = NULL;
	for (unsigned i = 0; i < TASKS_MAX; i++) {
		if (tasks[i].tid == tid)
			return &tasks[i];
		if (!tasks[i].tid && !unused)
			unused = &tasks[i];
	}
	if (!unused) {
		(void)fprintf(stderr, "sandbox_trace: more than %u threads\n", TASKS_MAX);
		exit(CANNOT_RUN);
	}
	*unused = (struct task){.tid = tid};
	return unused;
}

/* A line of /proc/TID/status, without its name; empty if there is none. */
static void status_line(pid_t tid, const char *name, char *out, size_t room)
{
	char path[64], line[128];
	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	FILE *f = fopen(path, "re");
	out[0] = '\0';
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, name, strlen(name)) != 0)
			continue;
		(void)snprintf(out, room, "%s",
		               line + strlen(name) + strspn(line + strlen(name), "\t "));
		out[strcspn(out, "\n")] = '\0';
		break;
	}
	if (f)
		(void)fclose(f);
}

/* By its name: threads name themselves before they load their filter. */
static enum sandbox_thread thread_of(pid_t tid)
{
	char name[64];
	status_line(tid, "Name:", name, sizeof(name));
	if (strncmp(name, "vmm-vcpu", 8) == 0)
		return SANDBOX_VCPU;
	if (strcmp(name, "vmm-loop") == 0)
		return SANDBOX_LOOP;
	if (strcmp(name, "vmm-disk") == 0)
		return SANDBOX_DISK;
	return strcmp(name, "vmm-net") == 0 ? SANDBOX_NET : SANDBOX_MAIN;
}

static bool matches(const struct sandbox_rule *r, pid_t tid,
                    const struct __ptrace_syscall_info *info)
{
	char group[64];
	uint32_t value = (uint32_t)info->entry.args[r->arg];
	switch (r->test) {
	case SANDBOX_ANY:
		return true;
	case SANDBOX_EQUAL:
		return value == r->value;
	case SANDBOX_CLEAR:
		return (value & r->value) == 0;
	case SANDBOX_OWN_PID:
		status_line(tid, "Tgid:", group, sizeof(group));
		return value == (uint32_t)strtoul(group, NULL, 10);
	}
	return false;
}

static void note_call(const struct task *t, const struct __ptrace_syscall_info *info)
{
	bool found = false;
	for (size_t i = 0; i < sandbox_rule_count; i++) {
		const struct sandbox_rule *r = &sandbox_rules[i];
		if (r->nr != (int)info->entry.nr || !(r->threads & (1u << t->thread)) ||
		    !matches(r, t->tid, info))
			continue;
		used[i] |= 1u << t->thread;
		found = true;
	}
	if (found || missing_count == MISSING_MAX)
		return;
	(void)snprintf(missing[missing_count++], sizeof(missing[0]), "%s %s(%#llx, %#llx, %#llx)",
	               thread_names[t->thread], vmm_sandbox_call_name((int)info->entry.nr),
	               (unsigned long long)info->entry.args[0],
	               (unsigned long long)info->entry.args[1],
	               (unsigned long long)info->entry.args[2]);
}

static void on_call(struct task *t)
{
	struct __ptrace_syscall_info info;
	if (ptrace(PTRACE_GET_SYSCALL_INFO, t->tid, sizeof(info), &info) <= 0)
		return; /* killed meanwhile */
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY && t->filtered) {
		note_call(t, &info);
	} else if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		t->loading = info.entry.nr == SYS_prctl && info.entry.args[0] == PR_SET_SECCOMP;
	} else if (info.op == PTRACE_SYSCALL_INFO_EXIT && t->loading) {
		t->loading = false;
		t->filtered = info.exit.rval == 0;
		t->thread = thread_of(t->tid);
	}
}

/* What a stopped thread is to be sent when it goes on. */
static int on_stop(struct task *t, int status)
{
	int signo = WSTOPSIG(status);
	unsigned event = (unsigned)status >> 16;
	if (signo == (SIGTRAP | 0x80)) {
		on_call(t);
		return 0;
	}
	/* New threads begin with a stop of their own. */
	if (event || signo == SIGSTOP)
		return 0;
	return signo;
}

/* The command's wait status. */
static int trace(pid_t child)
{
	int status = 0, end = 0;
	for (pid_t tid; (tid = waitpid(-1, &status, __WALL)) > 0;) {
		struct task *t = task_of(tid);
		if (!WIFSTOPPED(status)) {
			if (tid == child)
				end = status;
			*t = (struct task){0};
			continue;
		}
		/* ESRCH: it has been killed in the meantime, and waitpid tells of it. */
		(void)ptrace(PTRACE_SYSCALL, tid, 0, on_stop(t, status));
	}
	return end;
}

static pid_t start(char **command)
{
	pid_t child = fork();
	if (child != 0)
		return child;
	if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0 || raise(SIGSTOP) != 0)
		_exit(CANNOT_RUN);
	(void)execvp(command[0], command);
	(void)fprintf(stderr, "sandbox_trace: %s: %s\n", command[0], strerror(errno));
	_exit(CANNOT_RUN);
}

static void save(const char *path)
{
	FILE *f = fopen(path, "ae");
	if (!f || flock(fileno(f), LOCK_EX) != 0) {
		perror(path);
		exit(CANNOT_RUN);
	}
	for (size_t i = 0; i < sandbox_rule_count; i++)
		for (unsigned t = 0; t < SANDBOX_THREADS; t++)
			if (used[i] & (1u << t))
				(void)fprintf(f, "%zu %u\n", i, t);
	for (unsigned i = 0; i < missing_count; i++)
		(void)fprintf(f, "MISSING %s\n", missing[i]);
	if (fclose(f) != 0) {
		perror(path);
		exit(CANNOT_RUN);
	}
}

static volatile pid_t command_pid;

static void forward(int signo)
{
	(void)kill(command_pid, signo);
}

/* A terminal's signals reach the command by themselves; what is sent to this process is passed on.
 */
static void take_signals(pid_t child)
{
	command_pid = child;
	const struct sigaction act = {.sa_handler = forward, .sa_flags = SA_RESTART};
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTTOU, SIG_IGN);
	(void)sigaction(SIGTERM, &act, NULL);
	(void)sigaction(SIGHUP, &act, NULL);
	(void)sigaction(SIGQUIT, &act, NULL);
	(void)sigaction(SIGUSR1, &act, NULL);
}

static int run(const char *record, char **command)
{
	int status;
	pid_t child = start(command);
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, child, 0,
	           PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
	                   PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL) != 0 ||
	    ptrace(PTRACE_SYSCALL, child, 0, 0) != 0) {
		perror("sandbox_trace");
		return CANNOT_RUN;
	}
	take_signals(child);
	status = trace(child);
	save(record);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* The threads of a set, with their names. */
static void print_threads(const char *before, unsigned set)
{
	(void)printf("%s", before);
	for (unsigned t = 0; t < SANDBOX_THREADS; t++)
		if (set & (1u << t))
			(void)printf(" %s", thread_names[t]);
}

static bool judge_rule(const struct sandbox_rule *r, unsigned by)
{
	bool all = by == r->threads;
	(void)printf("%s %s%s%s:",
	             all         ? "PASS"
	             : r->seldom ? "note"
	                         : "FAIL",
	             vmm_sandbox_call_name(r->nr), r->what ? " " : "", r->what ? r->what : "");
	if (by)
		print_threads(" used by", by);
	if (!all)
		print_threads(by ? ", not used by" : " not used by", r->threads & ~by);
	(void)printf("%s%s\n", r->seldom ? "; " : "", r->seldom ? r->seldom : "");
	return all || r->seldom;
}

static bool load(const char *path)
{
	FILE *f = fopen(path, "re");
	char line[160];
	bool right = f != NULL;
	if (!f)
		perror(path);
	while (f && fgets(line, sizeof(line), f)) {
		char *end;
		unsigned long rule = strtoul(line, &end, 10), thread = strtoul(end, NULL, 10);
		if (strncmp(line, "MISSING ", 8) == 0) {
			(void)printf("FAIL no rule: %s", line + 8);
			right = false;
		} else if (end != line && rule < sandbox_rule_count && thread < SANDBOX_THREADS) {
			used[rule] |= 1u << thread;
		}
	}
	if (f)
		(void)fclose(f);
	return right;
}

static int judge(const char *path)
{
	bool right = load(path);
	for (size_t i = 0; i < sandbox_rule_count; i++)
		if (!judge_rule(&sandbox_rules[i], used[i]))
			right = false;
	return right ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	if (sandbox_rule_count > RULES_MAX)
		return CANNOT_RUN;
	if (argc == 3 && strcmp(argv[1], "--judge") == 0)
		return judge(argv[2]);
	if (argc >= 3)
		return run(argv[1], argv + 2);
	(void)fprintf(stderr,
	              "usage: sandbox_trace RECORD COMMAND [ARGUMENT...] | --judge RECORD\n");
	return CANNOT_RUN;
}
