/* virtio over PCI. See pci.h. */
#include "devices/virtio/pci.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "devices/pci/msix.h"
#include "devices/virtio/regs.h"
#include "vmm/errset.h"
#include "vmm/kvm.h"

#define VENDOR      0x1af4u /* 4.1.2: every virtio device's */
#define DEVICE_BASE 0x1040u /* and this plus the virtio device id */
#define REVISION    1u      /* modern only */

/* BAR 0. */
#define BAR           0u
#define BAR_BYTES     0x8000u
#define AREA_COMMON   0x0000u
#define AREA_ISR      0x1000u
#define AREA_DEVICE   0x2000u
#define AREA_NOTIFY   0x3000u
#define AREA_TABLE    0x4000u
#define AREA_PBA      0x5000u
#define AREA_BYTES    0x1000u
#define NOTIFY_STRIDE 4u

/* struct virtio_pci_common_cfg, as far as it is offered: up to the features of 1.0. */
#define COMMON_BYTES ((uint32_t)sizeof(struct virtio_pci_common_cfg))

struct vpci {
	struct pci_func f;
	struct vregs regs;
	struct msix msix;
	uint8_t cfg_cap; /* VIRTIO_PCI_CAP_PCI_CFG */
	int vm_fd;
	bool notify_on; /* ioeventfds are registered, at */
	uint64_t notify_addr;
	uint16_t config_vector;
	uint16_t queue_vector[VDEV_QUEUES_MAX];
};

_Static_assert(offsetof(struct vpci, f) == 0, "a function is its vpci");
_Static_assert(VDEV_QUEUES_MAX *NOTIFY_STRIDE <= AREA_BYTES, "an address per queue");
_Static_assert((VDEV_QUEUES_MAX + 1) * PCI_MSIX_ENTRY_SIZE <= AREA_BYTES, "an entry per vector");

static struct vpci *vpci_of(struct pci_func *f)
{
	return (struct vpci *)f;
}

struct pci_func *vpci_func(struct vpci *p)
{
	return &p->f;
}

/* Under the device's lock. Without MSI-X the ISR says what happened, and holds the pin. */
static void tell(struct vdev *vd, uint16_t vector, uint32_t isr)
{
	struct vpci *p = vd->transport_ctx;
	if (vector != VIRTIO_MSI_NO_VECTOR && msix_raise(&p->msix, vector))
		return;
	if (atomic_load(&p->msix.enabled))
		return; /* the driver asked for no vector: 4.1.5.1.2 */
	atomic_fetch_or(&vd->interrupt_status, isr);
	pci_func_set_intx(&p->f, true);
}

static void signal_used(struct vdev *vd, unsigned q)
{
	struct vpci *p = vd->transport_ctx;
	tell(vd, p->queue_vector[q], 1);
}

static void signal_config(struct vdev *vd)
{
	struct vpci *p = vd->transport_ctx;
	tell(vd, p->config_vector, VIRTIO_PCI_ISR_CONFIG);
}

const struct vdev_transport vpci_transport = {signal_used, signal_config};

/* Reading it acknowledges: 4.1.4.5. */
static uint32_t read_isr(struct vpci *p)
{
	uint32_t isr = atomic_exchange(&p->regs.vd->interrupt_status, 0);
	pci_func_set_intx(&p->f, false);
	return isr;
}

static uint32_t read_queue(const struct vpci *p, uint32_t offset)
{
	const struct vregs *r = &p->regs;
	const struct vqueue *vq = vregs_queue(r);
	if (!vq)
		return offset == VIRTIO_PCI_COMMON_Q_MSIX ? VIRTIO_MSI_NO_VECTOR : 0;
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		/* The maximum, until the driver chose: 4.1.4.3. */
		return vq->ring.size ? vq->ring.size : vq->size_max;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return p->queue_vector[r->queue_sel];
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return vq->ring.ready;
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return r->queue_sel;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		return vregs_queue_half(r, VREGS_DESC, offset == VIRTIO_PCI_COMMON_Q_DESCHI);
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		return vregs_queue_half(r, VREGS_AVAIL, offset == VIRTIO_PCI_COMMON_Q_AVAILHI);
	case VIRTIO_PCI_COMMON_Q_USEDLO:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		return vregs_queue_half(r, VREGS_USED, offset == VIRTIO_PCI_COMMON_Q_USEDHI);
	default:
		return 0;
	}
}

