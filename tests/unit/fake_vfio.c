/* See fake_vfio.h. */
#include "fake_vfio.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/vfio/iommufd_abi.h"

#define OFFSET(region) ((uint64_t)(region) << 40)

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

static int fake_open(void *ctx, const char *path, int flags)
{
	struct fake_vfio *v = ctx;
	(void)flags;
	v->opens++;
	int fail = v->fail_open_group;
	int fd = FAKE_GROUP_FD;
	const char *cdev = strstr(path, "/vfio/devices/vfio");
	if (cdev) {
		fail = v->fail_open_cdev;
		fd = FAKE_CDEV + atoi(cdev + strlen("/vfio/devices/vfio"));
	} else if (strstr(path, "/vfio/vfio")) {
		fail = v->fail_open_container;
		fd = FAKE_CONTAINER;
	} else if (strstr(path, "/iommu")) {
		fail = v->fail_open_iommufd;
		fd = FAKE_IOMMUFD;
	}
	v->live += fail == 0;
	return fail ? fail : fd;
}

static void fake_close(void *ctx, int fd)
{
	struct fake_vfio *v = ctx;
	v->closes++;
	v->live--;
	if (fd >= FAKE_CDEV)
		v->bound[fd - FAKE_CDEV] = v->attached[fd - FAKE_CDEV] = false;
}

static int region_info(struct fake_vfio *v, struct vfio_region_info *info)
{
	if (info->index >= FAKE_REGIONS)
		return -EINVAL;
	uint32_t room = info->argsz;
	uint32_t caps = v->info_caps_bytes[info->index];
	info->offset = OFFSET(info->index);
	info->size = v->region_bytes[info->index];
	info->flags = v->region_flags[info->index];
	info->cap_offset = 0;
	if (caps == 0)
		return 0;
	info->flags |= VFIO_REGION_INFO_FLAG_CAPS;
	info->argsz = (uint32_t)sizeof(*info) + caps;
	if (room < info->argsz)
		return 0;
	memcpy(info + 1, v->info_caps[info->index], caps);
	info->cap_offset = sizeof(*info);
	return 0;
}

static int set_irqs(struct fake_vfio *v, const struct vfio_irq_set *set)
{
	if (set->index >= 8)
		return -EINVAL;
	int *fds = v->irq_fd[set->index];
	if (set->flags & VFIO_IRQ_SET_DATA_NONE) {
		memset(fds, 0, sizeof(v->irq_fd[0]));
		v->irq_made[set->index] = 0;
		return 0;
	}
	if (set->flags & VFIO_IRQ_SET_ACTION_UNMASK)
		return 0;
	unsigned made = v->irq_made[set->index];
	if (set->start + set->count > FAKE_VECTORS)
		return -EINVAL;
	/* As Linux 6.1: what was not made with the first call cannot be had later. */
	if (made > 0 && set->start + set->count > made &&
	    (v->irq_flags[set->index] & VFIO_IRQ_INFO_NORESIZE))
		return -EINVAL;
	if (set->start + set->count > made)
		v->irq_made[set->index] = set->start + set->count;
	v->irq_remade += made == 0;
	memcpy(fds + set->start, set->data, set->count * sizeof(int32_t));
	return 0;
}

static int map_dma(struct fake_vfio *v, uint64_t iova, uint64_t size)
{
	if (v->fail_map && v->map_count > 0)
		return v->fail_map;
	v->maps_made++;
	v->map[v->map_count++] = (struct fake_map){iova, size};
	return 0;
}

static int unmap_dma(struct fake_vfio *v, uint64_t iova, uint64_t size)
{
	for (unsigned i = 0; i < v->map_count; i++) {
		if (v->map[i].iova != iova || v->map[i].size != size)
			continue;
		v->map[i] = v->map[--v->map_count];
		return 0;
	}
	return -ENOENT;
}

/* As the kernel: what is not right in the arguments is EINVAL, what does not exist ENOENT. */

static int ioas_map(struct fake_vfio *v, int fd, const struct iommu_ioas_map *m)
{
	if (fd != FAKE_IOMMUFD || m->size != sizeof(*m) || m->flags != 7 || m->__reserved)
		return -EINVAL;
	return m->ioas_id != v->ioas ? -ENOENT : map_dma(v, m->iova, m->length);
}

