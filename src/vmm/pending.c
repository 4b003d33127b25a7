/* Devices that are not built yet answer so; each definition goes when its device comes. */
#include "vmm/balloon.h"
#include "vmm/console.h"
#include "vmm/disk.h"
#include "vmm/rng.h"

#include "errset.h"
#include "vm_priv.h"

#define PENDING __attribute__((weak))

PENDING vmm_err_t vmm_disk_add(vmm_vm_t *vm, const vmm_disk_opts_t *opts)
{
	(void)opts;
	return err_set(&vm->error, VMM_E_UNSUPPORTED, "disk", "not in this build");
}

PENDING vmm_err_t vmm_console_add(vmm_vm_t *vm, const vmm_console_opts_t *opts, vmm_console_t **out)
{
	(void)opts, (void)out;
	return err_set(&vm->error, VMM_E_UNSUPPORTED, "console", "not in this build");
}

PENDING void vmm_console_resize(vmm_console_t *console, uint16_t columns, uint16_t rows)
{
	(void)console, (void)columns, (void)rows;
}

PENDING const char *vmm_console_pty(const vmm_console_t *console, uint32_t port)
{
	(void)console, (void)port;
	return NULL;
}

PENDING vmm_err_t vmm_serial_set(vmm_vm_t *vm, const vmm_chardev_opts_t *chardev)
{
	return serial_port_create(chardev->in_fd, chardev->out_fd, &vm->serial, &vm->error);
}

PENDING const char *vmm_serial_pty(const vmm_vm_t *vm)
{
	(void)vm;
	return NULL;
}

PENDING vmm_err_t vmm_rng_add(vmm_vm_t *vm, const vmm_rng_opts_t *opts)
{
	(void)opts;
	return err_set(&vm->error, VMM_E_UNSUPPORTED, "rng", "not in this build");
}

PENDING vmm_err_t vmm_balloon_add(vmm_vm_t *vm, const vmm_balloon_opts_t *opts, vmm_balloon_t **out)
{
	(void)opts, (void)out;
	return err_set(&vm->error, VMM_E_UNSUPPORTED, "balloon", "not in this build");
}
