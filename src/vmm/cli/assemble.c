/* A configuration becomes a VM. See assemble.h. */
#include "assemble.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmm/image.h"

/* Which option to look at, in front of libvmm's own words. */
static vmm_err_t at_option(vmm_err_t err, const char *option, const vmm_vm_t *vm,
                           vmm_err_info_t *ei)
{
	if (!err)
		return VMM_OK;
	const vmm_err_info_t *detail = vmm_vm_error(vm);
	*ei = *detail;
	char field[sizeof(ei->field)];
	(void)snprintf(field, sizeof(field), "%s: %.40s", option, detail->field);
	(void)snprintf(ei->field, sizeof(ei->field), "%s", field);
	return err;
}

/* What the image says of the machine, where the user said nothing. */
static vmm_err_t take_defaults(struct run_config *c, vmm_err_info_t *ei)
{
	if (!c->boot.image || (c->memory_given && c->cpus_given) || !vmm_image_is(c->boot.image))
		return VMM_OK;
	vmm_image_info_t *info = calloc(1, sizeof(*info));
	if (!info) {
		*ei = (vmm_err_info_t){.code = VMM_E_NOMEM, .field = "image"};
		return VMM_E_NOMEM;
	}
	info->struct_size = sizeof(*info);
	vmm_err_t err = vmm_image_inspect(c->boot.image, info, ei);
	if (!err && info->memory_bytes && !c->memory_given)
		c->vm.memory_bytes = info->memory_bytes;
	if (!err && info->cpus && !c->cpus_given)
		c->vm.cpus = info->cpus;
	free(info);
	return err;
}

static void use_stdio(struct port_config *port, int stdin_fd)
{
	if (!port->stdio)
		return;
	port->opts.chardev.in_fd = stdin_fd;
	port->opts.chardev.out_fd = STDOUT_FILENO;
}

static vmm_err_t add_consoles(struct run_config *c, int stdin_fd, struct machine_parts *parts)
{
	if (c->console_count == 0)
		return VMM_OK;
	vmm_console_port_opts_t ports[VMM_CONSOLE_PORTS_MAX];
	for (uint32_t i = 0; i < c->console_count; i++) {
		use_stdio(&c->console[i], stdin_fd);
		ports[i] = c->console[i].opts;
	}
	vmm_console_opts_t opts = VMM_CONSOLE_OPTS_INIT;
	opts.ports = ports;
	opts.port_count = c->console_count;
	struct winsize size;
	if (c->console[0].stdio && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
		opts.columns = size.ws_col;
		opts.rows = size.ws_row;
	}
	return vmm_console_add(parts->vm, &opts, &parts->console);
}

static vmm_err_t add_ports(struct run_config *c, int stdin_fd, struct machine_parts *parts,
                           vmm_err_info_t *ei)
{
	vmm_err_t err = VMM_OK;
	use_stdio(&c->serial, stdin_fd);
	if (c->serial.given && !c->serial.none)
		err = at_option(vmm_serial_set(parts->vm, &c->serial.opts.chardev), "--serial",
		                parts->vm, ei);
	if (!err)
		err = at_option(add_consoles(c, stdin_fd, parts), "--console", parts->vm, ei);
	return err;
}

#define PAGE_PORT_FIRST 8080u
#define PAGE_PORT_LAST  8089u

/* The network that the shipped guest has if nothing was said; its page is at a port of the host's
 * loopback, the first one that is free. */
static vmm_err_t add_default_net(struct run_config *c, vmm_vm_t *vm)
{
	vmm_net_opts_t net = VMM_NET_OPTS_INIT;
	char rule[48];
	const char *const rules[] = {rule};
	net.flags = VMM_NET_USER;
	net.hostfwd = rules;
	net.hostfwd_count = 1;
	for (unsigned port = PAGE_PORT_FIRST; port <= PAGE_PORT_LAST; port++) {
		(void)snprintf(rule, sizeof(rule), "tcp:127.0.0.1:%u-:80", port);
		vmm_err_t err = vmm_net_add(vm, &net, NULL);
		if (!err)
			c->page_port = (uint16_t)port;
		if (err != VMM_E_BUSY)
			return err;
	}
	net.hostfwd_count = 0;
	return vmm_net_add(vm, &net, NULL);
}

static vmm_err_t add_devices(struct run_config *c, struct machine_parts *parts, vmm_err_info_t *ei)
{
	vmm_vm_t *vm = parts->vm;
	vmm_err_t err = VMM_OK;
	for (uint32_t i = 0; !err && i < c->disk_count; i++)
		err = at_option(vmm_disk_add(vm, &c->disk[i]), "--disk", vm, ei);
	for (uint32_t i = 0; !err && i < c->net_count; i++)
		err = at_option(vmm_net_add(vm, &c->net[i], NULL), "--net", vm, ei);
	if (!err && c->shipped && !c->net_given)
		err = at_option(add_default_net(c, vm), "--net", vm, ei);
	for (uint32_t i = 0; !err && i < c->vfio_count; i++)
		err = at_option(vmm_vfio_add(vm, &c->vfio[i]), "--vfio", vm, ei);
	if (!err && c->rng)
		err = at_option(vmm_rng_add(vm, &c->rng_opts), "--rng", vm, ei);
	if (!err && c->balloon)
		err = at_option(vmm_balloon_add(vm, &c->balloon_opts, NULL), "--balloon", vm, ei);
	return err;
}

vmm_err_t assemble(struct run_config *c, int stdin_fd, vmm_log_fn log, void *log_ctx,
                   struct machine_parts *parts, vmm_err_info_t *ei)
{
	*parts = (struct machine_parts){0};
	c->vm.log = log;
	c->vm.log_ctx = log_ctx;
	c->vm.transport = config_transport(c);
	vmm_err_t err = take_defaults(c, ei);
	if (!err)
		err = vmm_vm_create(&c->vm, &parts->vm, ei);
	if (err)
		return err;
	vmm_vm_t *vm = parts->vm;
	err = vmm_boot_set(vm, &c->boot);
	if (err) {
		*ei = *vmm_vm_error(vm);
		return err;
	}
	err = add_ports(c, stdin_fd, parts, ei);
	if (!err)
		err = add_devices(c, parts, ei);
	if (err)
		return err;
	err = vmm_vm_build(vm);
	if (err)
		*ei = *vmm_vm_error(vm);
	return err;
}

void assemble_announce(const struct run_config *c, const struct machine_parts *parts, FILE *out,
                       const char *eol)
{
	if (c->page_port)
		(void)fprintf(out, "vmm: the guest's page: http://127.0.0.1:%u/%s", c->page_port,
		              eol);
	if (c->serial.opts.chardev.kind == VMM_CHARDEV_PTY)
		(void)fprintf(out, "vmm: serial: %s%s", vmm_serial_pty(parts->vm), eol);
	for (uint32_t i = 0; i < c->console_count; i++)
		if (c->console[i].opts.chardev.kind == VMM_CHARDEV_PTY)
			(void)fprintf(out, "vmm: console %u: %s%s", i,
			              vmm_console_pty(parts->console, i), eol);
}
