/*
 * `vmm run`: a configuration becomes a VM; then one thread waits for its events, for signals and
 * for the terminal, until the VM has ended or must end.
 */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "assemble.h"
#include "cli.h"
#include "config.h"
#include "confine.h"
#include "janitor.h"
#include "keeper.h"
#include "kick.h"
#include "profile.h"
#include "shipped.h"
#include "summary.h"
#include "term.h"
#include "usage.h"

#define NS_PER_S 1000000000ull

/* By what the heap grows beyond a need: while the VM is built, and then as the C library has it.
 * calloc clears what it takes of such a step, so that a long one costs a page of memory for each of
 * a buffer that nobody may ever use. */
#define HEAP_STEP_BUILD 4096
#define HEAP_STEP       (128 << 10)

struct run {
	struct run_config config;
	struct term term;
	struct machine_parts parts;
	int signal_fd;
	int violation_fd; /* -1: no sandbox */
	int janitor_fd;   /* -1: no janitor */
	uint64_t began_ns;
	uint64_t deadline_ns; /* 0: none. When the plug is pulled */
	uint64_t profile_ns;  /* 0: none. When the next profile is due */
	struct profile_file profile_file;
	uint64_t asked_ns; /* 0: no. When the power button was pressed for a signal */
	bool over;
	int status;
};

static uint64_t now_ns(void)
{
	struct timespec ts;
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* In raw mode a line does not return by itself. */
static void say(const struct run *r, const char *fmt, ...) VMM_PRINTF(2, 3);
static void say(const struct run *r, const char *fmt, ...)
{
	char text[640];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "vmm: %s%s\n", text, r->term.raw ? "\r" : "");
}

static void log_line(void *ctx, vmm_log_level_t level, const char *line)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	say(ctx, "%s: %s", names[level], line);
}

static int status_of(vmm_err_t err)
{
	switch (err) {
	case VMM_OK:
		return CLI_OK;
	case VMM_E_INVAL:
	case VMM_E_LIMIT:
		return CLI_USAGE;
	case VMM_E_FORMAT:
	case VMM_E_HASH:
		return CLI_BAD_IMAGE;
	default:
		return CLI_HOST_ERROR;
	}
}

static void show_stats(struct run *r)
{
	vmm_stats_t stats = {.struct_size = sizeof(stats)};
	if (!r->parts.vm || vmm_vm_stats(r->parts.vm, &stats) != VMM_OK)
		return;
	(void)fputs("vmm: ", stderr);
	summary_print(stderr, &stats, r->began_ns, now_ns());
	(void)fputs(r->term.raw ? "\r\n" : "\n", stderr);
}

static void show_profile(struct run *r)
{
	const char *path = r->config.profile_path;
	bool good = path ? profile_write(&r->profile_file, r->parts.vm)
	                 : profile_print(stderr, r->parts.vm, r->term.raw ? "\r\n" : "\n");
	if (!good)
		say(r, "--profile: %s: %s", path ? path : "standard error", strerror(errno));
}

static void end(struct run *r, int status)
{
	if (!r->over)
		r->status = status;
	r->over = true;
}

static void on_event(struct run *r, const vmm_event_t *e)
{
	switch (e->kind) {
	case VMM_EVENT_POWER_OFF:
		end(r, CLI_OK);
		return;
	case VMM_EVENT_RESET:
		if (e->final)
			end(r, CLI_RESET);
		return;
	case VMM_EVENT_DEBUG_EXIT:
		end(r, CLI_DEBUG_EXIT + (int)(e->code & 63));
		return;
	case VMM_EVENT_TRIPLE_FAULT:
		end(r, CLI_TRIPLE_FAULT);
		break;
	case VMM_EVENT_INTERNAL_ERROR:
		end(r, CLI_INTERNAL_ERROR);
		break;
	case VMM_EVENT_PANIC:
		end(r, CLI_PANIC);
		break;
	case VMM_EVENT_HOST_ERROR:
		end(r, CLI_HOST_ERROR);
		break;
	case VMM_EVENT_DEVICE_LOST:
		break;
	}
	say(r, "%s", e->text);
}

