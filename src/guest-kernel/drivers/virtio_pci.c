/*
 * virtio over PCI (virtio 1.2, 4.1), modern devices only. Interrupts are two messages of MSI-X, one
 * for configuration and one for all queues, or the function's pin.
 */
#include "virtio_priv.h"

#define VENDOR        0x1af4u
#define DEVICE_FIRST  0x1000u /* up to here: transitional, the subsystem is the id */
#define DEVICE_MODERN 0x1040u
#define DEVICE_LAST   0x107fu

/* struct virtio_pci_cap (4.1.4). */
#define CAP_LEN        2u
#define CAP_TYPE       3u
#define CAP_BAR        4u
#define CAP_OFFSET     8u
#define CAP_LENGTH     12u
#define CAP_BYTES      16u
#define CAP_MULTIPLIER 16u /* of the notify area's capability */
#define CAP_COMMON     1u
#define CAP_NOTIFY     2u
#define CAP_ISR        3u
#define CAP_DEVICE     4u

/* struct virtio_pci_common_cfg (4.1.4.3). */
#define COMMON_DF_SELECT 0x00u
#define COMMON_DF        0x04u
#define COMMON_GF_SELECT 0x08u
#define COMMON_GF        0x0cu
#define COMMON_MSIX      0x10u /* 16 bits, as far as Q_OFF */
#define COMMON_STATUS    0x14u /* 8 bits */
#define COMMON_GEN       0x15u
#define COMMON_Q_SELECT  0x16u
#define COMMON_Q_SIZE    0x18u
#define COMMON_Q_MSIX    0x1au
#define COMMON_Q_ENABLE  0x1cu
#define COMMON_Q_OFF     0x1eu
#define COMMON_Q_DESC    0x20u
#define COMMON_Q_DRIVER  0x28u
#define COMMON_Q_DEVICE  0x30u
#define COMMON_BYTES     0x38u

#define VECTOR_CONFIG    0u
#define VECTOR_QUEUES    1u
#define VECTORS          2u
#define AREA_MAX         0x10000u /* what is mapped of an area, however long it says it is */

static uint16_t get16(const struct virtio_dev *dev, uint32_t offset)
{
	return arch_mmio_read16(dev->pci.common, offset);
}

static void set16(struct virtio_dev *dev, uint32_t offset, uint32_t value)
{
	arch_mmio_write16(dev->pci.common, offset, (uint16_t)value);
}

static uint32_t status(const struct virtio_dev *dev)
{
	return arch_mmio_read8(dev->pci.common, COMMON_STATUS);
}

static void set_status(struct virtio_dev *dev, uint32_t value)
{
	arch_mmio_write8(dev->pci.common, COMMON_STATUS, (uint8_t)value);
}

static uint64_t offered(struct virtio_dev *dev)
{
	uint64_t features = 0;
	for (uint32_t i = 0; i < 2; i++) {
		arch_mmio_write32(dev->pci.common, COMMON_DF_SELECT, i);
		features |= (uint64_t)arch_mmio_read32(dev->pci.common, COMMON_DF) << (32 * i);
	}
	return features;
}

static void accept(struct virtio_dev *dev, uint64_t features)
{
	for (uint32_t i = 0; i < 2; i++) {
		arch_mmio_write32(dev->pci.common, COMMON_GF_SELECT, i);
		arch_mmio_write32(dev->pci.common, COMMON_GF, (uint32_t)(features >> (32 * i)));
	}
}

static uint32_t queue_max(struct virtio_dev *dev, unsigned i)
{
	set16(dev, COMMON_Q_SELECT, i);
	uint32_t max = get16(dev, COMMON_Q_SIZE);
	return get16(dev, COMMON_Q_ENABLE) == 0 ? max : 0;
}

static void set_address(struct virtio_dev *dev, uint32_t offset, const void *p)
{
	uint64_t phys = arch_phys(p);
	arch_mmio_write32(dev->pci.common, offset, (uint32_t)phys);
	arch_mmio_write32(dev->pci.common, offset + 4, (uint32_t)(phys >> 32));
}

/* False: the device has no room for its vector, or its place for notifications is nowhere. */
static bool queue_start(struct virtio_dev *dev, struct virtq *q)
{
	uint64_t at = (uint64_t)get16(dev, COMMON_Q_OFF) * dev->pci.notify_multiplier;
	if (at % 2 != 0 || at + 2 > dev->pci.notify_bytes)
		return false;
	q->notify_at = (uint32_t)at;
	if (dev->pci.msix) {
		set16(dev, COMMON_Q_MSIX, VECTOR_QUEUES);
		if (get16(dev, COMMON_Q_MSIX) != VECTOR_QUEUES)
			return false;
	}
	set16(dev, COMMON_Q_SIZE, q->size);
	set_address(dev, COMMON_Q_DESC, virtq_desc(q));
	set_address(dev, COMMON_Q_DRIVER, virtq_avail(q));
	set_address(dev, COMMON_Q_DEVICE, virtq_used(q));
	set16(dev, COMMON_Q_ENABLE, 1);
	return true;
}

static void on_config(void *ctx)
{
	virtio_interrupt(ctx, VIRTIO_INTERRUPT_CONFIG);
}

static void on_queues(void *ctx)
{
	virtio_interrupt(ctx, VIRTIO_INTERRUPT_QUEUE);
}

