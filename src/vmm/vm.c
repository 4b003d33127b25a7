/* A VM's handle: creation, configuration, destruction, counters. */
#include "vmm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"
#include "errset.h"
#include "sized.h"
#include "vm_boot.h"
#include "vm_priv.h"

#define VM_FLAGS_ALL                                                                             \
	(VMM_VM_HUGE_PAGES | VMM_VM_PREFAULT | VMM_VM_NO_REBOOT | VMM_VM_STEP | VMM_VM_NO_ACPI | \
	 VMM_VM_MEMFD | VMM_VM_KICK_HANDLED | VMM_VM_PROFILE | VMM_VM_GUEST_IDLE)

static vmm_err_t check_opts(const vmm_vm_opts_t *opts, vmm_err_info_t *ei)
{
	if (!sized_opts(opts, sizeof(*opts), ei))
		return VMM_E_INVAL;
	if (opts->cpus == 0 || opts->cpus > VMM_CPUS_MAX)
		return err_set(ei, VMM_E_INVAL, "cpus", "%u: must be 1 to %u", opts->cpus,
		               VMM_CPUS_MAX);
	if (opts->flags & ~VM_FLAGS_ALL)
		return err_set(ei, VMM_E_INVAL, "flags", "0x%x has unknown bits", opts->flags);
	if (opts->transport != VMM_TRANSPORT_MMIO && opts->transport != VMM_TRANSPORT_PCI)
		return err_set(ei, VMM_E_INVAL, "transport", "%d is none of vmm_transport_t",
		               (int)opts->transport);
	int signo = opts->kick_signal;
	if (signo != 0 && (signo < SIGRTMIN || signo > SIGRTMAX))
		return err_set(ei, VMM_E_INVAL, "kick_signal", "%d: must be %d to %d, or 0", signo,
		               SIGRTMIN, SIGRTMAX);
	return VMM_OK;
}

static int duplicate(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static vmm_err_t take_opts(vmm_vm_t *vm, const vmm_vm_opts_t *opts, vmm_err_info_t *ei)
{
	vm->opts = *opts;
	vm->kick_signal = opts->kick_signal ? opts->kick_signal : SIGRTMIN + 1;
	vm->log = (struct log){.fn = opts->log, .ctx = opts->log_ctx, .level = opts->log_level};
	vm->name = strdup(opts->name ? opts->name : "vm");
	vm->kvm_path = strdup(opts->kvm_path ? opts->kvm_path : "/dev/kvm");
	vm->kvm_fd_given = duplicate(opts->kvm_fd);
	vm->memory_fd_given = duplicate(opts->memory_fd);
	vm->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!vm->name || !vm->kvm_path)
		return err_set(ei, VMM_E_NOMEM, "vm", "out of memory");
	if (vm->event_fd < 0)
		return err_sys(ei, errno, "vm", "cannot make its event descriptor");
	if ((opts->kvm_fd >= 0 && vm->kvm_fd_given < 0) ||
	    (opts->memory_fd >= 0 && vm->memory_fd_given < 0))
		return err_sys(ei, errno, "kvm_fd, memory_fd", "cannot duplicate the descriptor");
	return VMM_OK;
}

