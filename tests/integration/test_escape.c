/*
 * Code that runs inside a sandboxed VMM and wants out, as a guest's exploit would: on the thread of
 * a vCPU, from the callback of a device, and on the thread that waits for events.
 *
 *   it_escape seccomp     every layer: each attempt is stopped by the thread's filter
 *   it_escape rest        every layer but that: what the others still stop, each for itself
 *
 * The same attempts are made before the sandbox is entered, where they must succeed: a test that
 * could not escape from nothing would show nothing. Without /dev/kvm there is no guest, and a
 * thread that is confined as a vCPU's is made for the purpose.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "tiny.h"
#include "vmm/device.h"
#include "vmm/sandbox.h"
#include "vmm/sandbox/rules.h"
#include "vmm/vm.h"
#include "vmm/vm_priv.h"

#define WAIT_MS 20000
/* No calls here, but for what the kernel itself makes of 335 for its probes, past any filter. */
#define GAP_BEGIN 335
#define GAP_END   424
#define CALLS     460 /* beyond the newest of Linux 6.1 */
#define PORT      0x90

/* What there is to reach outside. */
static struct {
	char file[64];
	int directory; /* of that file */
	pid_t victim;  /* another process of this user */
	char secret[16];
	struct sockaddr_in tcp;
	struct sockaddr_un abstract;
	socklen_t abstract_len;
	char self[256]; /* this program */
} outside;

static __thread volatile unsigned trapped; /* a system call changes it */
static unsigned failures;
static bool filters; /* this run has seccomp's */
static bool entered; /* the sandbox */

/* The call does not happen, and fails. */
static void on_sigsys(int signo, siginfo_t *info, void *context)
{
	(void)signo, (void)info;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = -ENOSYS;
	trapped++;
}

/* By write alone: stdio looks at what standard output is, which no filter allows. */
static void verdict(bool good, const char *thread, const char *what, const char *how)
{
	char line[256];
	failures += !good;
	(void)snprintf(line, sizeof(line), "%s %s: %s: %s\n", good ? "PASS" : "FAIL", thread, what,
	               how);
	ssize_t n = write(STDOUT_FILENO, line, strlen(line));
	(void)n;
}

/* The attempts: 0 is an escape, else an errno. */

static int try_open(void)
{
	int fd = open(outside.file, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? errno : close(fd);
}

/* A directory that was forgotten open. */
static int try_openat(void)
{
	int fd = openat(outside.directory, "secret", O_RDONLY | O_CLOEXEC);
	return fd < 0 ? errno : close(fd);
}

static int try_make(void)
{
	char path[96];
	(void)snprintf(path, sizeof(path), "%s.%d", outside.file, (int)gettid());
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	(void)close(fd);
	return unlink(path);
}

static int try_kvm(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	return fd < 0 ? errno : close(fd);
}

static int connect_to(int family, const void *address, socklen_t len)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	int err = connect(fd, address, len) == 0 ? 0 : errno;
	(void)close(fd);
	return err;
}

static int try_tcp(void)
{
	return connect_to(AF_INET, &outside.tcp, sizeof(outside.tcp));
}

static int try_unix(void)
{
	return connect_to(AF_UNIX, &outside.abstract, outside.abstract_len);
}

/* In a process of its own, where there can be one. */
static int in_child(int (*attempt)(void))
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(attempt());
	int status = 0;
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

static int nothing(void)
{
	return 0;
}

static int try_fork(void)
{
	return in_child(nothing);
}

static int exec_self(void)
{
	char *const argv[] = {(char *)"it_escape", (char *)"nothing", NULL};
	(void)execve(outside.self, argv, argv + 2);
	return errno;
}

static int seize(void)
{
	return ptrace(PTRACE_SEIZE, outside.victim, NULL, NULL) == 0 ? 0 : errno;
}

/* What would replace this process, or hold the victim, is tried by a child, if fork works. */
static int try_exec(void)
{
	return filters && entered ? exec_self() : in_child(exec_self);
}

