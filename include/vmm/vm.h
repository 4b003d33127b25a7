/*
 * A virtual machine: create, configure, build, start, events, stop, destroy.
 *
 *   created --vmm_vm_build--> built --vmm_vm_start--> running <--> paused --> stopped
 *
 * Configure (vmm_boot_set, vmm_disk_add, ...) only while created. Every handle belongs to the
 * caller until vmm_vm_destroy; any number of VMs may live in one process. The library prints
 * nothing, never exits, installs no signal handler and has no file-scope state.
 *
 * Threads: one VM is created, configured, built, started, stopped and destroyed by one thread at a
 * time. Calls marked 'any thread' may come from any thread between build and destroy.
 *
 * Structures that begin with struct_size can grow at their end; the caller sets it to their size. A
 * library that is older than the caller's headers takes a longer one if what it does not know is
 * zero, and fills in the part that it knows; VMM_E_INVAL otherwise.
 *
 * Signals: vCPU threads are woken with the real-time signal of vmm_vm_opts_t.kick_signal. It is
 * blocked in them and consumed by them; no handler is needed, and none of the process's is changed.
 * A process that has a handler for it can say so: VMM_VM_KICK_HANDLED.
 */
#ifndef VMM_VM_H
#define VMM_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/err.h"
#include "vmm/log.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vmm_vm vmm_vm_t;

/* vmm_vm_opts_t.flags */
#define VMM_VM_HUGE_PAGES (1u << 0) /* guest memory on 2 MiB pages of hugetlbfs */
#define VMM_VM_PREFAULT   (1u << 1) /* all guest memory present before the guest starts */
#define VMM_VM_NO_REBOOT  (1u << 2) /* a guest reset ends the VM (VMM_EVENT_RESET) */
#define VMM_VM_STEP       (1u << 3) /* no vCPU threads: the caller drives vmm_vcpu_step */
#define VMM_VM_MEMFD      (1u << 5) /* guest memory in a memfd, for others to map */
#define VMM_VM_NO_ACPI    (1u << 4) /* no ACPI tables; devices by command line or device tree */
/*
 * The process has a handler for kick_signal, with SA_RESTART, which need not do anything. It runs
 * on vCPU threads, and KVM need not swap signal masks at each exit: some 190 instructions less.
 * Without effect in step mode and on a KVM without KVM_CAP_IMMEDIATE_EXIT.
 */
#define VMM_VM_KICK_HANDLED (1u << 6)
#define VMM_VM_PROFILE      (1u << 7) /* count and time exits: vmm/profile.h */
/*
 * HLT, PAUSE and, where KVM allows it, MWAIT do not leave the guest: a vCPU that idles is woken
 * without an exit, but is a busy thread for the host, and no other runs on its CPU but by
 * preempting it. vmm_vm_build: VMM_E_UNSUPPORTED where KVM cannot (KVM_CAP_X86_DISABLE_EXITS).
 */
#define VMM_VM_GUEST_IDLE (1u << 8)

/* How virtio devices are reached (virtio 1.2, 4.1 and 4.2). */
typedef enum vmm_transport {
	VMM_TRANSPORT_MMIO = 0, /* registers at fixed addresses */
	VMM_TRANSPORT_PCI = 1,  /* functions of a PCI bus, with MSI-X: an interrupt costs no exit */
} vmm_transport_t;

typedef struct vmm_vm_opts {
	size_t struct_size;    /* sizeof(vmm_vm_opts_t): see above */
	uint64_t memory_bytes; /* guest RAM; a multiple of 4 KiB (2 MiB with huge pages) */
	uint32_t cpus;         /* vCPUs, 1 .. VMM_CPUS_MAX and what KVM allows */
	uint32_t flags;        /* VMM_VM_* */
	const char *name;      /* identity: default MAC addresses derive from it; NULL: "vm" */
	const char *kvm_path;  /* NULL: "/dev/kvm" */
	int kvm_fd;            /* an open /dev/kvm (duplicated), or -1 */
	int memory_fd;         /* a file to use as guest RAM (duplicated), or -1: anonymous */
	int kick_signal;       /* a real-time signal, or 0: SIGRTMIN + 1 */
	vmm_transport_t transport;
	vmm_log_level_t log_level;
	vmm_log_fn log; /* NULL: silent */
	void *log_ctx;
} vmm_vm_opts_t;