static void drain_events(struct run *r)
{
	vmm_event_t event;
	while (!r->over && vmm_vm_next_event(r->parts.vm, &event))
		on_event(r, &event);
}

static void resize(struct run *r)
{
	struct winsize size;
	if (r->parts.console && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		vmm_console_resize(r->parts.console, size.ws_col, size.ws_row);
}

/*
 * The first time the guest is asked; the second time, or too late, it is stopped. What comes within
 * a second is the same request: who signals a whole group (timeout(1), systemd) does so twice.
 */
static void ask_to_stop(struct run *r, const char *who)
{
	if (r->asked_ns && now_ns() - r->asked_ns < NS_PER_S)
		return;
	if (r->asked_ns) {
		say(r, "%s again: the VM is stopped", who);
		end(r, CLI_STOPPED);
		return;
	}
	r->asked_ns = now_ns();
	uint64_t deadline = r->asked_ns + r->config.stop_timeout_s * NS_PER_S;
	if (r->deadline_ns == 0 || deadline < r->deadline_ns)
		r->deadline_ns = deadline;
	say(r, "%s: the guest is asked to power off; in %llu s it is stopped", who,
	    (unsigned long long)r->config.stop_timeout_s);
	vmm_vm_power_button(r->parts.vm);
}

static void on_signal(struct run *r)
{
	struct signalfd_siginfo info;
	if (read(r->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGWINCH) {
		resize(r);
		return;
	}
	ask_to_stop(r, strsignal((int)info.ssi_signo));
}

static void on_request(struct run *r, enum term_request request)
{
	switch (request) {
	case TERM_QUIT:
		say(r, "the VM is stopped");
		end(r, CLI_STOPPED);
		break;
	case TERM_POWER_BUTTON:
		vmm_vm_power_button(r->parts.vm);
		break;
	case TERM_RESET:
		vmm_vm_reset(r->parts.vm);
		break;
	case TERM_STATS:
		show_stats(r);
		break;
	case TERM_HELP:
		(void)fputs(term_help, stderr);
		break;
	case TERM_NOTHING:
		break;
	}
}

/* What was typed at once may hold several requests. */
static void on_keys(struct run *r, bool *watch)
{
	enum term_request request;
	do {
		if (!term_read(&r->term, &request)) {
			*watch = false; /* the terminal is gone */
			return;
		}
		on_request(r, request);
	} while (!r->over && term_pending(&r->term));
}

static int timeout_ms(const struct run *r)
{
	uint64_t due = r->deadline_ns;
	if (r->profile_ns && (due == 0 || r->profile_ns < due))
		due = r->profile_ns;
	if (due == 0)
		return -1;
	uint64_t now = now_ns();
	if (now >= due)
		return 0;
	uint64_t ms = (due - now) / 1000000 + 1;
	return ms > 60000 ? 60000 : (int)ms;
}

/* The thread that offended never comes back, and so cannot be joined: this is the end. */
static _Noreturn void end_on_violation(struct run *r)
{
	say(r, "%s", confine_violation());
	term_close(&r->term);
	_exit(CLI_SANDBOX);
}

static void wait_for_end(struct run *r)
{
	bool keys = r->term.raw;
	while (!r->over) {
		struct pollfd fds[] = {
		        {.fd = vmm_vm_event_fd(r->parts.vm), .events = POLLIN},
		        {.fd = r->signal_fd, .events = POLLIN},
		        {.fd = keys ? STDIN_FILENO : -1, .events = POLLIN},
		        {.fd = r->violation_fd, .events = POLLIN},
		};
		if (poll(fds, 4, timeout_ms(r)) < 0 && errno != EINTR) {
			say(r, "cannot wait for events: %s", strerror(errno));
			end(r, CLI_HOST_ERROR);
			return;
		}
		if (fds[3].revents)
			end_on_violation(r);
		if (fds[0].revents)
			drain_events(r);
		if (fds[1].revents)
			on_signal(r);
		if (fds[2].revents)
			on_keys(r, &keys);
		if (!r->over && r->profile_ns && now_ns() >= r->profile_ns) {
			show_profile(r);
			r->profile_ns = now_ns() + r->config.profile_every_s * NS_PER_S;
		}
		if (!r->over && r->deadline_ns && now_ns() >= r->deadline_ns) {
			say(r, "the guest did not end in time; it is stopped");
			end(r, CLI_STOPPED);
		}
	}
}

/* Signals come through a descriptor, in this thread only: block them before there are others. */
static bool catch_signals(struct run *r)
{
	sigset_t set;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGQUIT);
	(void)sigaddset(&set, SIGWINCH);
	(void)signal(SIGPIPE, SIG_IGN);
	r->signal_fd = -1;
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) == 0)
		r->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return r->signal_fd >= 0;
}