static int try_ptrace(void)
{
	return filters && entered ? seize() : in_child(seize);
}

static int try_peek(void)
{
	char byte;
	const struct iovec local = {&byte, 1};
	const struct iovec remote = {outside.secret, 1};
	return process_vm_readv(outside.victim, &local, 1, &remote, 1, 0) == 1 ? 0 : errno;
}

static int try_kill(void)
{
	return kill(outside.victim, 0) == 0 ? 0 : errno;
}

static int cover_root(void)
{
	if (!entered &&
	    (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0))
		return errno;
	return mount("none", "/", "tmpfs", 0, NULL) == 0 ? 0 : errno;
}

static int try_mount(void)
{
	return filters && entered ? cover_root() : in_child(cover_root);
}

/* Who may load modules is told that this is none. */
static int try_module(void)
{
	static const char module[] = "no module";
	(void)syscall(SYS_init_module, module, sizeof(module), "");
	return errno == ENOEXEC ? 0 : errno;
}

static int try_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
	               -1, 0);
	return p == MAP_FAILED ? errno : munmap(p, 4096);
}

static int try_turn_code(void)
{
	static char page[8192] __attribute__((aligned(4096)));
	return mprotect(page, sizeof(page), PROT_READ | PROT_WRITE | PROT_EXEC) == 0 ? 0 : errno;
}

/* A request that no thread has a use for. */
static int try_ioctl(void)
{
	return ioctl(outside.directory, FIOCLEX) == 0 ? 0 : errno;
}

enum {
	HOST = 1,        /* unconfined it needs root, KVM or modules, which not every host has */
	ONLY_FILTER = 2, /* nothing but the filter stops it: docs/security.md says so */
};

static const struct attempt {
	const char *name;
	int (*attempt)(void);
	unsigned how;
} attempts[] = {
        {"open a file", try_open, 0},
        {"open a file in an open directory", try_openat, 0},
        {"make a file", try_make, 0},
        {"open /dev/kvm", try_kvm, HOST},
        {"connect over TCP", try_tcp, 0},
        {"connect to an abstract socket", try_unix, 0},
        {"fork", try_fork, ONLY_FILTER},
        {"exec", try_exec, 0},
        {"ptrace another process", try_ptrace, 0},
        {"read another process's memory", try_peek, 0},
        {"signal another process", try_kill, ONLY_FILTER},
        {"mount", try_mount, HOST},
        {"load a module", try_module, HOST},
        {"map memory to execute", try_code, ONLY_FILTER},
        {"make memory executable", try_turn_code, ONLY_FILTER},
        {"an ioctl that is not its own", try_ioctl, ONLY_FILTER},
};
#define ATTEMPTS (sizeof(attempts) / sizeof(attempts[0]))

static void try_all(const char *thread)
{
	for (size_t i = 0; i < ATTEMPTS; i++) {
		const struct attempt *a = &attempts[i];
		unsigned before = trapped;
		int err = a->attempt();
		char how[64] = "it went through";
		if (err)
			(void)snprintf(how, sizeof(how), "%s%s", strerrorname_np(err),
			               trapped != before ? ", by the filter" : "");
		bool good = filters ? trapped != before && err == ENOSYS
		                    : (err != 0) == !(a->how & ONLY_FILTER);
		verdict(good, thread, a->name, how);
	}
}

static void try_all_unconfined(void)
{
	for (size_t i = 0; i < ATTEMPTS; i++) {
		int err = attempts[i].attempt();
		if (err && (attempts[i].how & HOST))
			(void)printf("NOTE unconfined: %s: %s\n", attempts[i].name,
			             strerrorname_np(err));
		else
			verdict(err == 0, "unconfined", attempts[i].name,
			        err ? strerrorname_np(err) : "it went through");
	}
}

static bool in_gap(long nr)
{
	return nr >= GAP_BEGIN && nr < GAP_END;
}