static int ioas_unmap(struct fake_vfio *v, int fd, const struct iommu_ioas_unmap *m)
{
	if (fd != FAKE_IOMMUFD || m->size != sizeof(*m))
		return -EINVAL;
	return m->ioas_id != v->ioas ? -ENOENT : unmap_dma(v, m->iova, m->length);
}

static int ioas_alloc(const struct fake_vfio *v, int fd, struct iommu_ioas_alloc *a)
{
	if (fd != FAKE_IOMMUFD || a->size != sizeof(*a) || a->flags)
		return -EINVAL;
	a->out_ioas_id = v->ioas;
	return v->fail_ioas;
}

static int bind_iommufd(struct fake_vfio *v, int fd, struct vfio_device_bind_iommufd *b)
{
	if (fd < FAKE_CDEV || b->argsz != sizeof(*b) || b->flags || b->iommufd != FAKE_IOMMUFD ||
	    v->bound[fd - FAKE_CDEV])
		return -EINVAL;
	b->out_devid = 77;
	v->bound[fd - FAKE_CDEV] = v->fail_bind == 0;
	return v->fail_bind;
}

static int attach_pt(struct fake_vfio *v, int fd, const struct vfio_device_attach_iommufd_pt *a)
{
	if (fd < FAKE_CDEV || a->argsz != sizeof(*a) || a->flags || !v->bound[fd - FAKE_CDEV])
		return -EINVAL;
	if (a->pt_id != v->ioas)
		return -ENOENT;
	v->attached[fd - FAKE_CDEV] = v->fail_attach == 0;
	return v->fail_attach;
}

static int kvm_attr(struct fake_vfio *v, const struct kvm_device_attr *a)
{
	int32_t fd;
	memcpy(&fd, (const void *)(uintptr_t)a->addr, sizeof(fd)); /* NOLINT */
	if (a->group != KVM_DEV_VFIO_FILE || v->fail_kvm)
		return v->fail_kvm ? v->fail_kvm : -ENXIO;
	if (a->attr == KVM_DEV_VFIO_FILE_ADD) {
		v->kvm_file[v->kvm_files++] = fd;
		return 0;
	}
	for (unsigned i = 0; i < v->kvm_files; i++) {
		if (v->kvm_file[i] != fd)
			continue;
		/* KVM finds it by the descriptor, which is open then. */
		must(fd < FAKE_CDEV || v->bound[fd - FAKE_CDEV], "KVM_DEV_VFIO_FILE_DEL");
		v->kvm_file[i] = v->kvm_file[--v->kvm_files];
		return 0;
	}
	return -ENOENT;
}

static int fake_ioctl(void *ctx, int fd, unsigned long request, void *arg)
{
	struct fake_vfio *v = ctx;
	switch (request) {
	case IOMMU_IOAS_ALLOC:
		return ioas_alloc(v, fd, arg);
	case IOMMU_IOAS_MAP:
		return ioas_map(v, fd, arg);
	case IOMMU_IOAS_UNMAP:
		return ioas_unmap(v, fd, arg);
	case VFIO_DEVICE_BIND_IOMMUFD:
		return bind_iommufd(v, fd, arg);
	case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
		return attach_pt(v, fd, arg);
	case KVM_SET_DEVICE_ATTR:
		return kvm_attr(v, arg);
	default:
		break;
	}
	/* A character device is of no use before it is bound. */
	if (fd >= FAKE_CDEV && !v->bound[fd - FAKE_CDEV])
		return -EINVAL;
	switch (request) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return 1;
	case VFIO_GROUP_GET_STATUS:
		((struct vfio_group_status *)arg)->flags =
		        v->not_viable ? 0 : VFIO_GROUP_FLAGS_VIABLE;
		return 0;
	case VFIO_GROUP_SET_CONTAINER:
	case VFIO_SET_IOMMU:
		return 0;
	case VFIO_GROUP_GET_DEVICE_FD:
		v->live++;
		return FAKE_DEVICE;
	case VFIO_DEVICE_GET_INFO: {
		struct vfio_device_info *info = arg;
		info->flags = v->device_flags;
		info->num_regions = FAKE_REGIONS;
		info->num_irqs = VFIO_PCI_NUM_IRQS;
		return 0;
	}
	case VFIO_DEVICE_GET_REGION_INFO:
		return region_info(v, arg);
	case VFIO_DEVICE_GET_IRQ_INFO: {
		struct vfio_irq_info *info = arg;
		info->count = info->index < 8 ? v->irq_count[info->index] : 0;
		info->flags = info->index < 8 ? v->irq_flags[info->index] : 0;
		return 0;
	}
	case VFIO_DEVICE_SET_IRQS:
		return set_irqs(v, arg);
	case VFIO_DEVICE_RESET:
		v->resets++;
		return 0;
	case VFIO_IOMMU_MAP_DMA: {
		const struct vfio_iommu_type1_dma_map *m = arg;
		return map_dma(v, m->iova, m->size);
	}
	case VFIO_IOMMU_UNMAP_DMA: {
		const struct vfio_iommu_type1_dma_unmap *u = arg;
		return unmap_dma(v, u->iova, u->size);
	}
	default:
		return -ENOTTY;
	}
}

