/* The IOMMU by VFIO's type 1 containers and groups. See iommu.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>

#include "devices/vfio/iommu.h"
#include "vmm/errset.h"

/* For requests whose argument is a number in the pointer's place. */
static void *number(unsigned long n)
{
	return (void *)n; /* NOLINT(performance-no-int-to-ptr) */
}

static vmm_err_t open_container(struct vfio_iommu *io, vmm_err_info_t *ei)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "%s/vfio/vfio", io->sys->dev);
	int fd = io->sys->open(io->sys->ctx, path, O_RDWR);
	if (fd == -ENOENT)
		return err_sys(ei, ENOENT, path, "VFIO is not loaded (modprobe vfio-pci)");
	if (fd < 0)
		return err_sys(ei, -fd, path, "cannot be opened");
	io->fd = fd;
	int version = vfio_iommu_call(io, fd, VFIO_GET_API_VERSION, NULL);
	if (version != VFIO_API_VERSION)
		return err_set(ei, VMM_E_UNSUPPORTED, path, "VFIO API version %d, need %d", version,
		               VFIO_API_VERSION);
	if (vfio_iommu_call(io, fd, VFIO_CHECK_EXTENSION, number(VFIO_TYPE1v2_IOMMU)) <= 0)
		return err_set(ei, VMM_E_UNSUPPORTED, path,
		               "the host has no type 1 IOMMU (modprobe vfio_iommu_type1)");
	return VMM_OK;
}

static vmm_err_t open_group(const struct vfio_iommu *io, const struct hostdev *d, int *group_fd,
                            vmm_err_info_t *ei)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "%s/vfio/%d", io->sys->dev, d->group);
	int fd = io->sys->open(io->sys->ctx, path, O_RDWR);
	switch (fd) {
	case -EBUSY:
		return err_sys(ei, EBUSY, d->address, "another process uses its group, %s", path);
	case -EACCES:
	case -EPERM:
		return err_sys(ei, -fd, path,
		               "no right to the group of %s (as root: chown $USER %s)", d->address,
		               path);
	default:
		break;
	}
	if (fd < 0)
		return err_sys(ei, -fd, path, "cannot open the group of %s", d->address);
	*group_fd = fd;
	return VMM_OK;
}

/* Into the container; the first group gives it its type. */
static vmm_err_t join(struct vfio_iommu *io, const struct hostdev *d, int fd, vmm_err_info_t *ei)
{
	struct vfio_group_status status = {.argsz = sizeof(status)};
	int err = vfio_iommu_call(io, fd, VFIO_GROUP_GET_STATUS, &status);
	if (err < 0)
		return err_sys(ei, -err, d->address, "its group's state cannot be read");
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE)) {
		vmm_err_t why = hostdev_viable(io->sys->sysfs, d, ei);
		return why ? why
		           : err_set(ei, VMM_E_BUSY, d->address,
		                     "group %d is not viable: a driver of the host has another "
		                     "device of it",
		                     d->group);
	}
	err = vfio_iommu_call(io, fd, VFIO_GROUP_SET_CONTAINER, &io->fd);
	if (err < 0)
		return err_sys(ei, -err, d->address, "its group, %d, cannot join the container",
		               d->group);
	if (io->has_type)
		return VMM_OK;
	err = vfio_iommu_call(io, io->fd, VFIO_SET_IOMMU, number(VFIO_TYPE1v2_IOMMU));
	if (err == -EPERM)
		return err_sys(ei, EPERM, d->address, VFIO_NO_REMAPPING);
	if (err < 0)
		return err_sys(ei, -err, d->address, "the IOMMU of its group cannot be used");
	io->has_type = true;
	return VMM_OK;
}

static vmm_err_t take_group(struct vfio_iommu *io, const struct hostdev *d, int *group_fd,
                            vmm_err_info_t *ei)
{
	for (unsigned i = 0; i < io->file_count; i++) {
		if (io->file[i].group == d->group) {
			*group_fd = io->file[i].fd;
			return VMM_OK;
		}
	}
	int fd = -1;
	vmm_err_t err = open_group(io, d, &fd, ei);
	if (err)
		return err;
	err = join(io, d, fd, ei);
	if (!err)
		err = vfio_iommu_keep(io, d->address, (struct vfio_file){d->group, fd}, ei);
	if (err) {
		io->sys->close(io->sys->ctx, fd);
		return err;
	}
	*group_fd = fd;
	return VMM_OK;
}

static vmm_err_t open_device(struct vfio_iommu *io, const struct hostdev *d, int *device_fd,
                             vmm_err_info_t *ei)
{
	vmm_err_t err = io->fd < 0 ? open_container(io, ei) : VMM_OK;
	int group_fd = -1;
	if (!err)
		err = take_group(io, d, &group_fd, ei);
	if (err)
		return err;
	char address[HOSTDEV_ADDRESS_BYTES];
	memcpy(address, d->address, sizeof(address));
	int fd = vfio_iommu_call(io, group_fd, VFIO_GROUP_GET_DEVICE_FD, address);
	if (fd < 0)
		return err_sys(ei, -fd, d->address, "the device cannot be opened");
	*device_fd = fd;
	return VMM_OK;
}

static int map(const struct vfio_iommu *io, const struct gmem_region *r)
{
	struct vfio_iommu_type1_dma_map arg = {
	        .argsz = sizeof(arg),
	        .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
	        .vaddr = (uintptr_t)r->host,
	        .iova = r->base,
	        .size = r->len_bytes,
	};
	return vfio_iommu_call(io, io->fd, VFIO_IOMMU_MAP_DMA, &arg);
}

static void unmap(const struct vfio_iommu *io, const struct gmem_region *r)
{
	struct vfio_iommu_type1_dma_unmap arg = {
	        .argsz = sizeof(arg),
	        .iova = r->base,
	        .size = r->len_bytes,
	};
	(void)vfio_iommu_call(io, io->fd, VFIO_IOMMU_UNMAP_DMA, &arg);
}

const struct vfio_iommu_way vfio_iommu_group = {
        .name = "by their groups",
        .open = open_device,
        .map = map,
        .unmap = unmap,
};
