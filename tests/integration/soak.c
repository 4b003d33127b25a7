/*
 * Many lives of VMs with load, some of them ended badly; then nothing may be left: no descriptor,
 * no thread, no child, no memory.
 *
 *   soak [--rounds N] [--seconds S] [--jobs J] [--seed N] [--slack KIB] [--sandbox on|off]
 *        --vmm VMM --guest-kernel FILE DIRECTORY
 *
 * Each of J threads runs one VM after another in this process (libvmm), and J more start `vmm run`:
 * the shipped guest, which fills and reads a disk while its page is fetched. They are paused,
 * reset, unplugged, throttled, switched off, stopped, destroyed while they run, and killed. Signals
 * interrupt what any thread of this process does, all the time. After each round all have ended,
 * and what the process holds is printed; the last round must hold no more than the second. Disks
 * are made in DIRECTORY. Ports 18000 and up of 127.0.0.1 are used: give it a network namespace
 * (scripts/soak does).
 *
 * Status: 0; 1: something was wrong, which is said; 2: usage; 77: no /dev/kvm.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <vmm/console.h>
#include <vmm/disk.h>
#include <vmm/net.h>
#include <vmm/vm.h>

#define JOBS_MAX     16u
#define PORT_FIRST   18000u
#define DISK_BYTES   (4u << 20)
#define FETCH_S      10 /* without a byte */
#define ANSWER_MS    60000
#define END_MS       60000
#define LOAD         "disk 0 fill 1M 256K; disk 0 sum 1M 256K; disk 0 write 9 soak; "
#define LOADS        LOAD LOAD LOAD LOAD LOAD LOAD LOAD LOAD
#define STATUS_USAGE 2
#define STATUS_SKIP  77

/* What has been done, over all rounds. */
static struct {
	atomic_uint vms, processes, pages, pauses, resets, unplugs, limits;
	atomic_uint ended, stopped, destroyed, killed, failures, signals;
} done;

static struct {
	unsigned rounds, seconds, jobs;
	unsigned slack_kib; /* that the allocator may keep more in the end */
	uint64_t seed;
	const char *vmm, *kernel, *directory, *sandbox;
} opts = {.rounds = 4, .seconds = 10, .jobs = 2, .slack_kib = 512, .sandbox = "on"};

static int64_t deadline_ms; /* of the round */

struct worker {
	pthread_t thread;
	unsigned index;
	uint64_t state;
	char disk[4096], log[4096]; /* LOG: what its vmm run said last */
};

/* ---- helpers ---- */

