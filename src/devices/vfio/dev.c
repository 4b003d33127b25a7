/* A passed device: opening, config space, reset, loss. See dev.h. */
#include "devices/vfio/dev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "devices/vfio/dev_priv.h"
#include "vmm/errset.h"

const char *vfio_dev_address(const struct vfio_dev *v)
{
	return v->host.address;
}

struct pci_func *vfio_dev_func(struct vfio_dev *v)
{
	return &v->f;
}

/* Config space. */

static uint32_t config_read(struct pci_func *f, uint32_t offset, unsigned size, uint32_t value)
{
	struct vfio_dev *v = vfio_of(f);
	const struct vfio_sys *s = v->place->sys;
	uint32_t mask = 0;
	for (unsigned i = 0; i < size; i++)
		mask |= (uint32_t)v->pass[offset + i] << (8 * i);
	if (v->gone)
		return UINT32_MAX;
	if (mask == 0 || offset >= v->config_bytes)
		return value;
	uint32_t own = 0;
	if (s->pread(s->ctx, v->fd, &own, size, v->config_offset + offset) != (ssize_t)size)
		return UINT32_MAX;
	return (value & ~mask) | (own & mask);
}

/* The host's command register: the guest's, but the BARs always answer. See func.h. */
static void write_command(struct vfio_dev *v)
{
	const struct vfio_sys *s = v->place->sys;
	uint16_t command = (uint16_t)pci_config_get(&v->f, PCI_COMMAND, 2);
	command |= PCI_COMMAND_MEMORY | PCI_COMMAND_IO;
	(void)s->pwrite(s->ctx, v->fd, &command, sizeof(command), v->config_offset + PCI_COMMAND);
}

static void config_written(struct pci_func *f, uint32_t offset, unsigned size, uint32_t value)
{
	struct vfio_dev *v = vfio_of(f);
	const struct vfio_sys *s = v->place->sys;
	if (v->gone)
		return;
	if (offset < PCI_COMMAND + 2 && offset + size > PCI_COMMAND)
		write_command(v);
	vfio_irqs_config_written(v, offset, size);
	/* The device's own bytes, in one piece where they are one: some registers need it. */
	unsigned i = 0;
	while (i < size && offset < v->config_bytes) {
		unsigned n = 0;
		while (i + n < size && v->pass[offset + i + n])
			n++;
		uint32_t part = value >> (8 * i);
		if (n > 0)
			(void)s->pwrite(s->ctx, v->fd, &part, n, v->config_offset + offset + i);
		i += n + 1;
	}
}

/* Life. */

/* Functions without a reset of their own: the kernel still takes bus mastering away at close. */
static void reset_host(struct vfio_dev *v)
{
	if (v->can_reset && !v->gone && vfio_call(v, VFIO_DEVICE_RESET, NULL) < 0)
		log_guest(v->place->log, VMM_LOG_WARN, "%s: the device cannot be reset",
		          v->host.address);
}

static void reset(struct pci_func *f)
{
	struct vfio_dev *v = vfio_of(f);
	vfio_irqs_off(v);
	reset_host(v);
	/* The bus puts config space back when this returns: the command is 0 then. */
	pci_config_set(f, PCI_COMMAND, 2, 0);
	if (!v->gone)
		write_command(v);
}

void vfio_dev_set_vm(struct vfio_dev *v, int vm_fd)
{
	v->vm_fd = vm_fd;
	if (vm_fd >= 0)
		vfio_irqs_start(v);
}

static void close_device(struct vfio_dev *v)
{
	if (v->fd >= 0)
		vfio_iommu_close(v->place->iommu, v->fd);
	v->fd = -1;
}

static void destroy(struct pci_func *f)
{
	struct vfio_dev *v = vfio_of(f);
	if (v->request_fd >= 0) {
		loop_del(v->place->loop, &v->request);
		(void)close(v->request_fd);
	}
	vfio_irqs_fini(v);
	vfio_bars_fini(v);
	if (v->fd >= 0)
		reset_host(v);
	close_device(v);
	(void)pthread_rwlock_destroy(&v->access);
	free(v);
}

/*
 * The host wants the device back (its driver is unbound, or it was unplugged), and waits. The guest
 * keeps a function that answers with all ones, as one that is pulled does.
 */
static void requested(void *ctx, uint32_t events)
{
	struct vfio_dev *v = ctx;
	(void)events;
	if (v->gone)
		return;
	struct pci_bus *bus = v->f.bus;
	(void)pthread_mutex_lock(&bus->lock);
	(void)pthread_rwlock_wrlock(&v->access);
	vfio_irqs_off(v);
	v->gone = true;
	vfio_bars_fini(v);
	close_device(v);
	(void)pthread_rwlock_unlock(&v->access);
	(void)pthread_mutex_unlock(&bus->lock);
	v->place->lost(v->place->ctx, v->host.address,
	               "the host took the device back; the guest goes on without it");
}

