/* The host bridge. See host_bridge.h. */
#include "devices/pci/host_bridge.h"

#include <linux/pci_regs.h>
#include <stdlib.h>

#include "vmm/errset.h"

/* The identity of a generic host bridge: no driver looks for it. */
#define BRIDGE_VENDOR 0x1b36u
#define BRIDGE_DEVICE 0x0008u
#define BRIDGE_CLASS  0x060000u

static void destroy(struct pci_func *f)
{
	free(f);
}

static const struct pci_func_ops ops = {.destroy = destroy};

vmm_err_t host_bridge_add(struct pci_bus *bus, vmm_err_info_t *ei)
{
	static const struct pci_ids ids = {
	        .vendor = BRIDGE_VENDOR, .device = BRIDGE_DEVICE, .class_code = BRIDGE_CLASS};
	struct pci_func *f = calloc(1, sizeof(*f));
	if (!f)
		return err_set(ei, VMM_E_NOMEM, "pci", "out of memory");
	pci_func_init(f, &ops, "host bridge", &ids);
	return pci_bus_add(bus, f, ei);
}