/* The pin: reading says why, and acknowledges (4.1.4.5). */
static void on_pin(void *ctx)
{
	struct virtio_dev *dev = ctx;
	uint32_t why = arch_mmio_read8(dev->pci.isr, 0);
	if (why != 0)
		virtio_interrupt(dev, why);
}

/* All vectors are masked until connect. */
static bool prepare(struct virtio_dev *dev)
{
	dev->pci.msix = pci_msix_on(&dev->pci.dev, VECTORS);
	if (!dev->pci.msix)
		return pci_pin(dev->pci.bus, &dev->pci.dev, &dev->gsi, &dev->level);
	set16(dev, COMMON_MSIX, VECTOR_CONFIG);
	return get16(dev, COMMON_MSIX) == VECTOR_CONFIG;
}

static bool connect(struct virtio_dev *dev)
{
	static const arch_irq_fn messages[VECTORS] = {
	        [VECTOR_CONFIG] = on_config,
	        [VECTOR_QUEUES] = on_queues,
	};
	if (dev->pci.msix)
		return pci_msix_connect(&dev->pci.dev, messages, VECTORS, dev);
	return arch_irq_attach(dev->gsi, dev->level, on_pin, dev);
}

static void notify(struct virtq *q)
{
	arch_mmio_write16(q->dev->pci.notify, q->notify_at, q->index);
}

static bool in_config(const struct virtio_dev *dev, uint32_t offset, unsigned size)
{
	return size <= dev->pci.config_bytes && offset <= dev->pci.config_bytes - size;
}

/* A device without a field has zero there. */
static uint32_t config(const struct virtio_dev *dev, uint32_t offset, unsigned size)
{
	if (!in_config(dev, offset, size))
		return 0;
	return size == 1   ? arch_mmio_read8(dev->pci.config, offset)
	       : size == 2 ? arch_mmio_read16(dev->pci.config, offset)
	                   : arch_mmio_read32(dev->pci.config, offset);
}

static void set_config(struct virtio_dev *dev, uint32_t offset, uint32_t value)
{
	if (in_config(dev, offset, sizeof(value)))
		arch_mmio_write32(dev->pci.config, offset, value);
}

static uint32_t generation(const struct virtio_dev *dev)
{
	return arch_mmio_read8(dev->pci.common, COMMON_GEN);
}

static const struct virtio_transport transport = {
        .place = "PCI slot",
        .status = status,
        .set_status = set_status,
        .offered = offered,
        .accept = accept,
        .queue_max = queue_max,
        .queue_start = queue_start,
        .prepare = prepare,
        .connect = connect,
        .notify = notify,
        .config = config,
        .set_config = set_config,
        .generation = generation,
};

/* The first area of TYPE that can be mapped (4.1.4: the driver takes the first that it can use). */
static volatile void *find_area(const struct pci_dev *pci, uint8_t type, uint32_t least,
                                uint32_t *len, uint8_t *cap)
{
	uint8_t at = 0;
	for (unsigned i = 0; i < 48 && (at = pci_find_cap(pci, PCI_CAP_ID_VNDR, at)); i++) {
		if (at > 0x100u - CAP_BYTES - 4 ||
		    pci_read8(pci, (uint8_t)(at + CAP_TYPE)) != type ||
		    pci_read8(pci, (uint8_t)(at + CAP_LEN)) < CAP_BYTES)
			continue;
		*len = pci_read32(pci, (uint8_t)(at + CAP_LENGTH));
		if (*len < least)
			continue;
		*len = *len < AREA_MAX ? *len : AREA_MAX;
		volatile void *area = pci_map(pci, pci_read8(pci, (uint8_t)(at + CAP_BAR)),
		                              pci_read32(pci, (uint8_t)(at + CAP_OFFSET)), *len);
		*cap = at;
		if (area)
			return area;
	}
	return NULL;
}

static bool find_areas(struct virtio_pci_place *p)
{
	uint32_t len;
	uint8_t cap;
	p->common = find_area(&p->dev, CAP_COMMON, COMMON_BYTES, &len, &cap);
	p->isr = find_area(&p->dev, CAP_ISR, 1, &len, &cap);
	p->config = find_area(&p->dev, CAP_DEVICE, 1, &p->config_bytes, &cap);
	if (!p->config)
		p->config_bytes = 0;
	p->notify = find_area(&p->dev, CAP_NOTIFY, 2, &p->notify_bytes, &cap);
	if (p->notify)
		p->notify_multiplier = pci_read32(&p->dev, (uint8_t)(cap + CAP_MULTIPLIER));
	return p->common && p->isr && p->notify;
}

bool virtio_pci_probe(const struct arch_boot *boot, unsigned devfn, struct virtio_dev *dev)
{
	*dev = (struct virtio_dev){.transport = &transport, .slot = devfn >> 3};
	struct virtio_pci_place *p = &dev->pci;
	p->bus = &boot->pci;
	if (!pci_probe(&boot->pci, devfn, &p->dev) || p->dev.vendor != VENDOR ||
	    p->dev.device < DEVICE_FIRST || p->dev.device > DEVICE_LAST)
		return false;
	dev->id = p->dev.device >= DEVICE_MODERN ? p->dev.device - DEVICE_MODERN : p->dev.subsystem;
	pci_enable(&p->dev);
	if (find_areas(p))
		return true;
	log_warning("PCI slot %u: a virtio device without the areas of virtio 1.0 that could be "
	            "mapped (with QEMU: disable-legacy=on)",
	            dev->slot);
	return false;
}
