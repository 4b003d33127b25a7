/*
 * `vmm bench model`: overhead = sum of exits x cost (docs/cost-model.md). The counts are a
 * profile's
 * (`vmm run --profile=FILE`), the costs those of `vmm bench exits --json` on the same host; what is
 * predicted is compared with what the profile measured. Both files are read with care.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "vmm/cli/cli.h"

#define CLASSES_MAX 12u

static const char help[] =
        "usage: vmm bench model --costs EXITS.json [--native SECONDS] PROFILE.json\n"
        "\n"
        "Predicts what virtualization cost a profiled guest: for each class of exits the count of\n"
        "PROFILE.json (vmm run --profile=FILE) times the cost of EXITS.json (vmm bench exits "
        "--json,\n"
        "on the same host), and prints the error against what was measured.\n"
        "\n"
        "  --costs FILE      what exits cost\n"
        "  --native SECONDS  how long the same work takes without a VM; otherwise the time that "
        "the\n"
        "                    host's kernel accounts to the guest is taken for it\n";

struct model_args {
	const char *costs, *profile;
	double native_s; /* < 0: not given */
	bool help;
};

/* A class of exits: how many, and which case tells what one costs. */
struct exit_class {
	const char *what;
	const char *bench;
	double count;
	double cost_ns; /* < 0: EXITS.json does not have it */
};

struct model {
	struct exit_class c[CLASSES_MAX];
	size_t count;
};

static json_t *load(const char *path, const char *what)
{
	json_error_t e;
	json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &e);
	if (!root) {
		(void)fprintf(stderr, "vmm bench model: %s: line %d: %s\n", path, e.line, e.text);
		return NULL;
	}
	const char *format = json_string_value(json_object_get(root, "format"));
	const char *found = json_string_value(json_object_get(root, "what"));
	if (format && strcmp(format, "vmm-bench") == 0 && found && strcmp(found, what) == 0 &&
	    json_integer_value(json_object_get(root, "version")) == 1)
		return root;
	(void)fprintf(stderr,
	              "vmm bench model: %s: must be of vmm-bench, version 1, with \"what\": \"%s\"",
	              path, what);
	(void)fprintf(stderr, " (found \"%s\")\n", found ? found : "nothing");
	json_decref(root);
	return NULL;
}

/* The median of a case at CPL 0, or -1. */
static double cost_ns(const json_t *costs, const char *bench)
{
	size_t i;
	json_t *c;
	json_array_foreach(json_object_get(costs, "cases"), i, c)
	{
		const char *name = json_string_value(json_object_get(c, "case"));
		const json_t *median = json_object_get(json_object_get(c, "ns"), "median");
		if (name && strcmp(name, bench) == 0 && json_is_number(median) &&
		    json_integer_value(json_object_get(c, "cpl")) == 0)
			return json_number_value(median);
	}
	return -1;
}

static double number(const json_t *o, const char *key)
{
	double v = json_number_value(json_object_get(o, key));
	return v > 0 && isfinite(v) ? v : 0;
}

/* Exits to the VMM of this kind and direction. */
static double user_exits(const json_t *profile, const char *exit, int write)
{
	size_t i;
	json_t *e;
	double sum = 0;
	json_array_foreach(json_object_get(profile, "entries"), i, e)
	{
		const char *name = json_string_value(json_object_get(e, "exit"));
		if (name && strcmp(name, exit) == 0 &&
		    (write < 0 || json_is_true(json_object_get(e, "write")) == write))
			sum += number(e, "count");
	}
	return sum;
}

static void add_class(struct model *m, const json_t *costs, const char *what, const char *bench,
                      double count)
{
	if (count <= 0 || m->count == CLASSES_MAX)
		return;
	m->c[m->count++] = (struct exit_class){what, bench, count, cost_ns(costs, bench)};
}

static double above(double a, double b)
{
	return a > b ? a - b : 0;
}