static ssize_t fake_pread(void *ctx, int fd, void *buf, size_t len, uint64_t offset)
{
	struct fake_vfio *v = ctx;
	(void)fd;
	uint64_t at = offset & (OFFSET(1) - 1);
	if (v->fail_io)
		return v->fail_io;
	if (offset >> 40 != VFIO_PCI_CONFIG_REGION_INDEX) {
		memset(buf, 0x5a, len);
		return (ssize_t)len;
	}
	if (at >= v->config_bytes)
		return 0;
	if (len > v->config_bytes - at)
		len = v->config_bytes - at;
	memcpy(buf, v->config + at, len);
	return (ssize_t)len;
}

static ssize_t fake_pwrite(void *ctx, int fd, const void *buf, size_t len, uint64_t offset)
{
	struct fake_vfio *v = ctx;
	(void)fd;
	uint64_t at = offset & (OFFSET(1) - 1);
	if (v->fail_io)
		return v->fail_io;
	if (offset >> 40 == VFIO_PCI_CONFIG_REGION_INDEX) {
		if (at < v->config_bytes && len <= v->config_bytes - at)
			memcpy(v->config + at, buf, len);
		return (ssize_t)len;
	}
	v->bar_written = at;
	v->bar_value = 0;
	memcpy(&v->bar_value, buf, len);
	return (ssize_t)len;
}

static void *fake_mmap(void *ctx, size_t len, int prot, int fd, uint64_t offset)
{
	struct fake_vfio *v = ctx;
	(void)prot;
	(void)fd;
	if (v->mmaps < 16) {
		v->mmap_offset[v->mmaps] = offset;
		v->mmap_len[v->mmaps] = len;
	}
	v->mmaps++;
	return malloc(1);
}

static void fake_munmap(void *ctx, void *addr, size_t len)
{
	(void)len;
	((struct fake_vfio *)ctx)->munmaps++;
	free(addr);
}

static void make_dir(const struct fake_vfio *v, const char *path)
{
	char full[256];
	(void)snprintf(full, sizeof(full), "%s/%s", v->sysfs, path);
	for (char *p = full + strlen(v->sysfs) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		(void)mkdir(full, 0755);
		*p = '/';
	}
	must(mkdir(full, 0755) == 0 || errno == EEXIST, "mkdir");
}

static void make_file(const struct fake_vfio *v, const char *address, const char *name,
                      const char *text)
{
	char full[256];
	(void)snprintf(full, sizeof(full), "%s/bus/pci/devices/%s/%s", v->sysfs, address, name);
	FILE *f = fopen(full, "w");
	must(f && fputs(text, f) >= 0 && fclose(f) == 0, "fopen");
}

static void make_link(const struct fake_vfio *v, const char *address, const char *name,
                      const char *target)
{
	char full[256];
	(void)snprintf(full, sizeof(full), "%s/bus/pci/devices/%s/%s", v->sysfs, address, name);
	(void)unlink(full);
	if (target)
		must(symlink(target, full) == 0, "symlink");
}

static void make_device(const struct fake_vfio *v, const char *address, const char *driver)
{
	char path[128];
	char target[128];
	(void)snprintf(path, sizeof(path), "bus/pci/devices/%s", address);
	make_dir(v, path);
	(void)snprintf(path, sizeof(path), "kernel/iommu_groups/%d/devices/%s", FAKE_GROUP,
	               address);
	make_dir(v, path);
	make_file(v, address, "vendor", "0x8086\n");
	make_file(v, address, "device", "0x5845\n");
	make_file(v, address, "class", "0x010802\n");
	make_link(v, address, "iommu_group", "../../../kernel/iommu_groups/7");
	(void)snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", driver);
	make_link(v, address, "driver", driver ? target : NULL);
}

