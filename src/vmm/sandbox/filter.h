/* Loading a thread's seccomp filter. On that thread, as the first thing it does. */
#ifndef SRC_VMM_SANDBOX_FILTER_H
#define SRC_VMM_SANDBOX_FILTER_H

#include <stdbool.h>

#include "rules.h"

/* What the threads of a VM load, if anything. */
struct sandbox_filters {
	bool on;
	bool trap; /* SIGSYS for a handler, instead of the end of the process */
};

/* Close the calling thread. 0, or an errno. */
int sandbox_filter_load(const struct sandbox_filters *f, enum sandbox_thread thread);

#endif
