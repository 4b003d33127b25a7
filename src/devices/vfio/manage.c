/*
 * Preparing devices of the host for passing: which there are, what the host does with them, and
 * moving them between drivers. See include/vmm/vfio.h. Linux, Documentation/ABI/testing/
 * sysfs-bus-pci (driver_override, drivers_probe).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/vfio/hostdev.h"
#include "devices/vfio/iommu.h"
#include "vmm/errset.h"
#include "vmm/vfio.h"

#define SYSFS      "/sys"
#define PATH_BYTES 512u

_Static_assert(VMM_VFIO_ADDRESS_MAX == HOSTDEV_ADDRESS_BYTES, "one form of addresses");

/* What the host does with a device. */
struct use {
	const char *address;
	char *text;
	size_t size;
};

/* Is CLASS/NAME (a disk, a network card) part of the device at ADDRESS? */
static bool belongs(const char *class_dir, const char *name, const char *address)
{
	char path[PATH_BYTES];
	char real[PATH_MAX];
	char part[HOSTDEV_ADDRESS_BYTES + 2];
	(void)snprintf(path, sizeof(path), "%s/%s", class_dir, name);
	if (!realpath(path, real))
		return false;
	(void)snprintf(part, sizeof(part), "/%s/", address);
	return strstr(real, part) != NULL;
}

static bool read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
	if (fd >= 0)
		(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return n > 0;
}

/* The mount point of the block device NUMBER ("259:1"), if it has one. proc(5), mountinfo. */
static bool mounted_at(const char *number, char *point, size_t size)
{
	char line[1024];
	bool found = false;
	FILE *f = fopen("/proc/self/mountinfo", "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		char dev[32];
		char where[256];
		if (sscanf(line, "%*d %*d %31s %*s %255s", dev, where) == 2 &&
		    strcmp(dev, number) == 0) {
			(void)snprintf(point, size, "%s", where);
			found = true;
		}
	}
	if (f)
		(void)fclose(f);
	return found;
}

static bool is_swap(const char *name)
{
	char line[512];
	bool found = false;
	FILE *f = fopen("/proc/swaps", "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, " \t")] = '\0';
		const char *slash = strrchr(line, '/');
		found = slash && strcmp(slash + 1, name) == 0;
	}
	if (f)
		(void)fclose(f);
	return found;
}

/* Something on top of it: RAID, LVM, encryption. */
static bool has_holders(const char *name, char *holder, size_t size)
{
	char path[PATH_BYTES];
	bool found = false;
	(void)snprintf(path, sizeof(path), SYSFS "/class/block/%s/holders", name);
	DIR *d = opendir(path);
	const struct dirent *e;
	while (d && !found && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(holder, size, "%.60s", e->d_name);
		found = true;
	}
	if (d)
		(void)closedir(d);
	return found;
}

static bool look_at_disk(void *ctx, const char *name)
{
	struct use *u = ctx;
	char path[PATH_BYTES];
	char number[32];
	char where[256];
	if (!belongs(SYSFS "/class/block", name, u->address))
		return true;
	(void)snprintf(path, sizeof(path), SYSFS "/class/block/%s/dev", name);
	if (read_text(path, number, sizeof(number)) && mounted_at(number, where, sizeof(where)))
		(void)snprintf(u->text, u->size, "%.60s is mounted at %.50s", name, where);
	else if (is_swap(name))
		(void)snprintf(u->text, u->size, "%.60s is swap space", name);
	else if (has_holders(name, where, sizeof(where)))
		(void)snprintf(u->text, u->size, "%.40s is part of %.60s", name, where);
	return u->text[0] == '\0';
}

/* A default route of IPv4 or IPv6 over INTERFACE: proc(5), net/route and net/ipv6_route. */
static bool has_default_route(const char *interface)
{
	char line[512];
	bool found = false;
	FILE *f = fopen("/proc/net/route", "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		char name[64];
		char destination[64];
		found = sscanf(line, "%63s %63s", name, destination) == 2 &&
		        strcmp(name, interface) == 0 && strcmp(destination, "00000000") == 0;
	}
	if (f)
		(void)fclose(f);
	f = fopen("/proc/net/ipv6_route", "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		char prefix[64];
		char name[64];
		found = sscanf(line, "%*s %63s %*s %*s %*s %*s %*s %*s %*s %63s", prefix, name) ==
		                2 &&
		        strcmp(name, interface) == 0 && strcmp(prefix, "00") == 0;
	}
	if (f)
		(void)fclose(f);
	return found;
}

static bool look_at_card(void *ctx, const char *name)
{
	struct use *u = ctx;
	if (!belongs(SYSFS "/class/net", name, u->address) || !has_default_route(name))
		return true;
	(void)snprintf(u->text, u->size, "the default route goes over %.60s", name);
	return false;
}

static void find_use(const char *address, char *text, size_t size)
{
	struct use u = {address, text, size};
	text[0] = '\0';
	(void)hostdev_each(SYSFS "/class/block", look_at_disk, &u);
	if (text[0] == '\0')
		(void)hostdev_each(SYSFS "/class/net", look_at_card, &u);
}

struct list {
	vmm_vfio_info_t *infos;
	size_t max, count;
};

