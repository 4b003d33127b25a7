/*
 * Inside a VM: the state behind vmm_vm_t and what its parts call of each other.
 *
 * Threads: one per vCPU, one event loop, and those of the embedder.
 * Locks, outermost first: life_lock (state, gate, parked), then the PCI bus's, then a device's
 * lock, then event_lock, irq_chip.lock or msi_routes.lock. life_lock is never held while a thread
 * is joined or a vCPU's exit is handled.
 */
#ifndef SRC_VMM_VM_PRIV_H
#define SRC_VMM_VM_PRIV_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "boot/boot.h"
#include "bus.h"
#include "devices/pci/bus.h"
#include "devices/platform.h"
#include "devices/serial_port.h"
#include "devices/virtio/mmio.h"
#include "devices/virtio/pci.h"
#include "exit_profile.h"
#include "gmem.h"
#include "irq.h"
#include "kvm.h"
#include "logger.h"
#include "loop.h"
#include "machine.h"
#include "msi.h"
#include "vm_vfio.h"
#include "sandbox/filter.h"
#include "vmm/device.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

#define VM_EVENTS_MAX       32u
#define VM_USER_DEVICES_MAX 32u
#define VM_USER_IRQS_MAX    16u
#define VM_DOORBELLS_MAX    16u

enum vm_state {
	VM_CREATED,
	VM_BUILT,
	VM_RUNNING,
	VM_PAUSED,
	VM_HALTED,  /* a final event: vCPUs stand still for good */
	VM_STOPPED, /* threads have left */
};

/* What vCPU threads do when they come round their loop. */
enum vm_gate {
	GATE_OPEN,
	GATE_CLOSED, /* wait in vm_gate_wait */
	GATE_EXIT,   /* leave */
};

struct vcpu_stats {
	_Atomic uint64_t exits[VMM_EXIT_REASONS];
	_Atomic uint64_t unclaimed;
	_Atomic uint64_t first_exit_ns;
};

struct vcpu {
	vmm_vm_t *vm;
	uint32_t id;
	int fd;
	struct kvm_run *run;
	const struct bus_range *near[BUS_SPACES]; /* where its last access of each kind went */
	pthread_t thread;
	bool has_thread;
	/* Step mode: who to kick. */
	_Atomic bool stepping;
	_Atomic bool kick_wanted;
	bool mask_set;
	struct vcpu_stats stats;
	struct profile *profile; /* or NULL: not asked for */
	uint64_t guest_ns;       /* accounted to the guest when its thread left, or 0 */
};

struct vmm_irq {
	struct irq_line line;
};

struct user_device {
	char name[32];
	struct bus_ops ops;
	void *ctx;
	void (*reset)(void *ctx);
	enum bus_space space;
	uint64_t base;
	uint64_t len_bytes;
	bool coalesced;
};

struct user_doorbell {
	struct kvm_doorbell where;
	int fd;
};

struct user_msrs {
	struct kvm_msr_span span;
	bool (*read)(void *ctx, uint32_t msr, uint64_t *value);
	bool (*write)(void *ctx, uint32_t msr, uint64_t value);
	void *ctx;
};

/* What vmm_vm_error tells one thread. */
struct vm_error {
	pthread_t thread;
	vmm_err_info_t info;
	struct vm_error *next;
};

struct vmm_vm {
	/* Configuration. */
	vmm_vm_opts_t opts;
	char *name;
	char *kvm_path;
	int kvm_fd_given; /* duplicates of the embedder's descriptors, or -1 */
	int memory_fd_given;
	struct boot_files *boot_files;
	struct boot_plan plan;
	struct boot_entry entry;
	struct vm_error first_error;     /* of the thread that creates the VM */
	struct vm_error *_Atomic errors; /* a list, FIRST_ERROR at its end */
	struct log log;

	/* KVM and the machine. */
	int kvm_fd;
	int vm_fd;
	struct kvm_caps caps;
	struct kvm_cpuid2 *cpuid;
	struct gmem *gm;
	struct bus bus;
	struct machine machine;
	struct loop *loop;
	pthread_t loop_thread;
	bool has_loop_thread;
	uint32_t vcpu_count;
	struct vcpu *vcpus;

	/* Devices. */
	struct platform platform; /* i8042, RTC, ACPI registers, debug exit, pvpanic */
	struct serial_port *serial;
	struct irq_chip irq_chip; /* where virtio devices send their interrupts */
	struct irq_line power_button;
	uint32_t virtio_count;
	struct vdev *virtio[MACHINE_VIRTIO_MAX];
	struct vregs mmio[MACHINE_VIRTIO_MAX]; /* of those on mmio */
	struct vpci *vpci[MACHINE_VIRTIO_MAX]; /* of those on PCI */
	struct msi_routes msi_routes;
	struct pci_bus *pci; /* NULL: there is none */
	struct vm_vfio vfio;
	uint32_t user_count;
	struct user_device user[VM_USER_DEVICES_MAX];
	uint32_t user_irq_count;
	struct vmm_irq user_irq[VM_USER_IRQS_MAX];
	uint32_t doorbell_count;
	struct user_doorbell doorbell[VM_DOORBELLS_MAX];
	uint32_t msr_count;
	struct user_msrs msr[KVM_MSR_SPANS_MAX];
	/* KVM's ring of coalesced writes, one for the VM, or NULL: no device has it. */
	struct kvm_coalesced_mmio_ring *coalesced;
	pthread_mutex_t coalesced_lock; /* the ring's tail; outside of a device's lock */
	bool dirty_logging;

