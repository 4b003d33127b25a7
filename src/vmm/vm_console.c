/* The consoles of a VM: its serial port and its virtio consoles. */
#include <string.h>

#include "devices/virtio/console.h"
#include "errset.h"
#include "sized.h"
#include "vm_priv.h"
#include "vmm/console.h"

vmm_err_t vmm_serial_set(vmm_vm_t *vm, const vmm_chardev_opts_t *chardev)
{
	vmm_err_info_t *ei = vm_error(vm);
	vmm_err_t err = vm_configurable(vm, "serial");
	if (err)
		return err;
	if (!chardev)
		return err_set(ei, VMM_E_INVAL, "serial", "no character device is given");
	struct serial_port *port;
	err = serial_port_create(chardev, vm->loop, &vm->log, &port, ei);
	if (err)
		return err;
	if (vm->serial)
		serial_port_destroy(vm->serial);
	vm->serial = port;
	return VMM_OK;
}

const char *vmm_serial_pty(const vmm_vm_t *vm)
{
	return vm->serial ? serial_port_pty(vm->serial) : NULL;
}

static vmm_err_t check_port(const vmm_console_port_opts_t *p, uint32_t i, vmm_err_info_t *ei)
{
	size_t len = p->name ? strlen(p->name) : 1;
	if (len == 0 || len > CONSOLE_NAME_MAX || (p->name && strchr(p->name, '/')))
		return err_set(ei, VMM_E_INVAL, "console",
		               "the name of port %u must have 1 to %u bytes, none of them '/'", i,
		               CONSOLE_NAME_MAX);
	return VMM_OK;
}

static vmm_err_t check_console(const vmm_console_opts_t *o, vmm_err_info_t *ei)
{
	if (!sized_opts(o, sizeof(*o), ei))
		return VMM_E_INVAL;
	if (!o->ports || o->port_count == 0 || o->port_count > VMM_CONSOLE_PORTS_MAX)
		return err_set(ei, VMM_E_INVAL, "console", "%u ports: must be 1 to %u",
		               o->ports ? o->port_count : 0, VMM_CONSOLE_PORTS_MAX);
	vmm_err_t err = VMM_OK;
	for (uint32_t i = 0; !err && i < o->port_count; i++)
		err = check_port(&o->ports[i], i, ei);
	return err;
}

vmm_err_t vmm_console_add(vmm_vm_t *vm, const vmm_console_opts_t *opts, vmm_console_t **console)
{
	vmm_err_info_t *ei = vm_error(vm);
	vmm_err_t err = vm_configurable(vm, "console");
	if (!err)
		err = check_console(opts, ei);
	if (err)
		return err;
	unsigned index = 0;
	for (uint32_t i = 0; i < vm->virtio_count; i++)
		index += console_is(vm->virtio[i]);
	if (index == VMM_CONSOLES_MAX)
		return err_set(ei, VMM_E_LIMIT, "console", "more than %u consoles",
		               VMM_CONSOLES_MAX);
	struct vdev *vd;
	err = console_create(opts, index, vm->loop, &vm->log, &vd, ei);
	if (!err)
		err = vm_add_virtio(vm, vd);
	if (!err && console)
		*console = (vmm_console_t *)vd;
	return err;
}

void vmm_console_resize(vmm_console_t *console, uint16_t columns, uint16_t rows)
{
	console_resize((struct vdev *)console, columns, rows);
}

const char *vmm_console_pty(const vmm_console_t *console, uint32_t port)
{
	return console_pty((const struct vdev *)console, port);
}
