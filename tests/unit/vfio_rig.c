/* A machine with a PCI bus for passed devices that exist only in memory. See vfio_rig.h. */
#include "vfio_rig.h"

#include <check.h>
#include <string.h>

#include "devices/pci/host_bridge.h"

struct fake_vfio fake;
static struct irq_chip chip;
struct msi_routes routes;
struct pci_bus pci;
struct bus mbus;
struct machine machine;
struct loop *loop;
static struct log silent;
struct vfio_iommu iommu;
struct vfio_place place;
struct vfio_dev *dev;
vmm_err_info_t ei;
unsigned lost_count;

static void lost(void *ctx, const char *address, const char *why)
{
	(void)ctx;
	ck_assert_str_eq(address, FAKE_ADDRESS);
	ck_assert(strstr(why, "goes on"));
	lost_count++;
}

void vfio_rig_setup(void)
{
	fake_vfio_init(&fake);
	memset(&routes, 0, sizeof(routes));
	memset(&pci, 0, sizeof(pci));
	irq_chip_init(&chip);
	msi_routes_init(&routes);
	pci_bus_init(&pci, &chip);
	memset(&mbus, 0, sizeof(mbus));
	ck_assert_int_eq(loop_create(&loop, &ei), VMM_OK);
	vfio_iommu_init(&iommu, &fake.sys);
	machine = (struct machine){.ram_bytes = 256u << 20, .pci = true};
	machine_set_pci_mem64(&machine, 40);
	ck_assert_int_eq(host_bridge_add(&pci, &ei), VMM_OK);
	place = (struct vfio_place){.sys = &fake.sys,
	                            .iommu = &iommu,
	                            .bus = &pci,
	                            .routes = &routes,
	                            .loop = loop,
	                            .log = &silent,
	                            .slot_next = 2,
	                            .lost = lost};
	dev = NULL;
	lost_count = 0;
}

void vfio_rig_teardown(void)
{
	pci_bus_fini(&pci);
	vfio_iommu_fini(&iommu);
	ck_assert_int_eq(fake.live, 0);
	loop_destroy(loop);
	ck_assert_uint_eq(fake.mmaps, fake.munmaps);
	/* Nothing of the table of messages is left. */
	for (unsigned i = 0; i < MSI_ROUTES_MAX; i++)
		ck_assert(!routes.route[i].taken);
	msi_routes_fini(&routes);
	irq_chip_fini(&chip);
	fake_vfio_fini(&fake);
}

vmm_err_t vfio_rig_add(void)
{
	struct hostdev d;
	vmm_err_t err = hostdev_read(fake.sysfs, FAKE_ADDRESS, &d, &ei);
	return err ? err : vfio_dev_add(&place, &d, -1, &dev, &ei);
}

void vfio_rig_add_well(void)
{
	vmm_err_t err = vfio_rig_add();
	ck_assert_msg(!err, "%s: %s", ei.field, ei.message);
	ck_assert_int_eq(pci_bus_attach(&pci, &machine, &mbus, &ei), VMM_OK);
	bus_freeze(&mbus);
}

void vfio_rig_refused(vmm_err_t want, const char *text)
{
	ck_assert_int_eq(vfio_rig_add(), want);
	ck_assert_msg(strstr(ei.message, text) != NULL, "%s: %s", ei.field, ei.message);
	ck_assert_ptr_null(dev);
}
