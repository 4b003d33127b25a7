/*
 * The process that cleans up behind a VM: in its sandbox the VM's own sees no file, and nobody can
 * remove the control group that he is in.
 */
#ifndef SRC_VMM_CLI_JANITOR_H
#define SRC_VMM_CLI_JANITOR_H

#include "config.h"

/*
 * Start it if C has something to clean up, which happens when this process has ended, whatever way:
 * the sockets of ports, where janitor_note_sockets has told of them, and, with MADE_CGROUP, the
 * control group. *PIPE_FD, -1 if there is no janitor, is what it waits for: it is this process's
 * alone, stays open to the end and is never written to but by janitor_note_sockets. False: errno.
 */
bool janitor_start(const struct run_config *c, bool made_cgroup, int *pipe_fd);

/* The sockets are there: which they are. Once, before the VM starts. False: errno. */
bool janitor_note_sockets(const struct run_config *c, int pipe_fd);

#endif
