/* Inside a passed device: dev.c (life, config space), bar.c, irq.c. */
#ifndef SRC_DEVICES_VFIO_DEV_PRIV_H
#define SRC_DEVICES_VFIO_DEV_PRIV_H

#include <linux/vfio.h>

#include "devices/pci/msix.h"
#include "devices/vfio/config.h"
#include "devices/vfio/dev.h"

/* Of one BAR: sparse areas of VFIO, cut at the trapped pages. */
#define VFIO_AREAS_MAX   8u
#define VFIO_MSI_VECTORS 32u

/* Part of a BAR that the guest reaches without an exit. */
struct vfio_area {
	uint64_t offset; /* in the BAR; page aligned, as is */
	uint64_t len_bytes;
	void *host;
	uint32_t slot; /* KVM's number for it */
	bool mapped;   /* in the guest */
};

struct vfio_region {
	uint64_t offset; /* in the device's descriptor */
	uint64_t len_bytes;
	bool can_read, can_write, can_mmap;
	unsigned area_count;
	struct vfio_area area[VFIO_AREAS_MAX];
};

/* How the device's events reach the guest; VFIO allows one way at a time. */
enum vfio_irq_way { VFIO_IRQ_NONE, VFIO_IRQ_INTX, VFIO_IRQ_MSI, VFIO_IRQ_MSIX };

struct vfio_dev {
	struct pci_func f;
	struct vfio_place *place;
	struct hostdev host;
	int fd;
	int vm_fd;
	_Atomic bool gone; /* taken back by the host */
	/* Read: an access to a BAR is under way. Written: the descriptor goes. Inside the bus's
	 * lock, outside that of MSI-X. */
	pthread_rwlock_t access;
	bool can_reset;
	struct vfio_region region[PCI_REGIONS];
	uint64_t config_offset;
	uint32_t config_bytes;
	uint8_t pass[PCI_CFG_SPACE_EXP_SIZE];
	struct vfio_caps caps;

	/* Interrupts. */
	enum vfio_irq_way way;
	bool has_intx;
	int intx_trigger, intx_unmask; /* eventfds; -1: not open */
	bool intx_on;
	struct msi_line msi[VFIO_MSI_VECTORS];
	unsigned msi_count; /* lines that are open */
	struct vfio_msix_place msix_place;
	struct msix msix;
	unsigned msix_enabled; /* vectors that VFIO has made */
	bool msix_grows;       /* it can make more while others are in use */

	/* The host wants it back. */
	int request_fd;
	struct loop_source request;
};

static inline struct vfio_dev *vfio_of(struct pci_func *f)
{
	return (struct vfio_dev *)f;
}

static inline int vfio_call(const struct vfio_dev *v, unsigned long request, void *arg)
{
	const struct vfio_sys *s = v->place->sys;
	return s->ioctl(s->ctx, v->fd, request, arg);
}

/* bar.c */
VMM_WARN_UNUSED vmm_err_t vfio_bars_init(struct vfio_dev *v, vmm_err_info_t *ei);
void vfio_bars_fini(struct vfio_dev *v);
void vfio_bar_moved(struct pci_func *f, unsigned bar);
uint64_t vfio_bar_read(struct pci_func *f, unsigned bar, uint64_t offset, unsigned size);
void vfio_bar_write(struct pci_func *f, unsigned bar, uint64_t offset, unsigned size,
                    uint64_t value);

/* irq.c */
VMM_WARN_UNUSED vmm_err_t vfio_irqs_init(struct vfio_dev *v, vmm_err_info_t *ei);
void vfio_irqs_fini(struct vfio_dev *v);
/* Config space was written: MSI or MSI-X may have been switched. */
void vfio_irqs_config_written(struct vfio_dev *v, uint32_t offset, unsigned size);
/* Every way off; then the state after reset: INTx, where there is a pin. */
void vfio_irqs_off(struct vfio_dev *v);
void vfio_irqs_start(struct vfio_dev *v);

#endif
