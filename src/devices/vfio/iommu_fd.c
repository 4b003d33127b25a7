/*
 * The IOMMU by iommufd: one address space (IOAS) for the VM, to which each device is attached. See
 * iommu.h. Linux, Documentation/userspace-api/iommufd.rst.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "devices/vfio/iommu.h"
#include "devices/vfio/iommufd_abi.h"
#include "vmm/errset.h"

#define CANNOT_ATTACH "cannot be attached to the VM's address space"

static vmm_err_t open_ioas(struct vfio_iommu *io, vmm_err_info_t *ei)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "%s/iommu", io->sys->dev);
	int fd = io->sys->open(io->sys->ctx, path, O_RDWR);
	if (fd < 0)
		return err_sys(ei, -fd, path, "cannot be opened");
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	int err = vfio_iommu_call(io, fd, IOMMU_IOAS_ALLOC, &alloc);
	if (err < 0) {
		io->sys->close(io->sys->ctx, fd);
		return err_sys(ei, -err, path, "cannot make an address space");
	}
	io->fd = fd;
	io->ioas = alloc.out_ioas_id;
	return VMM_OK;
}

/* The group belongs to somebody else: to a driver, which may have come meanwhile, or to a VMM. */
static vmm_err_t busy(const struct vfio_iommu *io, const struct hostdev *d, vmm_err_info_t *ei)
{
	vmm_err_t why = hostdev_viable(io->sys->sysfs, d, ei);
	return why ? why
	           : err_sys(ei, EBUSY, d->address,
	                     "another process uses it, or a device of its group, %d", d->group);
}

static vmm_err_t bind(const struct vfio_iommu *io, const struct hostdev *d, int fd,
                      vmm_err_info_t *ei)
{
	struct vfio_device_bind_iommufd arg = {.argsz = sizeof(arg), .iommufd = io->fd};
	int err = vfio_iommu_call(io, fd, VFIO_DEVICE_BIND_IOMMUFD, &arg);
	switch (err) {
	case -EBUSY:
	case -EINVAL: /* bound already; what else it may mean, incoherent caches, x86 has not */
		return busy(io, d, ei);
	case -EPERM:
		return err_sys(ei, EPERM, d->address, VFIO_NO_REMAPPING);
	default:
		break;
	}
	return err < 0 ? err_sys(ei, -err, d->address, "iommufd does not take it") : VMM_OK;
}

static vmm_err_t attach(const struct vfio_iommu *io, const struct hostdev *d, int fd,
                        vmm_err_info_t *ei)
{
	struct vfio_device_attach_iommufd_pt arg = {.argsz = sizeof(arg), .pt_id = io->ioas};
	int err = vfio_iommu_call(io, fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &arg);
	switch (err) {
	case -EBUSY:
		return busy(io, d, ei);
	case -EINVAL: /* what the hardware cannot do, not the caller's mistake */
		return err_sys_as(ei, VMM_E_UNSUPPORTED, EINVAL, d->address, CANNOT_ATTACH);
	default:
		break;
	}
	return err < 0 ? err_sys(ei, -err, d->address, CANNOT_ATTACH) : VMM_OK;
}

static vmm_err_t open_device(struct vfio_iommu *io, const struct hostdev *d, int *device_fd,
                             vmm_err_info_t *ei)
{
	char path[64];
	vmm_err_t err = io->fd < 0 ? open_ioas(io, ei) : VMM_OK;
	if (err)
		return err;
	hostdev_cdev_path(io->sys->dev, d, path, sizeof(path));
	int fd = io->sys->open(io->sys->ctx, path, O_RDWR);
	if (fd < 0)
		return err_sys(ei, -fd, path, "cannot open the device %s", d->address);
	err = bind(io, d, fd, ei);
	if (!err)
		err = attach(io, d, fd, ei);
	if (!err)
		err = vfio_iommu_keep(io, d->address, (struct vfio_file){-1, fd}, ei);
	if (err) {
		io->sys->close(io->sys->ctx, fd);
		return err;
	}
	*device_fd = fd;
	return VMM_OK;
}

static int map(const struct vfio_iommu *io, const struct gmem_region *r)
{
	struct iommu_ioas_map arg = {
	        .size = sizeof(arg),
	        .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
	                 IOMMU_IOAS_MAP_READABLE,
	        .ioas_id = io->ioas,
	        .user_va = (uintptr_t)r->host,
	        .length = r->len_bytes,
	        .iova = r->base,
	};
	return vfio_iommu_call(io, io->fd, IOMMU_IOAS_MAP, &arg);
}

static void unmap(const struct vfio_iommu *io, const struct gmem_region *r)
{
	struct iommu_ioas_unmap arg = {
	        .size = sizeof(arg),
	        .ioas_id = io->ioas,
	        .iova = r->base,
	        .length = r->len_bytes,
	};
	(void)vfio_iommu_call(io, io->fd, IOMMU_IOAS_UNMAP, &arg);
}

const struct vfio_iommu_way vfio_iommu_fd = {
        .name = "through iommufd",
        .open = open_device,
        .map = map,
        .unmap = unmap,
        /* IOMMU_OPTION_RLIMIT_MODE's other mode takes CAP_SYS_RESOURCE, which raises limits. */
        .counts_by_user = true,
};