vmm_err_t vmm_vm_create(const vmm_vm_opts_t *opts, vmm_vm_t **out, vmm_err_info_t *ei)
{
	*out = NULL;
	vmm_err_t err = check_opts(opts, ei);
	if (err)
		return err;
	vmm_vm_t *vm = calloc(1, sizeof(*vm));
	if (!vm)
		return err_set(ei, VMM_E_NOMEM, "vm", "out of memory");
	vm_error_init(vm);
	vm->created_ns = clock_now_ns();
	vm->kvm_fd = vm->vm_fd = vm->event_fd = vm->profile_stat_fd = -1;
	vm->kvm_fd_given = vm->memory_fd_given = -1;
	vm->power_button.fd = -1; /* until it is built */
	(void)pthread_mutex_init(&vm->life_lock, NULL);
	(void)pthread_cond_init(&vm->life_cond, NULL);
	(void)pthread_mutex_init(&vm->event_lock, NULL);
	(void)pthread_mutex_init(&vm->coalesced_lock, NULL);
	irq_chip_init(&vm->irq_chip);
	msi_routes_init(&vm->msi_routes);
	vm_vfio_init(&vm->vfio);
	platform_init(&vm->platform, vm_request, vm);
	vm->reset_task = (struct loop_task){.run = vm_reset_task, .ctx = vm};
	err = take_opts(vm, opts, ei);
	if (!err)
		err = loop_create(&vm->loop, ei);
	if (err) {
		vmm_vm_destroy(vm);
		return err;
	}
	*out = vm;
	return VMM_OK;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

void vmm_vm_destroy(vmm_vm_t *vm)
{
	if (!vm)
		return;
	vmm_vm_stop(vm);
	vm_kvm_down(vm);
	for (uint32_t i = 0; i < vm->virtio_count; i++)
		vm->virtio[i]->ops->destroy(vm->virtio[i]);
	if (vm->pci)
		pci_bus_fini(vm->pci);
	free(vm->pci);
	vm_vfio_fini(&vm->vfio);
	if (vm->serial)
		serial_port_destroy(vm->serial);
	for (uint32_t i = 0; i < vm->user_irq_count; i++)
		irq_line_close(&vm->user_irq[i].line);
	vm_close_user(vm);
	platform_fini(&vm->platform);
	vm_boot_close(vm->boot_files);
	loop_destroy(vm->loop);
	gmem_destroy(vm->gm);
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		profile_destroy(vm->vcpus[i].profile);
	free(vm->vcpus);
	free(vm->cpuid);
	close_fd(vm->kvm_fd);
	close_fd(vm->kvm_fd_given);
	close_fd(vm->memory_fd_given);
	close_fd(vm->event_fd);
	close_fd(vm->profile_stat_fd);
	(void)pthread_mutex_destroy(&vm->life_lock);
	(void)pthread_cond_destroy(&vm->life_cond);
	(void)pthread_mutex_destroy(&vm->event_lock);
	(void)pthread_mutex_destroy(&vm->coalesced_lock);
	irq_chip_fini(&vm->irq_chip);
	msi_routes_fini(&vm->msi_routes);
	free(vm->name);
	free(vm->kvm_path);
	vm_error_fini(vm);
	free(vm);
}

int vmm_vm_memory_fd(const vmm_vm_t *vm)
{
	return vm->gm ? gmem_fd(vm->gm) : -1;
}

vmm_err_t vm_configurable(vmm_vm_t *vm, const char *what)
{
	if (vm->state == VM_CREATED)
		return VMM_OK;
	return err_set(vm_error(vm), VMM_E_STATE, what, "the VM is built; configure it before");
}

vmm_err_t vmm_boot_set(vmm_vm_t *vm, const vmm_boot_opts_t *opts)
{
	vmm_err_t err = vm_configurable(vm, "boot");
	if (err)
		return err;
	struct boot_files *files;
	err = vm_boot_take(opts, &files, vm_error(vm));
	if (err)
		return err;
	vm_boot_close(vm->boot_files);
	vm->boot_files = files;
	return VMM_OK;
}

vmm_err_t vm_add_virtio(vmm_vm_t *vm, struct vdev *vd)
{
	if (vm->virtio_count == MACHINE_VIRTIO_MAX) {
		vd->ops->destroy(vd);
		return err_set(vm_error(vm), VMM_E_LIMIT, "devices", "more than %u virtio devices",
		               MACHINE_VIRTIO_MAX);
	}
	vm->virtio[vm->virtio_count++] = vd;
	return VMM_OK;
}

void vmm_irq_pulse(vmm_irq_t *irq)
{
	irq_pulse(&irq->line);
}

vmm_err_t vmm_msi_send(vmm_vm_t *vm, uint64_t address, uint32_t data)
{
	vmm_err_info_t *ei = vm_error(vm);
	/* A reset replaces the KVM side while it holds this lock. */
	(void)pthread_mutex_lock(&vm->life_lock);
	vmm_err_t err = vm->vm_fd < 0 ? err_set(ei, VMM_E_STATE, "vm", "the VM is not built")
	                              : kvm_signal_msi(vm->vm_fd, address, data, ei);
	(void)pthread_mutex_unlock(&vm->life_lock);
	return err;
}

vmm_err_t vmm_vm_stats(vmm_vm_t *vm, vmm_stats_t *stats)
{
	if (!sized_info(stats, sizeof(*stats), vm_error(vm)))
		return VMM_E_INVAL;
	*stats = (vmm_stats_t){
	        .struct_size = sizeof(*stats),
	        .created_ns = vm->created_ns,
	        .loaded_ns = vm->loaded_ns,
	        .built_ns = vm->built_ns,
	        .started_ns = vm->started_ns,
	        .resets = atomic_load(&vm->resets),
	};
	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		const struct vcpu_stats *s = &vm->vcpus[i].stats;
		for (uint32_t r = 0; r < VMM_EXIT_REASONS; r++) {
			uint64_t n = atomic_load_explicit(&s->exits[r], memory_order_relaxed);
			stats->exits[r] += n;
			stats->exits_total += n;
		}
		stats->unclaimed += atomic_load_explicit(&s->unclaimed, memory_order_relaxed);
	}
	if (vm->vcpu_count > 0)
		stats->first_exit_ns = atomic_load(&vm->vcpus[0].stats.first_exit_ns);
	for (uint32_t i = 0; i < vm->virtio_count; i++) {
		const struct vdev_stats *s = &vm->virtio[i]->stats;
		stats->virtio_kicks += atomic_load(&s->kicks);
		stats->virtio_interrupts += atomic_load(&s->interrupts);
		stats->guest_errors += atomic_load(&s->guest_errors);
	}
	return VMM_OK;
}

const char *vmm_version(void)
{
	return VMM_VERSION_STRING;
}
