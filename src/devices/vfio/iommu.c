/* The IOMMU of a VM, whichever way leads to it. See iommu.h. */
#include "devices/vfio/iommu.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "devices/vfio/iommufd_abi.h"
#include "vmm/errset.h"

void vfio_iommu_init(struct vfio_iommu *io, const struct vfio_sys *sys)
{
	*io = (struct vfio_iommu){.sys = sys, .way = &vfio_iommu_group, .fd = -1, .kvm = -1};
}

void vfio_iommu_fini(struct vfio_iommu *io)
{
	const struct vfio_sys *s = io->sys;
	for (unsigned i = 0; i < io->file_count; i++)
		s->close(s->ctx, io->file[i].fd);
	io->file_count = 0;
	if (io->fd >= 0)
		s->close(s->ctx, io->fd);
	io->fd = -1;
}

int vfio_iommu_call(const struct vfio_iommu *io, int fd, unsigned long request, void *arg)
{
	return io->sys->ioctl(io->sys->ctx, fd, request, arg);
}

/* Can it be opened? 0, or a negative errno value. */
static int try(const struct vfio_sys *s, const char *path)
{
	int fd = s->open(s->ctx, path, O_RDWR);
	if (fd < 0)
		return fd;
	s->close(s->ctx, fd);
	return 0;
}

/* MISSING is said where there is no such file. */
static vmm_err_t may_open(const struct vfio_sys *s, const char *path, const char *missing,
                          vmm_err_info_t *ei)
{
	int err = try(s, path);
	switch (err) {
	case 0:
		return VMM_OK;
	case -ENOENT:
	case -ENODEV:
	case -ENXIO:
		return err_set(ei, VMM_E_UNSUPPORTED, path, "%s", missing);
	case -EACCES:
	case -EPERM:
		return err_sys(ei, -err, path, "no right to it (as root: chown $USER %s)", path);
	default:
		return err_sys_as(ei, VMM_E_UNSUPPORTED, -err, path, "cannot be opened");
	}
}

/* Only vfio-pci gives a device one. */
static vmm_err_t has_cdev(const struct vfio_sys *s, const struct hostdev *d, vmm_err_info_t *ei)
{
	if (d->cdev >= 0)
		return VMM_OK;
	vmm_err_t why = hostdev_viable(s->sysfs, d, ei);
	return why ? why
	           : err_set(ei, VMM_E_UNSUPPORTED, d->address,
	                     "has no character device of its own, which iommufd needs "
	                     "(CONFIG_VFIO_DEVICE_CDEV)");
}

vmm_err_t vfio_iommu_fd_usable(const struct vfio_sys *sys, const struct hostdev *d,
                               vmm_err_info_t *ei)
{
	char path[96];
	(void)snprintf(path, sizeof(path), "%s/iommu", sys->dev);
	vmm_err_t err = may_open(sys, path,
	                         "the host has no iommufd (CONFIG_IOMMUFD; modprobe iommufd)", ei);
	if (!err)
		err = has_cdev(sys, d, ei);
	if (err)
		return err;
	hostdev_cdev_path(sys->dev, d, path, sizeof(path));
	return may_open(sys, path, "the device's file is missing", ei);
}

/* Does the kernel do without containers and groups? */
static bool no_groups(const struct vfio_sys *sys)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "%s/vfio/vfio", sys->dev);
	return try(sys, path) == -ENOENT;
}

vmm_err_t vfio_iommu_choose(struct vfio_iommu *io, vmm_vfio_iommu_t asked, const struct hostdev *d,
                            unsigned count, vmm_err_info_t *ei)
{
	io->way = &vfio_iommu_group;
	if (asked == VMM_VFIO_GROUP || count == 0)
		return VMM_OK;
	vmm_err_t err = VMM_OK;
	for (unsigned i = 0; i < count && !err; i++)
		err = vfio_iommu_fd_usable(io->sys, &d[i], ei);
	/* Who has no right to iommufd has one to the group, perhaps. */
	if (asked == VMM_VFIO_AUTO && err && !(err == VMM_E_PERM && no_groups(io->sys)))
		return VMM_OK;
	if (!err)
		io->way = &vfio_iommu_fd;
	return err;
}

vmm_err_t vfio_iommu_keep(struct vfio_iommu *io, const char *address, struct vfio_file file,
                          vmm_err_info_t *ei)
{
	if (io->file_count == VFIO_FILES_MAX)
		return err_set(ei, VMM_E_LIMIT, address, "more than %u groups", VFIO_FILES_MAX);
	io->file[io->file_count++] = file;
	return VMM_OK;
}