static void describe_way(const struct hostdev *d, vmm_vfio_info_t *info)
{
	struct vfio_iommu io;
	vmm_err_info_t why = {.field = ""};
	vfio_iommu_init(&io, &vfio_sys_host);
	vmm_err_t err = vfio_iommu_choose(&io, VMM_VFIO_AUTO, d, 1, &why);
	info->iommu = err || io.way == &vfio_iommu_fd ? VMM_VFIO_IOMMUFD : VMM_VFIO_GROUP;
	if (io.way != &vfio_iommu_fd)
		(void)snprintf(info->no_iommufd, sizeof(info->no_iommufd), "%s: %s", why.field,
		               why.message);
}

static void describe(const char *address, vmm_vfio_info_t *info)
{
	struct hostdev d;
	vmm_err_info_t why;
	*info = (vmm_vfio_info_t){.group = -1};
	(void)snprintf(info->address, sizeof(info->address), "%s", address);
	if (hostdev_read(SYSFS, address, &d, &why)) {
		(void)snprintf(info->why, sizeof(info->why), "%s", why.message);
		return;
	}
	info->group = d.group;
	info->vendor = d.vendor;
	info->device = d.device;
	info->class_code = d.class_code;
	(void)snprintf(info->driver, sizeof(info->driver), "%s", d.driver);
	info->usable = hostdev_viable(SYSFS, &d, &why) == VMM_OK;
	if (!info->usable)
		(void)snprintf(info->why, sizeof(info->why), "%s", why.message);
	else
		describe_way(&d, info);
	find_use(d.address, info->used_by, sizeof(info->used_by));
}

static bool list_one(void *ctx, const char *name)
{
	struct list *l = ctx;
	char address[HOSTDEV_ADDRESS_BYTES];
	if (hostdev_parse(name, address, NULL))
		return true;
	if (l->count < l->max)
		describe(address, &l->infos[l->count]);
	l->count++;
	return true;
}

static int by_address(const void *a, const void *b)
{
	return strcmp(((const vmm_vfio_info_t *)a)->address, ((const vmm_vfio_info_t *)b)->address);
}

vmm_err_t vmm_vfio_list(vmm_vfio_info_t *infos, size_t max, size_t *count, vmm_err_info_t *ei)
{
	struct list l = {infos, max, 0};
	if (!hostdev_each(SYSFS "/bus/pci/devices", list_one, &l))
		return err_sys(ei, errno, SYSFS "/bus/pci/devices",
		               "this host shows no PCI devices");
	*count = l.count;
	if (l.count > 0 && max > 0)
		qsort(infos, l.count < max ? l.count : max, sizeof(*infos), by_address);
	return VMM_OK;
}

static vmm_err_t write_text(const char *path, const char *text, const char *what,
                            vmm_err_info_t *ei)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(ei, errno, path, "cannot %s", what);
	ssize_t n = write(fd, text, strlen(text));
	int err = n < 0 ? errno : 0;
	(void)close(fd);
	return err ? err_sys(ei, err, path, "cannot %s", what) : VMM_OK;
}

/* Off its driver, the override set, and a driver looked for again. */
static vmm_err_t move(const struct hostdev *d, const char *driver, vmm_err_info_t *ei)
{
	char path[PATH_BYTES];
	vmm_err_t err = VMM_OK;
	(void)snprintf(path, sizeof(path), SYSFS "/bus/pci/devices/%s/driver_override", d->address);
	err = write_text(path, driver[0] ? driver : "\n", "set its driver", ei);
	if (!err && d->driver[0]) {
		(void)snprintf(path, sizeof(path), SYSFS "/bus/pci/devices/%s/driver/unbind",
		               d->address);
		err = write_text(path, d->address, "take it from its driver", ei);
	}
	if (!err)
		err = write_text(SYSFS "/bus/pci/drivers_probe", d->address, "bind it anew", ei);
	return err;
}

vmm_err_t vmm_vfio_bind(const char *text, bool force, vmm_err_info_t *ei)
{
	struct hostdev d;
	char address[HOSTDEV_ADDRESS_BYTES];
	char use[128];
	vmm_err_t err = hostdev_parse(text, address, ei);
	if (!err)
		err = hostdev_read(SYSFS, address, &d, ei);
	if (err || strcmp(d.driver, "vfio-pci") == 0)
		return err;
	if (d.group < 0)
		return hostdev_viable(SYSFS, &d, ei);
	if (access(SYSFS "/bus/pci/drivers/vfio-pci", F_OK) != 0)
		return err_set(ei, VMM_E_NOENT, "vfio-pci",
		               "the driver is not loaded: modprobe vfio-pci");
	find_use(address, use, sizeof(use));
	if (use[0] && !force)
		return err_set(ei, VMM_E_BUSY, address, "is in use: %s", use);
	err = move(&d, "vfio-pci", ei);
	if (!err)
		err = hostdev_read(SYSFS, address, &d, ei);
	if (!err && strcmp(d.driver, "vfio-pci") != 0)
		err = err_set(ei, VMM_E_UNSUPPORTED, address,
		              "vfio-pci does not take it; the kernel's log says why");
	return err;
}

vmm_err_t vmm_vfio_unbind(const char *text, vmm_err_info_t *ei)
{
	struct hostdev d;
	char address[HOSTDEV_ADDRESS_BYTES];
	vmm_err_t err = hostdev_parse(text, address, ei);
	if (!err)
		err = hostdev_read(SYSFS, address, &d, ei);
	if (err)
		return err;
	if (strcmp(d.driver, "vfio-pci") != 0)
		return err_set(ei, VMM_E_STATE, address, "is not bound to vfio-pci%s%s",
		               d.driver[0] ? ", but to " : "", d.driver);
	return move(&d, "", ei);
}