static int failed(const struct run *r, vmm_err_t err, const vmm_err_info_t *ei)
{
	const char *text = ei->message[0] ? ei->message : vmm_strerror(err);
	bool named = cli_is_named(text, ei->field);
	say(r, "%s%s%s", named ? "" : ei->field, named ? "" : ": ", text);
	return status_of(err);
}

static vmm_err_t failed_call(vmm_err_info_t *ei, const char *field)
{
	*ei = (vmm_err_info_t){.code = VMM_E_IO, .sys_errno = errno};
	(void)snprintf(ei->field, sizeof(ei->field), "%s", field);
	(void)snprintf(ei->message, sizeof(ei->message), "%s", strerror(errno));
	return ei->code;
}

/* Between building and starting the VM. */
static vmm_err_t enter_sandbox(struct run *r, vmm_err_info_t *ei)
{
	if (!r->config.sandbox)
		return VMM_OK;
	r->violation_fd = eventfd(0, EFD_CLOEXEC);
	r->config.sandbox_opts.trap = true;
	if (r->violation_fd < 0 || !confine_report(r->violation_fd, &r->term) ||
	    !janitor_note_sockets(&r->config, r->janitor_fd))
		return failed_call(ei, "sandbox");
	confine_keep_locking(&r->config);
	uint32_t closed = 0;
	vmm_err_t err = vmm_sandbox_enter(r->parts.vm, &r->config.sandbox_opts, &closed, ei);
	if (r->config.pid_namespace)
		keeper_stay();
	uint32_t open = r->config.sandbox_opts.layers & ~closed;
	for (uint32_t bit = 1; !err && open; bit <<= 1) {
		if ((open & bit) && r->config.vm.log_level >= VMM_LOG_INFO)
			say(r, "info: sandbox: this host does not give %s",
			    vmm_sandbox_layer_name(bit));
		open &= ~bit;
	}
	return err;
}

static vmm_err_t start_confined(struct run *r, vmm_err_info_t *ei)
{
	vmm_err_t err = enter_sandbox(r, ei);
	if (err)
		return err;
	err = vmm_vm_start(r->parts.vm);
	if (err)
		*ei = *vmm_vm_error(r->parts.vm);
	return err ? err : vmm_sandbox_seal(r->parts.vm, ei);
}

static int run_vm(struct run *r)
{
	vmm_err_info_t ei = {0};
	vmm_err_t err = assemble(&r->config, r->term.guest_fd, log_line, r, &r->parts, &ei);
	(void)mallopt(M_TOP_PAD, HEAP_STEP);
	if (err)
		return failed(r, err, &ei);
	vmm_vm_t *vm = r->parts.vm;
	assemble_announce(&r->config, &r->parts, stderr, r->term.raw ? "\r\n" : "\n");
	if (r->config.dry_run) {
		say(r, "the VM could be built; it is not started (--dry-run)");
		return CLI_OK;
	}
	if (r->config.profile_path && !profile_open(&r->profile_file, r->config.profile_path)) {
		say(r, "--profile: %s: %s", r->config.profile_path, strerror(errno));
		return CLI_HOST_ERROR;
	}
	resize(r);
	err = start_confined(r, &ei);
	if (err)
		return failed(r, err, &ei);
	if (r->config.time_limit_s)
		r->deadline_ns = now_ns() + r->config.time_limit_s * NS_PER_S;
	if (r->config.profile && r->config.profile_every_s)
		r->profile_ns = now_ns() + r->config.profile_every_s * NS_PER_S;
	wait_for_end(r);
	term_close(&r->term);
	if (confine_unwatched())
		end_on_violation(r);
	vmm_vm_stop(vm);
	if (r->config.profile)
		show_profile(r);
	if (r->config.stats)
		show_stats(r);
	return r->status;
}