vmm_err_t vfio_iommu_open(struct vfio_iommu *io, const struct hostdev *d, int *device_fd,
                          vmm_err_info_t *ei)
{
	vmm_err_t err = hostdev_viable(io->sys->sysfs, d, ei);
	return err ? err : io->way->open(io, d, device_fd, ei);
}

/* KVM_DEV_VFIO_FILE, which for groups is what older headers call KVM_DEV_VFIO_GROUP. */
static int tell_kvm(const struct vfio_iommu *io, uint64_t what, int fd)
{
	int32_t file = fd;
	struct kvm_device_attr arg = {
	        .group = KVM_DEV_VFIO_FILE,
	        .attr = what,
	        .addr = (uintptr_t)&file,
	};
	return vfio_iommu_call(io, io->kvm, KVM_SET_DEVICE_ATTR, &arg);
}

void vfio_iommu_close(struct vfio_iommu *io, int device_fd)
{
	for (unsigned i = 0; i < io->file_count; i++) {
		if (io->file[i].fd != device_fd)
			continue;
		/* KVM has the file open by itself: the host would wait for it until the VM ends. */
		if (io->kvm >= 0)
			(void)tell_kvm(io, KVM_DEV_VFIO_FILE_DEL, device_fd);
		io->file[i] = io->file[--io->file_count];
		break;
	}
	io->sys->close(io->sys->ctx, device_fd);
}

vmm_err_t vfio_iommu_connect(struct vfio_iommu *io, int kvm_device, vmm_err_info_t *ei)
{
	io->kvm = kvm_device;
	for (unsigned i = 0; i < io->file_count; i++) {
		int err = tell_kvm(io, KVM_DEV_VFIO_FILE_ADD, io->file[i].fd);
		if (err < 0)
			return err_sys_as(ei, VMM_E_KVM, -err, "/dev/kvm",
			                  "KVM_DEV_VFIO_FILE_ADD failed");
	}
	return VMM_OK;
}

void vfio_iommu_disconnect(struct vfio_iommu *io)
{
	io->kvm = -1;
}

/* CAP_IPC_LOCK of this process: no locked pages are counted against it then. */
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

/* RLIMIT_MEMLOCK in bytes; UINT64_MAX: none holds. */
static uint64_t lock_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return limit.rlim_cur;
}

static vmm_err_t too_little(uint64_t needed, uint64_t limit, const char *whose, uint64_t enough,
                            vmm_err_info_t *ei)
{
	return err_set(ei, VMM_E_LIMIT, "memory",
	               "a passed device needs all %llu KiB of guest memory locked, but the limit "
	               "%sis %llu KiB: ulimit -l %llu (or LimitMEMLOCK=, or CAP_IPC_LOCK)",
	               (unsigned long long)(needed >> 10), whose, (unsigned long long)(limit >> 10),
	               (unsigned long long)(enough >> 10));
}

static vmm_err_t check_memlock(uint64_t needed, vmm_err_info_t *ei)
{
	uint64_t limit = lock_limit();
	return limit >= needed || may_lock_all() ? VMM_OK
	                                         : too_little(needed, limit, "", needed, ei);
}

static vmm_err_t map_region(const struct vfio_iommu *io, const struct gmem *gm,
                            const struct gmem_region *r, vmm_err_info_t *ei)
{
	int err = io->way->map(io, r);
	if (err >= 0)
		return VMM_OK;
	uint64_t limit = lock_limit();
	uint64_t needed = gmem_size_bytes(gm);
	/* This VM alone would not be too much; how much the others have, nobody tells. */
	if (err == -ENOMEM && io->way->counts_by_user && limit != UINT64_MAX && !may_lock_all())
		return too_little(needed, limit, "for all processes of this user together ",
		                  limit + needed, ei);
	return err_sys(ei, -err, "memory", "the IOMMU cannot map %llu MiB at guest address 0x%llx",
	               (unsigned long long)(r->len_bytes >> 20), (unsigned long long)r->base);
}

vmm_err_t vfio_iommu_map(struct vfio_iommu *io, const struct gmem *gm, vmm_err_info_t *ei)
{
	vmm_err_t err = check_memlock(gmem_size_bytes(gm), ei);
	while (!err && io->mapped < gmem_region_count(gm)) {
		err = map_region(io, gm, gmem_region_at(gm, io->mapped), ei);
		if (!err)
			io->mapped++;
	}
	if (err)
		vfio_iommu_unmap(io, gm);
	return err;
}

void vfio_iommu_unmap(struct vfio_iommu *io, const struct gmem *gm)
{
	while (io->mapped > 0)
		io->way->unmap(io, gmem_region_at(gm, --io->mapped));
}
