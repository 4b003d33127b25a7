/* Giving up rights. See confine.h. */
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/kvm.h>
#include <linux/vfio.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "cli.h"

#define NAMED_MAX 16u
#define FDS_MAX                                                                    \
	(3u + NAMED_MAX + VMM_DISKS_MAX + VMM_NETS_MAX * VMM_NET_QUEUE_PAIRS_MAX + \
	 VMM_CONSOLE_PORTS_MAX)

/* A signal handler has no other way to reach it. Written once, by the first thread that offends. */
static struct {
	volatile sig_atomic_t taken;
	volatile sig_atomic_t ready;
	volatile sig_atomic_t unwatched;
	uint32_t never; /* a futex that nobody wakes */
	pid_t main;
	int wake_fd;
	struct term *term;
	char text[320];
} violation;

struct fds {
	unsigned count;
	int fd[FDS_MAX];
};

static void note(struct fds *f, int fd)
{
	if (fd > STDERR_FILENO && f->count < FDS_MAX)
		f->fd[f->count++] = fd;
}

static int by_number(const void *a, const void *b)
{
	const int *x = a;
	const int *y = b;
	return (*x > *y) - (*x < *y);
}

/* A path that names an inherited descriptor, as launchers and process substitution make them. */
static void note_path(struct fds *f, const char *path)
{
	static const char *const prefix[] = {"/proc/self/fd/", "/dev/fd/"};
	for (size_t i = 0; i < sizeof(prefix) / sizeof(prefix[0]); i++) {
		size_t len = strlen(prefix[i]);
		if (strncmp(path, prefix[i], len) != 0 || path[len] < '0' || path[len] > '9')
			continue;
		char *end;
		unsigned long fd = strtoul(path + len, &end, 10);
		if (*end == '\0' && fd <= INT_MAX)
			note(f, (int)fd);
	}
}

void confine_descriptors(const struct run_config *c)
{
	struct fds f = {0};
	unsigned named = 0;
	for (const struct text *t = c->texts; t && named < NAMED_MAX; t = t->next) {
		unsigned before = f.count;
		note_path(&f, t->chars);
		named += f.count - before;
	}
	for (uint32_t i = 0; i < c->disk_count; i++)
		note(&f, c->disk[i].fd);
	for (uint32_t i = 0; i < c->net_count; i++)
		for (uint32_t q = 0; q < c->net[i].tap_fd_count; q++)
			note(&f, c->net[i].tap_fds[q]);
	for (uint32_t i = 0; i < c->console_count; i++)
		if (!c->console[i].stdio)
			note(&f, c->console[i].opts.chardev.in_fd);
	if (!c->serial.stdio)
		note(&f, c->serial.opts.chardev.in_fd);
	qsort(f.fd, f.count, sizeof(f.fd[0]), by_number);
	unsigned from = STDERR_FILENO + 1;
	for (unsigned i = 0; i < f.count; i++) {
		unsigned fd = (unsigned)f.fd[i];
		if (fd > from)
			(void)syscall(SYS_close_range, from, fd - 1, 0u);
		from = fd + 1;
	}
	(void)syscall(SYS_close_range, from, ~0u, 0u);
}

/* Who may lock memory without bound may not any more in the sandbox: a passed device's reset locks
 * the guest's memory again. */
void confine_keep_locking(const struct run_config *c)
{
	const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
	if (c->vfio_count > 0)
		(void)setrlimit(RLIMIT_MEMLOCK, &all);
}

static size_t put(char *out, size_t at, size_t room, const char *text)
{
	while (*text && at + 1 < room)
		out[at++] = *text++;
	out[at] = '\0';
	return at;
}

static size_t put_number(char *out, size_t at, size_t room, unsigned n, unsigned base)
{
	char digits[12];
	size_t i = sizeof(digits) - 1;
	digits[i] = '\0';
	do
		digits[--i] = "0123456789abcdef"[n % base];
	while ((n /= base) > 0);
	return put(out, at, room, digits + i);
}

