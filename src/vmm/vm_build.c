/*
 * Building a VM: open, check and allocate everything, then tell KVM. A machine reset takes KVM's
 * side down and up again (vm_kvm_down, vm_kvm_up), so that nothing of the old machine can remain.
 */
#include <errno.h>
#include <linux/virtio_mmio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "cpuid.h"
#include "devices/pci/host_bridge.h"
#include "errset.h"
#include "vm_boot.h"
#include "vm_priv.h"

static vmm_err_t check_cpus(vmm_vm_t *vm)
{
	long host = sysconf(_SC_NPROCESSORS_ONLN);
	if (host > 0 && vm->opts.cpus > (unsigned long)host)
		log_say(&vm->log, VMM_LOG_WARN,
		        "cpus: %u is more than the host has (%ld): they take turns, and spin locks "
		        "wait for whole turns",
		        vm->opts.cpus, host);
	if (vm->opts.cpus <= vm->caps.max_vcpus)
		return VMM_OK;
	return err_set(vm_error(vm), VMM_E_LIMIT, "cpus", "%u: KVM on this host allows %u",
	               vm->opts.cpus, vm->caps.max_vcpus);
}

/* A processor without HLT exits is what is asked for; MWAIT and PAUSE come along where they can. */
static vmm_err_t check_idle(vmm_vm_t *vm)
{
	if (!(vm->opts.flags & VMM_VM_GUEST_IDLE) ||
	    (vm->caps.idle_exits & KVM_X86_DISABLE_EXITS_HLT))
		return VMM_OK;
	return err_set(vm_error(vm), VMM_E_UNSUPPORTED, "idle",
	               "this host's KVM does not leave HLT to guests (KVM_CAP_X86_DISABLE_EXITS)");
}

static vmm_err_t make_memory(vmm_vm_t *vm)
{
	struct gmem_opts opts = {
	        .size_bytes = vm->opts.memory_bytes,
	        .huge_pages = vm->opts.flags & VMM_VM_HUGE_PAGES,
	        .prefault = vm->opts.flags & VMM_VM_PREFAULT,
	        .memfd = vm->opts.flags & VMM_VM_MEMFD,
	        .fd = vm->memory_fd_given,
	};
	return gmem_create(&opts, &vm->gm, vm_error(vm));
}

static vmm_err_t open_boot(vmm_vm_t *vm)
{
	if (!vm->boot_files)
		return err_set(vm_error(vm), VMM_E_STATE, "boot",
		               "there is nothing to boot: call vmm_boot_set first");
	vmm_err_t err =
	        vm_boot_open(vm->boot_files, vm->opts.memory_bytes, &vm->plan, vm_error(vm));
	if (!err)
		err = boot_check(&vm->plan, vm->opts.memory_bytes, vm_error(vm));
	return err;
}

/* A PCI bus, for those machines that have something to put on it: finding none is quicker. */
static vmm_err_t make_pci(vmm_vm_t *vm)
{
	vmm_err_info_t *ei = vm_error(vm);
	struct machine *m = &vm->machine;
	m->pci = vm->opts.transport == VMM_TRANSPORT_PCI || vm->vfio.count > 0;
	if (!m->pci)
		return VMM_OK;
	machine_set_pci_mem64(m, cpuid_phys_bits(vm->cpuid));
	vm->pci = calloc(1, sizeof(*vm->pci));
	if (!vm->pci)
		return err_set(ei, VMM_E_NOMEM, "pci", "out of memory");
	pci_bus_init(vm->pci, &vm->irq_chip);
	return host_bridge_add(vm->pci, ei);
}

static vmm_err_t add_virtio_to_pci(vmm_vm_t *vm, uint32_t i)
{
	vmm_err_info_t *ei = vm_error(vm);
	struct vdev *vd = vm->virtio[i];
	vmm_err_t err = vdev_attach(vd, vm->gm, vm->loop, &vm->log, &vpci_transport, ei);
	return err ? err : vpci_add(vm->pci, &vm->msi_routes, vd, &vm->vpci[i], ei);
}

