/* `vmm policy` by itself: it compiles the guest kernel's policy before there is a vmm. */
#include "cli.h"

int main(int argc, char **argv)
{
	/* As main.c calls it: argv[0] is the verb's name. */
	return argc > 1 ? cmd_policy(argc - 1, argv + 1) : CLI_USAGE;
}
