/* Guest memory as the embedder sees it: copies, pages given back, what the guest wrote. */
#include <errno.h>

#include "errset.h"
#include "vm_priv.h"

static vmm_err_t memory_error(vmm_vm_t *vm, uint64_t gpa, size_t len)
{
	return err_set(vm_error(vm), VMM_E_INVAL, "gpa",
	               "0x%llx + %zu is not all RAM, or the VM is not built",
	               (unsigned long long)gpa, len);
}

vmm_err_t vmm_memory_read(vmm_vm_t *vm, uint64_t gpa, void *dst, size_t len)
{
	if (!vm->gm || !gmem_read(vm->gm, (struct gpa){gpa}, dst, len))
		return memory_error(vm, gpa, len);
	return VMM_OK;
}

vmm_err_t vmm_memory_write(vmm_vm_t *vm, uint64_t gpa, const void *src, size_t len)
{
	if (!vm->gm || !gmem_write(vm->gm, (struct gpa){gpa}, src, len))
		return memory_error(vm, gpa, len);
	return VMM_OK;
}

vmm_err_t vmm_memory_discard(vmm_vm_t *vm, uint64_t gpa, uint64_t len)
{
	if (!vm->gm || gpa % MACHINE_PAGE_SIZE || len % MACHINE_PAGE_SIZE ||
	    !gmem_at(vm->gm, (struct gpa){gpa}, len))
		return memory_error(vm, gpa, len);
	if (!gmem_discard(vm->gm, (struct gpa){gpa}, len))
		return err_sys_as(vm_error(vm), VMM_E_NOMEM, errno, "memory",
		                  "the host does not take the pages back");
	return VMM_OK;
}

vmm_err_t vmm_dirty_log_set(vmm_vm_t *vm, bool on)
{
	if (vm->vm_fd < 0)
		return err_set(vm_error(vm), VMM_E_STATE, "vm", "the VM is not built");
	vmm_err_t err = kvm_dirty_log_set(vm->vm_fd, vm->gm, on, vm_error(vm));
	if (!err)
		vm->dirty_logging = on;
	return err;
}

vmm_err_t vmm_dirty_log_read(vmm_vm_t *vm, uint64_t *bitmap, size_t words)
{
	if (vm->vm_fd < 0 || !vm->dirty_logging)
		return err_set(vm_error(vm), VMM_E_STATE, "vm", "dirty logging is off");
	uint64_t pages = vm->opts.memory_bytes / MACHINE_PAGE_SIZE;
	if (words < (pages + 63) / 64)
		return err_set(vm_error(vm), VMM_E_INVAL, "words", "%zu: must be at least %llu",
		               words, (unsigned long long)((pages + 63) / 64));
	/* A region that another follows ends at a multiple of 64 pages (machine.h). */
	vmm_err_t err = VMM_OK;
	for (unsigned i = 0; !err && i < gmem_region_count(vm->gm); i++) {
		err = kvm_dirty_log_read(vm->vm_fd, i, bitmap, vm_error(vm));
		bitmap += gmem_region_at(vm->gm, i)->len_bytes / MACHINE_PAGE_SIZE / 64;
	}
	return err;
}
