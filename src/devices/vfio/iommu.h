/*
 * The host's IOMMU as one VM uses it: which devices are behind it, and which guest memory they can
 * reach. Underneath are VFIO's container, groups and type 1 mappings (linux/vfio.h); nothing but
 * KVM is told of groups, so that iommufd can take their place here.
 *
 * Threads: one at a time.
 */
#ifndef SRC_DEVICES_VFIO_IOMMU_H
#define SRC_DEVICES_VFIO_IOMMU_H

#include "devices/vfio/hostdev.h"
#include "devices/vfio/sys.h"
#include "vmm/gmem.h"

#define VFIO_GROUPS_MAX 32u

struct vfio_iommu {
	const struct vfio_sys *sys;
	int container; /* -1: not open yet */
	bool has_type;
	unsigned group_count;
	struct vfio_group {
		int number;
		int fd;
	} group[VFIO_GROUPS_MAX];
	unsigned mapped; /* regions of guest memory */
};

void vfio_iommu_init(struct vfio_iommu *io, const struct vfio_sys *sys);
void vfio_iommu_fini(struct vfio_iommu *io);

/*
 * The descriptor of device D, whose group joins this VM's IOMMU with the first of its devices.
 * VMM_E_BUSY: another process has the group, or it is not viable; VMM_E_PERM; VMM_E_UNSUPPORTED.
 */
VMM_WARN_UNUSED vmm_err_t vfio_iommu_open(struct vfio_iommu *io, const struct hostdev *d,
                                          int *device_fd, vmm_err_info_t *ei);

/*
 * All RAM at its guest-physical addresses; its hole stays unmapped, so that a stray transfer faults
 * in the IOMMU. The pages stay in memory until they are unmapped. VMM_E_LIMIT: RLIMIT_MEMLOCK, with
 * the figure that is needed.
 */
VMM_WARN_UNUSED vmm_err_t vfio_iommu_map(struct vfio_iommu *io, const struct gmem *gm,
                                         vmm_err_info_t *ei);
void vfio_iommu_unmap(struct vfio_iommu *io, const struct gmem *gm);

#endif