static bool uses_stdin(const struct run_config *c)
{
	bool used = c->serial.stdio;
	for (uint32_t i = 0; i < c->console_count; i++)
		used = used || c->console[i].stdio;
	return used && !c->dry_run;
}

static int run_with_terminal(struct run *r)
{
	r->term = (struct term){.guest_fd = -1, .keys_fd = -1};
	if (!catch_signals(r) || !kick_handle(&r->config.vm)) {
		say(r, "signals: %s", strerror(errno));
		return CLI_HOST_ERROR;
	}
	int status = CLI_HOST_ERROR;
	if (uses_stdin(&r->config) && !term_open(&r->term))
		say(r, "terminal: %s", strerror(errno));
	else
		status = run_vm(r);
	vmm_vm_destroy(r->parts.vm);
	profile_close(&r->profile_file);
	term_close(&r->term);
	(void)close(r->signal_fd);
	return status;
}

static vmm_err_t join_cgroup(const struct run_config *c, vmm_err_info_t *ei)
{
	vmm_err_info_t why = {0};
	vmm_err_t err = vmm_cgroup_join(&c->cgroup, &why);
	*ei = why;
	(void)snprintf(ei->field, sizeof(ei->field), "--cgroup %.50s", why.field);
	return err;
}

/* What confines the process from its start: before it opens, starts or allocates anything for the
 * VM. The janitor stays outside of it all. */
static vmm_err_t confine_process(struct run *r, vmm_err_info_t *ei)
{
	const struct run_config *c = &r->config;
	confine_descriptors(c);
	bool made_cgroup = c->cgroup.path && mkdir(c->cgroup.path, 0755) == 0;
	if (!janitor_start(c, made_cgroup, &r->janitor_fd))
		return failed_call(ei, "janitor");
	if (c->pid_namespace && !keeper_start())
		return failed_call(ei, "--sandbox pid-namespace");
	return c->cgroup.path ? join_cgroup(c, ei) : VMM_OK;
}

int cmd_run(int argc, char **argv)
{
	(void)mallopt(M_TOP_PAD, HEAP_STEP_BUILD);
	(void)malloc_trim(0); /* the C library has taken a step already */
	/* A few KiB of configuration: too much for a stack frame that outlives everything else. */
	struct run *r = calloc(1, sizeof(*r));
	struct problem p = {0};
	if (!r) {
		(void)fputs("vmm run: out of memory\n", stderr);
		return CLI_HOST_ERROR;
	}
	r->began_ns = now_ns();
	r->violation_fd = -1;
	r->janitor_fd = -1;
	r->profile_file.fd = -1;
	config_init(&r->config);
	bool good = config_from_args(&r->config, argc, argv, &p);
	int status = CLI_OK;
	if (good && r->config.help) {
		usage_run(stdout);
	} else if (good && !r->config.boot.image && !r->config.boot.kernel &&
	           !shipped_kernel_of_self(&r->config, &p)) {
		(void)fprintf(stderr, "vmm run: %s: %s\n", p.field, p.text);
		status = CLI_HOST_ERROR;
	} else if (!good || !config_check(&r->config, &p)) {
		(void)fprintf(stderr, "vmm run: %s: %s\n", p.field, p.text);
		status = CLI_USAGE;
	} else {
		vmm_err_info_t ei = {0};
		vmm_err_t err = confine_process(r, &ei);
		status = err ? failed(r, err, &ei) : run_with_terminal(r);
	}
	config_fini(&r->config);
	free(r);
	return status;
}
