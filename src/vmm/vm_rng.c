/* The entropy source of a VM. */
#include "devices/virtio/rng.h"
#include "errset.h"
#include "sized.h"
#include "vm_priv.h"
#include "vmm/rng.h"

vmm_err_t vmm_rng_add(vmm_vm_t *vm, const vmm_rng_opts_t *opts)
{
	vmm_err_info_t *ei = vm_error(vm);
	vmm_err_t err = vm_configurable(vm, "rng");
	if (err)
		return err;
	if (!sized_opts(opts, sizeof(*opts), ei))
		return VMM_E_INVAL;
	for (uint32_t i = 0; i < vm->virtio_count; i++)
		if (rng_is(vm->virtio[i]))
			return err_set(ei, VMM_E_LIMIT, "rng", "there is one already");
	uint64_t rate = opts->bytes_per_second ? opts->bytes_per_second : VMM_RNG_RATE_DEFAULT;
	struct vdev *vd;
	err = rng_create(rate, opts->burst_bytes ? opts->burst_bytes : rate, &vd, ei);
	return err ? err : vm_add_virtio(vm, vd);
}