static uint32_t read_common(const struct vpci *p, uint32_t offset)
{
	const struct vregs *r = &p->regs;
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return r->device_features_sel;
	case VIRTIO_PCI_COMMON_DF:
		return vregs_device_features(r);
	case VIRTIO_PCI_COMMON_GFSELECT:
		return r->driver_features_sel;
	case VIRTIO_PCI_COMMON_GF:
		return vregs_driver_features(r);
	case VIRTIO_PCI_COMMON_MSIX:
		return p->config_vector;
	case VIRTIO_PCI_COMMON_NUMQ:
		return r->vd->queue_count;
	case VIRTIO_PCI_COMMON_STATUS:
		return r->vd->status;
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return r->vd->config_generation & 0xff;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		return r->queue_sel;
	default:
		return read_queue(p, offset);
	}
}

static void forget_vectors(struct vpci *p)
{
	p->config_vector = VIRTIO_MSI_NO_VECTOR;
	for (unsigned i = 0; i < VDEV_QUEUES_MAX; i++)
		p->queue_vector[i] = VIRTIO_MSI_NO_VECTOR;
}

/* A vector that the table lacks is answered with NO_VECTOR: 4.1.5.1.2. */
static uint16_t vector_of(const struct vpci *p, uint32_t value)
{
	return value < p->msix.count ? (uint16_t)value : VIRTIO_MSI_NO_VECTOR;
}

static void write_queue(struct vpci *p, uint32_t offset, uint32_t value)
{
	struct vregs *r = &p->regs;
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		vregs_set_queue_size(r, value);
		break;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		if (vregs_queue(r))
			p->queue_vector[r->queue_sel] = vector_of(p, value);
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE: {
		/* Who keeps the offered size need not write it. */
		const struct vqueue *vq = vregs_queue(r);
		if (vq && !vq->ring.ready && vq->ring.size == 0)
			vregs_set_queue_size(r, vq->size_max);
		if (value == 1)
			vregs_set_queue_ready(r, true);
		break;
	}
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		vregs_set_queue_half(r, VREGS_DESC, offset == VIRTIO_PCI_COMMON_Q_DESCHI, value);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		vregs_set_queue_half(r, VREGS_AVAIL, offset == VIRTIO_PCI_COMMON_Q_AVAILHI, value);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		vregs_set_queue_half(r, VREGS_USED, offset == VIRTIO_PCI_COMMON_Q_USEDHI, value);
		break;
	default:
		break;
	}
}

static void write_common(struct vpci *p, uint32_t offset, uint32_t value)
{
	struct vregs *r = &p->regs;
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		r->device_features_sel = value;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		r->driver_features_sel = value;
		break;
	case VIRTIO_PCI_COMMON_GF:
		vregs_set_driver_features(r, value);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		p->config_vector = vector_of(p, value);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		vregs_set_status(r, (uint8_t)value);
		if ((uint8_t)value == 0) {
			forget_vectors(p);
			pci_func_set_intx(&p->f, false);
		}
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		r->queue_sel = value;
		break;
	default:
		write_queue(p, offset, value);
		break;
	}
}