void fake_vfio_neighbour(struct fake_vfio *v, const char *address, const char *driver)
{
	make_device(v, address, driver);
}

void fake_vfio_cdev(struct fake_vfio *v, const char *address, const char *name)
{
	char path[128];
	(void)snprintf(path, sizeof(path), "bus/pci/devices/%s/vfio-dev/%s", address, name);
	make_dir(v, path);
}

void fake_vfio_bind(struct fake_vfio *v, const char *driver)
{
	make_device(v, FAKE_ADDRESS, driver);
}

static void make_config(struct fake_vfio *v)
{
	v->config_bytes = PCI_CFG_SPACE_EXP_SIZE;
	fake_set(v, PCI_VENDOR_ID, 4, 0x58458086);
	fake_set(v, PCI_CLASS_REVISION, 4, 0x01080202);
	fake_set(v, PCI_HEADER_TYPE, 1, 0x80);
	fake_set(v, PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
	fake_set(v, PCI_BASE_ADDRESS_0, 4, 0xfebf0000 | PCI_BASE_ADDRESS_MEM_TYPE_64);
	fake_set(v, PCI_CAPABILITY_LIST, 1, 0x40);
	fake_set(v, PCI_INTERRUPT_LINE, 2, 0x010b);
	fake_set(v, 0x40, 4, 9u << 16 | 0x5000 | PCI_CAP_ID_MSIX);
	fake_set(v, 0x44, 4, 0x2000);
	fake_set(v, 0x48, 4, 0x3000);
	fake_set(v, 0x50, 2, 0x6000 | PCI_CAP_ID_PM);
	fake_set(v, 0x52, 2, 0xc803);
	fake_set(v, 0x60, 2, 0x8000 | PCI_CAP_ID_EXP);
	fake_set(v, 0x62, 2, 0x0002);
	fake_set(v, 0x6c, 4, 0x00012345); /* link capabilities */
	fake_set(v, 0x80, 2, PCI_CAP_ID_SLOTID);
	fake_set(v, 0x84, 4, 0xdeadbeef);
	fake_set(v, 0x100, 4, PCI_EXT_CAP_ID_ERR | 2u << 16 | 0x140u << 20);
	fake_set(v, 0x140, 4, PCI_EXT_CAP_ID_SRIOV | 1u << 16 | 0x180u << 20);
	fake_set(v, 0x148, 4, 0x11111111);
	fake_set(v, 0x180, 4, PCI_EXT_CAP_ID_DSN | 1u << 16);
	fake_set(v, 0x184, 4, 0x22222222);
}

void fake_vfio_init(struct fake_vfio *v)
{
	*v = (struct fake_vfio){
	        .sys = {fake_open, fake_close, fake_ioctl, fake_pread, fake_pwrite, fake_mmap,
	                fake_munmap, v, v->sysfs, "/dev"},
	        .sysfs = "/tmp/vmm-vfio-XXXXXX",
	        .fail_open_iommufd = -ENOENT,
	        .ioas = 3,
	        .device_flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET,
	};
	must(mkdtemp(v->sysfs) != NULL, "mkdtemp");
	make_device(v, FAKE_ADDRESS, "vfio-pci");
	make_config(v);
	v->region_bytes[0] = 0x4000;
	v->region_flags[0] = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
	                     VFIO_REGION_INFO_FLAG_MMAP;
	v->region_bytes[VFIO_PCI_CONFIG_REGION_INDEX] = PCI_CFG_SPACE_EXP_SIZE;
	v->irq_count[VFIO_PCI_INTX_IRQ_INDEX] = 1;
	v->irq_count[VFIO_PCI_MSIX_IRQ_INDEX] = 10;
	v->irq_flags[VFIO_PCI_MSIX_IRQ_INDEX] = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE;
	v->irq_count[VFIO_PCI_REQ_IRQ_INDEX] = 1;
}

void fake_vfio_fini(struct fake_vfio *v)
{
	char command[128];
	(void)snprintf(command, sizeof(command), "rm -r %s", v->sysfs);
	must(system(command) == 0, "rm"); /* NOLINT */
}