	/* Life. */
	pthread_mutex_t life_lock;
	pthread_cond_t life_cond;
	_Atomic int gate;
	enum vm_state state;
	uint32_t parked;
	struct loop_task reset_task;
	bool reset_wanted; /* under life_lock */
	_Atomic uint64_t resets;
	int kick_signal;
	struct sandbox_filters filters; /* which each thread loads first */
	bool host_net;                  /* a card's thread uses the host's sockets */

	/* Events. */
	pthread_mutex_t event_lock;
	int event_fd;
	unsigned event_head;
	unsigned event_count;
	bool event_final; /* nothing is told any more */
	vmm_event_t events[VM_EVENTS_MAX];

	/* Boot stages. */
	uint64_t created_ns;
	uint64_t loaded_ns;
	uint64_t built_ns;
	uint64_t started_ns;
	uint64_t stopped_ticks; /* when the vCPUs were told to leave, with a profile */
	int profile_stat_fd;    /* profile_stat_open, with a profile; or -1 */
};

/* vm_error.c */
void vm_error_init(vmm_vm_t *vm);
void vm_error_fini(vmm_vm_t *vm);
/* Where the calling thread's next failure tells its detail. NULL, for want of memory: nowhere. */
vmm_err_info_t *vm_error(vmm_vm_t *vm);

/* vm.c: the VM must be in state CREATED, or the error is set. */
VMM_WARN_UNUSED vmm_err_t vm_configurable(vmm_vm_t *vm, const char *what);
/* Take over a virtio model (destroyed with the VM, or at once on failure). */
VMM_WARN_UNUSED vmm_err_t vm_add_virtio(vmm_vm_t *vm, struct vdev *vd);

/* vm_build.c: everything that KVM knows of this VM, made and taken down; a reset does both. */
VMM_WARN_UNUSED vmm_err_t vm_kvm_up(vmm_vm_t *vm, vmm_err_info_t *ei);
void vm_kvm_down(vmm_vm_t *vm);

/* vm_user.c: the embedder's doorbells, registers and coalesced ranges. */
VMM_WARN_UNUSED vmm_err_t vm_connect_user(vmm_vm_t *vm, vmm_err_info_t *ei);
void vm_close_user(vmm_vm_t *vm);
/* Writes that KVM kept back reach their device, before what came after them. On a vCPU thread. */
void vm_take_coalesced(vmm_vm_t *vm);
/* The registers that hold MSR, or NULL. */
const struct user_msrs *vm_find_msr(const vmm_vm_t *vm, uint32_t msr);

/* vm_event.c */
void vm_post_event(vmm_vm_t *vm, const vmm_event_t *event);
void vm_post(vmm_vm_t *vm, vmm_event_kind_t kind, uint32_t vcpu, uint32_t code, bool final,
             const char *fmt, ...) VMM_PRINTF(6, 7);

/* vm_life.c */
/* Wait while the gate is closed. False: leave. On a vCPU thread. */
bool vm_gate_wait(vmm_vm_t *vm);
/* A new thread's first act: give up what it does not need. If it cannot, the VM is halted. */
void vm_confine_thread(vmm_vm_t *vm, enum sandbox_thread thread);
/* From a vCPU thread or a device operation on it: nobody runs any more; the event says why. */
void vm_halt(vmm_vm_t *vm, const vmm_event_t *event);
/* Platform devices ask for something that concerns the whole machine. On a vCPU thread. */
void vm_request(void *vm, enum platform_request what, uint32_t code);
/* On the loop: the reset that vm_request asked for. */
void vm_reset_task(void *vm);

/* vcpu.c */
VMM_WARN_UNUSED vmm_err_t vcpu_setup(struct vcpu *v, vmm_err_info_t *ei);
VMM_WARN_UNUSED vmm_err_t vcpu_set_entry(struct vcpu *v, const struct boot_entry *entry,
                                         vmm_err_info_t *ei);
void *vcpu_main(void *vcpu);
void vcpu_kick(struct vcpu *v);

/* exit_profile.c: keep what goes away with the vCPUs' threads. */
void profile_stopping(vmm_vm_t *vm);

/* exit.c: an access of any length up to 8: those that are no power of two go byte by byte. */
bool exit_access_bus(const struct bus *bus, enum bus_space space, uint64_t addr, uint8_t *data,
                     unsigned size, bool write);
/* Handle the exit that the vCPU's run page describes. */
void exit_dispatch(struct vcpu *v);
/* An event that tells why KVM cannot go on with V. */
void exit_describe_failure(struct vcpu *v, vmm_event_t *event);

#endif