/* Old kernels do not tell; then unbinding waits until the VM ends. */
static vmm_err_t watch_request(struct vfio_dev *v, vmm_err_info_t *ei)
{
	v->request_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->request_fd < 0)
		return err_sys(ei, errno, v->host.address, "cannot make an eventfd");
	v->request = (struct loop_source){.fd = v->request_fd, .ready = requested, .ctx = v};
	struct {
		struct vfio_irq_set head;
		int32_t fd;
	} set = {.head = {.argsz = sizeof(set),
	                  .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
	                  .index = VFIO_PCI_REQ_IRQ_INDEX,
	                  .count = 1},
	         .fd = v->request_fd};
	(void)vfio_call(v, VFIO_DEVICE_SET_IRQS, &set);
	return loop_add(v->place->loop, &v->request, EPOLLIN | EPOLLET, ei);
}

static vmm_err_t read_device(struct vfio_dev *v, vmm_err_info_t *ei)
{
	struct vfio_device_info info = {.argsz = sizeof(info)};
	int err = vfio_call(v, VFIO_DEVICE_GET_INFO, &info);
	if (err < 0)
		return err_sys(ei, -err, v->host.address, "VFIO does not describe it");
	if (!(info.flags & VFIO_DEVICE_FLAGS_PCI) ||
	    info.num_regions <= VFIO_PCI_CONFIG_REGION_INDEX)
		return err_set(ei, VMM_E_UNSUPPORTED, v->host.address,
		               "is not a PCI device to VFIO");
	v->can_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
	return VMM_OK;
}

static vmm_err_t read_config(struct vfio_dev *v, vmm_err_info_t *ei)
{
	const struct vfio_sys *s = v->place->sys;
	struct vfio_region_info info = {.argsz = sizeof(info),
	                                .index = VFIO_PCI_CONFIG_REGION_INDEX};
	int err = vfio_call(v, VFIO_DEVICE_GET_REGION_INFO, &info);
	if (err < 0)
		return err_sys(ei, -err, v->host.address, "its config space cannot be examined");
	v->config_offset = info.offset;
	v->config_bytes =
	        info.size >= PCI_CFG_SPACE_EXP_SIZE ? PCI_CFG_SPACE_EXP_SIZE : PCI_CFG_SPACE_SIZE;
	ssize_t n = s->pread(s->ctx, v->fd, v->f.config, v->config_bytes, info.offset);
	if (n != (ssize_t)v->config_bytes)
		return err_set(ei, VMM_E_IO, v->host.address,
		               "its config space ends after %zd of %u bytes", n, v->config_bytes);
	return VMM_OK;
}

static const struct pci_func_ops ops = {
        .bar_read = vfio_bar_read,
        .bar_write = vfio_bar_write,
        .config_read = config_read,
        .config_written = config_written,
        .bar_moved = vfio_bar_moved,
        .reset = reset,
        .destroy = destroy,
};

static vmm_err_t examine(struct vfio_dev *v, vmm_err_info_t *ei)
{
	vmm_err_t err = read_device(v, ei);
	if (err)
		return err;
	reset_host(v);
	err = read_config(v, ei);
	if (!err)
		err = vfio_config_shape(&v->f, v->host.address, v->config_bytes, v->pass, &v->caps,
		                        ei);
	if (!err && v->caps.msix)
		vfio_msix_place(v->f.config, v->caps.msix, &v->msix_place);
	if (!err)
		err = vfio_bars_init(v, ei);
	if (!err)
		err = vfio_irqs_init(v, ei);
	if (!err)
		err = watch_request(v, ei);
	if (!err)
		write_command(v);
	return err;
}

static struct vfio_dev *new_device(struct vfio_place *place, const struct hostdev *d)
{
	/* Rules that every function has; its identity is read from the device. */
	static const struct pci_ids none;
	struct vfio_dev *v = calloc(1, sizeof(*v));
	if (!v)
		return NULL;
	v->place = place;
	v->host = *d;
	v->fd = v->vm_fd = -1;
	v->intx_trigger = v->intx_unmask = v->request_fd = -1;
	(void)pthread_rwlock_init(&v->access, NULL);
	pci_func_init(&v->f, &ops, v->host.address, &none);
	return v;
}

vmm_err_t vfio_dev_add(struct vfio_place *place, const struct hostdev *d, int devfn,
                       struct vfio_dev **out, vmm_err_info_t *ei)
{
	struct vfio_dev *v = new_device(place, d);
	if (!v)
		return err_set(ei, VMM_E_NOMEM, d->address, "out of memory");
	vmm_err_t err = vfio_iommu_open(place->iommu, d, &v->fd, ei);
	if (!err)
		err = examine(v, ei);
	if (err) {
		destroy(&v->f);
		return err;
	}
	err = devfn < 0 ? pci_bus_add(place->bus, &v->f, ei)
	                : pci_bus_add_at(place->bus, &v->f, (uint8_t)devfn, ei);
	*out = err ? NULL : v;
	return err;
}
