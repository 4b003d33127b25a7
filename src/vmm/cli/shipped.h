/* The guest kernel that comes with vmm: what `vmm run` boots when it is told nothing else. */
#ifndef SRC_VMM_CLI_SHIPPED_H
#define SRC_VMM_CLI_SHIPPED_H

#include "config.h"

/*
 * Makes the shipped kernel C's kernel: the file beside the program EXE (in the build tree), or
 * where it is installed relative to it. False: P says where it was looked for.
 */
bool shipped_kernel(struct run_config *c, const char *exe, struct problem *p);

/* The same for this program. */
bool shipped_kernel_of_self(struct run_config *c, struct problem *p);

#endif
