/* A configuration becomes a VM: the calls of libvmm that `vmm run` makes, in their order. */
#ifndef SRC_VMM_CLI_ASSEMBLE_H
#define SRC_VMM_CLI_ASSEMBLE_H

#include <stdio.h>

#include "config.h"

struct machine_parts {
	vmm_vm_t *vm;           /* for vmm_vm_destroy, also after a failure */
	vmm_console_t *console; /* or NULL */
};

/*
 * Create, configure and build. STDIN_FD is what the guest reads where stdio is asked for (-1:
 * nothing). A FIT image's defaults stand in for --memory and --cpus where those are not given.
 */
VMM_WARN_UNUSED vmm_err_t assemble(struct run_config *c, int stdin_fd, vmm_log_fn log,
                                   void *log_ctx, struct machine_parts *parts, vmm_err_info_t *ei);

/* Tell where the pseudo-terminals and sockets are. EOL ends each line. */
void assemble_announce(const struct run_config *c, const struct machine_parts *parts, FILE *out,
                       const char *eol);

#endif
