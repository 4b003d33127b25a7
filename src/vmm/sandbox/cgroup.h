/* What is asked of a control group besides vmm/cgroup.h. */
#ifndef SRC_VMM_SANDBOX_CGROUP_H
#define SRC_VMM_SANDBOX_CGROUP_H

#include <stdbool.h>

/* Whether the list of words in the file NAME of the directory DIR has WORD. */
bool cgroup_lists(int dir, const char *name, const char *word);

#endif
