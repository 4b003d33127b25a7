/*
 * The guest kernel as a process, in front of the VMM's own devices: no KVM, no guest mode, but the
 * same kernel, the same virtio-mmio registers and the same rings, so that a sanitizer or a debugger
 * sees both sides at once.
 *
 *   gk_process [--cpus N] [--tap NAME | --forward RULE [--dns ADDRESS]] [--disk FILE] [--cmdline
 * TEXT]
 *
 * RULE is one of the user-mode network's (net/user/user.h). The console is standard input and
 * output; SIGTERM is the power button. Ends with the status that hosted_run tells; 2: what it was
 * told is wrong.
 */
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "gk_devices.h"
#include "guest-kernel/arch/hosted/hosted.h"
#include "guest-kernel/services/system.h"

#define MEMORY_BYTES (64ull << 20)
#define WINDOW_BASE  0xd0000000ull
#define WINDOW_BYTES 0x1000u
#define GSI_FIRST    5u
#define STATUS_USAGE 2

struct process {
	struct gk_devices *devices;
	struct hosted_opts opts;
	struct window {
		struct process *process;
		unsigned index;
	} windows[GK_DEVICES_MAX];
	struct hosted *machine; /* atomic; NULL until the kernel runs */
	pthread_t button;
};

static uint32_t window_read(void *ctx, uint32_t offset, unsigned size)
{
	const struct window *w = ctx;
	return gk_devices_read(w->process->devices, w->index, offset, size);
}

static void window_write(void *ctx, uint32_t offset, unsigned size, uint32_t value)
{
	const struct window *w = ctx;
	gk_devices_write(w->process->devices, w->index, offset, size, value);
}

static void raise_line(struct process *p, uint32_t gsi)
{
	struct hosted *m = __atomic_load_n(&p->machine, __ATOMIC_ACQUIRE);
	if (m)
		hosted_raise(m, gsi);
}

static void on_interrupt(void *ctx, unsigned index)
{
	raise_line(ctx, GSI_FIRST + index);
}

static void on_typed(void *ctx)
{
	raise_line(ctx, HOSTED_GSI_CONSOLE);
}

/* SIGTERM is blocked in every thread. */
static void block_signals(sigset_t *set)
{
	(void)sigemptyset(set);
	(void)sigaddset(set, SIGTERM);
	(void)pthread_sigmask(SIG_BLOCK, set, NULL);
}

static void *press_buttons(void *ctx)
{
	sigset_t set;
	int signal, old;
	block_signals(&set);
	for (;;) {
		if (sigwait(&set, &signal) != 0)
			return NULL;
		(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
		raise_line(ctx, HOSTED_GSI_BUTTON);
		(void)pthread_setcancelstate(old, &old);
	}
}

/* Nobody raises a line of a machine that is gone. */
static void on_stopped(void *ctx)
{
	struct process *p = ctx;
	(void)pthread_cancel(p->button);
	(void)pthread_join(p->button, NULL);
	gk_devices_stop(p->devices);
}

static size_t from_stdin(void *ctx, char *out, size_t max)
{
	return gk_devices_typed(((struct process *)ctx)->devices, out, max);
}

static void to_stdout(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	while (len > 0) {
		ssize_t n = write(STDOUT_FILENO, text, len);
		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

static struct termios terminal;

static void restore_terminal(void)
{
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &terminal);
}

/* The kernel's shell edits lines itself. */
static void quiet_terminal(void)
{
	if (tcgetattr(STDIN_FILENO, &terminal) != 0)
		return;
	struct termios raw = terminal;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	(void)atexit(restore_terminal);
}

static void first_task(void *arg)
{
	struct process *p = arg;
	__atomic_store_n(&p->machine, hosted_self(), __ATOMIC_RELEASE);
	system_main(kernel_of_cpu());
	for (;;)
		task_sleep(NS_PER_S); /* to return is to power off */
}

static void read_options(int argc, char **argv, struct hosted_opts *o, struct gk_devices_opts *d)
{
	static const struct option longs[] = {
	        {"cpus", required_argument, NULL, 'c'},
	        {"tap", required_argument, NULL, 't'},
	        {"forward", required_argument, NULL, 'f'},
	        {"dns", required_argument, NULL, 'n'},
	        {"disk", required_argument, NULL, 'd'},
	        {"cmdline", required_argument, NULL, 'l'},
	        {0},
	};
	int c;
	o->cpus = 1;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'c')
			o->cpus = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 't')
			d->tap = optarg;
		else if (c == 'f')
			d->forward = optarg;
		else if (c == 'n')
			d->dns = optarg;
		else if (c == 'd')
			d->disk = optarg;
		else if (c == 'l')
			o->cmdline = optarg;
		else
			exit(STATUS_USAGE);
	}
	if (optind == argc && o->cpus > 0 && o->cpus <= ARCH_CPUS_MAX)
		return;
	(void)fprintf(stderr, "gk_process: options only, and 1 to %u CPUs\n", ARCH_CPUS_MAX);
	exit(STATUS_USAGE);
}

/* The machine's registers are those of the devices. */
static int run(struct process *p)
{
	struct hosted_device windows[GK_DEVICES_MAX];
	unsigned count = gk_devices_count(p->devices);
	for (unsigned i = 0; i < count; i++) {
		p->windows[i] = (struct window){p, i};
		windows[i] = (struct hosted_device){
		        .base = WINDOW_BASE + (uint64_t)i * WINDOW_BYTES,
		        .len_bytes = WINDOW_BYTES,
		        .gsi = GSI_FIRST + i,
		        .ctx = &p->windows[i],
		        .read = window_read,
		        .write = window_write,
		};
	}
	p->opts.memory_bytes = MEMORY_BYTES;
	p->opts.ram_fd = gk_devices_memory(p->devices);
	p->opts.devices = windows;
	p->opts.device_count = count;
	p->opts.console = to_stdout;
	p->opts.input = from_stdin;
	p->opts.stopped = on_stopped;
	p->opts.console_ctx = p;
	return hosted_run(&p->opts, first_task, p);
}

int main(int argc, char **argv)
{
	static struct process process;
	struct gk_devices_opts devices = {
	        .memory_bytes = HOSTED_RAM_BASE + MEMORY_BYTES,
	        .interrupt = on_interrupt,
	        .typed = on_typed,
	        .ctx = &process,
	};
	sigset_t set;
	read_options(argc, argv, &process.opts, &devices);
	block_signals(&set);
	process.devices = gk_devices_open(&devices);
	if (!process.devices)
		return STATUS_USAGE;
	if (pthread_create(&process.button, NULL, press_buttons, &process) != 0) {
		gk_devices_close(process.devices);
		return STATUS_USAGE;
	}
	quiet_terminal();
	int status = run(&process);
	gk_devices_close(process.devices);
	return status;
}
