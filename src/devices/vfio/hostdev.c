/* PCI devices of the host. See hostdev.h. */
#include "devices/vfio/hostdev.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/errset.h"

#define PATH_BYTES 512u

static bool hex_field(const char **text, unsigned max_digits, unsigned max, unsigned *value)
{
	char *end;
	if (!strchr("0123456789abcdefABCDEF", **text) || **text == '\0')
		return false;
	unsigned long v = strtoul(*text, &end, 16);
	if ((size_t)(end - *text) > max_digits || v > max)
		return false;
	*value = (unsigned)v;
	*text = end;
	return true;
}

static bool expect(const char **text, char c)
{
	if (**text != c)
		return false;
	(*text)++;
	return true;
}

vmm_err_t hostdev_parse(const char *text, char address[HOSTDEV_ADDRESS_BYTES], vmm_err_info_t *ei)
{
	unsigned domain = 0, bus = 0, slot = 0, function = 0;
	const char *p = text;
	const char *colon = strchr(text, ':');
	bool has_domain = colon && strchr(colon + 1, ':');
	bool ok = !has_domain || (hex_field(&p, 6, 0xffffff, &domain) && expect(&p, ':'));
	ok = ok && hex_field(&p, 2, 0xff, &bus) && expect(&p, ':') &&
	     hex_field(&p, 2, 0x1f, &slot) && expect(&p, '.') && hex_field(&p, 1, 7, &function) &&
	     *p == '\0';
	if (!ok)
		return err_set(ei, VMM_E_INVAL, "address",
		               "'%.40s': must be a PCI address like 0000:01:00.0", text);
	(void)snprintf(address, HOSTDEV_ADDRESS_BYTES, "%04x:%02x:%02x.%x", domain & 0xffffffu,
	               bus & 0xffu, slot & 0x1fu, function & 7u);
	return VMM_OK;
}

static void device_path(char path[PATH_BYTES], const char *sysfs, const char *address,
                        const char *file)
{
	(void)snprintf(path, PATH_BYTES, "%s/bus/pci/devices/%s/%s", sysfs, address, file);
}

/* A number in a file of its own; 0 if it cannot be read. */
static uint32_t read_hex(const char *sysfs, const char *address, const char *file)
{
	char path[PATH_BYTES];
	char text[32];
	device_path(path, sysfs, address, file);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	return (uint32_t)strtoul(text, NULL, 16);
}

/* The last component of what a link points to, or "". */
static void read_link(const char *sysfs, const char *address, const char *file, char *out,
                      size_t size)
{
	char path[PATH_BYTES];
	char target[PATH_BYTES];
	device_path(path, sysfs, address, file);
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	const char *slash = strrchr(target, '/');
	(void)snprintf(out, size, "%.31s", slash ? slash + 1 : target);
}

/* An entry of a device's directory vfio-dev. Linux,
 * Documentation/ABI/testing/sysfs-devices-vfio-dev. */
static bool take_cdev(void *ctx, const char *name)
{
	int *cdev = ctx;
	char *end;
	if (strncmp(name, "vfio", 4) != 0 || name[4] < '0' || name[4] > '9')
		return true;
	unsigned long n = strtoul(name + 4, &end, 10);
	if (*end != '\0' || n >= 1u << 30)
		return true;
	*cdev = (int)n;
	return false;
}

void hostdev_cdev_path(const char *dev, const struct hostdev *d, char *path, size_t size)
{
	(void)snprintf(path, size, "%s/vfio/devices/vfio%d", dev, d->cdev);
}

vmm_err_t hostdev_read(const char *sysfs, const char *address, struct hostdev *d,
                       vmm_err_info_t *ei)
{
	char path[PATH_BYTES];
	char group[32];
	*d = (struct hostdev){.group = -1, .cdev = -1};
	(void)snprintf(d->address, sizeof(d->address), "%s", address);
	device_path(path, sysfs, address, "vendor");
	if (access(path, R_OK) != 0)
		return err_set(
		        ei, VMM_E_NOENT, address,
		        "there is no such PCI device on this host (`vmm vfio list` lists them)");
	d->vendor = (uint16_t)read_hex(sysfs, address, "vendor");
	d->device = (uint16_t)read_hex(sysfs, address, "device");
	d->class_code = read_hex(sysfs, address, "class") & 0xffffff;
	read_link(sysfs, address, "driver", d->driver, sizeof(d->driver));
	read_link(sysfs, address, "iommu_group", group, sizeof(group));
	char *end;
	unsigned long n = strtoul(group, &end, 10);
	if (group[0] && *end == '\0' && n < 1u << 30)
		d->group = (int)n;
	device_path(path, sysfs, address, "vfio-dev");
	(void)hostdev_each(path, take_cdev, &d->cdev);
	return VMM_OK;
}

bool hostdev_driver_shares(const char *driver)
{
	static const char *const sharing[] = {"", "vfio-pci", "pci-stub", "pcieport"};
	for (size_t i = 0; i < sizeof(sharing) / sizeof(sharing[0]); i++)
		if (strcmp(driver, sharing[i]) == 0)
			return true;
	return false;
}

bool hostdev_each(const char *dir, bool (*each)(void *ctx, const char *address), void *ctx)
{
	DIR *d = opendir(dir);
	if (!d)
		return false;
	const struct dirent *e;
	while ((e = readdir(d)))
		if (e->d_name[0] != '.' && !each(ctx, e->d_name))
			break;
	(void)closedir(d);
	return true;
}

struct group_check {
	const char *sysfs;
	unsigned looked_at;
	struct hostdev foreign; /* a member that is in the way */
	bool found;
};

static bool check_member(void *ctx, const char *address)
{
	struct group_check *c = ctx;
	struct hostdev d;
	char full[HOSTDEV_ADDRESS_BYTES];
	if (++c->looked_at > HOSTDEV_GROUP_MAX)
		return false;
	if (hostdev_parse(address, full, NULL) || hostdev_read(c->sysfs, full, &d, NULL) ||
	    hostdev_driver_shares(d.driver))
		return true;
	c->foreign = d;
	c->found = true;
	return false;
}

vmm_err_t hostdev_viable(const char *sysfs, const struct hostdev *d, vmm_err_info_t *ei)
{
	char dir[PATH_BYTES];
	if (d->group < 0)
		return err_set(
		        ei, VMM_E_UNSUPPORTED, d->address,
		        "has no IOMMU group: the host has no IOMMU, or it is off "
		        "(intel_iommu=on on the kernel's command line, VT-d or AMD-Vi in the "
		        "firmware)");
	if (d->class_code >> 8 == 0x0604)
		return err_set(ei, VMM_E_UNSUPPORTED, d->address, "is a bridge, not a device");
	if (strcmp(d->driver, "vfio-pci") != 0)
		return err_set(ei, VMM_E_BUSY, d->address,
		               "is bound to %s, not to vfio-pci: vmm vfio bind %s",
		               d->driver[0] ? d->driver : "no driver", d->address);
	struct group_check c = {.sysfs = sysfs};
	(void)snprintf(dir, sizeof(dir), "%s/kernel/iommu_groups/%d/devices", sysfs, d->group);
	(void)hostdev_each(dir, check_member, &c);
	if (!c.found)
		return VMM_OK;
	return err_set(
	        ei, VMM_E_BUSY, d->address,
	        "device %s of the same group, %d, is still bound to %s, and the IOMMU cannot "
	        "tell them apart: vmm vfio bind %s",
	        c.foreign.address, d->group, c.foreign.driver, c.foreign.address);
}