static int64_t now_ms(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void sleep_ms(unsigned ms)
{
	const struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
	(void)nanosleep(&t, NULL);
}

/* xorshift64*: below LIMIT. */
static unsigned rnd(struct worker *w, unsigned limit)
{
	w->state ^= w->state >> 12;
	w->state ^= w->state << 25;
	w->state ^= w->state >> 27;
	return (unsigned)(w->state * 0x2545f4914f6cdd1dull >> 33) % limit;
}

__attribute__((format(printf, 2, 3))) static bool failed(const struct worker *w, const char *format,
                                                         ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(void)fprintf(stderr, "soak: job %u: %s\n", w->index, text);
	atomic_fetch_add(&done.failures, 1);
	return false;
}

static unsigned port_of(const struct worker *w)
{
	return PORT_FIRST + w->index;
}

static bool send_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

static bool fetch_page(const struct worker *w)
{
	static const char request[] = "GET / HTTP/1.0\r\nHost: guest\r\n\r\n";
	const struct timeval limit = {.tv_sec = FETCH_S};
	const struct sockaddr_in to = {
	        .sin_family = AF_INET,
	        .sin_port = htons((uint16_t)port_of(w)),
	        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	char tail[16] = {0}, text[4096];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	bool good = connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0 &&
	            send_all(fd, request, sizeof(request) - 1);
	ssize_t n;
	while (good && (n = recv(fd, text, sizeof(text), 0)) > 0) {
		if (n >= (ssize_t)sizeof(tail) - 1)
			memcpy(tail, text + n - sizeof(tail) + 1, sizeof(tail) - 1);
	}
	(void)close(fd);
	if (!good || !strstr(tail, "</html>"))
		return false;
	atomic_fetch_add(&done.pages, 1);
	return true;
}

/* Whether the whole page came from the guest. Not interrupted: it is no test of this. */
static bool fetch(const struct worker *w)
{
	sigset_t set, old;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR2);
	(void)pthread_sigmask(SIG_BLOCK, &set, &old);
	bool good = fetch_page(w);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return good;
}

/* The guest serves its page: it has come up, again. */
static bool answers(const struct worker *w)
{
	int64_t end = now_ms() + ANSWER_MS;
	while (now_ms() < end) {
		if (fetch(w))
			return true;
		sleep_ms(20);
	}
	return false;
}

/* ---- VMs of this process ---- */

struct life {
	vmm_vm_t *vm;
	vmm_net_t *net;
};

static vmm_err_t add_devices(struct worker *w, struct life *l, const char *forward)
{
	vmm_disk_opts_t disk = VMM_DISK_OPTS_INIT;
	disk.path = w->disk;
	disk.flags = rnd(w, 2) ? VMM_DISK_NO_URING : 0;
	vmm_net_opts_t net = VMM_NET_OPTS_INIT;
	net.flags = VMM_NET_USER;
	net.user_dns = "192.0.2.2";
	net.hostfwd = &forward;
	net.hostfwd_count = 1;
	vmm_chardev_opts_t nowhere = VMM_CHARDEV_OPTS_INIT;
	nowhere.kind = VMM_CHARDEV_NULL;
	vmm_err_t err = vmm_disk_add(l->vm, &disk);
	if (err == VMM_OK)
		err = vmm_net_add(l->vm, &net, &l->net);
	return err == VMM_OK ? vmm_serial_set(l->vm, &nowhere) : err;
}

static vmm_err_t begin(struct worker *w, struct life *l)
{
	char forward[64];
	(void)snprintf(forward, sizeof(forward), "tcp:127.0.0.1:%u-:80", port_of(w));
	vmm_boot_opts_t boot = VMM_BOOT_OPTS_INIT;
	boot.kernel = opts.kernel;
	boot.cmdline = "gk.run=\"" LOADS "\"";
	vmm_err_t err = add_devices(w, l, forward);
	if (err == VMM_OK)
		err = vmm_boot_set(l->vm, &boot);
	if (err == VMM_OK)
		err = vmm_vm_build(l->vm);
	return err == VMM_OK ? vmm_vm_start(l->vm) : err;
}

static bool pause_and_resume(struct worker *w, const struct life *l)
{
	vmm_stats_t before = {.struct_size = sizeof(before)}, after = before;
	if (vmm_vm_pause(l->vm) != VMM_OK || vmm_vm_stats(l->vm, &before) != VMM_OK)
		return failed(w, "no pause: %s", vmm_vm_error(l->vm)->message);
	sleep_ms(rnd(w, 30));
	if (vmm_vm_stats(l->vm, &after) != VMM_OK || after.exits_total != before.exits_total)
		return failed(w, "it ran while it was paused");
	if (vmm_vm_resume(l->vm) != VMM_OK)
		return failed(w, "no resume: %s", vmm_vm_error(l->vm)->message);
	atomic_fetch_add(&done.pauses, 1);
	return true;
}

static bool limit(struct worker *w, const struct life *l)
{
	vmm_rate_t rate = VMM_RATE_INIT;
	rate.bytes_per_second = (1 + rnd(w, 64)) << 20;
	if (vmm_disk_set_rate(l->vm, 0, rnd(w, 2) ? &rate : NULL, NULL) != VMM_OK ||
	    vmm_net_set_rate(l->net, &rate, rnd(w, 2) ? &rate : NULL, NULL) != VMM_OK)
		return failed(w, "no limit");
	atomic_fetch_add(&done.limits, 1);
	return true;
}

static bool reset(struct worker *w, const struct life *l)
{
	vmm_stats_t stats = {.struct_size = sizeof(stats)};
	vmm_vm_reset(l->vm);
	atomic_fetch_add(&done.resets, 1);
	if (!answers(w))
		return failed(w, "no page after a reset");
	if (vmm_vm_stats(l->vm, &stats) != VMM_OK || stats.resets == 0)
		return failed(w, "a reset was not counted");
	return true;
}

static bool act(struct worker *w, const struct life *l)
{
	switch (rnd(w, 8)) {
	case 0:
		return reset(w, l);
	case 1:
		return limit(w, l);
	case 2:
		vmm_net_set_link(l->net, false);
		sleep_ms(rnd(w, 20));
		vmm_net_set_link(l->net, true);
		atomic_fetch_add(&done.unplugs, 1);
		return true;
	case 3:
	case 4:
		return pause_and_resume(w, l);
	default:
		(void)fetch(w);
		return true;
	}
}

/* Waits for the end, which must be the guest's own. */
static bool switched_off(struct worker *w, const struct life *l)
{
	vmm_event_t event;
	struct pollfd p = {.fd = vmm_vm_event_fd(l->vm), .events = POLLIN};
	vmm_vm_power_button(l->vm);
	int64_t end = now_ms() + END_MS;
	while (now_ms() < end) {
		(void)poll(&p, 1, 100);
		while (vmm_vm_next_event(l->vm, &event)) {
			if (event.final && event.kind == VMM_EVENT_POWER_OFF)
				return true;
			if (event.final)
				return failed(w, "it ended otherwise: %s", event.text);
		}
	}
	return failed(w, "the power button was not heard");
}

static bool live(struct worker *w, const struct life *l)
{
	if (!answers(w))
		return failed(w, "no page");
	for (unsigned left = rnd(w, 12); left > 0 && now_ms() < deadline_ms; left--) {
		if (!act(w, l))
			return false;
		sleep_ms(rnd(w, 50));
	}
	switch (rnd(w, 3)) {
	case 0:
		if (!switched_off(w, l))
			return false;
		atomic_fetch_add(&done.ended, 1);
		return true;
	case 1:
		vmm_vm_stop(l->vm);
		atomic_fetch_add(&done.stopped, 1);
		return true;
	default:
		atomic_fetch_add(&done.destroyed, 1);
		return true;
	}
}

static bool create(struct worker *w, struct life *l)
{
	vmm_vm_opts_t vm_opts = VMM_VM_OPTS_INIT;
	vmm_err_info_t ei = {0};
	vm_opts.memory_bytes = 32ull << 20;
	vm_opts.cpus = 1 + rnd(w, 2);
	vm_opts.transport = rnd(w, 2) ? VMM_TRANSPORT_PCI : VMM_TRANSPORT_MMIO;
	vm_opts.flags = rnd(w, 2) ? VMM_VM_PROFILE : 0;
	if (vmm_vm_create(&vm_opts, &l->vm, &ei) != VMM_OK)
		return failed(w, "no VM: %s: %s", ei.field, ei.message);
	atomic_fetch_add(&done.vms, 1);
	return true;
}

/* A job that has forked and not executed vmm yet holds this one's last port and lock as well. */
static bool vm_life(struct worker *w)
{
	for (unsigned tries = 0; tries < 100; tries++) {
		struct life l = {0};
		if (!create(w, &l))
			return false;
		vmm_err_t err = begin(w, &l);
		if (err != VMM_OK && err != VMM_E_BUSY)
			(void)failed(w, "%s: %s", vmm_vm_error(l.vm)->field,
			             vmm_vm_error(l.vm)->message);
		bool good = err == VMM_OK && live(w, &l);
		vmm_vm_destroy(l.vm);
		if (err != VMM_E_BUSY)
			return good;
		sleep_ms(10);
	}
	return failed(w, "its port or disk stays in use");
}

static void *vm_main(void *arg)
{
	struct worker *w = arg;
	while (now_ms() < deadline_ms && vm_life(w))
		;
	return NULL;
}

/* ---- processes ---- */

static pid_t start_process(struct worker *w)
{
	char forward[64];
	(void)snprintf(forward, sizeof(forward), "user,dns=192.0.2.2,hostfwd=tcp:127.0.0.1:%u-:80",
	               port_of(w));
	const char *const argv[] = {opts.vmm,
	                            "run",
	                            "--memory",
	                            "32M",
	                            "--disk",
	                            w->disk,
	                            "--net",
	                            forward,
	                            "--time-limit",
	                            "150",
	                            "--sandbox",
	                            opts.sandbox,
	                            "--serial",
	                            "null",
	                            "--cmdline",
	                            "gk.run=\"" LOADS "\"",
	                            NULL};
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	int null = open("/dev/null", O_RDWR);
	int err = open(w->log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	(void)dup2(null, STDIN_FILENO);
	(void)dup2(err, STDERR_FILENO);
	(void)execv(opts.vmm, (char *const *)argv);
	_exit(127);
}

/* False: PID did not end by itself, and was killed. */
static bool wait_end(pid_t pid, int *status)
{
	int64_t end = now_ms() + END_MS;
	while (now_ms() < end) {
		if (waitpid(pid, status, WNOHANG) == pid)
			return true;
		sleep_ms(5);
	}
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, status, 0) < 0 && errno == EINTR)
		;
	return false;
}

