/* The line that `vmm run --stats` prints. */
#ifndef SRC_VMM_CLI_SUMMARY_H
#define SRC_VMM_CLI_SUMMARY_H

#include <stdint.h>
#include <stdio.h>

#include "vmm/vm.h"

/* One line, without its end. BEGAN_NS: when the program started; NOW_NS: now. */
void summary_print(FILE *out, const vmm_stats_t *stats, uint64_t began_ns, uint64_t now_ns);

#endif