#define VMM_CPUS_MAX 32u

#define VMM_VM_OPTS_INIT                                                                       \
	{                                                                                      \
		.struct_size = sizeof(vmm_vm_opts_t), .memory_bytes = 256ull << 20, .cpus = 1, \
		.kvm_fd = -1, .memory_fd = -1, .log_level = VMM_LOG_WARN                       \
	}

/*
 * Start a VM's configuration. Opens nothing yet. On failure *VM is NULL and EI (may be NULL) says
 * why: VMM_E_INVAL (struct_size, memory, cpus, flags), VMM_E_NOMEM.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_vm_create(const vmm_vm_opts_t *opts, vmm_vm_t **vm,
                                                vmm_err_info_t *ei);

/*
 * The file behind guest memory (VMM_VM_MEMFD, VMM_VM_HUGE_PAGES or opts.memory_fd): guest-physical
 * address A of the RAM below the 32-bit hole is at offset A, RAM from 4 GiB on follows. -1: there
 * is none, or the VM is not built. Owned by the VM.
 */
VMM_API int vmm_vm_memory_fd(const vmm_vm_t *vm);

/* Stop it if it runs, release everything. VM may be NULL. */
VMM_API void vmm_vm_destroy(vmm_vm_t *vm);

/*
 * The detail of the last call on VM that failed, of those that the calling thread made; code VMM_OK
 * and no text where there is none. Never NULL; owned by the VM, valid until this thread's next call
 * on it. Any thread, from create to destroy. Where there is no memory for a further thread's detail
 * (some 600 bytes, kept until destroy), its calls fail without one.
 */
VMM_API const vmm_err_info_t *vmm_vm_error(const vmm_vm_t *vm);

typedef enum vmm_boot_protocol {
	VMM_BOOT_AUTO = 0,    /* by the file: bzImage, ELF with a PVH note, other ELF */
	VMM_BOOT_LINUX64 = 1, /* Linux x86 boot protocol, 64-bit entry */
	VMM_BOOT_PVH = 2,     /* Xen's direct boot ABI */
} vmm_boot_protocol_t;

/*
 * What to boot. Paths are opened at vmm_vm_build, descriptors are duplicated by the call; a
 * descriptor (not -1) takes precedence. IMAGE is a guest image (FIT), or a plain kernel.
 */
typedef struct vmm_boot_opts {
	size_t struct_size;
	vmm_boot_protocol_t protocol;
	const char *image; /* FIT image or kernel; excludes kernel */
	int image_fd;
	const char *kernel; /* bzImage or ELF */
	int kernel_fd;
	const char *initrd; /* takes the place of the image's ramdisk */
	int initrd_fd;
	const char
	        *cmdline; /* takes the place of the image's command line; NULL: none of its own */
} vmm_boot_opts_t;

#define VMM_BOOT_OPTS_INIT                                                               \
	{                                                                                \
		.struct_size = sizeof(vmm_boot_opts_t), .image_fd = -1, .kernel_fd = -1, \
		.initrd_fd = -1                                                          \
	}

/* VMM_E_STATE after build; VMM_E_INVAL: nothing to boot, or both an image and a kernel. */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_boot_set(vmm_vm_t *vm, const vmm_boot_opts_t *opts);

/*
 * Open, check and allocate everything; load the guest. Nothing of the guest has run afterwards. On
 * failure nothing is left behind and the VM can only be destroyed. Errors: those of every part,
 * with the field or file in vmm_vm_error.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_vm_build(vmm_vm_t *vm);

/* Let the guest run; returns at once. VMM_E_STATE unless built. */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_vm_start(vmm_vm_t *vm);

