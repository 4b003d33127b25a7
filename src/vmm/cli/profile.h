/* `vmm run --profile`: where the guest's time went, for people and as JSON (docs/bench.md). */
#ifndef SRC_VMM_CLI_PROFILE_H
#define SRC_VMM_CLI_PROFILE_H

#include <stdbool.h>
#include <stdio.h>

#include "vmm/vm.h"

/* A table on OUT, each line ended by EOL. */
bool profile_print(FILE *out, vmm_vm_t *vm, const char *eol);

/* FILE appears whole or stays as it was. False with errno. */
bool profile_write(const char *path, vmm_vm_t *vm);

#endif
