/*
 * Limits of what the process may take of the host, by a control group (cgroup v2). They hold for
 * all its threads: those of every VM in it, and the guests' memory and virtual CPUs.
 */
#ifndef VMM_CGROUP_H
#define VMM_CGROUP_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/err.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vmm_cgroup_opts {
	size_t struct_size;
	/* The group, an absolute path in a cgroup v2 file system: "/sys/fs/cgroup/vmm/web". It is
	 * made where it is not there; the directory above must be. */
	const char *path;
	uint32_t cpu_millis;   /* cpu.max, in thousandths of a CPU, 10 or more; 0: no limit */
	uint64_t memory_bytes; /* memory.max; 0: no limit */
	uint32_t pids;         /* pids.max, threads and processes; 0: no limit */
	/* io.max: IO_COUNT lines, such as "8:0 rbps=1048576 wiops=100". */
	const char *const *io;
	uint32_t io_count;
} vmm_cgroup_opts_t;

#define VMM_CGROUP_OPTS_INIT                             \
	{                                                \
		.struct_size = sizeof(vmm_cgroup_opts_t) \
	}

/*
 * Make the group where it is not there, set its limits, and move the calling process into it, with
 * all its threads. Memory that the process has already stays charged to where it was: join before
 * VMs are built. A controller that the group above does not hand down yet
 * (cgroup.subtree_control) is switched on there. No privilege is needed where the group above is
 * the user's own (delegated, as `systemd-run --user -p Delegate=yes` does).
 *
 * Any thread; OPTS is not kept; EI may be NULL. The group is not removed: a process cannot remove
 * the one it is in. After an error the process is where it was, but the group may have been made
 * and some of its limits set.
 * VMM_E_INVAL: struct_size, or a member, which EI names: a path that is not absolute or not in a
 * cgroup v2 file system, a cpu limit that is too small. VMM_E_UNSUPPORTED: this host does not give
 * the controller there. Others, by what the system call said: the group cannot be made, a limit set
 * or the group joined; EI names the file.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_cgroup_join(const vmm_cgroup_opts_t *opts,
                                                  vmm_err_info_t *ei);

#ifdef __cplusplus
}
#endif
#endif
