/*
 * `vmm bench exits`: options, and the cases one after another, each in a child that is ended when
 * its time is up. One thread; SIGINT and SIGTERM end the run, and what is measured is kept.
 */
#include <cpuid.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/parse.h"

static const char help[] =
        "usage: vmm bench exits [OPTIONS] [CASE...]\n"
        "\n"
        "What each kind of VM exit costs on this host, through this VMM: a guest of its own runs\n"
        "each, at CPL 0 and where it can at CPL 3. Without CASE all of them.\n"
        "\n"
        "  --list               name the cases and what they measure\n"
        "  --cpl 0|3            only at that privilege level\n"
        "  -n, --count N        samples of each case (10000)\n"
        "  --warm-up N          rounds before them (1000)\n"
        "  --budget MS          time for the samples of a case (2000)\n"
        "  --case-timeout S     time for a whole case, which may hang the guest (20)\n"
        "  --profiled           with the counters of `vmm run --profile` on: what those cost\n"
        "  --trace              split each by KVM's tracepoints too, in a short run of its own\n"
        "                       (needs tracefs, and the right to use it)\n"
        "  --histograms         a small histogram under each line\n"
        "  --json FILE          everything that was measured; - for standard output\n"
        "  --csv FILE           a line for each case\n"
        "  --plot FILE.svg      histograms and a chart, made by gnuplot\n"
        "  --kvm FILE           KVM's device (/dev/kvm)\n"
        "  -h, --help           this text\n"
        "\n"
        "What this host cannot do is reported as 'not on this host' with the reason. Interrupted,\n"
        "it keeps what it has and marks it as partial.\n"
        "Exit status: 0 done, 1 a case failed or no VM can run, 2 bad usage, 8 interrupted.\n";

#define TRACE_SAMPLES 500u

struct plan {
	struct bench_options opts;
	bool wanted[64];
	bool any_wanted;
	bool list, help, histograms, trace;
	int cpl; /* -1: both */
	const char *json, *csv, *plot;
};

static bool set_u32(const char *option, const char *value, uint32_t max, uint32_t *out)
{
	uint64_t n = 0;
	if (!parse_number(value, max, &n) || n == 0) {
		(void)fprintf(stderr, "vmm bench exits: %s: '%s': must be 1 to %u\n", option, value,
		              max);
		return false;
	}
	*out = (uint32_t)n;
	return true;
}

static bool set_cpl(struct plan *p, const char *value)
{
	if (strcmp(value, "0") != 0 && strcmp(value, "3") != 0) {
		(void)fprintf(stderr, "vmm bench exits: --cpl: '%s': must be 0 or 3\n", value);
		return false;
	}
	p->cpl = value[0] - '0';
	return true;
}

static bool apply_value(struct plan *p, const char *option, const char *value)
{
	if (strcmp(option, "--count") == 0 || strcmp(option, "-n") == 0)
		return set_u32(option, value, BENCH_COUNT_MAX, &p->opts.count);
	if (strcmp(option, "--warm-up") == 0)
		return set_u32(option, value, BENCH_COUNT_MAX, &p->opts.warm_up);
	if (strcmp(option, "--budget") == 0)
		return set_u32(option, value, 600000, &p->opts.budget_ms);
	if (strcmp(option, "--case-timeout") == 0)
		return set_u32(option, value, 86400, &p->opts.timeout_s);
	if (strcmp(option, "--cpl") == 0)
		return set_cpl(p, value);
	if (strcmp(option, "--json") == 0)
		p->json = value;
	else if (strcmp(option, "--csv") == 0)
		p->csv = value;
	else if (strcmp(option, "--plot") == 0)
		p->plot = value;
	else
		p->opts.kvm_path = value;
	return true;
}