/* Width of the field at OFFSET, or 0: no field starts there (4.1.3.1: accesses have that width). */
static unsigned common_width(uint32_t offset)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_STATUS:
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return 1;
	case VIRTIO_PCI_COMMON_MSIX:
	case VIRTIO_PCI_COMMON_NUMQ:
	case VIRTIO_PCI_COMMON_Q_SELECT:
	case VIRTIO_PCI_COMMON_Q_SIZE:
	case VIRTIO_PCI_COMMON_Q_MSIX:
	case VIRTIO_PCI_COMMON_Q_ENABLE:
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return 2;
	default:
		return offset < COMMON_BYTES && !(offset & 3) ? 4 : 0;
	}
}

static bool common_fits(const struct vpci *p, const char *what, uint32_t offset, unsigned size)
{
	if (offset >= COMMON_BYTES)
		return false; /* a later version's fields: not offered */
	/* The driver may take the two halves of a 64-bit field at once, or be wrong. */
	unsigned width = common_width(offset);
	if (size == width ||
	    (size == 8 && offset >= VIRTIO_PCI_COMMON_Q_DESCLO && width == 4 && !(offset & 7)))
		return true;
	vdev_guest_error(p->regs.vd, "%s of %u bytes at 0x%x of the common configuration", what,
	                 size, offset);
	return false;
}

static uint64_t read_area(struct vpci *p, uint32_t area, uint32_t offset, unsigned size)
{
	struct vdev *vd = p->regs.vd;
	uint64_t value = 0;
	(void)pthread_mutex_lock(&vd->lock);
	if (area == AREA_COMMON && common_fits(p, "read", offset, size)) {
		value = read_common(p, offset);
		if (size == 8)
			value |= (uint64_t)read_common(p, offset + 4) << 32;
	} else if (area == AREA_ISR && offset == 0) {
		value = read_isr(p);
	} else if (area == AREA_DEVICE) {
		value = vdev_config_read(vd, offset, size);
	}
	(void)pthread_mutex_unlock(&vd->lock);
	return value;
}

static void write_area(struct vpci *p, uint32_t area, uint32_t offset, unsigned size,
                       uint64_t value)
{
	struct vdev *vd = p->regs.vd;
	(void)pthread_mutex_lock(&vd->lock);
	if (area == AREA_COMMON && common_fits(p, "write", offset, size)) {
		write_common(p, offset, (uint32_t)value);
		if (size == 8)
			write_common(p, offset + 4, (uint32_t)(value >> 32));
	} else if (area == AREA_DEVICE) {
		vdev_config_write(vd, offset, size, value);
	}
	(void)pthread_mutex_unlock(&vd->lock);
}

static uint64_t bar_read(struct pci_func *f, unsigned bar, uint64_t offset, unsigned size)
{
	struct vpci *p = vpci_of(f);
	(void)bar;
	uint32_t area = (uint32_t)offset & ~(AREA_BYTES - 1);
	uint32_t at = (uint32_t)offset & (AREA_BYTES - 1);
	if (area == AREA_TABLE)
		return msix_table_read(&p->msix, at, size);
	if (area == AREA_PBA)
		return msix_pba_read(&p->msix, at, size);
	return read_area(p, area, at, size);
}

static void bar_write(struct pci_func *f, unsigned bar, uint64_t offset, unsigned size,
                      uint64_t value)
{
	struct vpci *p = vpci_of(f);
	(void)bar;
	uint32_t area = (uint32_t)offset & ~(AREA_BYTES - 1);
	uint32_t at = (uint32_t)offset & (AREA_BYTES - 1);
	if (area == AREA_TABLE) {
		msix_table_write(&p->msix, at, size, value);
	} else if (area == AREA_NOTIFY) {
		/* The address says which queue. Only without ioeventfds does it come here. */
		if (at / NOTIFY_STRIDE < p->regs.vd->queue_count)
			vdev_kick_again(p->regs.vd, at / NOTIFY_STRIDE);
	} else {
		write_area(p, area, at, size, value);
	}
}

