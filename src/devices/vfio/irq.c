/*
 * Interrupts of a passed device. VFIO signals an eventfd, KVM turns it into the guest's interrupt;
 * nothing of ours is in between. INTx is a level: the guest's end of interrupt unmasks it in VFIO,
 * again by an eventfd. VFIO allows one way at a time; the guest's enable bits choose it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "devices/vfio/dev_priv.h"
#include "vmm/errset.h"
#include "vmm/kvm.h"

/* One message with up to every vector of MSI-X in it. */
struct irq_set {
	struct vfio_irq_set head;
	int32_t fd[MSIX_VECTORS_MAX];
};

static int set_fds(const struct vfio_dev *v, uint32_t index, uint32_t action, uint32_t start,
                   const int32_t *fds, uint32_t count)
{
	struct irq_set set;
	set.head = (struct vfio_irq_set){
	        .argsz = (uint32_t)(sizeof(set.head) + count * sizeof(set.fd[0])),
	        .flags = VFIO_IRQ_SET_DATA_EVENTFD | action,
	        .index = index,
	        .start = start,
	        .count = count,
	};
	memcpy(set.head.data, fds, count * sizeof(set.fd[0]));
	return vfio_call(v, VFIO_DEVICE_SET_IRQS, &set);
}

/* No vector of that kind any more. */
static void set_none(const struct vfio_dev *v, uint32_t index)
{
	struct vfio_irq_set set = {
	        .argsz = sizeof(set),
	        .flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
	        .index = index,
	};
	(void)vfio_call(v, VFIO_DEVICE_SET_IRQS, &set);
}

static void complain(const struct vfio_dev *v, const char *what, int err)
{
	char why[96];
	if (err < 0)
		log_guest(v->place->log, VMM_LOG_WARN, "%s: %s: %s", v->host.address, what,
		          strerror_r(-err, why, sizeof(why)));
}

/* INTx. */

static uint32_t intx_gsi(const struct vfio_dev *v)
{
	return machine_pci_gsi(PCI_DEVFN_SLOT(v->f.devfn), 0);
}

static void intx_on(struct vfio_dev *v)
{
	if (!v->has_intx || v->intx_on || v->vm_fd < 0 || v->gone)
		return;
	if (!kvm_irqfd_level(v->vm_fd, v->intx_trigger, v->intx_unmask, intx_gsi(v), true)) {
		complain(v, "KVM refuses its interrupt pin", -errno);
		return;
	}
	const int32_t unmask = v->intx_unmask;
	const int32_t trigger = v->intx_trigger;
	v->intx_on = true;
	v->way = VFIO_IRQ_INTX;
	int err = set_fds(v, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER, 0, &trigger, 1);
	if (err >= 0)
		err = set_fds(v, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_UNMASK, 0, &unmask,
		              1);
	complain(v, "its interrupt pin cannot be used", err);
}

static void intx_off(struct vfio_dev *v)
{
	if (!v->intx_on)
		return;
	set_none(v, VFIO_PCI_INTX_IRQ_INDEX);
	if (v->vm_fd >= 0)
		(void)kvm_irqfd_level(v->vm_fd, v->intx_trigger, v->intx_unmask, intx_gsi(v),
		                      false);
	v->intx_on = false;
	v->way = VFIO_IRQ_NONE;
}

/* MSI (PCI 3.0, 6.8.1). */

static void msi_off(struct vfio_dev *v)
{
	if (v->way != VFIO_IRQ_MSI)
		return;
	set_none(v, VFIO_PCI_MSI_IRQ_INDEX);
	for (unsigned i = 0; i < v->msi_count; i++)
		msi_line_close(&v->msi[i]);
	v->msi_count = 0;
	v->way = VFIO_IRQ_NONE;
}