/* Killed at any point of its life, or asked to end once its guest is up. */
static bool process_life(struct worker *w)
{
	bool kill_it = rnd(w, 3) > 0;
	int status = 0;
	pid_t pid = start_process(w);
	if (pid < 0)
		return failed(w, "no process");
	atomic_fetch_add(&done.processes, 1);
	bool up = true;
	if (kill_it)
		sleep_ms(rnd(w, 800));
	else
		up = answers(w);
	(void)kill(pid, kill_it ? SIGKILL : SIGTERM);
	if (!wait_end(pid, &status))
		return failed(w, "vmm run did not end, see %s", w->log);
	if (!up)
		return failed(w, "no page from vmm run, see %s", w->log);
	if (kill_it ? WTERMSIG(status) != SIGKILL : status != 0)
		return failed(w, "vmm run ended with status %#x, see %s", (unsigned)status, w->log);
	atomic_fetch_add(kill_it ? &done.killed : &done.ended, 1);
	return true;
}

static void *process_main(void *arg)
{
	struct worker *w = arg;
	while (now_ms() < deadline_ms && process_life(w))
		;
	return NULL;
}

/* ---- signals ---- */

static atomic_bool storm_over;

static void do_nothing(int number)
{
	(void)number;
}

/* System calls of every thread of this process are interrupted, KVM_RUN among them. */
static void interrupt_all(void)
{
	struct dirent *e;
	DIR *d = opendir("/proc/self/task");
	while (d && (e = readdir(d))) {
		pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);
		if (tid > 0 && tid != gettid() && syscall(SYS_tgkill, getpid(), tid, SIGUSR2) == 0)
			atomic_fetch_add(&done.signals, 1);
	}
	if (d)
		(void)closedir(d);
}