static vmm_err_t add_virtio_to_bus(vmm_vm_t *vm, uint32_t i)
{
	vmm_err_info_t *ei = vm_error(vm);
	struct vdev *vd = vm->virtio[i];
	if (vm->opts.transport == VMM_TRANSPORT_PCI)
		return add_virtio_to_pci(vm, i);
	struct machine_virtio *where = &vm->machine.virtio[i];
	where->base = MACHINE_VIRTIO_MMIO + (uint64_t)i * MACHINE_VIRTIO_MMIO_SIZE;
	where->gsi = machine_virtio_gsi(i);
	vm->mmio[i] = (struct vregs){.vd = vd};
	vd->one_line = true;
	irq_line_on_chip(&vd->irq, where->gsi, &vm->irq_chip);
	vmm_err_t err = vdev_attach(vd, vm->gm, vm->loop, &vm->log, &vmmio_transport, ei);
	if (!err)
		err = bus_add(&vm->bus, BUS_MMIO, where->base, MACHINE_VIRTIO_MMIO_SIZE,
		              &vmmio_bus_ops, &vm->mmio[i], vd->id, ei);
	return err;
}

/* The whole machine, device by device. */
static vmm_err_t assemble(vmm_vm_t *vm)
{
	vmm_err_info_t *ei = vm_error(vm);
	struct machine *m = &vm->machine;
	*m = (struct machine){
	        .cpus = vm->opts.cpus,
	        .ram_bytes = vm->opts.memory_bytes,
	        .serial = vm->serial != NULL,
	        .rtc = true,
	        .i8042 = false, /* only its reset line exists; a driver must not probe it */
	        .acpi = !(vm->opts.flags & VMM_VM_NO_ACPI),
	        .virtio_count = vm->opts.transport == VMM_TRANSPORT_MMIO ? vm->virtio_count : 0,
	};
	irq_line_on_chip(&vm->power_button, MACHINE_GSI_POWER_BUTTON, &vm->irq_chip);
	vmm_err_t err = platform_add_to_bus(&vm->platform, &vm->bus, ei);
	if (!err)
		err = make_pci(vm);
	if (!err && vm->serial)
		err = serial_port_attach(vm->serial, &vm->bus, &vm->irq_chip, ei);
	for (uint32_t i = 0; !err && i < vm->virtio_count; i++)
		err = add_virtio_to_bus(vm, i);
	if (!err)
		err = vm_vfio_open(vm, ei);
	if (!err && vm->pci)
		err = pci_bus_attach(vm->pci, m, &vm->bus, ei);
	bus_freeze(&vm->bus);
	return err;
}

static vmm_err_t connect_virtio(vmm_vm_t *vm, uint32_t i, vmm_err_info_t *ei)
{
	const struct vdev *vd = vm->virtio[i];
	if (vm->vpci[i]) {
		vpci_set_vm(vm->vpci[i], vm->vm_fd);
		return VMM_OK;
	}
	struct kvm_doorbell notify = {
	        .addr = vm->machine.virtio[i].base + VIRTIO_MMIO_QUEUE_NOTIFY,
	        .len = 4,
	        .match = true,
	};
	vmm_err_t err = VMM_OK;
	for (uint32_t q = 0; !err && q < vd->queue_count; q++) {
		notify.data = q;
		err = kvm_ioeventfd(vm->vm_fd, vd->queue[q].kick_fd, &notify, true, ei);
	}
	return err;
}

static vmm_err_t connect_interrupts(vmm_vm_t *vm, vmm_err_info_t *ei)
{
	vmm_err_t err = VMM_OK;
	for (uint32_t i = 0; !err && i < vm->user_irq_count; i++)
		err = kvm_irqfd(vm->vm_fd, vm->user_irq[i].line.fd, vm->user_irq[i].line.gsi, ei);
	for (uint32_t i = 0; !err && i < vm->virtio_count; i++)
		err = connect_virtio(vm, i, ei);
	if (!err)
		err = vm_connect_user(vm, ei);
	return err;
}

