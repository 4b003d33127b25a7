/* The IOMMU by VFIO's type 1 containers. See iommu.h. */
#include "devices/vfio/iommu.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "vmm/errset.h"

void vfio_iommu_init(struct vfio_iommu *io, const struct vfio_sys *sys)
{
	*io = (struct vfio_iommu){.sys = sys, .container = -1};
}

void vfio_iommu_fini(struct vfio_iommu *io)
{
	const struct vfio_sys *s = io->sys;
	for (unsigned i = 0; i < io->group_count; i++)
		s->close(s->ctx, io->group[i].fd);
	io->group_count = 0;
	if (io->container >= 0)
		s->close(s->ctx, io->container);
	io->container = -1;
}

static int call(const struct vfio_iommu *io, int fd, unsigned long request, void *arg)
{
	return io->sys->ioctl(io->sys->ctx, fd, request, arg);
}

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
	io->container = fd;
	int version = call(io, fd, VFIO_GET_API_VERSION, NULL);
	if (version != VFIO_API_VERSION)
		return err_set(ei, VMM_E_UNSUPPORTED, path, "VFIO API version %d, need %d", version,
		               VFIO_API_VERSION);
	if (call(io, fd, VFIO_CHECK_EXTENSION, number(VFIO_TYPE1v2_IOMMU)) <= 0)
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
	int err = call(io, fd, VFIO_GROUP_GET_STATUS, &status);
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
	err = call(io, fd, VFIO_GROUP_SET_CONTAINER, &io->container);
	if (err < 0)
		return err_sys(ei, -err, d->address, "its group, %d, cannot join the container",
		               d->group);
	if (io->has_type)
		return VMM_OK;
	err = call(io, io->container, VFIO_SET_IOMMU, number(VFIO_TYPE1v2_IOMMU));
	if (err == -EPERM)
		return err_sys(ei, EPERM, d->address,
		               "the IOMMU does not isolate interrupts (no interrupt remapping)");
	if (err < 0)
		return err_sys(ei, -err, d->address, "the IOMMU of its group cannot be used");
	io->has_type = true;
	return VMM_OK;
}

static vmm_err_t take_group(struct vfio_iommu *io, const struct hostdev *d, int *group_fd,
                            vmm_err_info_t *ei)
{
	for (unsigned i = 0; i < io->group_count; i++) {
		if (io->group[i].number == d->group) {
			*group_fd = io->group[i].fd;
			return VMM_OK;
		}
	}
	if (io->group_count == VFIO_GROUPS_MAX)
		return err_set(ei, VMM_E_LIMIT, d->address, "more than %u groups", VFIO_GROUPS_MAX);
	int fd = -1;
	vmm_err_t err = open_group(io, d, &fd, ei);
	if (err)
		return err;
	err = join(io, d, fd, ei);
	if (err) {
		io->sys->close(io->sys->ctx, fd);
		return err;
	}
	io->group[io->group_count++] = (struct vfio_group){d->group, fd};
	*group_fd = fd;
	return VMM_OK;
}

vmm_err_t vfio_iommu_open(struct vfio_iommu *io, const struct hostdev *d, int *device_fd,
                          vmm_err_info_t *ei)
{
	vmm_err_t err = hostdev_viable(io->sys->sysfs, d, ei);
	if (!err && io->container < 0)
		err = open_container(io, ei);
	int group_fd = -1;
	if (!err)
		err = take_group(io, d, &group_fd, ei);
	if (err)
		return err;
	char address[HOSTDEV_ADDRESS_BYTES];
	memcpy(address, d->address, sizeof(address));
	int fd = call(io, group_fd, VFIO_GROUP_GET_DEVICE_FD, address);
	if (fd < 0)
		return err_sys(ei, -fd, d->address, "the device cannot be opened");
	*device_fd = fd;
	return VMM_OK;
}

/* CAP_IPC_LOCK of this process: VFIO then counts no locked pages against it. */
static bool may_lock_all(void)
{
	char line[128];
	bool may = false;
	FILE *f = fopen("/proc/self/status", "re");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "CapEff:", 7) == 0)
			may = strtoull(line + 7, NULL, 16) >> CAP_IPC_LOCK & 1;
	if (f)
		(void)fclose(f);
	return may;
}

static vmm_err_t check_memlock(uint64_t needed, vmm_err_info_t *ei)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
	    limit.rlim_cur >= needed || may_lock_all())
		return VMM_OK;
	return err_set(
	        ei, VMM_E_LIMIT, "memory",
	        "a passed device needs all %llu KiB of guest memory locked, but the limit is "
	        "%llu KiB: ulimit -l %llu (or LimitMEMLOCK=, or CAP_IPC_LOCK)",
	        (unsigned long long)(needed >> 10), (unsigned long long)(limit.rlim_cur >> 10),
	        (unsigned long long)(needed >> 10));
}

static vmm_err_t map_region(const struct vfio_iommu *io, const struct gmem_region *r,
                            vmm_err_info_t *ei)
{
	struct vfio_iommu_type1_dma_map map = {
	        .argsz = sizeof(map),
	        .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
	        .vaddr = (uintptr_t)r->host,
	        .iova = r->base,
	        .size = r->len_bytes,
	};
	int err = call(io, io->container, VFIO_IOMMU_MAP_DMA, &map);
	if (err < 0)
		return err_sys(
		        ei, -err, "memory", "the IOMMU cannot map %llu MiB at guest address 0x%llx",
		        (unsigned long long)(r->len_bytes >> 20), (unsigned long long)r->base);
	return VMM_OK;
}

vmm_err_t vfio_iommu_map(struct vfio_iommu *io, const struct gmem *gm, vmm_err_info_t *ei)
{
	vmm_err_t err = check_memlock(gmem_size_bytes(gm), ei);
	while (!err && io->mapped < gmem_region_count(gm)) {
		err = map_region(io, gmem_region_at(gm, io->mapped), ei);
		if (!err)
			io->mapped++;
	}
	if (err)
		vfio_iommu_unmap(io, gm);
	return err;
}

void vfio_iommu_unmap(struct vfio_iommu *io, const struct gmem *gm)
{
	while (io->mapped > 0) {
		const struct gmem_region *r = gmem_region_at(gm, --io->mapped);
		struct vfio_iommu_type1_dma_unmap unmap = {
		        .argsz = sizeof(unmap),
		        .iova = r->base,
		        .size = r->len_bytes,
		};
		(void)call(io, io->container, VFIO_IOMMU_UNMAP_DMA, &unmap);
	}
}
