/*
 * Passing PCI devices of the host to a guest (VFIO), and preparing them for it. The IOMMU confines
 * a device to its guest's memory; without one nothing can be passed.
 */
#ifndef VMM_VFIO_H
#define VMM_VFIO_H

#include "vmm/vm.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VMM_VFIO_DEVICES_MAX 16u
#define VMM_VFIO_ADDRESS_MAX 16u /* bytes, with the NUL */

/* The ways to the host's IOMMU. A VM has one of them for all of its devices. */
typedef enum vmm_vfio_iommu {
	VMM_VFIO_AUTO = 0, /* iommufd, where every device of the VM can be passed so; else groups */
	VMM_VFIO_IOMMUFD = 1, /* /dev/iommu and /dev/vfio/devices/vfioN: Linux 6.6 */
	VMM_VFIO_GROUP = 2,   /* /dev/vfio/vfio, type 1 containers, and /dev/vfio/GROUP */
} vmm_vfio_iommu_t;

typedef struct vmm_vfio_opts {
	size_t struct_size;
	const char *address; /* "0000:01:00.0", or "01:00.0" in domain 0; copied */
	vmm_vfio_iommu_t iommu;
} vmm_vfio_opts_t;

#define VMM_VFIO_OPTS_INIT                             \
	{                                              \
		.struct_size = sizeof(vmm_vfio_opts_t) \
	}

/*
 * Pass the device to a VM that is not built yet. It is opened by vmm_vm_build, which then also
 * fails with the reason where it cannot be passed: VMM_E_NOENT: no such device; VMM_E_UNSUPPORTED:
 * no IOMMU, or a bridge, or the host has no iommufd that was asked for; VMM_E_BUSY: it or another
 * device of its group is bound to a driver of the host, or another process has it; VMM_E_PERM: no
 * right to /dev/vfio/GROUP, or to /dev/iommu and /dev/vfio/devices/vfioN; VMM_E_LIMIT:
 * RLIMIT_MEMLOCK, or a BAR that no window has room for.
 *
 * All guest memory stays in the host's memory while the VM lives; a balloon gives nothing back. The
 * device is reset before and after. Functions of one device keep their numbers if the first of
 * them, number 0, is added first.
 *
 * From this call: VMM_E_INVAL: struct_size, not an address, or two devices whose ways exclude each
 * other; VMM_E_LIMIT; VMM_E_STATE after build.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_vfio_add(vmm_vm_t *vm, const vmm_vfio_opts_t *opts);

/* A PCI device of this host. */
typedef struct vmm_vfio_info {
	char address[VMM_VFIO_ADDRESS_MAX];
	int group; /* of the IOMMU, or -1: there is none */
	uint16_t vendor;
	uint16_t device;
	uint32_t class_code;    /* class, subclass, interface: 24 bits */
	char driver[64];        /* that it is bound to, or "" */
	bool usable;            /* can be passed as it is */
	char why[448];          /* else, why not */
	vmm_vfio_iommu_t iommu; /* the way that VMM_VFIO_AUTO takes for it alone, if it is usable */
	char no_iommufd[520];   /* why iommufd cannot be used for it, or "" */
	char used_by[128];      /* what the host uses it for ("/ is mounted from sda1"), or "" */
} vmm_vfio_info_t;

/*
 * All PCI devices, by address, into INFOS of room for MAX; *COUNT is how many there are, which may
 * be more. VMM_E_NOENT: the host shows no PCI devices. Any thread.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_vfio_list(vmm_vfio_info_t *infos, size_t max, size_t *count,
                                                vmm_err_info_t *ei);

/*
 * Take the device from its driver and bind it to vfio-pci, whose module must be loaded; or give it
 * back to whichever driver wants it. Both need root. VMM_E_BUSY: the host uses the device (see
 * used_by) and FORCE is false; VMM_E_NOENT: no such device, or no vfio-pci; VMM_E_PERM. Any thread.
 */
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_vfio_bind(const char *address, bool force,
                                                vmm_err_info_t *ei);
VMM_API VMM_WARN_UNUSED vmm_err_t vmm_vfio_unbind(const char *address, vmm_err_info_t *ei);

#ifdef __cplusplus
}
#endif
#endif