static bool has_rule(int nr, enum sandbox_thread thread)
{
	for (size_t i = 0; i < sandbox_rule_count; i++)
		if (sandbox_rules[i].nr == nr && (sandbox_rules[i].threads & (1u << thread)))
			return true;
	return false;
}

/* Every call of the kernel that the table does not have for this thread. */
static void call_all_others(const char *name, enum sandbox_thread thread)
{
	unsigned tried = 0;
	unsigned passed = 0;
	int last = -1;
	for (int nr = 0; nr < CALLS; nr++) {
		if (in_gap(nr) || has_rule(nr, thread))
			continue;
		unsigned before = trapped;
		(void)syscall(nr, 0, 0, 0, 0, 0, 0);
		tried++;
		if (trapped == before) {
			passed++;
			last = nr;
		}
	}
	char how[96];
	(void)snprintf(how, sizeof(how), "%u calls, %u went through%s%s", tried, passed,
	               passed ? ", the last was " : "", passed ? vmm_sandbox_call_name(last) : "");
	verdict(passed == 0 && tried > 250, name, "every call without a rule", how);
}

static void break_out_of_vcpu(void)
{
	try_all("vcpu");
	if (filters)
		call_all_others("vcpu", SANDBOX_VCPU);
}

/* On the vCPU's thread. */
static void device_write(void *ctx, uint64_t offset, unsigned size, uint64_t value)
{
	(void)ctx, (void)offset, (void)size, (void)value;
	break_out_of_vcpu();
}

static uint64_t device_read(void *ctx, uint64_t offset, unsigned size)
{
	(void)ctx, (void)offset, (void)size;
	return 0;
}

/* A process with a secret, which ends when this one does, and then tidies up outside. */
static void start_victim(const char *directory)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) != 0)
		exit(EXIT_FAILURE);
	outside.victim = fork();
	if (outside.victim == 0) {
		char byte;
		(void)close(ends[1]);
		ssize_t n = read(ends[0], &byte, 1);
		_exit(n == 0 && unlink(outside.file) == 0 && rmdir(directory) == 0 ? 0 : 1);
	}
	(void)close(ends[0]);
}

/* SA becomes the address that the socket got. */
static void listen_on(int family, struct sockaddr *sa, socklen_t *len, socklen_t room)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, sa, *len) != 0 || listen(fd, 16) != 0 ||
	    (*len = room, getsockname(fd, sa, len)) != 0) {
		perror("listen");
		exit(EXIT_FAILURE);
	}
}

