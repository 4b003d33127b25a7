/* `vmm run` gives up its rights: descriptors that are not the guest's, then the sandbox. */
#ifndef SRC_VMM_CLI_CONFINE_H
#define SRC_VMM_CLI_CONFINE_H

#include "config.h"
#include "term.h"

/* Close what was inherited beyond the standard streams and is not named in C, by its number or as
 * /dev/fd/N. First of all. */
void confine_descriptors(const struct run_config *c);

/* No limit of locked memory where C passes devices, if that may be lifted. Before the sandbox. */
void confine_keep_locking(const struct run_config *c);

/*
 * The handler of calls that a filter does not allow: it says which, and the process ends with
 * status CLI_SANDBOX. In the calling thread that happens at once, with TERM restored; for another
 * one WAKE_FD, an eventfd, is written to, and confine_violation tells. False: errno.
 */
bool confine_report(int wake_fd, struct term *term);
/*
 * Nobody looks at WAKE_FD from here on, and TERM is restored: a thread that offends ends the
 * process itself. True: one has offended already.
 */
bool confine_unwatched(void);
/* What to say of a violation, or NULL: none. */
const char *confine_violation(void);

#endif
