/* The texts of --help. */
#ifndef SRC_VMM_CLI_USAGE_H
#define SRC_VMM_CLI_USAGE_H

#include <stdio.h>

void usage_main(FILE *out);
/* Made from the table of options, so that it cannot be behind it. */
void usage_run(FILE *out);

#endif