/* KVM's counters tell apart what it answered itself; what they do not name is a plain exit. */
static void classify(struct model *m, const json_t *profile, const json_t *costs)
{
	const json_t *kvm = json_object_get(profile, "kvm");
	double in = user_exits(profile, "IO", 0), out = user_exits(profile, "IO", 1);
	double read = user_exits(profile, "MMIO", 0), write = user_exits(profile, "MMIO", 1);
	double rdmsr = user_exits(profile, "X86_RDMSR", -1);
	double wrmsr = user_exits(profile, "X86_WRMSR", -1);
	double io_kernel = above(number(kvm, "io_exits"), in + out);
	double mmio_kernel = above(number(kvm, "insn_emulation"), read + write);
	double faults = number(kvm, "pf_fixed");
	double hypercalls = number(kvm, "hypercalls");
	double named = in + out + read + write + rdmsr + wrmsr + io_kernel + mmio_kernel + faults +
	               hypercalls;
	add_class(m, costs, "port reads, VMM", "pio-in-user", in);
	add_class(m, costs, "port writes, VMM", "pio-out-user", out);
	add_class(m, costs, "MMIO reads, VMM", "mmio-read", read);
	add_class(m, costs, "MMIO writes, VMM", "mmio-write", write);
	add_class(m, costs, "RDMSR, VMM", "rdmsr-user", rdmsr);
	add_class(m, costs, "WRMSR, VMM", "wrmsr-user", wrmsr);
	add_class(m, costs, "ports, KVM", "pio-out-kernel", io_kernel);
	add_class(m, costs, "MMIO, KVM", "ioeventfd-mmio", mmio_kernel);
	add_class(m, costs, "memory faults", "touch-4k", faults);
	add_class(m, costs, "hypercalls", "hypercall", hypercalls);
	add_class(m, costs, "other exits", "cpuid", above(number(kvm, "exits"), named));
}

static double print_classes(const struct model *m)
{
	double sum = 0;
	(void)printf("%-18s %-16s %12s %10s %12s\n", "exits", "cost of", "count", "ns", "ms");
	for (size_t i = 0; i < m->count; i++) {
		const struct exit_class *c = &m->c[i];
		(void)printf("%-18s %-16s %12.0f ", c->what, c->bench, c->count);
		if (c->cost_ns < 0) {
			(void)printf("%10s %12s\n", "?", "left out");
			continue;
		}
		(void)printf("%10.0f %12.3f\n", c->cost_ns, c->count * c->cost_ns / 1e6);
		sum += c->count * c->cost_ns;
	}
	return sum;
}

static int print_error(const json_t *profile, double predicted_ns, double native_s)
{
	double khz = number(profile, "tsc_khz");
	double wall = khz > 0 ? number(profile, "wall_cycles") * 1e6 / khz : 0;
	double halted = number(profile, "halted_ns"), guest = number(profile, "guest_ns");
	double native = native_s >= 0 ? native_s * 1e9 : guest;
	double busy = above(wall, halted);
	(void)printf(
	        "\nwall %.3f ms, halted %.3f ms, native %.3f ms (%s)\n", wall / 1e6, halted / 1e6,
	        native / 1e6,
	        native_s >= 0
	                ? "--native"
	                : "the kernel's account of guest time, in steps of 10 ms for each vCPU");
	(void)printf("predicted overhead %.3f ms, total %.3f ms\n", predicted_ns / 1e6,
	             (native + predicted_ns) / 1e6);
	if (busy <= 0 || native <= 0) {
		(void)puts(
		        "measured: unknown; this host does not account guest time. Give --native.");
		return CLI_OK;
	}
	double measured = above(busy, native);
	(void)printf("measured overhead  %.3f ms, total %.3f ms\n", measured / 1e6, busy / 1e6);
	(void)printf("error: %+.1f %% of the overhead, %+.1f %% of the total\n",
	             measured > 0 ? 100 * (predicted_ns - measured) / measured : 0,
	             100 * (native + predicted_ns - busy) / busy);
	return CLI_OK;
}

int model_predict(const json_t *costs, const json_t *profile, double native_s)
{
	struct model m = {.count = 0};
	classify(&m, profile, costs);
	return print_error(profile, print_classes(&m), native_s);
}

static bool parse_args(struct model_args *a, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *w = argv[i];
		bool valued = strcmp(w, "--costs") == 0 || strcmp(w, "--native") == 0;
		if (strcmp(w, "--help") == 0 || strcmp(w, "-h") == 0)
			return a->help = true;
		if (valued && i + 1 == argc)
			return false;
		if (strcmp(w, "--costs") == 0) {
			a->costs = argv[++i];
		} else if (strcmp(w, "--native") == 0) {
			char *end;
			a->native_s = strtod(argv[++i], &end);
			if (*end || end == argv[i] || !(a->native_s >= 0 && a->native_s < 1e9))
				return false;
		} else if (w[0] == '-' || a->profile) {
			return false;
		} else {
			a->profile = w;
		}
	}
	return a->costs && a->profile;
}

int bench_model(int argc, char **argv)
{
	struct model_args a = {.native_s = -1};
	if (!parse_args(&a, argc, argv)) {
		(void)fputs(help, stderr);
		return CLI_USAGE;
	}
	if (a.help) {
		(void)fputs(help, stdout);
		return CLI_OK;
	}
	json_t *costs = load(a.costs, "exits");
	json_t *profile = costs ? load(a.profile, "profile") : NULL;
	int status = CLI_BAD_IMAGE;
	if (profile)
		status = model_predict(costs, profile, a.native_s);
	json_decref(profile);
	json_decref(costs);
	return status;
}
