/* The vmm command: picks the sub-command. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "parse.h"
#include "usage.h"
#include "vmm/vm.h"

static int cmd_version(int argc, char **argv)
{
	if (argc > 1) {
		(void)fprintf(stderr, "vmm %s: takes no arguments, but '%s' is given\n", argv[0],
		              argv[1]);
		return CLI_USAGE;
	}
	(void)printf("vmm %s\n", vmm_version());
	return CLI_OK;
}

static int cmd_help(int argc, char **argv);

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
        {"run", cmd_run},         {"image", cmd_image},       {"policy", cmd_policy},
        {"vfio", cmd_vfio},       {"bench", cmd_bench},       {"doctor", cmd_doctor},
        {"version", cmd_version}, {"--version", cmd_version}, {"-V", cmd_version},
        {"help", cmd_help},       {"--help", cmd_help},       {"-h", cmd_help},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static bool has_help(const struct command *c)
{
	return c->run != cmd_help && c->run != cmd_version;
}

/* `vmm help run` is `vmm run --help`. */
static int cmd_help(int argc, char **argv)
{
	char option[] = "--help";
	for (size_t i = 0; argc > 1 && i < COMMANDS; i++)
		if (has_help(&commands[i]) && strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(2, (char *[]){argv[1], option, NULL});
	usage_main(stdout);
	return CLI_OK;
}

/* What was printed must have arrived. */
static int finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	perror("vmm: standard output");
	return status ? status : CLI_HOST_ERROR;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage_main(stderr);
		return CLI_USAGE;
	}
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return finish(commands[i].run(argc - 1, argv + 1));
	const char *near = parse_nearest(argv[1], &commands[0].name, COMMANDS, sizeof(commands[0]));
	if (near)
		(void)fprintf(stderr, "vmm: there is no command '%s'; did you mean '%s'?\n",
		              argv[1], near);
	else
		(void)fprintf(stderr, "vmm: there is no command '%s'; `vmm --help` lists them\n",
		              argv[1]);
	return CLI_USAGE;
}
