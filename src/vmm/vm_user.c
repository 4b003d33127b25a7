/*
 * What the embedder adds to the machine: bus devices, interrupt lines, doorbells (ioeventfd),
 * model-specific registers. Configured before build; vm_connect_user tells KVM.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "errset.h"
#include "sized.h"
#include "vm_priv.h"

vmm_err_t vmm_bus_device_add(vmm_vm_t *vm, const vmm_bus_device_opts_t *opts)
{
	vmm_err_info_t *ei = vm_error(vm);
	vmm_err_t err = vm_configurable(vm, "bus device");
	if (err)
		return err;
	if (!sized_opts(opts, sizeof(*opts), ei))
		return VMM_E_INVAL;
	if (!opts->read || !opts->write)
		return err_set(ei, VMM_E_INVAL, "bus device", "read or write is missing");
	if (opts->flags & ~VMM_BUS_COALESCED)
		return err_set(ei, VMM_E_INVAL, "flags", "0x%x has unknown bits", opts->flags);
	if ((opts->flags & VMM_BUS_COALESCED) && opts->space != VMM_SPACE_MMIO)
		return err_set(ei, VMM_E_INVAL, "flags", "only MMIO can be coalesced");
	if (vm->user_count == VM_USER_DEVICES_MAX)
		return err_set(ei, VMM_E_LIMIT, "bus device", "more than %u of them",
		               VM_USER_DEVICES_MAX);
	struct user_device *d = &vm->user[vm->user_count];
	(void)snprintf(d->name, sizeof(d->name), "%s", opts->name ? opts->name : "device");
	d->ops = (struct bus_ops){opts->read, opts->write};
	d->ctx = opts->ctx;
	d->reset = opts->reset;
	d->space = opts->space == VMM_SPACE_PIO ? BUS_PIO : BUS_MMIO;
	d->base = opts->base;
	d->len_bytes = opts->len_bytes;
	d->coalesced = opts->flags & VMM_BUS_COALESCED;
	err = bus_add(&vm->bus, d->space, d->base, d->len_bytes, &d->ops, d->ctx, d->name, ei);
	if (!err)
		vm->user_count++;
	return err;
}

vmm_err_t vmm_irq_add(vmm_vm_t *vm, uint32_t gsi, vmm_irq_t **irq)
{
	vmm_err_info_t *ei = vm_error(vm);
	vmm_err_t err = vm_configurable(vm, "irq");
	if (err)
		return err;
	if (!machine_gsi_is_for_devices(gsi))
		return err_set(ei, VMM_E_INVAL, "gsi",
		               "%u: must be 5 to 7, 10 to 12 or 16 to 23; the others are the "
		               "machine's own",
		               gsi);
	if (vm->user_irq_count == VM_USER_IRQS_MAX)
		return err_set(ei, VMM_E_LIMIT, "irq", "more than %u lines", VM_USER_IRQS_MAX);
	struct vmm_irq *line = &vm->user_irq[vm->user_irq_count];
	err = irq_line_open(&line->line, gsi, ei);
	if (err)
		return err;
	vm->user_irq_count++;
	*irq = line;
	return VMM_OK;
}

static bool good_length(uint32_t len)
{
	return len == 1 || len == 2 || len == 4 || len == 8;
}

vmm_err_t vmm_ioeventfd_add(vmm_vm_t *vm, const vmm_ioeventfd_opts_t *opts)
{
	vmm_err_info_t *ei = vm_error(vm);
	vmm_err_t err = vm_configurable(vm, "ioeventfd");
	if (err)
		return err;
	if (!sized_opts(opts, sizeof(*opts), ei))
		return VMM_E_INVAL;
	if (!good_length(opts->len_bytes))
		return err_set(ei, VMM_E_INVAL, "len_bytes", "%u: must be 1, 2, 4 or 8",
		               opts->len_bytes);
	if (vm->doorbell_count == VM_DOORBELLS_MAX)
		return err_set(ei, VMM_E_LIMIT, "ioeventfd", "more than %u of them",
		               VM_DOORBELLS_MAX);
	int fd = fcntl(opts->fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return err_sys_as(ei, VMM_E_INVAL, errno, "fd", "cannot duplicate descriptor %d",
		                  opts->fd);
	vm->doorbell[vm->doorbell_count++] = (struct user_doorbell){
	        .where = {.pio = opts->space == VMM_SPACE_PIO,
	                  .addr = opts->address,
	                  .len = opts->len_bytes,
	                  .match = opts->match,
	                  .data = opts->data},
	        .fd = fd,
	};
	return VMM_OK;
}

vmm_err_t vmm_msr_add(vmm_vm_t *vm, const vmm_msr_opts_t *opts)
{
	vmm_err_info_t *ei = vm_error(vm);
	vmm_err_t err = vm_configurable(vm, "msr");
	if (err)
		return err;
	if (!sized_opts(opts, sizeof(*opts), ei))
		return VMM_E_INVAL;
	if (!opts->read || !opts->write)
		return err_set(ei, VMM_E_INVAL, "msr", "read or write is missing");
	if (opts->count == 0 || opts->count > VMM_MSRS_MAX ||
	    opts->count - 1 > UINT32_MAX - opts->first)
		return err_set(ei, VMM_E_INVAL, "count",
		               "%u registers from 0x%x: must be 1 to %u and not wrap", opts->count,
		               opts->first, VMM_MSRS_MAX);
	if (vm->msr_count == KVM_MSR_SPANS_MAX)
		return err_set(ei, VMM_E_LIMIT, "msr", "more than %u ranges", KVM_MSR_SPANS_MAX);
	vm->msr[vm->msr_count++] = (struct user_msrs){
	        .span = {opts->first, opts->count},
	        .read = opts->read,
	        .write = opts->write,
	        .ctx = opts->ctx,
	};
	return VMM_OK;
}

const struct user_msrs *vm_find_msr(const vmm_vm_t *vm, uint32_t msr)
{
	for (uint32_t i = 0; i < vm->msr_count; i++)
		if (msr - vm->msr[i].span.first < vm->msr[i].span.count)
			return &vm->msr[i];
	return NULL;
}

static vmm_err_t connect_msrs(vmm_vm_t *vm, vmm_err_info_t *ei)
{
	if (vm->msr_count == 0)
		return VMM_OK;
	if (!vm->caps.msr_exits)
		return err_set(ei, VMM_E_UNSUPPORTED, "msr",
		               "this host's KVM lacks KVM_CAP_X86_USER_SPACE_MSR or "
		               "KVM_CAP_X86_MSR_FILTER");
	struct kvm_msr_span spans[KVM_MSR_SPANS_MAX];
	for (uint32_t i = 0; i < vm->msr_count; i++)
		spans[i] = vm->msr[i].span;
	return kvm_filter_msrs(vm->vm_fd, spans, vm->msr_count, ei);
}

static vmm_err_t connect_coalesced(vmm_vm_t *vm, vmm_err_info_t *ei)
{
	vmm_err_t err = VMM_OK;
	vm->coalesced = NULL;
	for (uint32_t i = 0; !err && i < vm->user_count; i++) {
		const struct user_device *d = &vm->user[i];
		if (!d->coalesced)
			continue;
		if (vm->caps.coalesced_bytes == 0)
			return err_set(ei, VMM_E_UNSUPPORTED, d->name,
			               "this host's KVM lacks KVM_CAP_COALESCED_MMIO");
		err = kvm_coalesce_mmio(vm->vm_fd, d->base, d->len_bytes, ei);
		vm->coalesced = (void *)((uint8_t *)vm->vcpus[0].run + vm->caps.coalesced_bytes);
	}
	return err;
}

vmm_err_t vm_connect_user(vmm_vm_t *vm, vmm_err_info_t *ei)
{
	vmm_err_t err = VMM_OK;
	for (uint32_t i = 0; !err && i < vm->doorbell_count; i++)
		err = kvm_ioeventfd(vm->vm_fd, vm->doorbell[i].fd, &vm->doorbell[i].where, true,
		                    ei);
	if (!err)
		err = connect_msrs(vm, ei);
	if (!err)
		err = connect_coalesced(vm, ei);
	return err;
}

void vm_close_user(vmm_vm_t *vm)
{
	for (uint32_t i = 0; i < vm->doorbell_count; i++)
		(void)close(vm->doorbell[i].fd);
	vm->doorbell_count = 0;
}

void vm_take_coalesced(vmm_vm_t *vm)
{
	struct kvm_coalesced_mmio_ring *ring = vm->coalesced;
	const uint32_t room =
	        (MACHINE_PAGE_SIZE - sizeof(*ring)) / sizeof(struct kvm_coalesced_mmio);
	(void)pthread_mutex_lock(&vm->coalesced_lock);
	/* Bounded: other vCPUs may go on filling it. The acquire pairs with KVM's barrier between
	 * an entry and LAST, the release with its look at FIRST. */
	for (uint32_t n = 0; n < room; n++) {
		uint32_t first = ring->first;
		if (first >= room || first == __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE))
			break;
		const struct kvm_coalesced_mmio *e = &ring->coalesced_mmio[first];
		uint8_t data[8];
		memcpy(data, e->data, sizeof(data));
		uint32_t len = e->len <= sizeof(data) ? e->len : sizeof(data);
		(void)exit_access_bus(&vm->bus, BUS_MMIO, e->phys_addr, data, len, true);
		__atomic_store_n(&ring->first, (first + 1) % room, __ATOMIC_RELEASE);
	}
	(void)pthread_mutex_unlock(&vm->coalesced_lock);
}