static void *storm_main(void *arg)
{
	(void)arg;
	while (!atomic_load(&storm_over)) {
		interrupt_all();
		sleep_ms(2);
	}
	return NULL;
}

/* ---- rounds ---- */

struct held {
	unsigned fds, threads;
	unsigned long rss_kib;
};

static unsigned entries_of(const char *path)
{
	unsigned n = 0;
	DIR *d = opendir(path);
	while (d && readdir(d))
		n++;
	if (d)
		(void)closedir(d);
	return n;
}

static struct held look(void)
{
	/* Each listing has two entries more; that of descriptors, its own as well. */
	struct held h = {entries_of("/proc/self/fd") - 3, entries_of("/proc/self/task") - 2, 0};
	unsigned long total;
	(void)malloc_trim(0);
	FILE *f = fopen("/proc/self/statm", "re");
	if (f && fscanf(f, "%lu %lu", &total, &h.rss_kib) == 2) /* NOLINT(cert-err34-c) */
		h.rss_kib *= (unsigned long)sysconf(_SC_PAGESIZE) / 1024;
	if (f)
		(void)fclose(f);
	return h;
}

/* A thread that has been joined, or one of an io_uring's, may be on its way out for a moment. */
static struct held settled(const struct held *first)
{
	struct held h = look();
	for (unsigned i = 0; i < 200 && (h.fds != first->fds || h.threads != first->threads); i++) {
		sleep_ms(10);
		h = look();
	}
	return h;
}

static bool run_round(struct worker *workers)
{
	unsigned count = 2 * opts.jobs, started = 0;
	pthread_t storm;
	atomic_store(&storm_over, false);
	if (pthread_create(&storm, NULL, storm_main, NULL) != 0)
		return failed(&workers[0], "no thread");
	deadline_ms = now_ms() + (int64_t)opts.seconds * 1000;
	for (; started < count; started++) {
		struct worker *w = &workers[started];
		if (pthread_create(&w->thread, NULL, started < opts.jobs ? vm_main : process_main,
		                   w) != 0)
			break;
	}
	for (unsigned i = 0; i < started; i++)
		(void)pthread_join(workers[i].thread, NULL);
	atomic_store(&storm_over, true);
	(void)pthread_join(storm, NULL);
	/* Children of children have become ours. */
	if (waitpid(-1, NULL, WNOHANG) >= 0)
		return failed(&workers[0], "a process is left");
	return started == count && atomic_load(&done.failures) == 0;
}

