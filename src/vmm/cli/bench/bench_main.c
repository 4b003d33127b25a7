/* `vmm bench`: picks the measurement. */
#include <string.h>

#include "bench.h"
#include "peers.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/parse.h"

static const char help[] =
        "usage: vmm bench WHAT ...\n"
        "\n"
        "  exits    what each kind of VM exit costs on this host\n"
        "  compare  two files of `vmm bench exits --json`, with a significance test\n"
        "  model    predict a profiled guest's overhead from counts and costs\n"
        "  boot, mem, density, disk, net\n"
        "           whole VMs, beside those of QEMU and kvmtool where they are installed\n"
        "\n"
        "`vmm bench WHAT --help` tells more.\n";

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} parts[] = {
        {"exits", bench_exits}, {"compare", bench_compare}, {"model", bench_model},
        {"boot", bench_peers},  {"mem", bench_peers},       {"density", bench_peers},
        {"disk", bench_peers},  {"net", bench_peers},
};
#define PARTS (sizeof(parts) / sizeof(parts[0]))

int cmd_bench(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		(void)fputs(help, argc < 2 ? stderr : stdout);
		return argc < 2 ? CLI_USAGE : CLI_OK;
	}
	for (size_t i = 0; i < PARTS; i++)
		if (strcmp(argv[1], parts[i].name) == 0)
			return parts[i].run(argc - 1, argv + 1);
	const char *near = parse_nearest(argv[1], &parts[0].name, PARTS, sizeof(parts[0]));
	(void)fprintf(stderr, "vmm bench: there is nothing called '%s'%s%s%s\n%s", argv[1],
	              near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "", help);
	return CLI_USAGE;
}