/* Stop the vCPUs between two instructions, and let them go on. Any thread. Both wait until it is
 * so. VMM_E_STATE unless running (pause) or paused (resume). */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_vm_pause(vmm_vm_t *vm);
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_vm_resume(vmm_vm_t *vm);

/* End it: vCPUs and event loop have left when it returns. Queued events can still be read. */
VMM_API void vmm_vm_stop(vmm_vm_t *vm);

/* Press the power button (ACPI). What follows is the guest's decision. Any thread. */
VMM_API void vmm_vm_power_button(vmm_vm_t *vm);

/* Reset the machine as its reset button would. Any thread; returns at once. Nothing happens before
 * the start and after the end; a paused VM is reset when it is resumed. */
VMM_API void vmm_vm_reset(vmm_vm_t *vm);

typedef enum vmm_event_kind {
	VMM_EVENT_POWER_OFF = 1,      /* the guest switched itself off; the vCPUs are halted */
	VMM_EVENT_RESET = 2,          /* reset: done in place, or the end with VMM_VM_NO_REBOOT */
	VMM_EVENT_TRIPLE_FAULT = 3,   /* halted; code: vCPU's exit reason */
	VMM_EVENT_INTERNAL_ERROR = 4, /* KVM cannot go on (emulation failed, ...); halted */
	VMM_EVENT_PANIC = 5,          /* the guest reported its panic (pvpanic); it goes on */
	VMM_EVENT_DEBUG_EXIT = 6,     /* the guest wrote CODE to the debug-exit port; halted */
	VMM_EVENT_HOST_ERROR = 7,     /* a host call failed while running; halted */
	VMM_EVENT_DEVICE_LOST = 8,    /* the host took a passed device back; it goes on */
} vmm_event_kind_t;

typedef struct vmm_event {
	vmm_event_kind_t kind;
	uint32_t vcpu;  /* which vCPU, where one caused it */
	uint32_t code;  /* debug-exit value, KVM sub-error, ... */
	bool final;     /* the guest will not run again */
	char text[384]; /* one or two sentences for a person */
} vmm_event_t;

/* A descriptor that is readable while events wait. Owned by the VM; from create to destroy. */
VMM_API int vmm_vm_event_fd(const vmm_vm_t *vm);

/* Take the oldest event; false if there is none. They come in the order in which they happened, and
 * none after a final one. Any thread. */
VMM_API bool vmm_vm_next_event(vmm_vm_t *vm, vmm_event_t *event);

#define VMM_EXIT_REASONS 64u

typedef struct vmm_stats {
	size_t struct_size; /* set by the caller */
	/* Boot stages, CLOCK_MONOTONIC ns, 0 if not reached. */
	uint64_t created_ns;
	uint64_t loaded_ns; /* guest memory made and the kernel in it */
	uint64_t built_ns;
	uint64_t started_ns;
	uint64_t first_exit_ns; /* the first KVM_RUN of vCPU 0 returned */
	uint64_t resets;
	uint64_t exits_total;
	uint64_t exits[VMM_EXIT_REASONS]; /* by KVM_EXIT_*; the last entry holds larger ones */
	uint64_t unclaimed;               /* port and MMIO accesses that nothing answered */
	uint64_t virtio_kicks;
	uint64_t virtio_interrupts;
	uint64_t guest_errors; /* rules that the guest's drivers broke */
} vmm_stats_t;

/* Counters so far; consistent enough for people. Any thread. VMM_E_INVAL: struct_size. */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_vm_stats(vmm_vm_t *vm, vmm_stats_t *stats);

/* The name of a KVM_EXIT_* number ("IO", "MMIO"), never NULL. */
VMM_API const char *vmm_exit_name(uint32_t reason);

/* The version of this library, "major.minor.patch". */
VMM_API const char *vmm_version(void);

#ifdef __cplusplus
}
#endif
#endif