static bool apply_option(struct plan *p, int argc, char **argv, int *i)
{
	static const char *const values[] = {
	        "--count", "-n",    "--warm-up", "--budget", "--cpl",
	        "--json",  "--csv", "--plot",    "--kvm",    "--case-timeout"};
	const char *option = argv[*i];
	if (strcmp(option, "--list") == 0)
		return p->list = true;
	if (strcmp(option, "--profiled") == 0)
		return p->opts.profiled = true;
	if (strcmp(option, "--trace") == 0)
		return p->trace = true;
	if (strcmp(option, "--histograms") == 0)
		return p->histograms = true;
	if (strcmp(option, "--help") == 0 || strcmp(option, "-h") == 0)
		return p->help = true;
	for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
		if (strcmp(option, values[v]) != 0)
			continue;
		if (*i + 1 < argc)
			return apply_value(p, option, argv[++*i]);
		(void)fprintf(stderr, "vmm bench exits: %s: needs a value\n", option);
		return false;
	}
	(void)fprintf(stderr, "vmm bench exits: %s: there is no such option\n", option);
	return false;
}

static bool apply_case(struct plan *p, const char *name)
{
	for (size_t i = 0; i < bench_case_count; i++) {
		if (strcmp(name, bench_cases[i].name) == 0) {
			p->any_wanted = true;
			return p->wanted[i] = true;
		}
	}
	const char *near =
	        parse_nearest(name, &bench_cases[0].name, bench_case_count, sizeof(bench_cases[0]));
	(void)fprintf(stderr, "vmm bench exits: there is no case '%s'%s%s%s; there are:", name,
	              near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	for (size_t i = 0; i < bench_case_count; i++)
		(void)fprintf(stderr, " %s", bench_cases[i].name);
	(void)fputc('\n', stderr);
	return false;
}

static bool parse_args(struct plan *p, int argc, char **argv)
{
	for (int i = 1; i < argc && !p->help; i++)
		if (!(argv[i][0] == '-' && argv[i][1] ? apply_option(p, argc, argv, &i)
		                                      : apply_case(p, argv[i])))
			return false;
	return true;
}

static int list_cases(void)
{
	for (size_t i = 0; i < bench_case_count; i++)
		(void)printf("%-20s %-7s %s\n", bench_cases[i].name,
		             bench_cases[i].user ? "CPL 0,3" : "CPL 0", bench_cases[i].what);
	return CLI_OK;
}

/* Which of the two hypercall instructions the processor has. */
static bool is_amd(void)
{
	unsigned a, b, c, d;
	if (!__get_cpuid(0, &a, &b, &c, &d))
		return false;
	return b == signature_AMD_ebx || b == 0x6f677948u; /* AuthenticAMD, HygonGenuine */
}

static uint32_t usable_cpus(void)
{
	cpu_set_t set;
	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 1;
}

/* Pages of 2 MiB that nobody has. Guest memory reserves none: it would fail at the first touch. */
static uint32_t free_huge_pages(void)
{
	unsigned pages = 0;
	FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	if (f && fscanf(f, "%u", &pages) != 1) /* NOLINT(cert-err34-c) */
		pages = 0;
	if (f)
		(void)fclose(f);
	return pages;
}

/* Why a case need not be tried, or NULL. */
static const char *obstacle(const struct bench_case *c, const struct bench_options *o)
{
	if ((c->flags & CASE_HUGE) && free_huge_pages() < BENCH_HUGE_PAGES)
		return "fewer than 48 free pages of 2 MiB (see /proc/sys/vm/nr_hugepages)";
	if ((c->flags & CASE_HARDWARE) && o->host == VMM_HOST_PAGETABLE)
		return "on a pagetable-based host ring changes do not behave as on hardware";
	if (c->cpus > 1 && c->kind != BENCH_IPI_HALTED && o->host_cpus < c->cpus)
		return "two vCPUs that both run need two CPUs; this process may use one";
	return NULL;
}

/* Waits for CHILD; false: interrupted. Signals are blocked, and taken here. */
static bool wait_child(pid_t child, uint32_t timeout_s, bool *timed_out, int *status)
{
	sigset_t set;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	const time_t end = now.tv_sec + (time_t)timeout_s;
	*timed_out = false;
	for (;;) {
		if (waitpid(child, status, WNOHANG) == child)
			return true;
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
		*timed_out = now.tv_sec >= end;
		const struct timespec slice = {.tv_sec = 1};
		int signo = *timed_out ? 0 : sigtimedwait(&set, NULL, &slice);
		if (!*timed_out && (signo == SIGCHLD || signo < 0))
			continue;
		(void)kill(child, SIGKILL);
		(void)waitpid(child, status, 0);
		return *timed_out;
	}
}

static void name_death(struct outcome *o, bool timed_out, int status, uint32_t timeout_s)
{
	if (timed_out) {
		o->state = OUTCOME_ABSENT;
		(void)snprintf(o->why, sizeof(o->why),
		               "no end within %u s: the guest, or KVM, hangs on it", timeout_s);
	} else if (o->state == OUTCOME_NOT_RUN || !WIFEXITED(status)) {
		o->state = OUTCOME_FAILED;
		(void)snprintf(o->why, sizeof(o->why), "its process ended early (%s %d)",
		               WIFSIGNALED(status) ? "signal" : "status",
		               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	}
}

/* False: interrupted. */
static bool run_child(const struct bench_options *opts, const struct bench_case *c, unsigned cpl,
                      struct outcome *o)
{
	/* Only the head: the sample arrays are as long as the child makes them. */
	memset(o, 0, offsetof(struct outcome, net));
	(void)fflush(NULL);
	pid_t parent = getpid();
	pid_t child = fork();
	if (child < 0) {
		o->state = OUTCOME_FAILED;
		(void)snprintf(o->why, sizeof(o->why), "cannot start a process: %s",
		               strerror(errno));
		return true;
	}
	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			bench_run_case(c, cpl, opts, o);
		_exit(0);
	}
	bool timed_out;
	int status = 0;
	bool ended = wait_child(child, opts->timeout_s, &timed_out, &status);
	if (opts->traced)
		trace_remove(child);
	if (!ended)
		return false;
	name_death(o, timed_out, status, opts->timeout_s);
	return true;
}

static void start_measured(struct measured *m, const struct bench_case *c, unsigned cpl)
{
	*m = (struct measured){.bench = c, .cpl = cpl};
}

/* The cases to run, in order; those of a level that a case does not have are left out. */
static size_t plan_cases(const struct plan *p, struct measured *m)
{
	size_t n = 0;
	for (size_t i = 0; i < bench_case_count; i++) {
		const struct bench_case *c = &bench_cases[i];
		if (p->any_wanted && !p->wanted[i])
			continue;
		if (p->cpl != 3)
			start_measured(&m[n++], c, 0);
		if (p->cpl != 0 && c->user)
			start_measured(&m[n++], c, 3);
	}
	return n;
}

static void progress(const struct bench_report *r, size_t i)
{
	if (isatty(STDERR_FILENO))
		(void)fprintf(stderr, "\r\033[K[%zu/%zu] %s at CPL %u", i + 1, r->count,
		              r->m[i].bench->name, r->m[i].cpl);
}

static void progress_end(void)
{
	if (isatty(STDERR_FILENO))
		(void)fputs("\r\033[K", stderr);
}

/* Tracing costs time of its own: the figures come from the run before. False: interrupted. */
static bool trace_case(const struct plan *p, struct measured *m, struct outcome *o)
{
	struct bench_options opts = p->opts;
	opts.traced = true;
	opts.count = opts.count < TRACE_SAMPLES ? opts.count : TRACE_SAMPLES;
	if (!run_child(&opts, m->bench, m->cpl, o))
		return false;
	m->traced = o->state == OUTCOME_OK && o->parts.samples > 0;
	m->parts = o->parts;
	if (!m->traced)
		(void)snprintf(m->no_parts, sizeof(m->no_parts), "%s",
		               o->why[0] ? o->why : "nothing was traced");
	return true;
}

/* False: out of memory. */
static bool run_cases(const struct plan *p, struct bench_report *r, struct outcome *o)
{
	bool good = true;
	for (size_t i = 0; good && i < r->count && !r->partial; i++) {
		struct measured *m = &r->m[i];
		const char *why = obstacle(m->bench, &p->opts);
		progress(r, i);
		if (why) {
			memset(o, 0, offsetof(struct outcome, net));
			o->state = OUTCOME_ABSENT;
			(void)snprintf(o->why, sizeof(o->why), "%s", why);
		} else if (!run_child(&p->opts, m->bench, m->cpl, o)) {
			r->partial = true;
			break;
		}
		good = measured_take(m, o);
		if (good && p->trace && m->state == OUTCOME_OK)
			r->partial = !trace_case(p, m, o);
	}
	progress_end();
	return good;
}

static FILE *open_output(const char *path)
{
	FILE *f = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
	if (!f)
		(void)fprintf(stderr, "vmm bench: %s: %s\n", path, strerror(errno));
	return f;
}

static bool close_output(FILE *f, const char *path)
{
	bool good = !ferror(f) && (f == stdout ? fflush(f) : fclose(f)) == 0;
	if (!good)
		(void)fprintf(stderr, "vmm bench: %s: cannot be written\n", path);
	return good;
}

static bool write_json(const struct bench_report *r, const char *path)
{
	json_t *root = report_json(r);
	FILE *f = root ? open_output(path) : NULL;
	bool good = f && json_dumpf(root, f, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) == 0 &&
	            fputc('\n', f) != EOF;
	json_decref(root);
	return f && close_output(f, path) && good;
}

static bool write_csv(const struct bench_report *r, const char *path)
{
	FILE *f = open_output(path);
	if (f)
		report_csv(f, r);
	return f && close_output(f, path);
}

static int report(const struct plan *p, const struct bench_report *r)
{
	bool good = true;
	bool to_stdout =
	        (p->json && strcmp(p->json, "-") == 0) || (p->csv && strcmp(p->csv, "-") == 0);
	if (!to_stdout)
		report_table(stdout, r, p->histograms);
	if (p->json)
		good &= write_json(r, p->json);
	if (p->csv)
		good &= write_csv(r, p->csv);
	if (p->plot)
		good &= report_plot(r, p->plot);
	if (r->partial)
		return CLI_STOPPED;
	for (size_t i = 0; i < r->count; i++)
		good &= r->m[i].state != OUTCOME_FAILED;
	return good ? CLI_OK : CLI_HOST_ERROR;
}

/* Where no VM can run at all, that is the one thing to say. */
static bool probe(struct plan *p)
{
	vmm_host_info_t info = {.struct_size = sizeof(info)};
	if (vmm_host_probe(p->opts.kvm_path, &info) != VMM_OK)
		return false;
	p->opts.host = info.kind;
	for (uint32_t i = 0; i < info.check_count; i++) {
		const vmm_host_check_t *c = &info.check[i];
		if (c->state == VMM_CHECK_FAIL) {
			(void)fprintf(stderr, "vmm bench exits: %s: %s\n", c->name, c->found);
			return false;
		}
	}
	return true;
}

static int run_plan(struct plan *p)
{
	if (!probe(p)) {
		(void)fputs("vmm bench exits: no VM can run here; `vmm doctor` tells more\n",
		            stderr);
		return CLI_HOST_ERROR;
	}
	p->opts.vmmcall = is_amd();
	p->opts.host_cpus = usable_cpus();
	sigset_t set;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	struct bench_report r = {.host = p->opts.host};
	r.m = calloc(2 * bench_case_count, sizeof(*r.m));
	struct outcome *o = mmap(NULL, sizeof(*o), PROT_READ | PROT_WRITE,
	                         MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int status = CLI_HOST_ERROR;
	if (r.m && o != MAP_FAILED) {
		r.count = plan_cases(p, r.m);
		if (run_cases(p, &r, o))
			status = report(p, &r);
		(void)munmap(o, sizeof(*o));
	}
	report_fini(&r);
	return status;
}

int bench_exits(int argc, char **argv)
{
	struct plan p = {
	        .cpl = -1,
	        .opts = {.count = 10000, .warm_up = 1000, .budget_ms = 2000, .timeout_s = 20},
	};
	_Static_assert(BENCH_HUGE_PAGES == 48, "the text that says so");
	_Static_assert(BENCH_KINDS + 2 <= sizeof(p.wanted), "a flag for each case");
	if (!parse_args(&p, argc, argv))
		return CLI_USAGE;
	if (p.help) {
		(void)fputs(help, stdout);
		return CLI_OK;
	}
	return p.list ? list_cases() : run_plan(&p);
}
