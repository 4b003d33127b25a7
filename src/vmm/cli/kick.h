/* The signal that wakes vCPU threads, as a program that may install handlers does it best. */
#ifndef SRC_VMM_CLI_KICK_H
#define SRC_VMM_CLI_KICK_H

#include <stdbool.h>

#include "vmm/vm.h"

/* A handler for this process, and the options that tell of it (VMM_VM_KICK_HANDLED). False: errno.
 */
bool kick_handle(vmm_vm_opts_t *opts);

#endif