static void print_round(unsigned round, const struct held *h)
{
	(void)printf(
	        "round %u: %u VMs, %u processes, %u pages; %u pauses, %u resets, %u unplugged, "
	        "%u limits, %u signals; %u switched off, %u stopped, %u destroyed, %u killed; "
	        "%u descriptors, %u threads, %lu KiB\n",
	        round, done.vms, done.processes, done.pages, done.pauses, done.resets, done.unplugs,
	        done.limits, done.signals, done.ended, done.stopped, done.destroyed, done.killed,
	        h->fds, h->threads, h->rss_kib);
	(void)fflush(stdout);
}

static bool make_workers(struct worker *workers)
{
	for (unsigned i = 0; i < 2 * opts.jobs; i++) {
		struct worker *w = &workers[i];
		w->index = i;
		w->state = (opts.seed + 1) * 0x9e3779b97f4a7c15ull + i;
		(void)snprintf(w->disk, sizeof(w->disk), "%s/disk%u", opts.directory, i);
		(void)snprintf(w->log, sizeof(w->log), "%s/log%u", opts.directory, i);
		int fd = open(w->disk, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0 || ftruncate(fd, DISK_BYTES) != 0) {
			perror(w->disk);
			return false;
		}
		(void)close(fd);
	}
	return true;
}

static int soak(void)
{
	static struct worker workers[2 * JOBS_MAX];
	pthread_t none;
	if (!make_workers(workers))
		return 1;
	/* ThreadSanitizer starts a thread of its own with the first one. */
	atomic_store(&storm_over, true);
	if (pthread_create(&none, NULL, storm_main, NULL) != 0 || pthread_join(none, NULL) != 0)
		return 1;
	sleep_ms(500); /* until the other one is gone */
	struct held first = look(), second = {0}, h = first;
	for (unsigned i = 0; i < opts.rounds; i++) {
		bool good = run_round(workers);
		h = settled(&first);
		print_round(i + 1, &h);
		if (!good)
			return 1;
		if (h.fds != first.fds || h.threads != first.threads) {
			(void)failed(&workers[0], "at first: %u descriptors, %u threads", first.fds,
			             first.threads);
			return 1;
		}
		if (i == 1)
			second = h;
	}
	if (opts.rounds > 2 && h.rss_kib > second.rss_kib + opts.slack_kib) {
		(void)failed(&workers[0], "memory grew from %lu KiB after the second round",
		             second.rss_kib);
		return 1;
	}
	(void)printf("soak: nothing is left\n");
	return 0;
}

static bool read_options(int argc, char **argv)
{
	static const struct option longs[] = {
	        {"rounds", required_argument, NULL, 'r'},
	        {"seconds", required_argument, NULL, 's'},
	        {"jobs", required_argument, NULL, 'j'},
	        {"seed", required_argument, NULL, 'x'},
	        {"slack", required_argument, NULL, 'l'},
	        {"sandbox", required_argument, NULL, 'b'},
	        {"vmm", required_argument, NULL, 'v'},
	        {"guest-kernel", required_argument, NULL, 'k'},
	        {0},
	};
	int c;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'r':
			opts.rounds = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 's':
			opts.seconds = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'j':
			opts.jobs = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'x':
			opts.seed = strtoull(optarg, NULL, 10);
			break;
		case 'l':
			opts.slack_kib = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'b':
			opts.sandbox = optarg;
			break;
		case 'v':
			opts.vmm = optarg;
			break;
		case 'k':
			opts.kernel = optarg;
			break;
		default:
			return false;
		}
	}
	opts.directory = argv[optind];
	return optind + 1 == argc && opts.vmm && opts.kernel && opts.rounds > 0 &&
	       opts.seconds > 0 && opts.seconds <= 86400 && opts.jobs > 0 && opts.jobs <= JOBS_MAX;
}

int main(int argc, char **argv)
{
	if (!read_options(argc, argv)) {
		(void)fprintf(stderr,
		              "usage: soak [--rounds N] [--seconds S] [--jobs 1-%u] "
		              "[--seed N] [--slack KIB] [--sandbox on|off] --vmm VMM "
		              "--guest-kernel FILE DIRECTORY\n",
		              JOBS_MAX);
		return STATUS_USAGE;
	}
	if (access("/dev/kvm", R_OK | W_OK) != 0) {
		(void)printf("SKIP soak: /dev/kvm is missing or not permitted\n");
		return STATUS_SKIP;
	}
	/* Not restarted: what is interrupted fails with EINTR. */
	const struct sigaction nothing = {.sa_handler = do_nothing};
	(void)sigaction(SIGUSR2, &nothing, NULL);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	(void)mallopt(M_ARENA_MAX, 1); /* what each thread's heap keeps would hide what grows */
	return soak();
}