/* Vector I adds I to the data's low bits; a masked one keeps what comes. */
static void msi_route(struct vfio_dev *v)
{
	const struct pci_func *f = &v->f;
	uint32_t at = v->caps.msi;
	uint32_t flags = pci_config_get(f, at + PCI_MSI_FLAGS, 2);
	bool wide = flags & PCI_MSI_FLAGS_64BIT;
	uint64_t addr = pci_config_get(f, at + PCI_MSI_ADDRESS_LO, 4);
	if (wide)
		addr |= (uint64_t)pci_config_get(f, at + PCI_MSI_ADDRESS_HI, 4) << 32;
	uint32_t data = pci_config_get(f, at + (wide ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32), 2);
	uint32_t mask = 0;
	if (flags & PCI_MSI_FLAGS_MASKBIT)
		mask = pci_config_get(f, at + (wide ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32), 4);
	for (unsigned i = 0; i < v->msi_count; i++) {
		if (mask >> i & 1)
			msi_line_disconnect(&v->msi[i]);
		else
			(void)msi_line_connect(&v->msi[i], addr, (data & ~(v->msi_count - 1)) | i);
	}
}

static void msi_on(struct vfio_dev *v, uint32_t flags)
{
	int32_t fds[VFIO_MSI_VECTORS];
	unsigned allowed = 1u << ((flags & PCI_MSI_FLAGS_QMASK) >> 1);
	unsigned count = 1u << ((flags & PCI_MSI_FLAGS_QSIZE) >> 4);
	count = count < allowed ? count : allowed;
	count = count < VFIO_MSI_VECTORS ? count : VFIO_MSI_VECTORS;
	while (v->msi_count < count &&
	       !msi_line_open(&v->msi[v->msi_count], v->place->routes, NULL)) {
		fds[v->msi_count] = v->msi[v->msi_count].fd;
		v->msi_count++;
	}
	v->way = VFIO_IRQ_MSI;
	msi_route(v);
	if (v->msi_count > 0)
		complain(v, "MSI cannot be used",
		         set_fds(v, VFIO_PCI_MSI_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER, 0, fds,
		                 v->msi_count));
}

static void msi_written(struct vfio_dev *v)
{
	uint32_t flags = pci_config_get(&v->f, v->caps.msi + PCI_MSI_FLAGS, 2);
	bool on = flags & PCI_MSI_FLAGS_ENABLE;
	if (on && v->way == VFIO_IRQ_MSI) {
		msi_route(v);
	} else if (on && v->way != VFIO_IRQ_MSIX) {
		intx_off(v);
		msi_on(v, flags);
	} else if (!on && v->way == VFIO_IRQ_MSI) {
		msi_off(v);
		intx_on(v);
	}
}

/* MSI-X: vectors but the first are made when the guest first unmasks them. Under the MSI-X lock. */

/* Those that are in use, and room for COUNT. Older kernels make them all at once or not at all. */
static void msix_remake(struct vfio_dev *v, unsigned count)
{
	int32_t fds[MSIX_VECTORS_MAX];
	if (v->msix_enabled > 0)
		set_none(v, VFIO_PCI_MSIX_IRQ_INDEX);
	for (unsigned i = 0; i < count; i++)
		fds[i] = v->msix.vector[i].line.fd;
	int err = set_fds(v, VFIO_PCI_MSIX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER, 0, fds, count);
	complain(v, "MSI-X cannot be used", err);
	/* An event between the two is not lost: drivers bear one that means nothing. */
	for (unsigned i = 0; i < v->msix_enabled; i++)
		if (v->msix.vector[i].line.fd >= 0)
			msi_line_raise(&v->msix.vector[i].line);
	v->msix_enabled = err < 0 ? 0 : count;
}

static void msix_use(struct vfio_dev *v, unsigned vector)
{
	if (v->msix_enabled > 0 && (vector < v->msix_enabled || v->msix_grows)) {
		const int32_t fd = v->msix.vector[vector].line.fd;
		int err = set_fds(v, VFIO_PCI_MSIX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER, vector,
		                  &fd, 1);
		complain(v, "a vector of MSI-X cannot be used", err);
		if (vector >= v->msix_enabled)
			v->msix_enabled = vector + 1;
		return;
	}
	/* Twice as many each time: few events are disturbed, few vectors of the host unused. */
	unsigned count = 2 * v->msix_enabled > vector + 1 ? 2 * v->msix_enabled : vector + 1;
	msix_remake(v, count < v->msix.count ? count : v->msix.count);
}

static void msix_changed(void *ctx, unsigned vector)
{
	struct vfio_dev *v = ctx;
	if (vector == MSIX_ALL) {
		if (v->msix_enabled > 0)
			set_none(v, VFIO_PCI_MSIX_IRQ_INDEX);
		v->msix_enabled = 0;
	} else if (!v->gone) {
		msix_use(v, vector);
	}
}

