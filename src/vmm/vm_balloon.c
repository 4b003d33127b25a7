/* The memory balloon of a VM. */
#include "devices/virtio/balloon.h"
#include "errset.h"
#include "sized.h"
#include "vm_priv.h"
#include "vmm/balloon.h"

#define BALLOON_FLAGS_ALL (VMM_BALLOON_DEFLATE_ON_OOM | VMM_BALLOON_REPORTING)

static vmm_err_t check_opts(const vmm_vm_t *vm, const vmm_balloon_opts_t *o, vmm_err_info_t *ei)
{
	if (!sized_opts(o, sizeof(*o), ei))
		return VMM_E_INVAL;
	if (o->flags & ~BALLOON_FLAGS_ALL)
		return err_set(ei, VMM_E_INVAL, "flags", "0x%x has unknown bits", o->flags);
	if (o->target_bytes >= vm->opts.memory_bytes || o->target_bytes % MACHINE_PAGE_SIZE)
		return err_set(ei, VMM_E_INVAL, "target_bytes",
		               "%llu: must be whole pages of 4096 bytes, and less than the "
		               "guest's memory",
		               (unsigned long long)o->target_bytes);
	return VMM_OK;
}

vmm_err_t vmm_balloon_add(vmm_vm_t *vm, const vmm_balloon_opts_t *opts, vmm_balloon_t **balloon)
{
	vmm_err_info_t *ei = vm_error(vm);
	vmm_err_t err = vm_configurable(vm, "balloon");
	if (!err)
		err = check_opts(vm, opts, ei);
	if (err)
		return err;
	for (uint32_t i = 0; i < vm->virtio_count; i++)
		if (balloon_is(vm->virtio[i]))
			return err_set(ei, VMM_E_LIMIT, "balloon", "there is one already");
	struct vdev *vd;
	err = balloon_create(opts, vm->opts.memory_bytes, &vd, ei);
	if (!err)
		err = vm_add_virtio(vm, vd);
	if (!err && balloon)
		*balloon = (vmm_balloon_t *)vd;
	return err;
}

vmm_err_t vmm_balloon_set_target(vmm_balloon_t *balloon, uint64_t target_bytes)
{
	return balloon_set_target((struct vdev *)balloon, target_bytes) ? VMM_OK : VMM_E_INVAL;
}

vmm_err_t vmm_balloon_stats(vmm_balloon_t *balloon, vmm_balloon_stats_t *stats)
{
	if (!sized_info(stats, sizeof(*stats), NULL))
		return VMM_E_INVAL;
	balloon_stats((struct vdev *)balloon, stats);
	return VMM_OK;
}