static void prepare(void)
{
	char directory[] = "/tmp/escape.XXXXXX";
	if (!mkdtemp(directory))
		exit(EXIT_FAILURE);
	(void)snprintf(outside.file, sizeof(outside.file), "%s/secret", directory);
	(void)close(open(outside.file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	outside.directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (readlink("/proc/self/exe", outside.self, sizeof(outside.self) - 1) < 0)
		exit(EXIT_FAILURE);
	outside.tcp = (struct sockaddr_in){.sin_family = AF_INET,
	                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(outside.tcp);
	listen_on(AF_INET, (struct sockaddr *)&outside.tcp, &len, sizeof(outside.tcp));
	/* Bound without a name, it gets an abstract one of its own. */
	outside.abstract.sun_family = AF_UNIX;
	outside.abstract_len = sizeof(sa_family_t);
	listen_on(AF_UNIX, (struct sockaddr *)&outside.abstract, &outside.abstract_len,
	          sizeof(outside.abstract));
	start_victim(directory);
}

static vmm_vm_t *build(void)
{
	/* out PORT, al; then the end. */
	static const uint8_t code[] = {OUT_IMM8(PORT, 1), OUT_IMM8(0xf4, 42), HLT_FOREVER};
	const vmm_bus_device_opts_t device = {
	        .struct_size = sizeof(device),
	        .name = "escape",
	        .space = VMM_SPACE_PIO,
	        .base = PORT,
	        .len_bytes = 1,
	        .read = device_read,
	        .write = device_write,
	};
	vmm_vm_opts_t opts = VMM_VM_OPTS_INIT;
	opts.memory_bytes = 16u << 20;
	vmm_vm_t *vm = NULL;
	vmm_err_info_t ei = {0};
	if (vmm_vm_create(&opts, &vm, &ei) != VMM_OK) {
		(void)printf("FAIL a VM: %s: %s\n", ei.field, ei.message);
		exit(EXIT_FAILURE);
	}
	vmm_boot_opts_t boot = VMM_BOOT_OPTS_INIT;
	boot.kernel_fd = tiny_guest(code, sizeof(code));
	if (vmm_boot_set(vm, &boot) != VMM_OK || vmm_bus_device_add(vm, &device) != VMM_OK ||
	    vmm_vm_build(vm) != VMM_OK) {
		(void)printf("FAIL a VM: %s\n", vmm_vm_error(vm)->message);
		exit(EXIT_FAILURE);
	}
	(void)close(boot.kernel_fd);
	return vm;
}

static void enter(vmm_vm_t *vm)
{
	vmm_sandbox_opts_t opts = VMM_SANDBOX_OPTS_INIT;
	vmm_err_info_t ei = {0};
	uint32_t closed = 0;
	opts.trap = true;
	entered = true;
	if (!filters)
		opts.layers &= ~VMM_SANDBOX_SECCOMP;
	opts.required = opts.layers;
	if (vmm_sandbox_enter(vm, &opts, &closed, &ei) != VMM_OK) {
		verdict(false, "main", "enter", ei.message);
		exit(EXIT_FAILURE);
	}
	verdict(closed == opts.layers, "main", "every layer", "is closed");
}

static void wait_for_end(vmm_vm_t *vm)
{
	vmm_event_t event = {0};
	struct pollfd p = {.fd = vmm_vm_event_fd(vm), .events = POLLIN};
	while (!event.final && poll(&p, 1, WAIT_MS) == 1)
		(void)vmm_vm_next_event(vm, &event);
	verdict(event.kind == VMM_EVENT_DEBUG_EXIT && event.code == 42, "main", "the guest",
	        event.text);
}

static void break_out_of_main(vmm_vm_t *vm)
{
	vmm_err_info_t ei = {0};
	if (vmm_sandbox_seal(vm, &ei) != VMM_OK)
		verdict(false, "main", "seal", ei.message);
	try_all("main");
	if (filters)
		call_all_others("main", SANDBOX_MAIN);
}

static void with_guest(void)
{
	vmm_vm_t *vm = build();
	enter(vm);
	if (vmm_vm_start(vm) != VMM_OK)
		verdict(false, "main", "start", vmm_vm_error(vm)->message);
	else
		wait_for_end(vm);
	break_out_of_main(vm);
	vmm_vm_destroy(vm);
}

static void *lone_vcpu(void *vm)
{
	vm_confine_thread(vm, SANDBOX_VCPU);
	break_out_of_vcpu();
	return NULL;
}

/* Of the VM the sandbox asks only whether it is built. */
static void without_guest(void)
{
	static struct vmm_vm vm = {.state = VM_BUILT};
	pthread_t thread;
	(void)puts("NOTE escape: no /dev/kvm, and so no guest");
	(void)fflush(stdout);
	enter(&vm);
	if (pthread_create(&thread, NULL, lone_vcpu, &vm) != 0 || pthread_join(thread, NULL) != 0)
		verdict(false, "main", "thread", "cannot be made");
	break_out_of_main(&vm);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "nothing") == 0)
		return 0;
	if (argc != 2 || (strcmp(argv[1], "seccomp") != 0 && strcmp(argv[1], "rest") != 0)) {
		(void)fprintf(stderr, "usage: it_escape seccomp|rest\n");
		return 2;
	}
	const struct sigaction action = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
	(void)sigaction(SIGSYS, &action, NULL);
	prepare();
	try_all_unconfined();
	(void)fflush(stdout);
	filters = strcmp(argv[1], "seccomp") == 0;
	if (access("/dev/kvm", R_OK | W_OK) == 0)
		with_guest();
	else
		without_guest();
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
