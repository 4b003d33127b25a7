/*
 * A PCI bus with a virtio device on it and a passed device beside it, as a hostile guest sees them:
 * each four bytes and more of the input are one access to config space, to a BAR wherever it is
 * now, to ports, or an event of a device. Whatever is written, no BAR answers outside a window, and
 * a reset brings back what there was at first.
 */
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/fake_vfio.h"
#include "../unit/vdev_rig.h"
#include "devices/pci/host_bridge.h"
#include "devices/virtio/pci.h"
#include "devices/virtio/rng.h"

#define ACCESSES_MAX 512u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct world {
	struct rig rig;
	struct fake_vfio fake;
	struct irq_chip chip;
	struct msi_routes routes;
	struct pci_bus pci;
	struct bus bus;
	struct machine machine;
	struct vfio_iommu iommu;
	struct vfio_place place;
	struct vpci *vpci;
	struct vfio_dev *vfio;
};

static struct world w;
/* Its sysfs is made once: the same for every input, and slow to make. */
static struct fake_vfio pristine;

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void remove_sysfs(void)
{
	fake_vfio_fini(&pristine);
}

static void copy_fake(void)
{
	if (!pristine.sysfs[0]) {
		fake_vfio_init(&pristine);
		must(atexit(remove_sysfs) == 0);
	}
	w.fake = pristine;
	w.fake.sys.ctx = &w.fake;
	w.fake.sys.sysfs = w.fake.sysfs;
}

static void lost(void *ctx, const char *address, const char *why)
{
	(void)ctx, (void)address, (void)why;
}

/* The passed device is what the first bytes say: its config space is hostile as well. */
static void open_world(const uint8_t *data, size_t len)
{
	struct vdev *vd;
	struct hostdev d;
	memset(&w, 0, sizeof(w));
	must(rng_create(1 << 20, 1 << 20, &vd, NULL) == VMM_OK);
	rig_attach(&w.rig, vd);
	vd->transport = &vpci_transport;
	copy_fake();
	for (size_t i = 0; i + 2 < len && i < 96; i += 3)
		w.fake.config[(data[i] << 4 & 0xff0) + (data[i + 1] & 0xf)] = data[i + 2];
	irq_chip_init(&w.chip);
	msi_routes_init(&w.routes);
	pci_bus_init(&w.pci, &w.chip);
	vfio_iommu_init(&w.iommu, &w.fake.sys);
	w.machine = (struct machine){.ram_bytes = RIG_MEMORY, .pci = true};
	machine_set_pci_mem64(&w.machine, 40);
	must(host_bridge_add(&w.pci, NULL) == VMM_OK);
	must(vpci_add(&w.pci, &w.routes, vd, &w.vpci, NULL) == VMM_OK);
	w.place = (struct vfio_place){.sys = &w.fake.sys,
	                              .iommu = &w.iommu,
	                              .bus = &w.pci,
	                              .routes = &w.routes,
	                              .loop = w.rig.loop,
	                              .log = &w.rig.log,
	                              .slot_next = 2,
	                              .lost = lost};
	must(hostdev_read(w.fake.sysfs, FAKE_ADDRESS, &d, NULL) == VMM_OK);
	if (vfio_dev_add(&w.place, &d, -1, &w.vfio, NULL) != VMM_OK)
		w.vfio = NULL;
	must(pci_bus_attach(&w.pci, &w.machine, &w.bus, NULL) == VMM_OK);
	bus_freeze(&w.bus);
}

static void close_world(void)
{
	pci_bus_fini(&w.pci);
	rig_close(&w.rig);
	vfio_iommu_fini(&w.iommu);
	must(w.fake.mmaps == w.fake.munmaps);
	for (unsigned i = 0; i < MSI_ROUTES_MAX; i++)
		must(!w.routes.route[i].taken);
	msi_routes_fini(&w.routes);
	irq_chip_fini(&w.chip);
}

static void check_maps(void)
{
	for (unsigned s = 0; s < BUS_SPACES; s++) {
		for (unsigned i = 0; i < w.pci.map_count[s]; i++) {
			const struct pci_map *m = &w.pci.map[s][i];
			bool inside = false;
			for (unsigned n = 0; n < PCI_WINDOWS; n++) {
				const struct pci_window *win = &w.pci.window[n];
				inside |= win->space == s && m->base >= win->base &&
				          m->base - win->base < win->len_bytes &&
				          m->len_bytes <= win->len_bytes - (m->base - win->base);
			}
			must(inside && m->f->bar[m->bar].mapped);
			must(i == 0 || m->base - m[-1].base >= m[-1].len_bytes);
		}
	}
}

static void access_one(enum bus_space space, uint64_t addr, unsigned size, bool write,
                       uint64_t value)
{
	uint64_t ignored;
	if (write)
		(void)bus_write(&w.bus, space, addr, size, value);
	else
		(void)bus_read(&w.bus, space, addr, size, &ignored);
}

/* KIND: what; AT and VALUE: where and what, wide. */
static void step(uint8_t kind, uint16_t at, uint32_t value)
{
	static const unsigned sizes[] = {1, 2, 4, 8};
	unsigned size = sizes[kind >> 4 & 3];
	bool write = kind & 0x80;
	struct pci_func *f = kind & 0x40 && w.vfio ? vfio_dev_func(w.vfio) : vpci_func(w.vpci);
	unsigned bar = at >> 13 & 7;
	switch (kind & 7) {
	case 0:
	case 1:
		access_one(BUS_MMIO, MACHINE_PCI_ECAM + ((uint64_t)f->devfn << 12) + (at & 0xfff),
		           size, write, value);
		break;
	case 2:
		access_one(BUS_PIO, MACHINE_PORT_PCI_ADDRESS + (at & 7), size & 7 ? size : 4, write,
		           value);
		break;
	case 3:
	case 4:
		bar = bar < PCI_REGIONS ? bar : 0;
		access_one(f->bar[bar].kind == PCI_BAR_IO ? BUS_PIO : BUS_MMIO,
		           f->bar[bar].addr + (at & 0x1fff) + (value >> 29 << 13), size, write,
		           value);
		break;
	case 5:
		access_one(BUS_MMIO, MACHINE_PCI_MEM32 + ((uint64_t)at << 12) + (value & 0xfff),
		           size, write, value);
		break;
	case 6:
		(void)pthread_mutex_lock(&w.rig.vd->lock);
		vpci_transport.signal_used(w.rig.vd, 0);
		vpci_transport.signal_config(w.rig.vd);
		(void)pthread_mutex_unlock(&w.rig.vd->lock);
		break;
	default:
		if (at == 0x5555)
			pci_bus_reset(&w.pci);
		else
			rig_run(&w.rig);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t head = len < 96 ? len : 96;
	open_world(data, head);
	uint8_t first[PCI_CFG_SPACE_EXP_SIZE];
	memcpy(first, vpci_func(w.vpci)->config, sizeof(first));
	data += head;
	len -= head;
	for (unsigned i = 0; len >= 7 && i < ACCESSES_MAX; i++, data += 7, len -= 7) {
		uint16_t at;
		uint32_t value;
		memcpy(&at, data + 1, sizeof(at));
		memcpy(&value, data + 3, sizeof(value));
		step(data[0], at, value);
		check_maps();
	}
	pci_bus_reset(&w.pci);
	must(memcmp(first, vpci_func(w.vpci)->config, sizeof(first)) == 0);
	must(w.pci.map_count[BUS_MMIO] == 0 && w.pci.map_count[BUS_PIO] == 0);
	close_world();
	return 0;
}