/*
 * MSI-X is enabled, though the guest may have masked every vector: the device must see that, for
 * some look at it when they are told of their queues (QEMU's NVMe does). VFIO enables it with the
 * first vector, which needs no eventfd.
 */
static void msix_show(struct vfio_dev *v)
{
	(void)pthread_mutex_lock(&v->msix.lock);
	if (v->msix_enabled == 0)
		msix_remake(v, 1);
	(void)pthread_mutex_unlock(&v->msix.lock);
}

static void msix_written(struct vfio_dev *v, uint32_t offset, unsigned size)
{
	uint32_t flags = pci_config_get(&v->f, v->caps.msix + PCI_MSIX_FLAGS, 2);
	bool on = flags & PCI_MSIX_FLAGS_ENABLE;
	if (on && v->way != VFIO_IRQ_MSIX) {
		msi_off(v);
		intx_off(v);
		v->way = VFIO_IRQ_MSIX;
	}
	msix_config_written(&v->msix, offset, size);
	if (on)
		msix_show(v);
	if (!on && v->way == VFIO_IRQ_MSIX) {
		v->way = VFIO_IRQ_NONE;
		intx_on(v);
	}
}

static bool touches(uint32_t offset, unsigned size, uint32_t at, uint32_t len)
{
	return at != 0 && offset + size > at && offset < at + len;
}

void vfio_irqs_config_written(struct vfio_dev *v, uint32_t offset, unsigned size)
{
	if (touches(offset, size, v->caps.msix, PCI_CAP_MSIX_SIZEOF))
		msix_written(v, offset, size);
	if (touches(offset, size, v->caps.msi, 24))
		msi_written(v);
}

static uint32_t irq_count(const struct vfio_dev *v, uint32_t index, uint32_t *flags)
{
	struct vfio_irq_info info = {.argsz = sizeof(info), .index = index};
	if (vfio_call(v, VFIO_DEVICE_GET_IRQ_INFO, &info) < 0)
		return 0;
	*flags = info.flags;
	return info.count;
}

static vmm_err_t open_pin(struct vfio_dev *v, vmm_err_info_t *ei)
{
	v->intx_trigger = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	v->intx_unmask = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->intx_trigger < 0 || v->intx_unmask < 0)
		return err_sys(ei, errno, v->host.address, "cannot make its interrupt's eventfds");
	pci_func_set_pin(&v->f);
	return VMM_OK;
}

vmm_err_t vfio_irqs_init(struct vfio_dev *v, vmm_err_info_t *ei)
{
	uint32_t flags = 0;
	vmm_err_t err = VMM_OK;
	v->has_intx = irq_count(v, VFIO_PCI_INTX_IRQ_INDEX, &flags) > 0 &&
	              pci_config_get(&v->f, PCI_INTERRUPT_PIN, 1) != 0;
	if (v->has_intx)
		err = open_pin(v, ei);
	else
		pci_config_set(&v->f, PCI_INTERRUPT_PIN, 1, 0);
	if (err || !v->caps.msix)
		return err;
	v->msix_grows = irq_count(v, VFIO_PCI_MSIX_IRQ_INDEX, &flags) > 0 &&
	                !(flags & VFIO_IRQ_INFO_NORESIZE);
	err = msix_adopt(&v->msix, &v->f, v->place->routes, v->caps.msix, v->msix_place.count, ei);
	v->msix.changed = msix_changed;
	v->msix.ctx = v;
	return err;
}

void vfio_irqs_off(struct vfio_dev *v)
{
	if (v->msix.f)
		msix_reset(&v->msix);
	msi_off(v);
	intx_off(v);
	v->way = VFIO_IRQ_NONE;
}

void vfio_irqs_start(struct vfio_dev *v)
{
	intx_on(v);
}

void vfio_irqs_fini(struct vfio_dev *v)
{
	vfio_irqs_off(v);
	msix_fini(&v->msix);
	if (v->intx_trigger >= 0)
		(void)close(v->intx_trigger);
	if (v->intx_unmask >= 0)
		(void)close(v->intx_unmask);
}