vmm_err_t vm_kvm_up(vmm_vm_t *vm, vmm_err_info_t *ei)
{
	vmm_err_t err = kvm_vm_create(vm->kvm_fd, vm->gm, &vm->vm_fd, ei);
	if (!err && (vm->opts.flags & VMM_VM_GUEST_IDLE))
		err = kvm_leave_idle(vm->vm_fd, vm->caps.idle_exits, ei);
	for (uint32_t i = 0; !err && i < vm->vcpu_count; i++)
		err = vcpu_setup(&vm->vcpus[i], ei);
	if (!err)
		err = connect_interrupts(vm, ei);
	if (!err)
		irq_chip_set_vm(&vm->irq_chip, vm->vm_fd);
	if (!err)
		msi_routes_set_vm(&vm->msi_routes, vm->vm_fd);
	if (!err)
		err = vm_vfio_connect(vm, ei);
	if (!err)
		err = boot_load(&vm->plan, &vm->machine, vm->gm, &vm->entry, ei);
	if (!err)
		err = vcpu_set_entry(&vm->vcpus[0], &vm->entry, ei);
	return err;
}

void vm_kvm_down(vmm_vm_t *vm)
{
	vm_vfio_disconnect(vm);
	irq_chip_set_vm(&vm->irq_chip, -1);
	msi_routes_set_vm(&vm->msi_routes, -1);
	vm->coalesced = NULL; /* it lies in the first vCPU's area */
	vm->dirty_logging = false;
	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *v = &vm->vcpus[i];
		kvm_vcpu_close(v->fd, v->run, vm->caps.run_bytes);
		v->fd = -1;
		v->run = NULL;
	}
	if (vm->vm_fd >= 0)
		(void)close(vm->vm_fd);
	vm->vm_fd = -1;
}

static vmm_err_t make_vcpus(vmm_vm_t *vm)
{
	vm->vcpus = calloc(vm->opts.cpus, sizeof(*vm->vcpus));
	if (!vm->vcpus)
		return err_set(vm_error(vm), VMM_E_NOMEM, "cpus", "out of memory");
	vm->vcpu_count = vm->opts.cpus;
	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		vm->vcpus[i].vm = vm;
		vm->vcpus[i].id = i;
		vm->vcpus[i].fd = -1;
		for (unsigned space = 0; space < BUS_SPACES; space++)
			vm->vcpus[i].near[space] = vm->bus.range[space];
		if (!(vm->opts.flags & VMM_VM_PROFILE))
			continue;
		vm->vcpus[i].profile = profile_create();
		if (!vm->vcpus[i].profile)
			return err_set(vm_error(vm), VMM_E_NOMEM, "profile", "out of memory");
	}
	if (vm->opts.flags & VMM_VM_PROFILE)
		vm->profile_stat_fd = profile_stat_open();
	return VMM_OK;
}

vmm_err_t vmm_vm_build(vmm_vm_t *vm)
{
	vmm_err_info_t *ei = vm_error(vm);
	if (vm->state != VM_CREATED)
		return err_set(ei, VMM_E_STATE, "vm",
		               "only a VM that was created and not stopped can be built, and once");
	/* Whatever comes, it is built once: a failed build can only be destroyed. */
	vm->state = VM_STOPPED;
	vmm_err_t err = kvm_open(vm->kvm_path, vm->kvm_fd_given, &vm->kvm_fd, &vm->caps, ei);
	if (!err)
		err = check_cpus(vm);
	if (!err)
		err = check_idle(vm);
	if (!err)
		err = open_boot(vm);
	if (!err)
		err = make_memory(vm);
	if (!err)
		err = kvm_supported_cpuid(vm->kvm_fd, &vm->cpuid, ei);
	if (!err)
		err = assemble(vm);
	if (!err)
		err = vm_vfio_map(vm, ei);
	vm->loaded_ns = clock_now_ns();
	if (!err)
		err = make_vcpus(vm);
	if (!err)
		err = vm_kvm_up(vm, ei);
	if (err)
		return err;
	vm->built_ns = clock_now_ns();
	vm->state = VM_BUILT;
	return VMM_OK;
}
