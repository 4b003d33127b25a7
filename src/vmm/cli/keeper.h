/*
 * A PID namespace for the VM. No process can move into one, only its children are born there: the
 * process that was started stays outside, as the VM's keeper, and its child goes on.
 */
#ifndef SRC_VMM_CLI_KEEPER_H
#define SRC_VMM_CLI_KEEPER_H

#include <stdbool.h>

/*
 * Go on in a child, process 1 of a PID namespace of its own. A user without the right to make one
 * gets a user namespace for it, with his own ids in it. Returns in the child only; the keeper
 * passes on the signals that it gets, and ends as the child does. One thread, no VM yet. False,
 * with errno: there is no such namespace, and this is still the process that was started.
 *
 * The child is killed when the keeper is; keeper_stay says so again, since a change of user undoes
 * it (prctl(2), PR_SET_PDEATHSIG).
 */
bool keeper_start(void);
void keeper_stay(void);

#endif