/* What the thread called NAME is there for. */
static const char *feature_of_thread(const char *name)
{
	static const struct {
		const char *prefix;
		const char *feature;
	} threads[] = {
	        {"vmm-vcpu", "a virtual CPU"},
	        {"vmm-loop", "the devices"},
	        {"vmm-disk", "--disk, its workers"},
	        {"vmm-net", "--net user"},
	};
	for (size_t i = 0; i < sizeof(threads) / sizeof(threads[0]); i++)
		if (strncmp(name, threads[i].prefix, strlen(threads[i].prefix)) == 0)
			return threads[i].feature;
	return "vmm run itself";
}

/* Whose request an ioctl is, by its type (Documentation/userspace-api/ioctl/ioctl-number.rst). */
static const char *feature_of_ioctl(unsigned request)
{
	switch (_IOC_TYPE(request)) {
	case KVMIO:
		return " of KVM";
	case VFIO_TYPE:
		return " of --vfio";
	case 'T':
		return " of a TAP or a terminal";
	case 0x12:
		return " of a block device";
	default:
		return "";
	}
}

/* What else tells calls of one name apart, as far as filters look at it. */
static size_t put_request(char *out, size_t at, size_t room, int call, const greg_t *regs)
{
	bool first = call == SYS_prctl || call == SYS_socket;
	if (!first && call != SYS_ioctl && call != SYS_fcntl)
		return at;
	unsigned request = (unsigned)regs[first ? REG_RDI : REG_RSI];
	at = put(out, at, room, " with 0x");
	at = put_number(out, at, room, request, 16);
	return call == SYS_ioctl ? put(out, at, room, feature_of_ioctl(request)) : at;
}

/* Where nobody else would end the process. Not by _exit: before what does not return,
 * AddressSanitizer makes a system call that no filter allows. */
static void end_here(void)
{
	term_close(violation.term);
	size_t len = put(violation.text, strlen(violation.text), sizeof(violation.text), "\n");
	/* There is no one left to tell where these fail. */
	ssize_t n = write(STDERR_FILENO, "vmm: ", 5);
	if (n >= 0)
		n = write(STDERR_FILENO, violation.text, len);
	(void)n;
	(void)syscall(SYS_exit_group, CLI_SANDBOX);
}

/* Only what is async-signal-safe, and only calls that every filter allows. */
static void on_violation(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	const ucontext_t *at_call = context;
	char name[16] = "?";
	char *text = violation.text;
	const size_t room = sizeof(violation.text);
	if (!__atomic_exchange_n(&violation.taken, 1, __ATOMIC_SEQ_CST)) {
		(void)prctl(PR_GET_NAME, name);
		size_t at = put(text, 0, room, "sandbox: thread ");
		at = put(text, at, room, name);
		at = put(text, at, room, " (");
		at = put(text, at, room, feature_of_thread(name));
		at = put(text, at, room, ") made system call ");
		at = put(text, at, room, vmm_sandbox_call_name(info->si_syscall));
		at = put(text, at, room, " (");
		at = put_number(text, at, room, (unsigned)info->si_syscall, 10);
		at = put(text, at, room, ")");
		at = put_request(text, at, room, info->si_syscall, at_call->uc_mcontext.gregs);
		(void)put(text, at, room,
		          ", which its filter does not allow; please report it "
		          "(--sandbox off goes without)");
		__atomic_store_n(&violation.ready, 1, __ATOMIC_SEQ_CST);
		if (gettid() == violation.main ||
		    __atomic_load_n(&violation.unwatched, __ATOMIC_SEQ_CST))
			end_here();
		const uint64_t one = 1;
		ssize_t n = write(violation.wake_fd, &one, sizeof(one));
		(void)n;
	}
	/* The process ends; what this thread was about to do does not happen. */
	for (;;)
		(void)syscall(SYS_futex, &violation.never, FUTEX_WAIT_PRIVATE, 0, NULL);
}

bool confine_report(int wake_fd, struct term *term)
{
	struct sigaction action = {.sa_sigaction = on_violation, .sa_flags = SA_SIGINFO};
	violation.main = gettid();
	violation.wake_fd = wake_fd;
	violation.term = term;
	return sigaction(SIGSYS, &action, NULL) == 0;
}

bool confine_unwatched(void)
{
	__atomic_store_n(&violation.unwatched, 1, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&violation.ready, __ATOMIC_SEQ_CST);
}

const char *confine_violation(void)
{
	return violation.ready ? violation.text : NULL;
}