/* A window of config space into the BAR (4.1.4.9); its fields are the driver's to set. */
static bool cfg_window(const struct vpci *p, uint32_t *offset, unsigned *size)
{
	uint32_t bar = pci_config_get(&p->f, p->cfg_cap + VIRTIO_PCI_CAP_BAR, 1);
	*offset = pci_config_get(&p->f, p->cfg_cap + VIRTIO_PCI_CAP_OFFSET, 4);
	*size = pci_config_get(&p->f, p->cfg_cap + VIRTIO_PCI_CAP_LENGTH, 4);
	return bar == BAR && (*size == 1 || *size == 2 || *size == 4) && !(*offset & (*size - 1)) &&
	       *offset < BAR_BYTES;
}

static uint32_t config_read(struct pci_func *f, uint32_t offset, unsigned size, uint32_t value)
{
	struct vpci *p = vpci_of(f);
	uint32_t at;
	unsigned len;
	if (offset != p->cfg_cap + sizeof(struct virtio_pci_cap) || !cfg_window(p, &at, &len) ||
	    size < len)
		return value;
	return (uint32_t)bar_read(f, BAR, at, len);
}

static void config_written(struct pci_func *f, uint32_t offset, unsigned size, uint32_t value)
{
	struct vpci *p = vpci_of(f);
	uint32_t at;
	unsigned len;
	msix_config_written(&p->msix, offset, size);
	if (offset == p->cfg_cap + sizeof(struct virtio_pci_cap) && cfg_window(p, &at, &len) &&
	    size >= len)
		bar_write(f, BAR, at, len, value);
}

static void set_notify(struct vpci *p, bool on, uint64_t addr)
{
	const struct vdev *vd = p->regs.vd;
	for (unsigned q = 0; q < vd->queue_count && p->vm_fd >= 0; q++) {
		const struct kvm_doorbell any = {.addr = addr + q * NOTIFY_STRIDE};
		/* Without it the write exits, and bar_write kicks the queue. */
		vmm_err_t err = kvm_ioeventfd(p->vm_fd, vd->queue[q].kick_fd, &any, on, NULL);
		(void)err;
	}
	p->notify_on = on;
	p->notify_addr = addr;
}

static void bar_moved(struct pci_func *f, unsigned bar)
{
	struct vpci *p = vpci_of(f);
	const struct pci_bar *b = &f->bar[bar];
	if (p->notify_on)
		set_notify(p, false, p->notify_addr);
	if (b->mapped)
		set_notify(p, true, b->addr + AREA_NOTIFY);
}

void vpci_set_vm(struct vpci *p, int vm_fd)
{
	p->vm_fd = vm_fd;
}

static void reset(struct pci_func *f)
{
	struct vpci *p = vpci_of(f);
	struct vdev *vd = p->regs.vd;
	msix_reset(&p->msix);
	(void)pthread_mutex_lock(&vd->lock);
	vregs_set_status(&p->regs, 0);
	forget_vectors(p);
	(void)pthread_mutex_unlock(&vd->lock);
}

static void destroy(struct pci_func *f)
{
	struct vpci *p = vpci_of(f);
	msix_fini(&p->msix);
	free(p);
}

static const struct pci_func_ops ops = {
        .bar_read = bar_read,
        .bar_write = bar_write,
        .config_read = config_read,
        .config_written = config_written,
        .bar_moved = bar_moved,
        .reset = reset,
        .destroy = destroy,
};

static uint32_t class_of(uint32_t device_id)
{
	switch (device_id) {
	case VIRTIO_ID_NET:
		return 0x020000; /* Ethernet controller */
	case VIRTIO_ID_BLOCK:
		return 0x010000; /* SCSI bus controller, as other virtio disks say */
	case VIRTIO_ID_CONSOLE:
		return 0x078000; /* other communication controller */
	default:
		return 0x00ff00; /* unclassified */
	}
}

