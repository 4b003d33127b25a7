/*
 * The host's IOMMU as one VM uses it: which devices are behind it, and which guest memory they can
 * reach. There are two ways to it, of which a VM has one (Linux, Documentation/driver-api/vfio.rst
 * and userspace-api/iommufd.rst): iommu_group.c goes by VFIO's container, groups and type 1
 * mappings, iommu_fd.c by iommufd and a character device of each device's own.
 *
 * Threads: one at a time.
 */
#ifndef SRC_DEVICES_VFIO_IOMMU_H
#define SRC_DEVICES_VFIO_IOMMU_H

#include "devices/vfio/hostdev.h"
#include "devices/vfio/sys.h"
#include "vmm/gmem.h"
#include "vmm/vfio.h"

#define VFIO_FILES_MAX 32u

struct vfio_iommu;

/* One way to the IOMMU. */
struct vfio_iommu_way {
	const char *name; /* "devices are passed ..." */
	/* The descriptor of device D, which sees the VM's mappings from then on. */
	vmm_err_t (*open)(struct vfio_iommu *io, const struct hostdev *d, int *device_fd,
	                  vmm_err_info_t *ei);
	/* Negative errno values. */
	int (*map)(const struct vfio_iommu *io, const struct gmem_region *r);
	void (*unmap)(const struct vfio_iommu *io, const struct gmem_region *r);
	/* Locked pages count for the user, in all processes; else for this process. */
	bool counts_by_user;
};
extern const struct vfio_iommu_way vfio_iommu_group, vfio_iommu_fd;

struct vfio_iommu {
	const struct vfio_sys *sys;
	const struct vfio_iommu_way *way;
	int fd;        /* the container, or /dev/iommu's; -1: not open yet */
	bool has_type; /* the container */
	uint32_t ioas; /* iommufd's number for the VM's address space */
	int kvm;       /* KVM's VFIO device, or -1 */
	/* What KVM is told of: groups, or devices. */
	unsigned file_count;
	struct vfio_file {
		int group; /* its number; -1: a device */
		int fd;
	} file[VFIO_FILES_MAX];
	unsigned mapped; /* regions of guest memory */
};

/* By groups, until vfio_iommu_choose says otherwise. */
void vfio_iommu_init(struct vfio_iommu *io, const struct vfio_sys *sys);
void vfio_iommu_fini(struct vfio_iommu *io);

/*
 * Can D be passed through iommufd, as far as the host's kernel and this process's rights go?
 * VMM_E_UNSUPPORTED: the kernel has no iommufd, or D no character device (if that is because it is
 * not bound to vfio-pci: as hostdev_viable); VMM_E_PERM: no right to one of them.
 */
VMM_WARN_UNUSED vmm_err_t vfio_iommu_fd_usable(const struct vfio_sys *sys, const struct hostdev *d,
                                               vmm_err_info_t *ei);

/*
 * The way for the COUNT devices of D, before the first is opened. VMM_VFIO_AUTO: iommufd, if all of
 * them can be passed so; else groups, unless this kernel has none, and EI (not NULL) says why.
 * Errors: as vfio_iommu_fd_usable.
 */
VMM_WARN_UNUSED vmm_err_t vfio_iommu_choose(struct vfio_iommu *io, vmm_vfio_iommu_t asked,
                                            const struct hostdev *d, unsigned count,
                                            vmm_err_info_t *ei);

/*
 * The descriptor of device D, which joins this VM's IOMMU. VMM_E_BUSY: another process has it or a
 * device of its group, or the group is not viable; VMM_E_PERM; VMM_E_UNSUPPORTED.
 */
VMM_WARN_UNUSED vmm_err_t vfio_iommu_open(struct vfio_iommu *io, const struct hostdev *d,
                                          int *device_fd, vmm_err_info_t *ei);
/* Let it go; KVM, too. */
void vfio_iommu_close(struct vfio_iommu *io, int device_fd);

/*
 * All RAM at its guest-physical addresses; its hole stays unmapped, so that a stray transfer faults
 * in the IOMMU. The pages stay in memory until they are unmapped. VMM_E_LIMIT: RLIMIT_MEMLOCK, with
 * the figure that is needed.
 */
VMM_WARN_UNUSED vmm_err_t vfio_iommu_map(struct vfio_iommu *io, const struct gmem *gm,
                                         vmm_err_info_t *ei);
void vfio_iommu_unmap(struct vfio_iommu *io, const struct gmem *gm);

/* KVM learns by its VFIO device, which stays the caller's, what the guest drives; until then, and
 * after the second, it is told of nothing. VMM_E_KVM. */
VMM_WARN_UNUSED vmm_err_t vfio_iommu_connect(struct vfio_iommu *io, int kvm_device,
                                             vmm_err_info_t *ei);
void vfio_iommu_disconnect(struct vfio_iommu *io);

/* For the ways: what both may have to say; a call whose failures are negative errno values, and a
 * file for KVM to know of. VMM_E_LIMIT: there is no room for it. */
#define VFIO_NO_REMAPPING "the IOMMU does not isolate interrupts (no interrupt remapping)"
int vfio_iommu_call(const struct vfio_iommu *io, int fd, unsigned long request, void *arg);
VMM_WARN_UNUSED vmm_err_t vfio_iommu_keep(struct vfio_iommu *io, const char *address,
                                          struct vfio_file file, vmm_err_info_t *ei);

#endif
