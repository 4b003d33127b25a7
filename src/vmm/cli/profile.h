/* `vmm run --profile`: where the guest's time went, for people and as JSON (docs/bench.md). */
#ifndef SRC_VMM_CLI_PROFILE_H
#define SRC_VMM_CLI_PROFILE_H

#include <stdbool.h>
#include <stdio.h>

#include "vmm/host.h"
#include "vmm/vm.h"

/* A table on OUT, each line ended by EOL. */
bool profile_print(FILE *out, vmm_vm_t *vm, const char *eol);

/* Where it is written. In a sandbox no file can be opened and no host looked at any more. */
struct profile_file {
	int fd; /* -1: nowhere */
	vmm_host_kind_t kind;
};

/* Make PATH, if it is not there, and leave it as it is. False with errno. */
bool profile_open(struct profile_file *f, const char *path);
void profile_close(struct profile_file *f);

/* In place of what is in the file. False with errno. */
bool profile_write(const struct profile_file *f, vmm_vm_t *vm);

#endif