/* A vendor capability that says where a structure is (4.1.4). False: no room. */
static bool add_cap(struct vpci *p, uint8_t type, uint32_t offset, uint32_t len, uint8_t extra)
{
	uint8_t size = (uint8_t)(sizeof(struct virtio_pci_cap) + extra);
	uint8_t at = pci_func_add_cap(&p->f, PCI_CAP_ID_VNDR, size);
	if (at == 0)
		return false;
	pci_config_set(&p->f, at + VIRTIO_PCI_CAP_LEN, 1, size);
	pci_config_set(&p->f, at + VIRTIO_PCI_CAP_CFG_TYPE, 1, type);
	pci_config_set(&p->f, at + VIRTIO_PCI_CAP_BAR, 1, BAR);
	pci_config_set(&p->f, at + VIRTIO_PCI_CAP_OFFSET, 4, offset);
	pci_config_set(&p->f, at + VIRTIO_PCI_CAP_LENGTH, 4, len);
	if (type == VIRTIO_PCI_CAP_NOTIFY_CFG)
		pci_config_set(&p->f, at + VIRTIO_PCI_NOTIFY_CAP_MULT, 4, NOTIFY_STRIDE);
	if (type != VIRTIO_PCI_CAP_PCI_CFG)
		return true;
	p->cfg_cap = at;
	pci_config_allow(&p->f, at + VIRTIO_PCI_CAP_BAR, 1, 0xff);
	pci_config_allow(&p->f, at + VIRTIO_PCI_CAP_OFFSET, 4, UINT32_MAX);
	pci_config_allow(&p->f, at + VIRTIO_PCI_CAP_LENGTH, 4, UINT32_MAX);
	return true;
}

static bool add_caps(struct vpci *p)
{
	uint32_t queues = p->regs.vd->queue_count;
	uint32_t config_len = p->regs.vd->config_len;
	return add_cap(p, VIRTIO_PCI_CAP_COMMON_CFG, AREA_COMMON, COMMON_BYTES, 0) &&
	       add_cap(p, VIRTIO_PCI_CAP_ISR_CFG, AREA_ISR, 1, 0) &&
	       (config_len == 0 ||
	        add_cap(p, VIRTIO_PCI_CAP_DEVICE_CFG, AREA_DEVICE, config_len, 0)) &&
	       add_cap(p, VIRTIO_PCI_CAP_NOTIFY_CFG, AREA_NOTIFY, queues * NOTIFY_STRIDE, 4) &&
	       add_cap(p, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 4);
}

vmm_err_t vpci_add(struct pci_bus *bus, struct msi_routes *routes, struct vdev *vd,
                   struct vpci **out, vmm_err_info_t *ei)
{
	const struct pci_ids ids = {
	        .vendor = VENDOR,
	        .device = (uint16_t)(DEVICE_BASE + vd->ops->device_id),
	        .subsystem_vendor = VENDOR,
	        .subsystem = (uint16_t)(DEVICE_BASE + vd->ops->device_id),
	        .revision = REVISION,
	        .class_code = class_of(vd->ops->device_id),
	};
	struct vpci *p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(ei, VMM_E_NOMEM, vd->id, "out of memory");
	p->regs.vd = vd;
	p->vm_fd = -1;
	forget_vectors(p);
	pci_func_init(&p->f, &ops, vd->id, &ids);
	pci_func_set_bar(&p->f, BAR, PCI_BAR_MEM64, true, BAR_BYTES);
	pci_func_set_pin(&p->f);
	vmm_err_t err = msix_init(&p->msix, &p->f, routes, vd->queue_count + 1, BAR, AREA_TABLE,
	                          AREA_PBA, ei);
	if (!err && !add_caps(p))
		err = err_set(ei, VMM_E_LIMIT, vd->id, "no room for its capabilities");
	if (err) {
		destroy(&p->f);
		return err;
	}
	vd->transport_ctx = p;
	err = pci_bus_add(bus, &p->f, ei);
	*out = err ? NULL : p;
	return err;
}
