/* Devices that are not built yet answer so; each definition goes when its device comes. */
#include "errset.h"
#include "vm_priv.h"
#include "vmm/disk.h"

#define PENDING __attribute__((weak))

PENDING vmm_err_t vmm_disk_add(vmm_vm_t *vm, const vmm_disk_opts_t *opts)
{
	(void)opts;
	return err_set(&vm->error, VMM_E_UNSUPPORTED, "disk", "not in this build");
}
