/*
 * Confinement: what is left of the process's rights once a VM is built. Each layer can be had by
 * itself; `vmm run` takes all.
 *
 *   vmm_vm_build(vm); vmm_sandbox_enter(vm, &opts, &closed, &why); vmm_vm_start(vm);
 *   vmm_sandbox_seal(vm);
 *
 * The layers concern the process and its threads, not one VM: a process that runs several VMs, or
 * does other things, takes those that suit it. What is closed stays closed.
 */
#ifndef VMM_SANDBOX_H
#define VMM_SANDBOX_H

#include "vmm/vm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* No exec gives rights: PR_SET_NO_NEW_PRIVS. SECCOMP and LANDLOCK include it. */
#define VMM_SANDBOX_NO_NEW_PRIVS (1u << 0)
/* No core dumps, and no ptrace by others of the same user: RLIMIT_CORE, PR_SET_DUMPABLE. */
#define VMM_SANDBOX_NO_DUMP (1u << 1)
/* Another user and group, as opts say; for processes started as root. */
#define VMM_SANDBOX_USER (1u << 2)
/* User, mount, IPC, UTS and network namespaces of its own. The process has one thread only. */
#define VMM_SANDBOX_NAMESPACES (1u << 3)
/* An empty, read-only root directory. Needs NAMESPACES. */
#define VMM_SANDBOX_ROOT (1u << 4)
/* No capability, now or ever. */
#define VMM_SANDBOX_CAPABILITIES (1u << 5)
/* No file can be opened by path: Landlock, Linux 5.13. */
#define VMM_SANDBOX_LANDLOCK (1u << 6)
/* Each thread of the VM may make the system calls of its work only. The process's threads share one
 * malloc heap from then on (M_ARENA_MAX). */
#define VMM_SANDBOX_SECCOMP (1u << 7)

#define VMM_SANDBOX_ALL                                                            \
	(VMM_SANDBOX_NO_NEW_PRIVS | VMM_SANDBOX_NO_DUMP | VMM_SANDBOX_NAMESPACES | \
	 VMM_SANDBOX_ROOT | VMM_SANDBOX_CAPABILITIES | VMM_SANDBOX_LANDLOCK | VMM_SANDBOX_SECCOMP)

typedef struct vmm_sandbox_opts {
	size_t struct_size;
	uint32_t layers;   /* VMM_SANDBOX_*: those wanted */
	uint32_t required; /* of them, those whose absence on this host is an error */
	uint32_t uid, gid; /* VMM_SANDBOX_USER */
	/*
	 * A call that a filter does not allow raises SIGSYS (si_syscall has its number), for a
	 * handler of the process; otherwise it ends the process as SIGSYS would.
	 */
	bool trap;
} vmm_sandbox_opts_t;

#define VMM_SANDBOX_OPTS_INIT                                                         \
	{                                                                             \
		.struct_size = sizeof(vmm_sandbox_opts_t), .layers = VMM_SANDBOX_ALL, \
		.required = VMM_SANDBOX_NO_NEW_PRIVS | VMM_SANDBOX_SECCOMP            \
	}

/*
 * Close the layers of OPTS, between build and start, on the thread that will start the VM. *CLOSED
 * (may be NULL) tells which were; one that this host lacks is left out unless it is required. With
 * SECCOMP the VM's own threads load their filters as they start. EI may be NULL.
 * VMM_E_STATE: VM is not built, or runs already; VMM_E_INVAL: struct_size, or an unknown layer;
 * VMM_E_UNSUPPORTED: a required layer is not to be had, which is named with the reason; the process
 * must not go on then, since other layers may be closed.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_sandbox_enter(vmm_vm_t *vm, const vmm_sandbox_opts_t *opts,
                                                    uint32_t *closed, vmm_err_info_t *ei);

/*
 * Load the filter of the thread that waits for events into the calling one, once the VM runs:
 * poll, read and write of open descriptors, and what stopping and destroying VM needs. Without
 * effect if VM was not sandboxed with SECCOMP. VMM_E_UNSUPPORTED: the kernel refuses.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_sandbox_seal(vmm_vm_t *vm, vmm_err_info_t *ei);

/* The layers that this kernel and user can have, found by trying them in a process of its own. */
VMM_API uint32_t vmm_sandbox_available(void);

/* "seccomp filters", for one bit of VMM_SANDBOX_*; never NULL. */
VMM_API const char *vmm_sandbox_layer_name(uint32_t layer);

/* The name of a system call of this machine ("openat"), never NULL. Async-signal-safe. */
VMM_API const char *vmm_sandbox_call_name(int number);

#ifdef __cplusplus
}
#endif
#endif
