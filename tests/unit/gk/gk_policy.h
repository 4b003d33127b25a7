/* The built-in policy with changes, for tests of what it denies. */
#ifndef TESTS_UNIT_GK_POLICY_H
#define TESTS_UNIT_GK_POLICY_H

#include "gk_rig.h"

/* Puts the built-in policy in force, with LINES in front of its access control list. By a task that
 * may load a policy: the first one. */
void rig_policy(const char *lines);

/* How many lines the log has had, and whether one from FIRST on has TEXT. */
uint64_t rig_records(void);
bool rig_recorded(uint64_t first, const char *text);

#endif
